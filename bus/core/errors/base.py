"""Give every error its form: who is wrong, what happens next, what is told to whom.

Every error that can happen to a message is a BusError. Class attributes are facts that are safe
for strangers. Of an error itself, three things are told to three: `public_detail` to its sender,
`detail` to whoever may see the message, `diagnostic` to our diagnostics, which hold nothing that a
sender or an agency chose: no value, no name of an element, no code of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import ClassVar

_LINE = re.compile(r"line [0-9]{1,8}\b")


class Blame(StrEnum):
    """Who is wrong."""

    SENDER = "sender"
    HUB = "hub"
    RECIPIENT = "recipient"


class Recovery(StrEnum):
    """When the same message may succeed."""

    NEVER = "never"
    LATER = "later"
    OPERATOR = "operator"


class BusError(Exception):
    """Base of every error that can happen to a message.

    `authenticated` says whether the error can only arise after the sender's signature was
    verified; the ones before share one public fault outside the sandbox.
    `xroad` is the code of X-Road's fault table that says the same (PR-MESS, domain fact).
    """

    code: ClassVar[str]
    blame: ClassVar[Blame]
    recovery: ClassVar[Recovery]
    public_reason: ClassVar[str]
    xroad: ClassVar[str]
    keeps_spelling: ClassVar[bool] = False
    """True: the code on the wire is somebody else's, and is written as it came."""
    reveals: ClassVar[bool] = True
    """False: outside the sandbox the sender is told only that verification failed."""
    detail_is_ours: ClassVar[bool] = False
    """True: details of this class consist of our own words, of numbers and of places, wherever it
    is raised, so that diagnostics may hold them."""
    detail_has_line: ClassVar[bool] = False
    """True: they begin with the line at fault, which diagnostics may hold."""

    def __init__(self, detail: str = "", *, public_detail: str = "", subject: str = "") -> None:
        super().__init__(detail or public_detail or self.public_reason)
        self.detail = detail or public_detail
        self.public_detail = public_detail
        """Facts about the sender's own message that are safe to give back (line, path).

        They may repeat what stands there, and are not for diagnostics."""
        self.subject = subject
        """What the error is about, where its form on the wire names it: see the class."""

    @property
    def diagnostic(self) -> str:
        """What diagnostics may hold beside the code; empty: the code alone."""
        if self.detail_is_ours:
            return self.detail
        line = _LINE.match(self.detail) if self.detail_has_line else None
        return line[0] if line else ""

    def forget_where(self) -> None:
        """Let go of the frames that it was raised in, and of the errors behind it."""
        self.__traceback__ = self.__cause__ = self.__context__ = None

    @property
    def xroad_code(self) -> str:
        """The code of this very error, where it is not the same for all of its class."""
        return self.xroad


def all_errors(base: type[BusError] = BusError) -> Iterator[type[BusError]]:
    """Every concrete error class, in the order of definition."""
    for child in base.__subclasses__():
        if "code" in vars(child):
            yield child
        yield from all_errors(child)
