"""The store: its database, and the weights files of its runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from harness.doctor.diagnosis import Diagnosis
from harness.errors import StoreError, listed
from harness.store import database
from harness.store.checking import check_database
from harness.store.folders import run_folder
from harness.store.store import Store
from harness.training.weights_place import weights_file

MOST_SHOWN = 20


def examine_store(location: str | None, runs_dir: Path, *, hashes: bool) -> Iterator[Diagnosis]:
    """The database row by row, and whether the weights of its runs are there.

    Args:
        hashes: compare each weights file with its stored hash, too, which reads all of them.
    """
    url = database.locate(location)
    topic, file = f"database {database.shown(url)}", database.sqlite_file(url)
    if file is not None and not (file.exists() and file.stat().st_size):
        yield Diagnosis(topic, "note", "it is not there", "`harness run` makes it, or give another --db")
        return
    try:
        checked = check_database(location)
    except StoreError as error:
        text, _, remedy = str(error).partition("; ")
        yield Diagnosis(topic, "wrong", text, remedy)
        return
    for problem in checked.problems[:MOST_SHOWN]:
        yield Diagnosis(topic, "wrong", f"{problem.where}: {problem.what}", problem.remedy)
    others = len(checked.problems) + checked.more - MOST_SHOWN
    if others > 0:
        yield Diagnosis(topic, "wrong", f"{others} more problems", "`harness db check` lists them")
    if checked.sound:
        yield Diagnosis(topic, "ok", f"sound: {checked.runs} runs, {checked.evaluations} evaluations")
        yield _weights(location, runs_dir, hashes)


def _weights(location: str | None, runs_dir: Path, hashes: bool) -> Diagnosis:
    store = Store.read(location)
    every = store.stored_weights()
    store.close()
    missing, differing, count = [], [], len(every)
    for one in every:
        file, name = weights_file(run_folder(runs_dir, one), one.name), f"{one.id}:{one.name}"
        if not file.is_file():
            missing.append(name)
        elif hashes and _sha256(file) != one.sha256:
            differing.append(name)
    topic = f"weights in {runs_dir}"
    if differing:
        text = f"{len(differing)} of {count} differ from their stored hash: {listed(differing)}"
        return Diagnosis(topic, "wrong", text, "take these files from a copy; else `harness rm` and train again")
    if missing:
        text = f"{len(missing)} of {count} are not there: {listed(missing)}"
        return Diagnosis(topic, "note", text, "to evaluate these runs, give the --runs-dir that holds them")
    unread = "" if hashes or not count else "; --weights compares them with their hashes"
    return Diagnosis(topic, "ok", f"all {count} are there{unread}")


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
