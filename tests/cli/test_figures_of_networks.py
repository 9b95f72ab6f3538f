"""``harness figures`` of networks whose weights are on the disk, as a user types it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from harness.store.store import Store
from tests.command import exit_code
from tests.harness.figures import networks

OPTIONS = "--db board.db --images 40 --device cpu --part test"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a database of two networks, whose weights are in ``runs``."""
    monkeypatch.chdir(tmp_path)
    store = Store.write("board.db")
    for method, seed in (("sat", 0), ("gairat", 5)):
        networks.add_network(store, tmp_path / "runs", method, seed)
    store.close()
    return tmp_path


def test_files_are_written_and_the_same_again(place: Path) -> None:
    for folder in ("one", "two"):
        assert exit_code(f"harness figures vulnerable vulnerability {OPTIONS} --out {folder}") == 0
    names = sorted(path.name for path in (place / "one").iterdir())
    assert names == [f"{name}.{end}" for name in ("vulnerability", "vulnerable") for end in ("csv", "png", "svg")]
    for name in names:
        assert (place / "one" / name).read_bytes() == (place / "two" / name).read_bytes()
    with (place / "one" / "vulnerable.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 40
    assert {row["part"] for row in rows} == {"test"}


def test_a_refusal_is_one_line_and_writes_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (weights,) = (place / "runs").glob("gairat*/*.safetensors")
    weights.unlink()
    assert exit_code(f"harness figures vulnerability {OPTIONS} --out pictures") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "--runs-dir" in err
    assert not (place / "pictures").exists()
