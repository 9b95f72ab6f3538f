"""The entry point: the commands, and how an error is told."""

from __future__ import annotations

import sys

import typer

from harness import __version__
from harness.cli import compare, evaluate, export, leaderboard, listing, plugins, reproduce, run, runs, show, upgrade
from harness.errors import HarnessError

# Newer typer carries a click of its own, older imports click: the class that both derive usage errors from.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

PROGRAM = "harness"  # also where it is started as `python -m harness`
INTERRUPTED = 130

FIRST_STEPS = """
Three commands to start with:

  harness run sat --dataset digits --arch smallcnn   train and attack a network, in minutes, without a download

  harness leaderboard                                the figures: this project's own, and those that papers report

  harness list methods                               what can be trained, its source, and its settings
"""

app = typer.Typer(
    name=PROGRAM,
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Which training method gives the most robust network? One shared protocol, every seed, the uncertainty shown.",
)
app.command("run")(run.run)
app.command("leaderboard")(leaderboard.leaderboard)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("list")(listing.list_plugins)
app.command("reproduce")(reproduce.reproduce)
app.command("runs")(runs.runs)
app.command("show")(show.show)
app.command("new")(plugins.new)
app.command("check")(plugins.check)
app.command("upgrade")(upgrade.upgrade)
app.add_typer(export.app, name="export")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"harness {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Show help and the first steps where no command is given."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        print(FIRST_STEPS)


def main() -> None:
    """Run the command line. A user's mistake is one line and exit code 2; a bug keeps its traceback."""
    try:
        code = app(prog_name=PROGRAM, standalone_mode=False)
    except HarnessError as error:
        _refuse(str(error))
    except UsageError as error:
        _refuse(error.format_message())  # type: ignore[attr-defined]
    except (KeyboardInterrupt, typer.Abort):
        _tell_stop()
        sys.exit(INTERRUPTED)
    if code == INTERRUPTED:  # newer typer makes this of Ctrl-C
        _tell_stop()
    sys.exit(code if isinstance(code, int) else 0)


def _tell_stop() -> None:
    print("harness: stopped; what was done is kept: the same command goes on from there", file=sys.stderr)


def _refuse(message: str) -> None:
    print(f"harness: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
