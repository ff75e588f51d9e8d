"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

folder_option = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="LIENTHONG_DIR",
    default=Path("sandbox"),
    show_default=True,
    help="The sandbox's folder; also LIENTHONG_DIR in the environment.",
)
