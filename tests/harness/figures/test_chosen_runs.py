"""The runs that a figure is made from are those of the whole records, in the order in which identities came."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.figures.material import Material
from harness.leaderboard.board import Selection
from harness.leaderboard.contestants import newest
from harness.store.store import Store
from tests.stores import add_checkpoint, make_spec, see_protocol, start

TRAINING = {"epochs": 2}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three identities: of the first the newest attempt came last, and of the second it failed."""
    made = Store.write(str(tmp_path / "results.db"))
    see_protocol(made, {"natural": {}}, TRAINING)
    for seed, attempt, failure in ((0, 1, None), (1, 1, None), (2, 1, None), (1, 2, "no"), (0, 2, None)):
        run = start(made, make_spec(train_seed=seed, training=TRAINING), attempt=attempt)
        add_checkpoint(made, run)
        made.end_run(run.id, failure)
    start(made, make_spec(train_seed=3, training=TRAINING))
    return made


@pytest.mark.parametrize("selection", [Selection(), Selection(dataset="digits", methods=("sat",), protocol="tiny")])
def test_the_newest_run_of_each_identity(store: Store, selection: Selection) -> None:
    found = Material(store=store, selection=selection).runs()
    assert found == newest(store.runs())
    assert [run.id for run in found] == [5, 2, 3]
    assert all(run.checkpoints for run in found)
    store.close()
