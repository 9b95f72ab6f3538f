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
from harness.store.server import is_server
from harness.store.server_facts import ServerFacts, server_facts
from harness.store.store import Store
from harness.training.weights_place import weights_file

MOST_SHOWN = 20
LEAST_POSTGRESQL = 15


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
    if is_server(url):
        try:
            yield from examine_server(server_facts(url))
            if not database.is_there(url):
                yield Diagnosis(topic, "note", "it has no tables", "`harness run` makes them, or give another --db")
                return
        except StoreError as error:
            yield _refused(topic, error)
            return
    try:
        checked = check_database(location)
    except StoreError as error:
        yield _refused(topic, error)
        return
    for problem in checked.problems[:MOST_SHOWN]:
        yield Diagnosis(topic, "wrong", f"{problem.where}: {problem.what}", problem.remedy)
    others = len(checked.problems) + checked.more - MOST_SHOWN
    if others > 0:
        yield Diagnosis(topic, "wrong", f"{others} more problems", "`harness db check` lists them")
    if checked.sound:
        yield Diagnosis(topic, "ok", f"sound: {checked.runs} runs, {checked.evaluations} evaluations")
        yield _weights(location, runs_dir, hashes)


def _refused(topic: str, error: StoreError) -> Diagnosis:
    text, _, remedy = str(error).partition("; ")
    return Diagnosis(topic, "wrong", text, remedy)


def examine_server(facts: ServerFacts) -> Iterator[Diagnosis]:
    """Whether a server is one that harness is tested with, and keeps what it was given.

    Args:
        facts: what the server says of itself.
    """
    major = facts.version.partition(".")[0]
    if major.isdecimal() and int(major) < LEAST_POSTGRESQL:
        text, remedy = f"{facts.version} is older than {LEAST_POSTGRESQL}", "have the server's administrator upgrade it"
        yield Diagnosis("PostgreSQL", "note", f"{text}, the oldest that harness was tested with", remedy)
    else:
        yield Diagnosis("PostgreSQL", "ok", f"{facts.version}, driver psycopg {facts.driver}")
    if not facts.keeps:
        text = "its server does not wait until a write is on the disk: a power cut can lose the newest, or damage it"
        yield Diagnosis("PostgreSQL's disk", "note", text, "switch fsync, synchronous_commit, and full_page_writes on")


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
