"""Options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Db = Annotated[
    str | None,
    typer.Option(
        "--db",
        envvar="HARNESS_DB",
        metavar="PATH|URL",
        help="The database of results: a path or a SQLAlchemy URL. [default: leaderboard.db]",
        show_default=False,
    ),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin", metavar="FILE.py", help="A plugin file; may be repeated. Also: the folder HARNESS_PLUGINS."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
