"""The database of thousands of runs that benchmarks read is made from leaderboard.db, whatever was added there."""

from __future__ import annotations

from pathlib import Path

from benchmarks.scale_store import FULL, LIGHT, make_store
from harness.leaderboard.board import MEASURED
from harness.leaderboard.ranking import boards
from harness.store.store import Store


def test_small_ones_are_ranked_and_examined(tmp_path: Path) -> None:
    for name, shape in (("light", LIGHT), ("full", FULL)):
        make_store(tmp_path / f"{name}.db", 20, shape)
        store = Store.read(str(tmp_path / f"{name}.db"))
        runs = store.runs()
        assert len(runs) == 20
        for run in runs:
            assert [c.name for c in run.checkpoints] == [*shape.checkpoints]
            kinds = [[e.settings["kind"] for e in checkpoint.examinations] for checkpoint in run.checkpoints]
            assert {tuple(sorted(of_one)) for of_one in kinds} == {("model", "verdicts")}
        ranked = [row for board in boards(store) if board.source == MEASURED for row in board.rows]
        assert ranked
        assert all(row.rank is not None and row.flags is not None and row.unchecked == () for row in ranked)
        store.close()
