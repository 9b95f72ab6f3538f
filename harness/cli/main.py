"""The entry point: the commands, their examples, and how an error is printed."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable
from typing import Any

import typer

from harness import __version__
from harness.cli import (
    bench,
    compare,
    config,
    db,
    doctor,
    evaluate,
    export,
    figures,
    leaderboard,
    listing,
    plugins,
    protocol,
    remarks,
    remove,
    reproduce,
    run,
    runs,
    serve,
    show,
    site,
    tune,
    upload,
)
from harness.cli.options import Command, Group
from harness.cli.signals import ending, going_on, interrupted_by_signal, stopped
from harness.cli.sources import GIVEN
from harness.cli.system_errors import end_output, forget_odd_sizes, keep_every_text, print_error, system_error_line
from harness.errors import SAME_COMMAND, GivenUp, HarnessError, Stopped, TrainingStopped
from harness.locations import HIDDEN, without_secrets_in

# The base of usage errors: in click, which older typer imports, or in the copy that newer typer carries.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

PROGRAM = "harness"  # also where it is started as `python -m harness`
INTERRUPTED = 130

FIRST_STEPS = """
Three commands to start with:

  harness run sat --dataset digits --arch smallcnn    # minutes, no download

  harness leaderboard                                 # measured and reported

  harness list methods                                # what can be trained
"""

app = typer.Typer(
    name=PROGRAM,
    cls=Group,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, attack, and rank networks under one protocol: which training method gives the most robust network?",
    epilog=FIRST_STEPS,
)


class _Command(Command):
    """A command of the program, whose command line must not contradict itself."""

    def invoke(self, ctx: Any) -> Any:
        typed = ctx.meta[GIVEN].typed
        if typed.get("values"):  # of --set
            from harness.planning.overrides import refuse_two_values
            from harness.planning.request import SHORT_FORMS, SHORT_FORMS_OF_EVALUATE

            refuse_two_values(typed, SHORT_FORMS_OF_EVALUATE if self.name == "evaluate" else SHORT_FORMS)
        return super().invoke(ctx)


def _add(name: str, function: Callable[..., Any], *examples: str, hidden: bool = False) -> None:
    head = "Example:" if len(examples) == 1 else "Examples:"
    text = "\n\n".join([head, *(f"  harness {example}" for example in examples)])
    app.command(name, cls=_Command, epilog=text, hidden=hidden)(function)


_add(
    "run",
    run.run,
    "run sat trades --dataset digits --arch smallcnn --train-seeds 5",
    "run lrat --epsilon 4/255 --attacks natural,pgd,autoattack --dry-run",
)
_add(
    "tune",
    tune.tune,
    "tune trades lrat --trials 20 --set train.validation=1000",
)
_add(
    "leaderboard",
    leaderboard.leaderboard,
    "leaderboard --dataset svhn --sort autoattack",
    "leaderboard --source measured --method lrat --by-seed",
    "leaderboard --out board.tex --layout paper --bibtex",
)
_add(
    "evaluate",
    evaluate.evaluate,
    "evaluate 12:early --attacks apgd-ce,square --seeds 1",
    "evaluate weights.pt --arch resnet18 --dataset cifar10 --name ours",
    "evaluate 12 --epsilon 4/255 --attacks pgd --dry-run",
)
_add("compare", compare.compare, "compare sat lrat --dataset digits", "compare 3 8 --attack cw")
_add("list", listing.list_plugins, "list methods")
_add("reproduce", reproduce.reproduce, "reproduce table4 --dataset digits --seeds 1 --dry-run")
_add("bench", bench.bench, "bench", "bench --arch smallcnn --json", "bench --device cuda --precision bfloat16")
_add("runs", runs.runs, "runs", "runs --dataset digits --state done --sort figure", "runs --watch")
_add("show", show.show, "show 12", "show 'lrat floor=pgd'", "show digits --as protocol")
_add("site", site.site, "site", "site --out public --db results.db")
_add(
    "figures",
    figures.figures,
    "figures",
    "figures methods trade-off --dataset digits --out paper",
    "figures all --dataset digits --attack autoattack",
)
_add("note", remarks.note, "note 12 'the figures of Table 2'", "note 12 ''")
_add("tag", remarks.tag, "tag 12 13 --add paper --remove draft")
_add("rm", remove.remove, "rm 12", "rm 3 4 --weights --yes")
_add("serve", serve.serve, "serve", "serve --port 9000 --db results.db")
_add("new", plugins.new, "new method half-way")
_add("check", plugins.check, "check method half-way --plugin half_way.py")
_add("doctor", doctor.doctor, "doctor", "doctor --db results.db --weights --json")
_add("config", config.config, "config", "config --json")
_add("upgrade", db.upgrade, "upgrade --db results.db", hidden=True)  # what it was called before `harness db`
_add("upload", upload.upload, "upload 12 --to me/robust-digits --license mit", "upload 12 --to me/trades --dry-run")
app.add_typer(export.app, name="export")
app.add_typer(db.app, name="db")
app.add_typer(protocol.app, name="protocol")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Show help and the first steps if no command is given."""
    if context.invoked_subcommand is None:
        print(context.get_help(), end="")  # with rich, get_help prints the help itself and returns an empty text


def _usage(message: str) -> str:
    """Click's message about a wrong command line, without what stands before an @: it quotes parts of addresses.

    Newer typer begins the rule with pydantic's word for the exception.
    """
    return re.sub(r"[^\s('\"]+@", f"{HIDDEN}@", message).replace(": Value error, ", ": ")


def main() -> None:
    """Run the command line. A user's mistake is one line and exit code 2; a bug keeps its traceback.

    Work that was given up ends with exit code 1, as a failed run does. What the machine refuses, such as a full disk,
    is one line and exit code 2. An output whose reader has ended ends the command quietly.
    """
    keep_every_text()
    forget_odd_sizes()
    try:
        with ending():
            code = app(prog_name=PROGRAM, standalone_mode=False)
            end_output()
    except Stopped as error:
        if isinstance(error, TrainingStopped):
            print_error(str(error).replace(SAME_COMMAND, going_on()))
        code, told = stopped()
        print_error(told)
    except (HarnessError, UsageError) as error:
        message = str(error) if isinstance(error, HarnessError) else _usage(error.format_message())  # type: ignore[attr-defined]
        print_error(" ".join(without_secrets_in(message).split()))
        code = 1 if isinstance(error, GivenUp) else 2
    except OSError as error:
        line = system_error_line(error)
        if line is None:
            raise
        with contextlib.suppress(OSError):
            end_output()
        print_error(line)
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED  # newer typer returns this code itself
    if code == INTERRUPTED:
        told = f"stopped; what was done is kept: run {going_on()} to go on from there"
        if interrupted_by_signal():
            code, told = stopped()
        print_error(told)
    sys.exit(code if isinstance(code, int) else 0)
