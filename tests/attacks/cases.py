"""What an attack case is, and what it is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVarTuple

from signing.names import BINARY_SECURITY_TOKEN
from tests.attacks.forge import Hand, Plan, forge
from tests.attacks.keys import corpus_signer
from tests.attacks.source import Source
from tests.attacks.valid_messages import ValidMessage
from tests.certificates import Issuer, make_certificate
from tests.nation import NOW, SmallNation, der

SAME = "says the same"
"""Expected of a change that is accepted because nothing that is acted upon is another."""

NEW = "is a message of its own"
"""Expected of a signed message that passes, and in which odd letters are letters."""

OWN_NUMBER = b"040185766517"
EVIL_NUMBER = b"001185000001"


@dataclass(frozen=True, slots=True)
class Stage:
    """What an attacker has before it: a valid message, others of the same sender, a nation."""

    nation: SmallNation
    valid: ValidMessage
    others: Mapping[str, ValidMessage] = field(repr=False)
    """Every valid message by name; one or the other may be the same."""

    @property
    def raw(self) -> bytes:
        return self.valid.raw

    @property
    def source(self) -> Source:
        return _source(self.valid.raw)

    @property
    def has_token(self) -> bool:
        return bool(self.source.all(BINARY_SECURITY_TOKEN))

    @property
    def other(self) -> ValidMessage:
        """Another valid message."""
        return next(one for one in self.others.values() if one.name != self.valid.name)

    def hand(self, name: str = "h41-rsa") -> Hand:
        """A member's own key and certificate: an insider's, or stolen."""
        signer = corpus_signer(name)
        return Hand(signer.private_key, signer.certificate_der)

    def issued(self, key: Any, **wishes: Any) -> Hand:
        """A key with a certificate that the authority of the corpus issued for it."""
        certificate = make_certificate(self.nation.issuer, key.public_key(), NOW, **wishes)
        return Hand(key, der(certificate))

    def issued_by(self, issuer: Issuer, key: Any, **wishes: Any) -> Hand:
        return Hand(key, der(make_certificate(issuer, key.public_key(), NOW, **wishes)))

    def signed(self, **changes: Any) -> bytes:
        """This message signed anew by its own member, with changes of the plan."""
        raw = changes.pop("raw", self.raw)
        hand = changes.pop("hand", None) or self.hand()
        return forge(raw, Plan(hand, **changes))


@lru_cache(maxsize=32)
def _source(raw: bytes) -> Source:
    return Source(raw)


Make = Callable[[Stage], bytes]
Values = TypeVarTuple("Values")


def applied(make: Callable[[Stage, *Values], bytes], *values: *Values) -> Make:
    """`make` with these values behind the stage; in a loop, as they are this time."""
    return lambda stage: make(stage, *values)


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that an attacker does, and what it must get for it."""

    name: str
    group: str
    attack: str
    """What the attacker does, and why."""
    source: str
    """The clause that forbids it, or who described the attack."""
    expected: str
    """The code of the refusal; SAME if it is accepted and says what it said; or NEW."""
    make: Make = field(repr=False)
    every_stack: bool = False
    """Made from every valid message, not from one."""
    needs_token: bool = False
    """Only from messages that carry their certificate as a token."""
    later: timedelta = timedelta()
    """How long after the moment of capture it is sent."""


@dataclass(frozen=True, slots=True)
class Group:
    """A class of attacks; cases are added to it by name."""

    name: str
    source: str
    cases: list[Case] = field(default_factory=list)

    def add(self, name: str, attack: str, expected: str, make: Make, **more: Any) -> None:
        source = more.pop("source", self.source)
        self.cases.append(Case(name, self.name, attack, source, expected, make, **more))
