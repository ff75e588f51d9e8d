"""Options that several commands share."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import click

PROGRAM = "lienthong"
FOLDER_USUAL = Path("sandbox")

folder_option = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="LIENTHONG_DIR",
    default=FOLDER_USUAL,
    show_default=True,
    help="The sandbox's folder; also LIENTHONG_DIR in the environment.",
)


def typed(*words: str | Path) -> str:
    """A command of this program as it can be typed here.

    By the program's path, where a shell would not find it or finds another one.
    """
    ours = Path(sys.argv[0])
    found = shutil.which(PROGRAM)
    is_found = found is not None and ours.exists() and Path(found).samefile(ours)
    program = str(ours) if ours.name == PROGRAM and not is_found else PROGRAM
    return shlex.join([program, *map(str, words)])
