"""``harness export``: results in the forms that other leaderboards, and other programs, take."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion, export_hub, export_verdicts
from harness.cli.console import print_document, print_line
from harness.cli.grouped import grouped
from harness.cli.options import DB, RUNS_DIR, Command, Group, argument, option
from harness.cli.stores import there
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.robustbench.entry import Entry

app = typer.Typer(cls=Group)
of_entry = partial(option, "The entry")


@app.callback()
def export() -> None:
    """Write results for other leaderboards, and for other programs."""


app.command(
    "verdicts",
    cls=Command,
    epilog="Examples:\n\n  harness export verdicts --dataset digits --out verdicts.parquet\n\n"
    "  harness export verdicts 12 --attack pgd --out pgd.csv",
)(export_verdicts.verdicts)


app.command("hub", cls=Command, epilog="Example:\n\n  harness export hub 12 --license mit --out model")(export_hub.hub)


@app.command("robustbench", cls=Command, epilog="Example:\n\n  harness export robustbench 12 --out entry.json")
@grouped
def robustbench(
    run_id: Annotated[int, argument("RUN", "The run's number, as `harness runs` prints it.")],
    out: Path | None = of_entry(
        "--out FILE.json",
        "Write the entry to FILE.json, and code that loads the model to FILE.py.",
        shown="print the entry",
    ),
    loader: bool = of_entry("--loader", "Print the code that loads the model instead of the entry.", False),
    checkpoint: str = of_entry(
        "--checkpoint NAME", "The checkpoint of the run: early, best, or last.", "last", complete=completion.checkpoints
    ),
    epsilon: str | None = of_entry("--epsilon E", "AutoAttack's radius, such as 8/255, if several were measured."),
    authors: str | None = of_entry("--authors NAMES", "The paper's authors, separated by commas."),
    title: str | None = of_entry("--title --name TITLE", "The paper's title."),
    link: str | None = of_entry("--link URL", "The paper's address on the web."),
    venue: str | None = of_entry("--venue VENUE", "Where the paper was published, such as 'ICML 2021'."),
    additional_data: bool | None = of_entry(
        "--additional-data/--no-additional-data", "Whether the network was trained on additional data."
    ),
    runs_dir: Path = RUNS_DIR,
    db: str | None = DB,
) -> None:
    """Write a run's entry for RobustBench's leaderboard: a JSON object, and code that loads the model."""
    from harness.plugin.ball import LINF
    from harness.robustbench import export as made
    from harness.robustbench.entry import write_entry
    from harness.robustbench.loader import loader as loader_text
    from harness.store.folders import run_folder
    from harness.store.store import Store
    from harness.training.weights_place import weights_file

    before = _before(out)
    store = Store.read(there(db))
    run, protocols = store.run(run_id), store.protocols()
    store.close()
    norm = made.norm_of(run)
    figures = made.measured(run, checkpoint, protocols, _radius(epsilon, norm))
    chosen = made.checkpoint_of(run, checkpoint)
    typed = {"authors": authors, "name": title, "link": link, "venue": venue, "additional_data": additional_data}
    given = {key: value for key, value in typed.items() if value is not None}
    weights = weights_file(run_folder(runs_dir, run), chosen.name)
    command = f"harness export robustbench {run_id}"
    snippet = loader_text(run, chosen, weights, None if out is None else out.parent, command=command)
    entry = made.make_entry(run, checkpoint, figures, given, before)
    if out is not None:
        _write(out, write_entry(entry), snippet)
    else:
        print_document(snippet if loader else write_entry(entry))
    if run.dataset.name not in made.LEADERBOARDS:
        ranked = ", ".join(made.LEADERBOARDS)
        print_line(f"note: RobustBench ranks {ranked}; it has no leaderboard for {run.dataset.name}", error=True)
    elif norm != LINF:
        print_line(f"note: the entry is for RobustBench's {norm} leaderboard of {run.dataset.name}", error=True)


def _radius(text: str | None, norm: str) -> float | None:
    if text is None:
        return None
    from harness.plugin.threat import Threat

    # checked like every other epsilon: the refusal of 8 asks for 8/255
    return Threat.from_mapping({"epsilon": text, "steps": 1, "step_size": 1, "start": "none", "norm": norm}).epsilon


def _before(out: Path | None) -> Entry | None:
    """The entry that FILE.json holds already: what a person filled in is kept. Any other file is refused."""
    from harness.robustbench.entry import read_entry
    from harness.robustbench.loader import HEADER

    if out is None:
        return None
    if out.suffix != ".json":
        named = out.with_suffix(".json") if out.name else out / "entry.json"
        raise HarnessError(f"--out {out} is refused: an entry is a JSON file; write --out {named}")
    code = out.with_suffix(".py")
    if code.exists() and not (code.is_file() and HEADER.split("{")[0] in code.read_text("utf-8", "replace")):
        raise HarnessError(f"--out {out} is refused: {code} is there and is not a loader; choose another name")
    return read_entry(out) if out.exists() else None


def _write(out: Path, entry: str, snippet: str) -> None:
    """Write the entry, and the loader beside it."""
    from harness.files import atomic_write_bytes

    code = out.with_suffix(".py")
    try:
        atomic_write_bytes(code, snippet.encode())
        atomic_write_bytes(out, entry.encode())
    except OSError as error:
        raise HarnessError(f"--out {out} cannot be written: {error.strerror}; choose another place") from None
    print_line(f"wrote {out} and {code}", error=True)
