"""What strace does to a program: at which call, and whether the call was done before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NOT_DONE = "signal=SIGKILL"
"""Killed as it enters the call, which is not made any more."""
NOT_CONFIRMED = "signal=SIGUSR2"
"""The call is made, and the program dies before it learns of it: nobody handles this signal, and
no signal but SIGKILL keeps a call from being made."""
KILLS = (NOT_DONE, NOT_CONFIRMED)

DISK_CALLS = ("fdatasync", "fsync", "pwrite64")
SEND_CALLS = ("sendto", "sendmsg", "write", "writev")
"""To a database, a broker, a sender; which of them is made is the libraries' business."""
CALLS = (*DISK_CALLS, *SEND_CALLS)
ERRORS = {
    "fdatasync": ("EIO", "ENOSPC"),
    "fsync": ("EIO", "ENOSPC"),
    "pwrite64": ("EIO", "ENOSPC"),
}
"""With what a call may fail. Not those of connections: a line of which only one call fails is none
that a network makes."""


@dataclass(frozen=True, slots=True)
class Strike:
    """At which call of its kind, counted for each thread, what happens."""

    call: str
    at: int
    effect: str = NOT_DONE

    def __str__(self) -> str:
        return f"{self.call}:{self.effect}:when={self.at}"

    @property
    def is_kill(self) -> bool:
        return self.effect in KILLS

    @staticmethod
    def parse(text: str) -> Strike:
        """As it is written by `str`."""
        call, effect, when = text.split(":")
        return Strike(call, int(when.removeprefix("when=")), effect)

    def command(self, process_id: int, trace: Path) -> list[str]:
        """strace that does it to a process that is there, and to its threads."""
        told = ["-e", f"trace={self.call}", "-e", f"inject={self}"]
        return ["strace", "-f", "-qq", "-o", str(trace), *told, "-p", str(process_id)]
