"""A board that took long is shown again from the cache folder; after any change it is made anew."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import kept_pages
from harness.leaderboard import ranking
from harness.leaderboard.board import Board, Selection
from harness.store.store import Store
from tests.cli.conftest import Ends, Harness
from tests.first_board import FIRST_BOARD

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "leaderboard --dataset digits --db board.db"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every page takes long enough to be kept in this folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kept_pages, "LEAST_S", 0.0)
    return tmp_path / "cache" / "harness" / "pages"


@pytest.fixture
def board(elsewhere: Path) -> Path:
    shutil.copy(FIRST_BOARD, elsewhere / "board.db")
    return elsewhere / "board.db"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One entry for each time that boards are made."""
    calls: list[object] = []
    really = ranking.boards

    def counted(store: Store, selection: Selection) -> list[Board]:
        calls.append(selection)
        return really(store, selection)

    monkeypatch.setattr(ranking, "boards", counted)
    return calls


def by_sql(statement: str) -> Callable[[Path], None]:
    def change(board: Path) -> None:
        before = board.stat()
        with sqlite3.connect(board) as database:
            database.execute(statement)
        database.close()
        os.utime(board, ns=(before.st_atime_ns, before.st_mtime_ns))  # a clock that stands still

    return change


def other_bytes(board: Path) -> None:
    """Another database of the same size, count of changes, and time, put in the place by a rename."""
    other, before = board.with_name("other.db"), board.stat()
    content = board.read_bytes()
    assert content.count(b"lrat-trades") > 1
    other.write_bytes(content.replace(b"lrat-trades", b"lrat-tradez"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(board)


@pytest.mark.parametrize("options", ["", "--intervals", "--format json", "--format markdown", "--by-seed", "--top 1"])
def test_the_second_time_it_is_the_same_and_is_not_made(
    harness: Harness, board: Path, cache: Path, made: list[object], options: str
) -> None:
    first = harness(f"{COMMAND} {options}")
    assert harness(f"{COMMAND} {options}") == first != ""
    assert (len(made), len(list(cache.iterdir()))) == (1, 1)


@pytest.mark.parametrize(
    "change",
    [
        by_sql("UPDATE runs SET method_departures = '{\"floor\": 0.5}' WHERE id = 1"),
        by_sql("DELETE FROM findings"),
        by_sql("UPDATE runs SET note = 'as long as before'"),
        other_bytes,
    ],
)
def test_after_a_change_it_is_made_anew(
    harness: Harness, board: Path, cache: Path, made: list[object], change: Callable[[Path], None]
) -> None:
    harness(COMMAND)
    change(board)
    again = harness(COMMAND)
    assert len(made) == 2
    shutil.rmtree(cache)
    assert harness(COMMAND) == again


def test_an_older_copy_put_back_shows_the_older_board(harness: Harness, board: Path, cache: Path) -> None:
    first = harness(COMMAND)
    shutil.copy2(board, board.with_name("copy.db"))
    by_sql("UPDATE runs SET method_departures = '{\"floor\": 0.5}' WHERE method = 'sat'")(board)
    assert "floor=0.5" in harness(COMMAND)
    board.with_name("copy.db").replace(board)
    assert harness(COMMAND) == first


@pytest.mark.parametrize("other", ["--sort pgd", "--method sat", "--format csv", "--brief", "--columns pgd"])
def test_another_question_is_another_page(
    harness: Harness, board: Path, cache: Path, made: list[object], other: str
) -> None:
    harness(COMMAND)
    asked = harness(f"{COMMAND} {other}")
    assert len(made) == 2
    shutil.rmtree(cache)
    assert harness(f"{COMMAND} {other}") == asked


def test_another_width_is_another_page(
    harness: Harness, board: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    wide = harness(COMMAND)
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, harness(COMMAND).splitlines())) <= 60 < max(map(len, wide.splitlines()))


def test_another_program_makes_it_anew(
    harness: Harness, board: Path, cache: Path, made: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness(COMMAND)
    monkeypatch.setattr(kept_pages, "__version__", "another")
    harness(COMMAND)
    assert len(made) == 2


def test_a_file_of_the_program_that_became_an_older_one_makes_it_anew(
    board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("cells.py", "kept_pages.py")):
        (tmp_path / "program" / "cli").mkdir(parents=True, exist_ok=True)
        (tmp_path / "program" / "cli" / name).touch()
        os.utime(tmp_path / "program" / "cli" / name, (9, 8 + number))
    monkeypatch.setattr(kept_pages, "__file__", str(tmp_path / "program" / "cli" / "kept_pages.py"))
    first = kept_pages.kept_page("board.db", [])
    os.utime(tmp_path / "program" / "cli" / "cells.py", (9, 7))
    second = kept_pages.kept_page("board.db", [])
    assert first is not None
    assert second is not None
    assert first.file != second.file


@pytest.mark.parametrize("options", ["--format bibtex", "--bibtex"])
def test_entries_of_plugins_are_those_of_the_files_that_are_there_now(
    harness: Harness, board: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    by_sql("UPDATE runs SET method = 'my-own' WHERE method = 'gairat'")(board)
    monkeypatch.setenv("HARNESS_PLUGINS", str(tmp_path / "plugins"))
    (tmp_path / "plugins").mkdir()
    assert "my-own: its file is not here" in harness(f"{COMMAND} {options}")
    shutil.copy(ROOT / "methods" / "gairat.py", tmp_path / "plugins" / "my_own.py")
    assert "my-own: its file is not here" not in harness(f"{COMMAND} {options}")


def test_an_empty_db_is_the_database_of_the_variable(
    harness: Harness, board: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripts write ``--db "$BOARD"``; the store takes the variable where that is empty."""
    shutil.copy(board, "leaderboard.db")
    monkeypatch.setenv("HARNESS_DB", "board.db")
    harness("leaderboard --dataset digits --db ''")
    by_sql("UPDATE runs SET method_departures = '{\"floor\": 0.5}' WHERE id = 1")(board)
    assert "floor=0.5" in harness("leaderboard --dataset digits --db ''")


def test_a_url_is_no_path(harness: Harness, board: Path, cache: Path) -> None:
    Path("sqlite:").mkdir()
    shutil.copy(board, "sqlite:/board.db")
    harness("leaderboard --dataset digits --db sqlite:///board.db")
    by_sql("UPDATE runs SET method_departures = '{\"floor\": 0.5}' WHERE id = 1")(board)
    assert "floor=0.5" in harness("leaderboard --dataset digits --db sqlite:///board.db")


def test_a_pipe_and_a_circle_of_links_are_refused_as_without_pages(fails: Ends, elsewhere: Path, cache: Path) -> None:
    os.mkfifo("pipe.db")
    Path("circle.db").symlink_to("circle.db")
    watch = threading.Timer(20, lambda: Path("pipe.db").write_text("so that a reader need not wait for ever"))
    watch.daemon = True
    watch.start()
    for name, why in (("pipe.db", "is no ordinary file"), ("circle.db", "cannot be read")):
        code, out, err = fails(f"leaderboard --db {name}")
        assert (code, out) == (2, "")
        assert why in err
    assert watch.is_alive()
    watch.cancel()


def test_a_user_without_a_home_sees_the_board(
    harness: Harness, board: Path, made: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody_knows() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody_knows)
    assert harness(COMMAND) == harness(COMMAND) != ""
    assert len(made) == 2


def test_a_page_that_another_user_wrote_is_not_shown(
    harness: Harness, board: Path, cache: Path, made: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness(COMMAND)
    monkeypatch.setattr(os, "geteuid", lambda: board.stat().st_uid + 1)
    harness(COMMAND)
    assert len(made) == 2


@pytest.mark.parametrize("name", ["board.db-journal", "board.db-wal"])
def test_beside_a_writer_nothing_is_kept(harness: Harness, board: Path, cache: Path, name: str) -> None:
    board.with_name(name).touch()
    assert kept_pages.kept_page("board.db", []) is None
    board.with_name(name).unlink()
    assert kept_pages.kept_page("board.db", []) is not None


def test_a_database_with_a_log_is_not_kept(board: Path) -> None:
    with sqlite3.connect(board) as database:
        database.execute("PRAGMA journal_mode = WAL")
    database.close()
    assert not board.with_name("board.db-wal").exists()
    assert kept_pages.kept_page("board.db", []) is None


def test_what_changed_while_it_was_made_is_not_kept(board: Path, cache: Path) -> None:
    page = kept_pages.kept_page("board.db", [])
    assert page is not None
    by_sql("DELETE FROM findings")(board)
    page.keep("made of two states", 5.0)
    assert page.text() is None
    assert not cache.exists()


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-7], lambda text: b"", lambda text: text.replace(b"sat", b"sst")]
)
def test_a_damaged_page_is_made_anew(
    harness: Harness, board: Path, cache: Path, damage: Callable[[bytes], bytes]
) -> None:
    first = harness(COMMAND)
    (kept,) = cache.iterdir()
    kept.write_bytes(damage(kept.read_bytes()))
    assert harness(COMMAND) == first


def test_the_oldest_pages_go(board: Path, cache: Path) -> None:
    for number in range(kept_pages.MOST + 3):
        page = kept_pages.kept_page("board.db", [number])
        assert page is not None
        page.keep(f"page {number}", 5.0)
        os.utime(page.file, ns=(number, number))
    assert sorted(file.read_text().split()[-1] for file in cache.iterdir()) == sorted(
        str(number) for number in range(3, kept_pages.MOST + 3)
    )


def test_a_cache_that_cannot_be_written_is_no_fault(
    harness: Harness, board: Path, tmp_path: Path, cache: Path, made: list[object]
) -> None:
    (tmp_path / "cache").write_text("a file in the place of the folder")
    assert harness(COMMAND) == harness(COMMAND)
    assert len(made) == 2


def test_a_quick_page_is_not_kept(board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    page = kept_pages.kept_page("board.db", [])
    assert page is not None
    page.keep("soon made", 0.5)
    assert page.text() is None
