"""The runs that a figure is made from are those of the whole records, in the order in which identities came."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.figures.material import Material
from harness.leaderboard.board import Selection
from harness.leaderboard.contestants import newest
from harness.protocols.run_spec import TRIAL_SEED
from harness.store.store import Store
from tests.stores import add_checkpoint, make_spec, see_protocol, start
from tests.tiny import PROTOCOL_DOCUMENT

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


def test_neither_trials_nor_runs_without_the_protocols_wrappers(store: Store) -> None:
    awp = {"name": "awp", "settings": {"gamma": 0.005}, "departures": {}}
    wrapped = {**PROTOCOL_DOCUMENT, "wrappers": {"awp": awp["settings"]}}
    see_protocol(store, {"natural": {}}, TRAINING, fingerprint="2" * 64, name="wrapped", document=wrapped)
    for seed, wrappers in ((TRIAL_SEED, ()), (0, (awp,)), (TRIAL_SEED, (awp,))):
        run = start(store, make_spec(train_seed=seed, training=TRAINING, wrappers=wrappers))
        add_checkpoint(store, run)
        store.end_run(run.id)
    found = {
        protocol: [run.id for run in Material(store=store, selection=Selection(protocol=protocol)).runs()]
        for protocol in (None, "tiny", "wrapped")
    }
    assert found == {None: [5, 2, 3, 8], "tiny": [5, 2, 3, 8], "wrapped": [8]}
    store.close()
