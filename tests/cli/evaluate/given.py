"""A protocol of seconds, the commands that use it, and what they leave in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.leaderboard.board import MEASURED, Board
from harness.leaderboard.ranking import boards
from harness.store.records import ModelRecord, RunRecord
from harness.store.store import Store

PROTOCOL = """
summary = "seconds"
epsilon = 0.2
[train]
epochs = 4
batch_size = 64
lr = 0.1
lr_drops = []
lr_factor = 0.1
momentum = 0.9
weight_decay = 0.0
steps = 2
relative_step = 0.6
start = "uniform"
early = 0.5
precision = "float32"
[evaluation]
checkpoints = ["last"]
steps = 3
relative_step = 0.5
start = "uniform"
block_size = 16
attacks = ["natural", "pgd", "cw"]
"""
N = 40  # images: three blocks
TRAIN = f"run sat --dataset digits --arch smallcnn --set width=4 --protocol quick.toml --limit {N} --workers 1"
HERE = "--db leaderboard.db --runs-dir runs --workers 1"


def store_of(place: Path) -> tuple[list[RunRecord], list[ModelRecord], dict[int, bytes], list[Board]]:
    store = Store.read(str(place / "leaderboard.db"))
    runs, models = store.runs(), store.models()
    owners = [c for run in runs for c in run.checkpoints] + [model.checkpoint for model in models]
    verdicts = store.verdicts_of([e.id for c in owners for e in c.evaluations])
    measured = [board for board in boards(store) if board.source == MEASURED]
    store.close()
    return runs, models, verdicts, measured


def the_run(place: Path) -> RunRecord:
    (run,) = store_of(place)[0]
    return run


def weights(place: Path) -> Path:
    (file,) = place.glob("runs/*/last.safetensors")
    return file


def new(place: Path) -> list[Any]:
    """The evaluations in the ball of radius 0.1."""
    return [e for e in the_run(place).checkpoints[-1].evaluations if e.settings.get("epsilon") == 0.1]


def by_identity(place: Path) -> dict[tuple[str, int], bytes]:
    verdicts = store_of(place)[2]
    return {(e.attack, e.seed): verdicts[e.id] for e in new(place)}
