"""Attachments on the command line: files to send, and a folder for what came."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Sequence
from pathlib import Path

import click

from bus.edge.log_files import NEW
from bus.kit.contract import Attachment, attachment_of_file

_UNKNOWN_TYPE = "application/octet-stream"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_CHARACTERS_MAX = 100
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+\Z", re.IGNORECASE)


class AttachedFile(click.ParamType[Attachment]):
    """`FILE` or `FILE:type`: an attachment whose Content-ID is the file's name."""

    name = "FILE[:TYPE]"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> Attachment:
        """The attachment; fails if there is no such file."""
        path, _, media_type = value.rpartition(":")
        if not path or not _MEDIA_TYPE.match(media_type):
            path = value
            media_type = mimetypes.guess_type(path)[0] or _UNKNOWN_TYPE
        file = Path(path)
        try:
            return attachment_of_file(file, content_id=_safe(file.name), media_type=media_type)
        except OSError as error:
            self.fail(f"{path}: {error.strerror}", param, ctx)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def save_attachments(attachments: Sequence[Attachment], folder: Path, *, prefix: str = "") -> None:
    """Write each attachment into a file of a folder, named by its Content-ID; tell the names.

    Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, attachment in enumerate(attachments, start=1):
        path = folder / f"{prefix}{number}-{_safe(attachment.content_id)}"
        new = path.with_name(path.name + NEW)
        with new.open("wb") as file:
            for chunk in attachment.chunks():
                file.write(chunk)
        new.replace(path)
        click.echo(f"{path}: {attachment.bytes_count:,} bytes, {attachment.media_type}", err=True)


def _safe(name: str) -> str:
    """A name without anything that a file system or a cid: URL may take amiss."""
    return _UNSAFE.sub("_", name).lstrip(".")[:_NAME_CHARACTERS_MAX] or "attachment"
