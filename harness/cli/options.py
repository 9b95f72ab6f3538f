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

# what `run` and `reproduce` ask of an experiment; values are checked where a request is resolved
ClassOrder = Annotated[
    str | None,
    typer.Option(metavar="ORDER", help="For folder:PATH: auto, names, numbers, A,B,C or a file. [default: auto]"),
]
ChannelCount = Annotated[int | None, typer.Option("--channels", metavar="1|3", help="For folder:PATH: grey or RGB.")]
ImageSize = Annotated[int | None, typer.Option(metavar="N", help="For folder:PATH: bring images to NxN.")]
Seeds = Annotated[int, typer.Option(metavar="N", help="Attack seeds of the evaluation.")]
TrainSeeds = Annotated[int, typer.Option(metavar="M", help="Networks to train, from different seeds.")]
ProtocolName = Annotated[
    str | None, typer.Option(help="The protocol: a name, or a TOML file. [default: the data set's]")
]
Epochs = Annotated[int | None, typer.Option(metavar="N", help="Short for --set train.epochs=N.")]
SetValues = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a field of the protocol, a method, a network."),
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, or cuda:N. [default: cuda where there is one]")]
Limit = Annotated[
    int | None,
    typer.Option(metavar="N", help="Evaluate N test images, balanced over the classes; another evaluation set."),
]
Checks = Annotated[bool, typer.Option("--checks/--no-checks", help="End with checks of rigour on every model.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start over, and keep the old.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would run, and its cost.")]
Workers = Annotated[
    int | None, typer.Option(metavar="N", help="Processes side by side. [default: one a core; 1 on CUDA]")
]
RunsDir = Annotated[Path, typer.Option(help="Where weights, states, and logs are kept.")]
DataDir = Annotated[Path, typer.Option(help="Where downloaded data sets are kept.")]
