"""Places that are no database, that cannot be written, or a device that is not there are refused in one line."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.store.schema_base import VERSION_TABLE
from harness.store.store import Store
from tests.cli.bad_input.given import RUN
from tests.cli.conftest import Refused


def make_text(file: Path) -> None:
    file.write_text("notes, and no database\n" * 50)


def make_other(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE runs (id INTEGER)")


def make_newer(file: Path) -> None:
    Store.write(str(file)).close()
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")


class TestPlaces:
    @pytest.mark.parametrize("command", [RUN, f"{RUN} --dry-run", "leaderboard", "runs", "show 1"])
    @pytest.mark.parametrize("by", ["option", "variable", "default"])
    @pytest.mark.parametrize(
        ("make", "reason"),
        [(make_text, "is not a database"), (make_other, "another program"), (make_newer, "update harness")],
        ids=["a text", "another program's", "a newer schema"],
    )
    def test_a_database_that_is_none(
        self,
        refusal: Refused,
        elsewhere: Path,
        monkeypatch: pytest.MonkeyPatch,
        make: Callable[[Path], None],
        reason: str,
        by: str,
        command: str,
    ) -> None:
        name = "leaderboard.db" if by == "default" else "board.db"
        make(elsewhere / name)
        if by == "variable":
            monkeypatch.setenv("HARNESS_DB", name)
        line = refusal(command + (" --db board.db" if by == "option" else ""))
        assert reason in line
        assert name in line

    @pytest.mark.parametrize("command", [RUN, "leaderboard", "runs", "show 1"])
    def test_a_database_that_is_a_directory(self, refusal: Refused, elsewhere: Path, command: str) -> None:
        (elsewhere / "board").mkdir()
        assert "the database board cannot be opened" in refusal(f"{command} --db board")

    def test_a_database_below_a_file(self, refusal: Refused, elsewhere: Path) -> None:
        (elsewhere / "notes").write_text("mine")
        assert "notes is not a directory" in refusal(f"{RUN} --db notes/board.db")

    def test_a_url_without_a_driver(self, refusal: Refused) -> None:
        line = refusal("leaderboard --db nonsense://me:hunter2@host/board")
        assert "'nonsense' is refused: harness keeps results in SQLite or PostgreSQL; give a path, or a URL" in line
        assert "hunter2" not in line

    def test_a_folder_of_runs_that_is_a_file(self, refusal: Refused, elsewhere: Path) -> None:
        (elsewhere / "notes").write_text("mine")
        assert "notes is not a directory" in refusal(f"{RUN} --runs-dir notes")
        assert "is not a directory" in refusal(f"{RUN} --runs-dir notes/runs")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    @pytest.mark.parametrize("option", ["--runs-dir", "--db"])
    def test_a_place_without_permission(self, refusal: Refused, elsewhere: Path, option: str) -> None:
        (elsewhere / "locked").mkdir(mode=0o555)
        assert "cannot be written" in refusal(f"{RUN} {option} locked/it")

    @pytest.mark.skipif(os.geteuid() != 0 or not Path("/proc/self").exists(), reason="only root is told so")
    def test_a_folder_of_runs_that_cannot_be_made_whoever_asks(self, refusal: Refused) -> None:
        assert "cannot be" in refusal(f"{RUN} --runs-dir /proc/runs")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
def test_a_cuda_device_that_is_not_there(refusal: Refused, device: str) -> None:
    line = refusal(f"{RUN} --device {device}")
    assert f"--device {device} is not on this machine" in line
    assert "--device cpu" in line


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_one_cuda_device_too_many(refusal: Refused) -> None:
    count = torch.cuda.device_count()
    assert f"it has {count} CUDA device(s)" in refusal(f"{RUN} --device cuda:{count}")
