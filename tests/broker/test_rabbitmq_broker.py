"""RabbitMQ keeps the contract of all brokers."""

from __future__ import annotations

import pytest

from tests.broker.broker_contract import BrokerContract
from tests.broker.broker_stories import WAITING_MAX, BrokerSite
from tests.broker.rabbit_site import RabbitSite
from tests.servers.fixtures import RabbitAccess

pytestmark = pytest.mark.slow


class TestRabbitBroker(BrokerContract):
    """The one for workers on other machines."""

    BEFORE_URGENT_MAX = WAITING_MAX // 2 - 1

    @pytest.fixture
    def site(self, rabbitmq: RabbitAccess) -> BrokerSite:
        return RabbitSite(rabbitmq.port, rabbitmq.make_prefix())
