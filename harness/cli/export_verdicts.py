"""``harness export verdicts``: every stored verdict as a row, for other programs."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

from harness.cli import completion
from harness.cli.console import print_line
from harness.cli.grouped import grouped
from harness.cli.options import DB, Rows, argument, of_output, of_rows, place
from harness.cli.stores import there
from harness.errors import HarnessError, UnknownName, visible

if TYPE_CHECKING:
    from harness.leaderboard.verdict_rows import Judged, Wanted
    from harness.store.store import Store

Format = Literal["csv", "parquet"]


@grouped
def verdicts(
    run_ids: Annotated[
        list[int] | None, argument("RUN", "Runs, by number, in any state; by default all that count.")
    ] = None,
    *,
    dataset: str | None = of_rows("--dataset NAME", "Verdicts on this data set alone.", complete=completion.datasets),
    method: str | None = of_rows(
        "--method NAME", "Verdicts on this method or model alone.", complete=completion.methods
    ),
    attack: str | None = of_rows("--attack NAME", "Verdicts under this attack alone.", complete=completion.attacks),
    rows: Rows,
    data_dir: Path = place(
        "--data-dir PATH",
        "Where data sets are; a balanced sample needs its labels.",
        Path("data"),
        variable="HARNESS_DATA_DIR",
    ),
    db: str | None = DB,
    form: Format | None = of_output(
        "--format <csv|parquet>", "The format of the output.", shown="by the name of FILE, else csv"
    ),
    out: Path | None = of_output("--out FILE", "Write to this file.", shown="print CSV"),
) -> None:
    """Write one row for each stored verdict: run, attack, seed, test image, right or wrong, margin, predicted class."""
    from harness.leaderboard.verdict_rows import Wanted, read_judged, wanted_evaluations
    from harness.planning.image_places import ImagePlaces
    from harness.store.store import Store

    form = _format(form, out)
    runs = tuple(run_ids) if run_ids else None
    wanted = Wanted(dataset=dataset, method=method, attack=attack, runs=runs, **vars(rows))
    store, places, stopped = Store.read(there(db)), ImagePlaces(data_dir), 0

    def complete() -> Iterator[Judged]:
        nonlocal stopped
        for network, evaluation in wanted_evaluations(store, wanted):
            if evaluation.complete:
                yield read_judged(store, network, evaluation, places)
            else:
                stopped += 1

    found = complete()
    first = next(found, None)
    if first is None:
        raise _nothing(store, wanted)
    _write(chain([first], found), form, out)
    store.close()
    if stopped:
        print_line(f"note: {stopped} evaluation(s) are not complete and were left out", error=True)
    for name in sorted(places.unknown):
        print_line(f"note: image is empty in balanced samples of {visible(name)}: its labels are not here", error=True)


def _format(form: Format | None, out: Path | None) -> Format:
    """The format that was asked for, in words or by the file's name; refuses what cannot be meant."""
    if out is None:
        if form == "parquet":
            raise HarnessError("--format parquet is refused without a file: add --out FILE.parquet")
        return "csv"
    by_name: dict[str, Format] = {".csv": "csv", ".parquet": "parquet"}
    named = by_name.get(out.suffix.lower())
    if form is None and named is None:
        raise HarnessError(f"--out {out} is refused: name FILE.csv or FILE.parquet, or give --format")
    if None not in (form, named) and form != named:
        raise HarnessError(f"--out {out} is refused with --format {form}: leave one out, or make them agree")
    chosen = form or named
    assert chosen is not None
    if chosen == "parquet":
        from harness.leaderboard.write_verdicts import import_pyarrow

        import_pyarrow()
    return chosen


def _write(found: Iterator[Judged], form: Format, out: Path | None) -> None:
    """Write to a file, which appears when it is whole, or print."""
    from harness.files import atomic_file
    from harness.leaderboard.write_verdicts import write_csv, write_parquet

    if out is None:
        write_csv(found, sys.stdout)
        return
    if out.is_dir():
        raise HarnessError(f"--out {out} is a folder; name a file in it")
    try:
        with atomic_file(out) as file:
            count = write_parquet(found, file) if form == "parquet" else _write_text(found, file)
    except OSError as error:
        raise HarnessError(f"--out {out} cannot be written: {error.strerror or error}; choose another place") from None
    print_line(f"wrote {out}: {count} verdicts", error=True)


def _write_text(found: Iterator[Judged], file: BinaryIO) -> int:
    from harness.leaderboard.write_verdicts import write_csv

    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    try:
        return write_csv(found, text)
    finally:
        text.detach()  # else it would close the file, which is not on the disk yet


def _nothing(store: Store, wanted: Wanted) -> HarnessError:
    """Why no verdict matches: a name that none has, or names that do not go together."""
    from harness.leaderboard.verdict_rows import Wanted, wanted_evaluations

    complete = [(n, e) for n, e in wanted_evaluations(store, Wanted(runs=wanted.runs)) if e.complete]
    if not complete:
        of = "the database" if wanted.runs is None else f"run {', '.join(map(str, wanted.runs))}"
        return HarnessError(f"{of} has no complete evaluation; `harness run` and `harness evaluate` make them")
    known = {
        "dataset": {n.dataset.name for n, _ in complete},
        "method": {name for n, _ in complete for name in (n.method, n.label)},
        "network": {n.network for n, _ in complete},
        "protocol": {p.name for p in store.protocols()},
        "checkpoint": {n.checkpoint.name for n, _ in complete},
        "attack": {e.attack for _, e in complete},
    }
    given = {kind: name for kind in known if (name := getattr(wanted, kind)) is not None}
    for kind, name in given.items():
        alone = Wanted(runs=wanted.runs, **{kind: name})
        if not any(e.complete for _, e in wanted_evaluations(store, alone)):
            return UnknownName(kind, name, known[kind])
    flags = ", ".join(f"--{'arch' if kind == 'network' else kind} {name}" for kind, name in given.items())
    return HarnessError(f"no verdict matches all of {flags}; leave one out, or see `harness runs`")
