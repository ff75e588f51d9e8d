"""Attachments on the command line: files to send, and a folder for what came."""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import click
from lxml import etree

from bus.cli.shown import one_line, tell
from bus.kit.contract import Attachment, attachment_of_file
from bus.log.files import NEW

_UNKNOWN_TYPE = "application/octet-stream"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_CHARACTERS_MAX = 100
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file to send: under its own name, and under the one that travels."""

    name: str
    attachment: Attachment


class AttachedFile(click.ParamType[NamedFile]):
    """`FILE` or `FILE:type`: an attachment whose Content-ID is the file's name in plain letters."""

    name = "FILE[:TYPE]"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> NamedFile:
        """The file; fails if there is none."""
        path, _, media_type = value.rpartition(":")
        if not path or not _MEDIA_TYPE.match(media_type):
            path = value
            media_type = mimetypes.guess_type(path)[0] or _UNKNOWN_TYPE
        file = Path(path)
        try:
            if not file.is_file():
                self.fail(f"{path}: {_why_no_file(file)}", param, ctx)
            content_id = _safe(file.name)
            attachment = attachment_of_file(file, content_id=content_id, media_type=media_type)
            return NamedFile(file.name, attachment)
        except OSError as error:
            self.fail(f"{path}: {error.strerror}", param, ctx)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def name_as_sent(payload: etree._Element, files: Sequence[NamedFile]) -> Iterator[str]:
    """Let references name attachments as they travel; give a sentence for each that changes.

    A Content-ID is written in ASCII (RFC 2392), names of files are not. A reference may name a file
    as it is called, with blanks and letters percent-encoded or not, in either Unicode form.
    """
    sent = {_key(one.name): one.attachment.content_id for one in files}
    known = {one.attachment.content_id for one in files}
    for element in payload.iter(etree.Element):
        named = _cid(element.text or "") if not len(element) else ""
        if named and named not in known and (content_id := sent.get(_key(named))):
            element.text = f"cid:{content_id}"
            yield f"The file {unquote(named)} goes as cid:{content_id}."
        href = _cid(element.get("href", ""))
        if href and href not in known and (content_id := sent.get(_key(href))):
            element.set("href", f"cid:{content_id}")
            yield f"The file {unquote(href)} goes as cid:{content_id}."
        for one in (named, href):
            is_name = one and not any(letter.isspace() for letter in one)
            if files and is_name and one not in known and _key(one) not in sent:
                yield f"The body names cid:{one}; beside it go {', '.join(sorted(known))}."


def _cid(text: str) -> str:
    """What a cid: URL names; empty: it is none."""
    bare = text.strip()
    return bare.removeprefix("cid:") if bare.startswith("cid:") else ""


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unquote(name))


def _why_no_file(file: Path) -> str:
    return "No such file or directory" if not file.exists() else "expected a regular file"


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
        tell(
            one_line(f"{path}: {attachment.bytes_count:,} bytes, {attachment.media_type}"), err=True
        )


def _safe(name: str) -> str:
    """A name without anything that a file system or a cid: URL may take amiss."""
    return _UNSAFE.sub("_", name).lstrip(".")[:_NAME_CHARACTERS_MAX] or "attachment"
