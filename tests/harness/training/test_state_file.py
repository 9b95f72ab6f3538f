"""A training's state: damage is found, the state before it taken, and what comes out is equal to the last bit."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest
import torch

from harness.errors import HarnessError
from harness.events import EpochDone, Event
from harness.methods.sat import SAT
from harness.networks.smallcnn import SmallCNN
from harness.training import state_file
from harness.training.checkpoints import TrainingState
from harness.training.loop import Trainer
from harness.training.state_file import STATE_BEFORE, STATE_FILE, DamagedState, read_state, write_state
from tests.harness.training.given import dataset, spec

EPOCHS, BITS = 4, 50


def fit(folder: Path, stop_after: int | None = None) -> bytes | None:
    """Train, or go on; give the last weights, or None after a stop."""
    folder.mkdir(exist_ok=True)
    data = dataset()

    def hear(event: Event) -> None:
        if isinstance(event, EpochDone) and event.record.epoch == stop_after:
            raise KeyboardInterrupt

    try:
        Trainer(spec(data, EPOCHS), 1, SAT(), SmallCNN(width=2), data, folder).fit(hear)
    except KeyboardInterrupt:
        return None
    return (folder / "last.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of a training that nothing stopped."""
    weights = fit(tmp_path_factory.mktemp("whole"))
    assert weights is not None
    return weights


def load(folder: Path) -> TrainingState | None:
    return TrainingState.load(folder, spec(dataset(), EPOCHS).identity, torch.device("cpu"))


def flip(file: Path, draws: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[draws.randrange(len(content))] ^= 1 << draws.randrange(8)
    file.write_bytes(content)


def test_each_flipped_bit_is_found_and_the_state_before_is_taken(tmp_path: Path) -> None:
    fit(tmp_path, stop_after=3)
    content, draws = (tmp_path / STATE_FILE).read_bytes(), random.Random(7)
    for _ in range(BITS):
        (tmp_path / STATE_FILE).write_bytes(content)
        flip(tmp_path / STATE_FILE, draws)
        state = load(tmp_path)
        assert state is not None
        assert state.epoch == 2
    (tmp_path / STATE_FILE).write_bytes(content)
    newest = load(tmp_path)
    assert newest is not None
    assert newest.epoch == 3


@pytest.mark.parametrize("keep", [0, 10, 31, 100, 5000], ids=lambda keep: f"{keep} bytes left")
def test_a_damaged_newest_state_costs_an_epoch_and_no_bit(
    keep: int, tmp_path: Path, whole: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert fit(tmp_path, stop_after=3) is None
    file = tmp_path / STATE_FILE
    file.write_bytes(file.read_bytes()[:keep])
    with caplog.at_level(logging.WARNING, "harness.training"):
        assert fit(tmp_path) == whole
    (said,) = [record.getMessage() for record in caplog.records if "damaged" in record.getMessage()]
    assert said.startswith(f"{file} is damaged: ")
    assert said.endswith("; the training goes on from the state before it, after epoch 2")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x80\x04."], ids=["empty", "text", "pickle"])
def test_without_a_whole_state_it_is_refused_in_one_line_that_names_file_and_remedy(
    content: bytes, tmp_path: Path, whole: bytes
) -> None:
    fit(tmp_path, stop_after=1)
    assert not (tmp_path / STATE_BEFORE).exists()
    (tmp_path / STATE_FILE).write_bytes(content)
    with pytest.raises(HarnessError, match=r"state\.pt is damaged: .*; delete the file to train from the beg") as told:
        fit(tmp_path)
    assert "\n" not in str(told.value)
    (tmp_path / STATE_FILE).unlink()
    assert fit(tmp_path) == whole


def test_a_crash_between_the_two_renames_loses_an_epoch_at_most(tmp_path: Path, whole: bytes) -> None:
    fit(tmp_path, stop_after=2)
    (tmp_path / STATE_FILE).replace(tmp_path / STATE_BEFORE)  # as write_state does, before it writes the new one
    assert fit(tmp_path) == whole


def test_a_state_of_an_older_version_has_no_checksum_and_is_read(tmp_path: Path, whole: bytes) -> None:
    fit(tmp_path, stop_after=2)
    (tmp_path / STATE_FILE).write_bytes(read_state(tmp_path / STATE_FILE))
    (tmp_path / STATE_BEFORE).unlink()
    assert fit(tmp_path) == whole


def test_the_last_question_before_the_files_move_is_whether_they_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading the newest state takes seconds if it is large: a lease may end meanwhile."""
    asked: list[str] = []
    write_state(tmp_path, b"first")
    monkeypatch.setattr(state_file, "read_state", lambda _file: asked.append("read"))
    write_state(tmp_path, b"second", lambda: asked.append("may I"))
    assert asked == ["read", "may I"]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for content in (b"one", b"harness training state, sha256 ", b"\n" * 100):
        write_state(tmp_path, content)
        assert read_state(tmp_path / STATE_FILE) == content
    assert read_state(tmp_path / STATE_BEFORE) == b"harness training state, sha256 "
    (tmp_path / STATE_FILE).write_bytes(b"")
    with pytest.raises(DamagedState, match="empty"):
        read_state(tmp_path / STATE_FILE)
