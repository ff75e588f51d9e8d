"""Open what lies beside a log's entries: attachments and small files, in folder or database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from bus.core.ports.message_log import AttachmentStore
from bus.log.attachment_files import AttachmentFiles
from bus.log.sealing import Sealer
from bus.settings.postgres import PostgresSettings


class OwnAttachments(AttachmentStore, Protocol):
    """The attachments beside a log that is ours to write."""

    async def recover(self, is_named: Callable[[bytes], Awaitable[bool]]) -> int:
        """Remove what an earlier run left without an entry; give how many messages'.

        `is_named` says whether an entry names a digest. To be called before the first message,
        while no other hub has the log. Raises LogUnavailable.
        """
        ...

    def close(self) -> None:
        """Let go of whatever it holds."""
        ...


def open_attachments_beside(
    folder: Path, database: PostgresSettings | None, origin: str, hub: str, sealer: Sealer
) -> OwnAttachments:
    """The attachments beside the log `origin`, which `hub` writes; of a log that another hub
    writes, they can be opened."""
    files = AttachmentFiles(folder, sealer)
    if database is None:
        return files
    # Here, and not above: a hub on a log of its own holds no client of a server in memory.
    from bus.log.postgres.attachments import PostgresAttachments

    return PostgresAttachments(database, origin, hub, sealer, files)


def keeper_beside(
    folder: Path, database: PostgresSettings | None, origin: str, hub: str
) -> Callable[[], None]:
    """What is to be called when a small file of the log's folder changed that whoever goes on with
    the log needs: it is in the database when the call returns. It raises LogUnavailable."""
    if database is None:
        return _nobody_else
    from bus.log.postgres.kept_files import KeptFiles

    return KeptFiles(database, origin, hub, folder).keep


def _nobody_else() -> None:
    """The folder is all there is."""
