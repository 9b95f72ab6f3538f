"""``harness doctor``: whether this machine, its places, and the store are fit for work."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.cli.console import print_json, print_parts
from harness.cli.grouped import grouped
from harness.cli.options import AS_JSON, DATA_DIR, DB, PLUGINS, RUNS_DIR, WHAT, option

if TYPE_CHECKING:
    from harness.doctor.diagnosis import Diagnosis


@grouped
def doctor(
    weights: bool = option(WHAT, "--weights", "Compare each weights file with its stored hash, which reads it.", False),
    runs_dir: Path = RUNS_DIR,
    data_dir: Path = DATA_DIR,
    db: str | None = DB,
    plugins: list[Path] | None = PLUGINS,
    as_json: bool = AS_JSON,
) -> None:
    """Look at the machine, the places that are written to, and the whole store; say what is wrong, and what to do."""
    found = list(_examine(db, runs_dir, data_dir, tuple(plugins or ()), weights))
    wrong = sum(one.state == "wrong" for one in found)
    if as_json:
        print_json({"wrong": wrong, "checks": [dataclasses.asdict(one) for one in found]})
    else:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        from harness.errors import visible

        table = Table("what", "state", "how it is; what to do", box=box.SIMPLE_HEAD, padding=(0, 1))
        for one in found:
            told = "; ".join(filter(None, (one.text, one.remedy)))
            table.add_row(*(Text(visible(text)) for text in (one.topic, one.state, told)))
        print_parts([table])
    if wrong:
        raise typer.Exit(1)


def _examine(
    db: str | None, runs_dir: Path, data_dir: Path, plugins: tuple[Path, ...], weights: bool
) -> Iterator[Diagnosis]:
    from harness.doctor.machine import examine_machine
    from harness.doctor.storage import examine_leftovers, examine_place
    from harness.doctor.stored import examine_store
    from harness.planning.measured_times import times_file
    from harness.store import database

    file = database.sqlite_file(database.locate(db))
    yield from examine_machine(plugins)
    if file is not None:
        yield from examine_place("database in", file.parent, locks=True)
    places = {
        "runs": runs_dir,
        "data": data_dir,
        "cache": times_file().parent,
        "temporary": Path(tempfile.gettempdir()),
    }
    for name, folder in places.items():
        yield from examine_place(name, folder)
    written = [*([file.parent] if file is not None else []), runs_dir]
    written += [folder for folder in runs_dir.iterdir() if folder.is_dir()] if runs_dir.is_dir() else []
    yield from examine_leftovers(written)
    yield from examine_store(db, runs_dir, hashes=weights)
