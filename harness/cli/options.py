"""Options that several commands share, each declared once; those that go together are a group.

An option that fills a field of a request has the field's name. Its value is checked where the request is resolved.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion
from harness.errors import SettingError

WHAT, FOLDERS, PROTOCOL = "What to run", "Folders of images", "Protocol"
ROWS, PLACES, OUTPUT = "Which rows", "Where things are", "Output"
what = partial(typer.Option, rich_help_panel=WHAT)
folder_option = partial(typer.Option, rich_help_panel=FOLDERS)
rows_option = partial(typer.Option, rich_help_panel=ROWS)
protocol_option = partial(typer.Option, rich_help_panel=PROTOCOL)
place = partial(typer.Option, rich_help_panel=PLACES)
output_option = partial(typer.Option, rich_help_panel=OUTPUT)

# ---- options that commands without a request take, too

Db = Annotated[
    str | None,
    place(
        "--db",
        envvar="HARNESS_DB",
        metavar="PATH|URL",
        help="The database of results: a path or a SQLAlchemy URL.",
        show_default="leaderboard.db",
    ),
]
Plugins = Annotated[
    list[Path] | None,
    place("--plugin", metavar="FILE.py", help="A plugin file; may be repeated. Also: the folder HARNESS_PLUGINS."),
]
RunsDir = Annotated[Path, place("--runs-dir", metavar="PATH", help="Where weights, states, and logs are kept.")]
AsJson = Annotated[bool, output_option("--json", help="Print JSON.")]


# ---- groups


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """How ``--dataset folder:PATH`` is read."""

    image_size: Annotated[
        int | None, folder_option("--image-size", metavar="N", help="For folder:PATH: bring images to NxN.")
    ] = None
    class_order: Annotated[
        str | None,
        folder_option(
            "--class-order",
            metavar="ORDER",
            help="For folder:PATH: auto, names, numbers, A,B,C or a file.",
            show_default="auto",
        ),
    ] = None
    channels: Annotated[int | None, folder_option("--channels", metavar="1|3", help="Read them as grey or RGB.")] = None


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The protocol, and changes to it."""

    protocol: Annotated[
        str | None,
        protocol_option(
            "--protocol",
            metavar="NAME",
            help="The protocol: a name, or a TOML file.",
            show_default="the data set's",
            autocompletion=completion.protocols,
        ),
    ] = None
    values: Annotated[
        list[str] | None,
        protocol_option("--set", metavar="KEY=VALUE", help="Change a field of the protocol, a method, a network."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Training:
    """What else is asked of networks that are trained: how many, and short forms of ``--set``."""

    train_seeds: Annotated[int, what("--train-seeds", metavar="M", help="Networks to train, from different seeds.")] = 1
    epsilon: Annotated[
        str | None,
        protocol_option(
            "--epsilon",
            metavar="E",
            help="Train and attack in a ball of this radius, such as 4/255. Short for --set epsilon=E.",
            show_default="the protocol's",
        ),
    ] = None
    attacks: Annotated[
        str | None,
        protocol_option(
            "--attacks",
            metavar="A,B",
            help="Evaluate by these attacks; the board ranks by the last. Short for --set evaluation.attacks=A,B.",
            show_default="the protocol's",
            autocompletion=completion.plugin_lists("attacks"),
        ),
    ] = None
    epochs: Annotated[int | None, protocol_option("--epochs", metavar="N", help="Short for --set train.epochs=N.")] = (
        None
    )
    precision: Annotated[
        str | None,
        protocol_option(
            "--precision",
            metavar="TYPE",
            help="float32, tf32, or bfloat16. Short for --set train.precision=TYPE.",
            autocompletion=completion.words("float32", "tf32", "bfloat16"),
        ),
    ] = None

    @property
    def attack_names(self) -> tuple[str, ...] | None:
        """The attacks that were named; None for the protocol's."""
        return comma_separated("--attacks", self.attacks)


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is attacked, and whether what is there counts."""

    seeds: Annotated[int, what("--seeds", metavar="N", help="Attack seeds of the evaluation.")] = 5
    limit: Annotated[
        int | None,
        what("--limit", metavar="N", help="Evaluate N test images, balanced over the classes; another evaluation set."),
    ] = None
    checks: Annotated[bool, what("--checks/--no-checks", help="End with checks of rigour on every model.")] = True
    fresh: Annotated[bool, what("--fresh", help="Start over, and keep the old.")] = False
    dry_run: Annotated[
        bool, what("--dry-run", help="Print what there is to do, its passes, and its time; write nothing.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class Places:
    """On which device, by how many processes, and where files are."""

    device: Annotated[
        str | None,
        place(
            "--device",
            metavar="DEVICE",
            help="cpu, cuda, or cuda:N.",
            show_default="cuda where there is one",
            autocompletion=completion.words("cpu", "cuda"),
        ),
    ] = None
    workers: Annotated[
        int | None,
        place("--workers", metavar="N", help="Processes side by side.", show_default="one a core; 1 on CUDA"),
    ] = None
    runs_dir: RunsDir = Path("runs")
    data_dir: Annotated[Path, place("--data-dir", metavar="PATH", help="Where downloaded data sets are kept.")] = Path(
        "data"
    )
    db: Db = None
    plugins: Plugins = None


@dataclass(frozen=True, kw_only=True)
class Output:
    """What is printed: results on standard output; notes, progress, and errors on standard error."""

    as_json: AsJson = False
    verbose: Annotated[
        bool, output_option("--verbose", help="Print every line of the logs, and the traceback of what is refused.")
    ] = False
    quiet: Annotated[bool, output_option("--quiet", help="Print results and errors alone: no notes, no progress.")] = (
        False
    )

    def __post_init__(self) -> None:
        if self.verbose and self.quiet:
            raise SettingError("--verbose and --quiet exclude each other; leave one out")

    def note(self, text: str) -> None:
        """Say something on standard error that is no result."""
        if not self.quiet:
            print(text, file=sys.stderr)


def comma_separated(option: str, text: str | None) -> tuple[str, ...] | None:
    """The parts of ``A,B``; None where the option was not given.

    Raises:
        SettingError: it was given without a name.
    """
    if text is None:
        return None
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    if not parts:
        raise SettingError(f"{option} {text!r} is refused: name at least one, such as {option} pgd,cw")
    return parts
