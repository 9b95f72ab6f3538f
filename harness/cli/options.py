"""Options that several commands share. Each is declared once; options that go together are a group.

An option is written as the default of a parameter, or of a field of a group; ``grouped`` hands it to Typer. An option
that fills a field of a request has the field's name. Its value is checked when the request is resolved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from harness.cli import completion
from harness.cli.config_file import LazyDefaults, merge_defaults, read_defaults
from harness.cli.sources import GIVEN, ancestry, tell_sources, told
from harness.cli.waiting import waiting_shown
from harness.errors import SettingError
from harness.plugin.ball import BALLS

WHAT, FOLDERS, PROTOCOL = "What to run", "Folders of images", "Protocol"
ROWS, PLACES, OUTPUT = "Which rows", "Where things are", "Output"


def option(
    panel: str,
    usage: str,
    text: str,
    value: Any = None,
    *,
    shown: str | bool = True,
    complete: completion.Complete | None = None,
    variable: str | None = None,
) -> Any:
    """An option, written as the help shows it: ``--epochs N``. A flag has no word for its value: ``--json``.

    Args:
        shown: the default in words, for the help.
        complete: gives the values that a shell offers.
        variable: an environment variable that sets the option, too.
    """
    flags = [word for word in usage.split() if word.startswith("--")]
    declared = typer.Option(
        *flags,
        metavar=usage.removeprefix(" ".join(flags)).strip(),
        help=text,
        rich_help_panel=panel,
        show_default=shown,
        autocompletion=complete,
        envvar=variable,
    )
    return field(default=value, metadata={"typer": declared})


def argument(metavar: str, text: str, *, complete: completion.Complete | None = None) -> Any:
    """An argument, to stand in an ``Annotated``: its word in the help, its help, and what a shell offers."""
    return typer.Argument(metavar=metavar, help=text, autocompletion=complete)


what, of_folder, of_rows = partial(option, WHAT), partial(option, FOLDERS), partial(option, ROWS)
of_protocol, place, of_output = partial(option, PROTOCOL), partial(option, PLACES), partial(option, OUTPUT)

DEFAULT_DB, DB_VARIABLE = "leaderboard.db", "HARNESS_DB"
DB = place(
    "--db PATH|URL",
    "The database of results: a path or a SQLAlchemy URL.",
    shown=DEFAULT_DB,
    variable=DB_VARIABLE,
)
PLUGINS = place(
    "--plugin FILE.py",
    "A plugin file, or a folder of them; may be repeated. Files in the folder $HARNESS_PLUGINS count, too.",
)
DETACH = place(
    "--detach", "Hand the command to the Ray cluster as a job, and return; harness runs --watch follows it.", False
)
RUNS_DIR = place(
    "--runs-dir PATH", "Where weights, training states, and logs are kept.", Path("runs"), variable="HARNESS_RUNS_DIR"
)
DATA_DIR = place("--data-dir PATH", "Where downloaded data sets are kept.", Path("data"), variable="HARNESS_DATA_DIR")
AS_JSON = of_output("--json", "Print JSON.", False)


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """How ``--dataset folder:PATH`` is read."""

    image_size: int | None = of_folder(
        "--image-size N", "For folder:PATH: cut the central square of each image and resize it to NxN."
    )
    class_order: str | None = of_folder(
        "--class-order ORDER",
        "For folder:PATH: the order of the classes: auto, names, numbers, A,B,C, or a file.",
        shown="auto",
    )
    channels: int | None = of_folder("--channels 1|3", "For folder:PATH: read images as grey (1) or RGB (3).")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Which rows of the leaderboard a command is about, besides their data set."""

    network: str | None = of_rows("--arch NAME", "Rows of this network alone.", complete=completion.networks)
    protocol: str | None = of_rows(
        "--protocol NAME",
        "Rows under this protocol alone: its name, or its fingerprint's beginning.",
        complete=completion.protocols,
    )
    checkpoint: str | None = of_rows(
        "--checkpoint NAME", "Rows of this checkpoint alone: early or last.", complete=completion.checkpoints
    )


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The protocol, and changes to it."""

    protocol: str | None = of_protocol(
        "--protocol NAME",
        "The protocol: a name, or a TOML file.",
        shown="the data set's",
        complete=completion.protocols,
    )
    values: list[str] | None = of_protocol(
        "--set KEY=VALUE", "Change a setting of the protocol or of a plugin; may be repeated."
    )


@dataclass(frozen=True, kw_only=True)
class Training:
    """How many networks to train, and short forms of ``--set``."""

    train_seeds: int = what("--train-seeds M", "Train M networks with each method, from different seeds.", 1)
    eval_every: int | None = what(
        "--eval-every N",
        "Record natural, PGD, and CW accuracy on 128 test and 128 training images after every N epochs; 0: never.",
        shown="10 times for a small network",
    )
    state_every: float = place(
        "--state-every MINUTES",
        "Within a long epoch, write the state that a stopped training goes on from so often; 0: after every update.",
        10.0,
    )
    deterministic: bool = place(
        "--deterministic",
        "Train with torch's deterministic algorithms, so that a stopped training goes on to the last bit on CUDA, too.",
        False,
    )
    devices_per_run: int = place(
        "--devices-per-run N",
        "Train each network on N devices together: the same run, up to rounding; on the CPU, with N processes.",
        1,
    )
    epsilon: str | None = of_protocol(
        "--epsilon E",
        "Train and attack in a ball of this radius, such as 4/255. Short for --set epsilon=E.",
        shown="the protocol's",
    )
    norm: str | None = of_protocol(
        "--norm NORM",
        f"Train and attack in a ball of this norm, {' or '.join(BALLS)}. Short for --set train.norm=NORM.",
        shown="the protocol's",
        complete=completion.words(*BALLS),
    )
    attacks: str | None = of_protocol(
        "--attacks A,B",
        "Run these attacks; the leaderboard ranks by the last. Short for --set evaluation.attacks=A,B.",
        shown="the protocol's",
        complete=completion.attack_list,
    )
    epochs: int | None = of_protocol("--epochs N", "Train for N epochs. Short for --set train.epochs=N.")
    precision: str | None = of_protocol(
        "--precision TYPE",
        "Train in float32, tf32, or bfloat16. Short for --set train.precision=TYPE.",
        complete=completion.words("float32", "tf32", "bfloat16"),
    )


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is attacked, and whether stored results count."""

    seeds: int = what("--seeds N", "Run each attack that draws random numbers with N seeds.", 5)
    limit: int | None = what(
        "--limit N", "Attack only N test images, balanced over the classes; they are ranked apart."
    )
    checks: bool = what(
        "--checks/--no-checks", "Look for signs that a robust accuracy is too high (checks of rigour).", True
    )
    fresh: bool = what("--fresh", "Begin again, as if nothing were stored; stored results are kept.", False)
    dry_run: bool = what(
        "--dry-run", "Print the work to do, its passes through the network, and its time; write nothing.", False
    )


@dataclass(frozen=True, kw_only=True)
class Output:
    """What is printed: results on standard output; notes, progress, and errors on standard error."""

    as_json: bool = AS_JSON
    verbose: bool = of_output("--verbose", "Print every line of the logs, and the traceback of a refusal.", False)
    quiet: bool = of_output("--quiet", "Print only results and errors: no notes, no progress.", False)

    def __post_init__(self) -> None:
        if self.verbose and self.quiet:
            raise SettingError("--verbose and --quiet exclude each other; leave one out")

    def note(self, text: str) -> None:
        """Print a note on standard error, unless the output is quiet; before the first, where the options came from."""
        tell_sources(quiet=self.quiet)
        if not self.quiet:
            from harness.cli.console import print_line

            print_line(text, error=True)


class Command(TyperCommand):
    """A command of harness. The project's configuration gives defaults of its options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = [each.info_name for each in ancestry(ctx)[1:]]
        group = ancestry(ctx)[0].command if ctx.parent is not None else None
        lazy = LazyDefaults(ctx, lambda: read_defaults(self, words, group))
        ctx.default_map = lazy
        rest: list[str] = super().parse_args(ctx, args)
        ctx.meta[GIVEN] = merge_defaults(ctx, lazy.defaults)
        return rest

    def invoke(self, ctx: Any) -> Any:
        quiet = bool(ctx.params.get("quiet"))
        with told(ctx.meta[GIVEN], quiet=quiet), waiting_shown(quiet=quiet):
            try:
                return super().invoke(ctx)
            except EOFError as error:  # click takes it for Ctrl-D at a prompt, and would say that the user stopped
                raise RuntimeError("a file or a pipe ended before its content") from error

    def get_params(self, ctx: Any) -> list[Any]:
        parameters: list[Any] = super().get_params(ctx)
        for parameter in parameters:
            if parameter.name == "help":
                # without this, --help has its own box above all others, and Typer prints a type for it
                parameter.rich_help_panel, parameter.metavar = OUTPUT, ""
        return parameters


class Group(TyperGroup):
    """A command that has subcommands."""

    def get_params(self, ctx: Any) -> list[Any]:
        parameters: list[Any] = super().get_params(ctx)
        for parameter in parameters:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return parameters


def comma_separated(option: str, text: str | None) -> tuple[str, ...] | None:
    """The parts of ``A,B``; None where the option was not given.

    Raises:
        SettingError: the option was given without a name.
    """
    if text is None:
        return None
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    if not parts:
        raise SettingError(f"{option} {text!r} is refused: name at least one, such as {option} pgd,cw")
    return parts
