"""Hostile labels of a foreign database in what each command prints: none acts on a terminal or forges a line."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sqlite3
from pathlib import Path

import pytest

from harness.errors import legible
from tests.cli.conftest import Ends
from tests.hostile_labels import APART, LABELS, hostile_store, unseen

OF_ALL = [
    *(
        "runs --limit 900",
        "runs --json",
        "runs --tag plain --limit 900",
        "runs --method nobody",
        "leaderboard",
        "leaderboard --intervals",
    ),
    *(f"leaderboard --format {form}" for form in ("markdown", "html", "latex", "csv", "json", "bibtex")),
    *("compare --all", "db check", "db check --json", "doctor", "export verdicts"),
]
EVERY_NAME = (
    "runs --limit 900",
    "runs --tag plain --limit 900",
    "leaderboard",
    "leaderboard --intervals",
    "compare --all",
    "export verdicts",
)
OF_ONE = [
    *("show RUN", "show FAILED", "show RUN --json", "show LABEL --as model", "show LABEL --as protocol", "show LABEL"),
    *("show LABEL --as row", "export robustbench RUN", "export robustbench RUN --loader", "export hub RUN --out hub"),
    *("note RUN -- -x", "note LABEL x", "tag RUN --add y", "tag LABEL --remove plain", "compare RUN LABEL"),
    *("runs --dataset LABEL", "runs --tag LABEL", "runs --arch LABEL", "leaderboard --dataset LABEL", "rm RUN --yes"),
    *(
        "evaluate RUN --attacks pgd --dry-run",
        "evaluate LABEL --dataset digits --dry-run",
        "figures tops --dataset LABEL",
    ),
    *(
        "run LABEL --dataset digits --dry-run",
        "run sat --dataset LABEL --dry-run",
        "list LABEL",
        "config",
        "rm LABEL --yes",
    ),
]
FEW = 2 * len(OF_ONE)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("foreign") / "foreign.db"
    hostile_store(file)
    return file


def refuse_what_acts(*texts: str) -> None:
    for text in texts:
        assert unseen(text) == set()
        assert [line for line in text.splitlines() if line.strip().startswith("forged")] == []
        assert "Traceback" not in text


@pytest.mark.parametrize("command", OF_ALL)
def test_none_acts_where_a_command_tells_of_all(command: str, foreign: Path, ends: Ends, elsewhere: Path) -> None:
    code, out, err = ends(f"{command} --db {foreign}")
    assert code == (1 if command.startswith(("db check", "doctor")) else 0), err
    refuse_what_acts(out, err)
    if command in EVERY_NAME:
        out = out.replace('""', '"') if command == "export verdicts" else out  # CSV doubles quotation marks
        lines = "".join(out.split())
        assert [label for label in LABELS if len(label) < 99 and "".join(legible(label).split()) not in lines] == []


@pytest.mark.parametrize("command", ["runs --watch", "runs --watch --json"])
def test_none_acts_where_a_command_follows_the_work(
    command: str, foreign: Path, ends: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_seconds: float) -> None:
        raise KeyboardInterrupt

    file, insert = (
        Path(shutil.copy(foreign, tmp_path / "copy.db")),
        "INSERT INTO leases VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        for number, label in enumerate(LABELS, 1):
            run = APART * number + 1
            for at, item in enumerate((label, f"checks of {run} in {label}", f"evaluation {run}, image 0")):
                row = (3 * number + at, item, None, label, label, label, "2026-01-02 03:04:05")
                connection.execute(insert, (*row, 1e12))
    monkeypatch.setattr("harness.cli.watch.time.sleep", stop)
    code, out, err = ends(f"{command} --db {file}")
    assert code == 130, err
    refuse_what_acts(out, err)
    assert (f"at work: {3 * len(LABELS)} items" in out) != ("--json" in command)


def run_on(command: str, label: str, file: Path, ends: Ends) -> None:
    number = LABELS.index(label) + 1
    known = {"RUN": str(number * APART + 1), "FAILED": str(number * APART + 2), "LABEL": label}
    name, *words = shlex.split(command)
    code, out, err = ends(shlex.join([name, "--db", str(file), *(known.get(word, word) for word in words)]))
    assert code in (0, 1, 2)
    refuse_what_acts(out, err)


@pytest.mark.parametrize("command", OF_ONE)
def test_none_acts_where_a_command_tells_of_one(command: str, foreign: Path, ends: Ends, tmp_path: Path) -> None:
    file = Path(shutil.copy(foreign, tmp_path / "copy.db"))
    of_lines = [label for label in LABELS if label.count("\n") == 1][:1]
    for label in [*LABELS[OF_ONE.index(command) :: FEW], *of_lines]:
        run_on(command, label, file, ends)


@pytest.mark.slow
@pytest.mark.parametrize("command", OF_ONE)
def test_no_label_acts_in_any_command(command: str, foreign: Path, ends: Ends, tmp_path: Path) -> None:
    file = Path(shutil.copy(foreign, tmp_path / "copy.db"))
    for label in LABELS:
        if "\0" not in label:  # no command line has it
            run_on(command, label, file, ends)
