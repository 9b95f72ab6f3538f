"""harness rm, note, and tag: what they say, what they change, and what they refuse."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from harness.files import in_use
from harness.leaderboard.ranking import boards
from harness.statistics.attack_gaps import CHECK
from harness.store.store import Store
from tests.cli.conftest import Ends, Harness, Refused
from tests.first_board import FIRST_BOARD
from tests.stores import add_checkpoint, add_evaluation, make_spec, start

MODEL = {"network": "resnet", "network_settings": {}, "parameters": 9, "network_departures": {}, "provenance": {}}


@pytest.fixture
def board(elsewhere: Path) -> Path:
    """Two attempts at one run, both done, a run that was stopped, a model; and the files of the second attempt."""
    store = Store.write("mine.db")
    for attempt in (1, 2):
        run = start(store, make_spec(training={"epochs": 2}), attempt=attempt)
        add_evaluation(store, add_checkpoint(store, run), "pgd", {"steps": 20}, [1, 0, 1, 1])
        store.end_run(run.id)
    start(store, make_spec(train_seed=1, training={"epochs": 2}))
    store.see_model("theirs", store.run(1).dataset, sha256="d" * 64, **MODEL)  # type: ignore[arg-type]
    folder = elsewhere / "runs" / store.run(2).folder
    store.close()
    folder.mkdir(parents=True)
    for name in ("state.pt", "state-before.pt", "log.txt", "last.safetensors", "mine.txt"):
        (folder / name).write_text("x")
    return elsewhere / "mine.db"


def numbers() -> list[int]:
    store = Store.read("mine.db")
    found = [run.id for run in store.runs()]
    store.close()
    return found


def test_it_says_what_is_lost_and_what_counts_then(harness: Harness, board: Path) -> None:
    out = harness("rm 2 --yes --db mine.db")
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0] == "run 2: sat, smallcnn, digits, seed 0; done, 0/2 epochs"
    assert lines[1] == "lost: 1 evaluations (4 verdicts), 0 findings of checks"
    assert lines[2] == "run 1, an earlier attempt of it, counts on the leaderboard then"
    assert lines[3].startswith("its 4 files in runs/")
    assert lines[3].endswith("(0.0 MB) stay; --weights deletes them, too")
    assert lines[4] == "removed run 2"
    assert numbers() == [1, 3]
    assert len(list(Path("runs").rglob("*.*"))) >= 4


def test_its_files_go_on_request_and_no_others(harness: Harness, board: Path) -> None:
    assert "are deleted" in harness("rm 2 --yes --weights --db mine.db")
    assert [path.name for path in Path("runs").rglob("*") if path.is_file()] == ["mine.txt"]


@pytest.mark.parametrize("place", ["..", "../../precious", "absolute", "link"])
def test_a_database_cannot_name_other_files_to_delete(harness: Harness, board: Path, place: str) -> None:
    precious = board.parent / "precious"
    precious.mkdir()
    (precious / "last.safetensors").write_text("x")
    (board.parent / "last.safetensors").write_text("x")
    if place == "link":
        Path("runs/link").symlink_to(precious)
    with sqlite3.connect(board) as connection:
        folder = str(precious) if place == "absolute" else place
        connection.execute("UPDATE runs SET folder = ? WHERE id = 2", (folder,))
    connection.close()
    assert "none of its files" in harness("rm 2 --yes --weights --db mine.db")
    assert (precious / "last.safetensors").exists()
    assert (board.parent / "last.safetensors").exists()


def test_the_next_attempt_does_not_take_up_a_removed_one(harness: Harness, board: Path) -> None:
    command = "run sat --dataset digits --arch smallcnn --set width=1 --attacks natural --dry-run --json --db"
    shutil.copy(FIRST_BOARD, "published.db")
    first = json.loads(harness(f"{command} published.db"))["networks"][0]["attempt"]
    store = Store.read("published.db")
    names = [str(run.id) for run in store.runs() if run.method == "sat" and run.train_seed == 0]
    store.close()
    command = command.replace("--set width=1 ", "")
    trained = json.loads(harness(f"{command} published.db"))["networks"][0]
    harness(f"rm {' '.join(names)} --yes --db published.db")
    again = json.loads(harness(f"{command} published.db"))["networks"][0]
    assert (first, trained["attempt"], trained["trained"]) == (1, 1, True)
    assert (again["attempt"], again["trained"]) == (2, False)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("rm 2 9", "there is no run 9; `harness runs` lists all runs"),
        ("rm nobody", "unknown run or model 'nobody'"),
        ("rm their", "did you mean 'theirs'?"),
        ("note 9 x", "there is no run 9"),
        ("tag 1 9 --add x", "there is no run 9"),
        ("tag 1", "no tag is named: give --add TAG"),
        ("tag 1 --add x --remove x", "exclude each other"),
        ("tag 1 --remove paper", "none of these has that tag"),
        ("tag 1 --add 'two words'", "a tag is one word"),
        (f"note 1 {'x' * 501}", "500 are the most"),
        ("rm theirs --dataset svhn --yes", "was not evaluated on svhn"),
    ],
)
def test_what_is_refused_changes_nothing(refusal: Refused, board: Path, command: str, reason: str) -> None:
    before = board.read_bytes()
    assert reason in refusal(f"{command} --db mine.db")
    assert board.read_bytes() == before


def test_nobody_there_to_be_asked(ends: Ends, board: Path) -> None:
    before = board.read_bytes()
    code, out, err = ends("rm 1 --db mine.db")
    assert (code, err.count("\n")) == (2, 1)
    assert "--yes removes these without a question" in err
    assert "lost: 1 evaluations" in out
    assert board.read_bytes() == before


@pytest.mark.parametrize("command", ["rm 1 --yes", "note 1 x", "tag 1 --add x"])
def test_an_empty_database_and_one_that_cannot_be_written(
    refusal: Refused, board: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("none.db").touch()
    assert "there is no run 1" in refusal(f"{command} --db none.db")
    assert Path("none.db").stat().st_size == 0
    before = board.read_bytes()
    monkeypatch.setattr("os.access", lambda _, mode: mode != os.W_OK)  # a superuser may write anything
    assert "cannot be written: it is read-only" in refusal(f"{command} --db mine.db")
    assert board.read_bytes() == before


def test_a_run_that_is_worked_on_is_refused(refusal: Refused, ends: Ends, board: Path) -> None:
    """Another process holds the folder, as the conductor does."""
    store = Store.read("mine.db")
    folder = Path("runs") / store.run(2).folder
    store.close()
    code = f"""if True:
        import sys
        from pathlib import Path
        from harness.files import in_use
        with in_use([Path({str(folder)!r})]):
            print("held", flush=True)
            sys.stdin.read()
    """
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdin is not None
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    with in_use([folder]):  # several may work side by side
        pass
    assert "is in use: a command is working on that run right now" in refusal("rm 1 2 --yes --db mine.db")
    assert numbers() == [1, 2, 3]
    other.kill()
    other.wait()
    other.stdin.close()
    other.stdout.close()
    assert ends("rm 1 2 --yes --db mine.db")[0] == 0  # the mark ends with the process, however it ended
    assert numbers() == [3]


def test_notes_and_tags_are_told(harness: Harness, board: Path) -> None:
    assert harness("note 3 'not  the one' --db mine.db") == "run 3: not the one\n"
    assert harness("note theirs theirs --db mine.db") == "model theirs: theirs\n"
    assert harness("note 3 better --db mine.db") == "run 3: better (before: not the one)\n"
    assert harness("tag 1 3 theirs --add paper --add x --db mine.db").splitlines() == [
        "run 1: paper, x",
        "run 3: paper, x",
        "model theirs: paper, x",
    ]
    assert harness("tag 1 --remove x --db mine.db") == "run 1: paper\n"
    document = json.loads(harness("show 3 --db mine.db --json"))
    assert (document["note"], document["tags"]) == ("better", ["paper", "x"])
    assert harness("note 3 '' --db mine.db") == "run 3 has no note any more\n"
    assert json.loads(harness("show 3 --db mine.db --json"))["note"] is None
    harness("rm theirs --yes --db mine.db")
    store = Store.read("mine.db")
    assert store.models() == []
    store.close()


def test_the_board_loses_the_rows_of_removed_runs_alone(harness: Harness, elsewhere: Path) -> None:
    """And the flag that compares others with the removed ones: without ``sat`` the gap is not judged."""
    shutil.copy(FIRST_BOARD, "published.db")
    store = Store.read("published.db")
    before = {(board.dataset, row.label): row for board in boards(store) for row in board.rows if row.runs}
    gone = before.pop(("digits", "sat"))
    store.close()
    harness(f"rm {' '.join(map(str, gone.runs))} --yes --db published.db")
    store = Store.read("published.db")
    after = {(board.dataset, row.label): row for board in boards(store) for row in board.rows if row.runs}
    store.close()
    assert after.keys() == before.keys()
    for place, row in before.items():
        assert (after[place].metrics, after[place].runs) == (row.metrics, row.runs)
        kept = tuple(flag for flag in row.flags or () if place[0] != "digits" or flag.check != CHECK)
        assert after[place].flags == kept
        judged = place[0] != "digits" or row.method == "standard"  # which loses less than 2 points
        assert (after[place].not_judged == row.not_judged) is judged
