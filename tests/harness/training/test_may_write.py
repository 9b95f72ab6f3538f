"""Whether a training may write is asked when the content is on the disk, just before it takes its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.events import Event
from harness.training.checkpoints import TrainingState
from tests.harness.training.interrupted import BATCHES, CASES, EPOCHS, fitted

CASE = CASES["augmented"]
EARLY, LAST = BATCHES + 1, 2 * BATCHES + 3  # of the questions, those about checkpoints
QUESTIONS = EPOCHS * (BATCHES + 1) + 2  # a state after each update and each epoch, and two checkpoints


def answering(folder: Path, refused: int) -> tuple[list[dict[str, bytes]], HarnessError | None]:
    """Train with a state after every update; give what was in the folder at each question, and the refusal."""
    seen: list[dict[str, bytes]] = []

    def ask() -> None:
        content = {file.name: file.read_bytes() for file in folder.iterdir()}
        (unfinished,) = [name for name in content if name.endswith(".tmp")]
        assert content.pop(unfinished)  # it is written before the question
        seen.append(content)
        if len(seen) == refused:
            raise HarnessError("another process has taken this run")

    trainer = CASE.trainer(folder, state_every_s=0, may_write=ask)
    try:
        trainer.fit(lambda event: None)
    except HarnessError as error:
        return seen, error
    return seen, None


@pytest.mark.parametrize("refused", [1, 2, EARLY, EARLY + 1, LAST, QUESTIONS])
def test_a_refusal_changes_nothing_and_leaves_no_temporary_file(refused: int, tmp_path: Path) -> None:
    seen, error = answering(tmp_path, refused)
    assert str(error) == "another process has taken this run"
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == seen[-1]
    assert ("early.safetensors" in seen[-1]) == (refused > EARLY)
    assert "last.safetensors" not in seen[-1] or refused > LAST


def test_each_file_is_asked_about_once(tmp_path: Path) -> None:
    seen, error = answering(tmp_path / "run", refused=0)
    assert error is None
    assert len(seen) == QUESTIONS
    assert [at for at, content in enumerate(seen) if content == seen[at - 1]] == []


def test_what_is_refused_is_not_reported(tmp_path: Path) -> None:
    """What the store hears of is on the disk: neither the epoch nor its checkpoint is told when its file is refused."""
    events: list[Event] = []

    def refuse() -> None:
        raise HarnessError("another process has taken this run")

    with pytest.raises(HarnessError, match="another process"):
        CASE.trainer(tmp_path, may_write=refuse).fit(events.append)
    assert not [event for event in events if type(event).__name__ in ("EpochDone", "CheckpointDone")]
    assert list(tmp_path.iterdir()) == []
    state = TrainingState.load(tmp_path, CASE.trainer(tmp_path).spec.identity, CASE.trainer(tmp_path).device)
    assert state is None
    assert fitted(CASE.trainer(tmp_path)).records.keys() == {1, 2}
