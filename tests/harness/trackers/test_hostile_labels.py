"""Hostile labels as names in trackers: each is taken, none becomes another one, and none is Markdown that acts."""

from __future__ import annotations

import posixpath
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from harness.events import Finding
from harness.trackers.mlflow import mlflow_key
from harness.trackers.tensorboard import TensorBoard
from harness.trackers.tracker import TrackedRun
from tests.hostile_labels import LABELS, PLAIN, unseen

MADE_OF = ("_", "|", "7c", "7", "/", ".", "a")  # | is _7c_


def test_mlflow_takes_every_key_and_no_two_names_become_one() -> None:
    names = {"".join(parts) for length in range(1, 6) for parts in product(MADE_OF, repeat=length)}
    names |= {f"diagnostics/{label}" for label in (*LABELS, *PLAIN)}
    keys = {mlflow_key(name) for name in names}
    assert len(keys) == len(names)
    assert [key for key in keys if not re.fullmatch(r"[/\w.\- ]*", key)] == []
    assert [key for key in keys if posixpath.normpath(key) != key] == []  # MLflow's own rule
    assert {mlflow_key(name) for name in ("train/images_per_s", "training.lr_drops", "a b")} == {
        *("train/images_per_s", "training.lr_drops", "a b")
    }


@pytest.mark.parametrize("label", LABELS, ids=ascii)
def test_tensorboard_gets_one_folder_and_texts_as_code(
    label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []

    class Writer:
        def __init__(self, folder: Path) -> None:
            assert folder.parent == tmp_path / "logs"
            assert folder.is_dir()
            assert unseen(folder.name) == set()

        def add_text(self, _tag: str, text: str) -> None:
            texts.append(text)

        def __getattr__(self, _name: str) -> Any:
            return lambda *_: None

    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter", Writer)
    tracker = TensorBoard(str(tmp_path / "logs"))
    run = TrackedRun("run 1", label, label, {label: label}, (label,))
    tracker.run_began(run)
    tracker.flagged(run, "last", Finding("x", "flagged", "A", 1.0, 0.5, label, {}))
    tracker.run_ended(run, "failed", label)
    assert len(texts) == 3
    assert [line for text in texts for line in text.split("\n") if not line.startswith("    ")] == []
    assert unseen("".join(texts)) == set()
