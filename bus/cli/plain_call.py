"""Ask a service as a system that cannot sign: plain SOAP through its access point."""

from __future__ import annotations

import sys
import uuid
from contextlib import closing

from lxml import etree

from bus.cli.exit_codes import COULD_NOT, FOUND
from bus.cli.shown import one_line, tell
from bus.client.hub_client import ANSWER_SECONDS_MAX, Labels
from bus.core.errors import BusError, ServiceFault
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.limits import Limits
from bus.http.client import AgencyHttp
from bus.http.spool import Spool
from bus.kit.contract import Answer, Attachment, Query
from bus.kit.xroad_agency import XRoadAgency, XRoadForm
from bus.protocols.soap_xroad.read_answer import ANSWER_BYTES_MAX
from bus.runtime.deadline import Deadline


def ask_plainly(
    access_point: str,
    client: SubsystemId,
    service: ServiceId,
    payload: etree._Element,
    labels: Labels,
    attachments: tuple[Attachment, ...],
) -> Answer:
    """The answer of an access point, whose word is all there is: it proved what it hands over.

    Ends the program where there is none: 1 for a fault, 2 if the access point is away.
    """
    query = Query(
        service=service,
        client=client,
        message_id=labels.message_id or str(uuid.uuid4()),
        idempotency_key="",
        user_id=labels.user_id,
        issue=labels.issue,
        purpose="",
        payload=etree.tostring(payload, encoding="UTF-8", xml_declaration=False),
        timeout_seconds=ANSWER_SECONDS_MAX,
        attachments=attachments,
    )
    spool = Spool(None, bytes_max=Limits().spool_bytes_max)
    with closing(AgencyHttp(reply_bytes_max=ANSWER_BYTES_MAX, spool=spool)) as http:
        form = XRoadForm(requires_headers=True)
        agency = XRoadAgency(address=access_point, http=http, form=form)
        try:
            return agency.call(query, deadline=Deadline.after(ANSWER_SECONDS_MAX))
        except ServiceFault as fault:
            tell(one_line(f"{fault.xroad_code}: {fault.fault_string}"), err=True)
            sys.exit(FOUND)
        except BusError as error:
            tell(f"The access point cannot be asked: {error.detail or error}", err=True)
            sys.exit(COULD_NOT)
