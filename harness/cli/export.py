"""``harness export``: results in the forms that other leaderboards take."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli.help import Command, Group
from harness.cli.options import Db, RunsDir
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.robustbench.entry import Entry

app = typer.Typer(help="Write results for other leaderboards.", no_args_is_help=False, cls=Group)


entry_option = partial(typer.Option, rich_help_panel="The entry")


@app.callback()
def export() -> None:
    """Write results for other leaderboards."""


@app.command("robustbench", cls=Command, epilog="Example:\n\n  harness export robustbench 12 --out entry.json")
def robustbench(
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="The run's number, as `harness runs` prints it.")],
    out: Annotated[
        Path | None,
        entry_option(
            metavar="FILE.json",
            help="Write the entry there, and FILE.py that loads the model.",
            show_default="print it",
        ),
    ] = None,
    loader: Annotated[bool, entry_option("--loader", help="Print the loader instead of the entry.")] = False,
    checkpoint: Annotated[
        str,
        entry_option(
            metavar="NAME",
            help="Which of the run's checkpoints.",
            autocompletion=completion.words("early", "last"),
        ),
    ] = "last",
    epsilon: Annotated[
        str | None, entry_option(metavar="E", help="AutoAttack's radius, where several were measured: 8/255.")
    ] = None,
    authors: Annotated[str | None, entry_option(metavar="NAMES", help="Names, separated by commas.")] = None,
    title: Annotated[str | None, entry_option("--title", "--name", metavar="TITLE", help="The paper's title.")] = None,
    link: Annotated[str | None, entry_option(metavar="URL", help="Where the paper is.")] = None,
    venue: Annotated[str | None, entry_option(metavar="VENUE", help="Where it came out, such as 'ICML 2021'.")] = None,
    additional_data: Annotated[
        bool | None,
        entry_option("--additional-data/--no-additional-data", help="Whether it saw data of other sources."),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    db: Db = None,
) -> None:
    """Write a run's entry for RobustBench's leaderboard: a JSON object, and how the model is loaded."""
    from harness.robustbench import export as made
    from harness.robustbench.entry import write_entry
    from harness.store.store import Store

    before = _before(out)
    store = Store.read(db)
    run, protocols = store.run(run_id), store.protocols()
    store.close()
    figures = made.measured(run, checkpoint, protocols, _radius(epsilon))
    chosen = run.checkpoint(checkpoint)
    assert chosen is not None  # measured refuses a run without it
    told = {"authors": authors, "name": title, "link": link, "venue": venue, "additional_data": additional_data}
    given = {key: value for key, value in told.items() if value is not None}
    snippet = made.loader(run, chosen, runs_dir / run.folder / f"{checkpoint}.safetensors")
    entry = made.make_entry(run, checkpoint, figures, given, before)
    if out is not None:
        _write(out, write_entry(entry), snippet)
    else:
        print(snippet if loader else write_entry(entry), end="")
    if run.dataset.name not in made.LEADERBOARDS:
        print(
            f"note: RobustBench ranks {', '.join(made.LEADERBOARDS)}; it has no leaderboard for {run.dataset.name}",
            file=sys.stderr,
        )


def _radius(text: str | None) -> float | None:
    if text is None:
        return None
    from harness.plugin.threat import Threat

    # read and checked as every other epsilon is: of 8 it says to write 8/255
    return Threat.from_mapping({"epsilon": text, "steps": 1, "step_size": 1, "start": "none"}).epsilon


def _before(out: Path | None) -> Entry | None:
    """The entry that is there already, in which what a person filled in stays; refuses what would not be one."""
    from harness.robustbench.entry import read_entry
    from harness.robustbench.export import HEADER

    if out is None:
        return None
    if out.suffix != ".json":
        raise HarnessError(f"--out {out} is refused: an entry is a JSON file; write --out {out.with_suffix('.json')}")
    code = out.with_suffix(".py")
    if code.exists() and HEADER.split("{")[0] not in code.read_text(encoding="utf-8", errors="replace"):
        raise HarnessError(f"--out {out} is refused: {code} is there and is not a loader; choose another name")
    return read_entry(out) if out.exists() else None


def _write(out: Path, entry: str, snippet: str) -> None:
    """The entry, and the loader beside it."""
    from harness.files import atomic_write_bytes

    code = out.with_suffix(".py")
    try:
        atomic_write_bytes(code, snippet.encode())
        atomic_write_bytes(out, entry.encode())
    except OSError as error:
        raise HarnessError(f"--out {out} cannot be written: {error.strerror}; choose another place") from None
    print(f"wrote {out} and {code}", file=sys.stderr)
