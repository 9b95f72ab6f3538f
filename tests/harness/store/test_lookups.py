"""The small queries, against the whole records of runs and models."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.leaderboard.contestants import contestants, failed_trainings, newest, trained_by
from harness.protocols.run_spec import TRIAL_SEED
from harness.store.store import Store
from tests.harness.leaderboard.drawn import drawn
from tests.stores import add_checkpoint, make_spec, start
from tests.varied import varied_store


@pytest.fixture(params=[*range(4), "varied"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store with several attempts, models, and unfinished runs."""
    made = varied_store(tmp_path / "varied.db") if request.param == "varied" else drawn(request.param)
    runs, models = made.runs(), made.models()
    made.change_tags(runs[::2], ["b", "a"], [])
    made.change_tags([*runs[1::2], *models], ["c"], [])
    return made


def test_numbers_names_and_tags(store: Store) -> None:
    runs, models = store.runs(), store.models()
    assert store.run_numbers() == [run.id for run in runs]
    assert [(m.id, m.name, m.dataset) for m in store.named_models()] == [(m.id, m.name, m.dataset) for m in models]
    assert [store.model(model.id) for model in models] == models
    every = [*(tag for run in runs for tag in run.tags), *(tag for model in models for tag in model.tags)]
    assert store.tags() == list(dict.fromkeys(every))
    with pytest.raises(StoreError, match="no model 99"):
        store.model(99)


def test_attempts(store: Store) -> None:
    runs = store.runs()
    known = [(run.id, run.identity, run.attempt, run.status, run.training_sha256) for run in runs]
    for found, expected in (
        (store.attempts(), known),
        (store.attempts([]), []),
        (store.attempts({runs[0].identity, "unknown"}), [values for values in known if values[1] == runs[0].identity]),
    ):
        values = [(one.id, one.identity, one.attempt, one.status, one.training_sha256) for one in found]
        assert values == expected


def test_what_runs_are_called(store: Store) -> None:
    start(store, make_spec(method="mart", train_seed=7))  # that nobody trains
    trial = start(store, make_spec(method="fat", train_seed=TRIAL_SEED))
    add_checkpoint(store, trial)
    store.end_run(trial.id)
    counted = newest(store.runs())
    assert [(run.id, trained_by(run)) for run in store.called_runs()] == [(run.id, trained_by(run)) for run in counted]
    for run, called in zip(counted, store.called_runs(), strict=True):
        for name in ("dataset", "method_settings", "network_settings", "train_seed", "training_sha256", "code"):
            assert getattr(called, name) == getattr(run, name)
    labels = {network.label for network in contestants(counted)}
    assert {trained_by(run).label for run in store.called_runs(with_weights=True)} == labels


@pytest.mark.parametrize("number", range(8))
def test_failed_trainings(number: int) -> None:
    """Runs of three identities, each of up to three attempts that end in any way."""
    made, draws = Store.read("sqlite://"), random.Random(number)
    ends = [
        "done",
        "running",
        "the loss is not finite at epoch 2, batch 1",
        "a weight is not finite at epoch 4",
        "other",
    ]
    for attempt in (1, 2, 3):
        for seed in range(3):
            end = draws.choice(ends)
            run = start(made, make_spec(train_seed=seed), attempt=attempt)
            if end != "running":
                made.end_run(run.id, None if end == "done" else end)
    expected = []
    for seed in range(3):
        attempts = [run for run in made.runs() if run.train_seed == seed]
        failed = [run for run in attempts if run.status == "failed"]
        if failed and all(run.status != "done" for run in attempts) and "not finite" in str(failed[-1].failure):
            expected.append(failed[-1])
    found = made.failed_trainings()
    assert sorted(found, key=lambda run: run.train_seed) == expected
    assert sorted(failed_trainings(made.runs()), key=lambda run: run.train_seed) == expected


def test_weights(store: Store) -> None:
    known = [(run, checkpoint) for run in store.runs() for checkpoint in run.checkpoints]
    every = [(run.id, run.folder, run.status, c.name, c.sha256) for run, c in known]
    found = [(one.id, one.folder, one.status, one.name, one.sha256) for one in store.stored_weights()]
    assert found == every
    for sha256 in {checkpoint.sha256 for _, checkpoint in known}:
        assert [one.id for one in store.stored_weights(sha256)] == [r.id for r, c in known if c.sha256 == sha256]
    assert store.stored_weights("unknown") == []


def test_unfinished_runs_are_those_of_the_trainings_that_are_asked_for(tmp_path: Path) -> None:
    store = varied_store(tmp_path / "varied.db")
    for epochs in (2, 3, 4):
        add_checkpoint(store, start(store, make_spec(method="mart", training={"epochs": epochs})))
    store.end_run(start(store, make_spec(method="gairat", training={"epochs": 4})).id)
    store.end_run(start(store, make_spec(method="lrat", training={"epochs": 4})).id, "the loss is not finite")
    open_runs = [run for run in store.runs() if run.status == "running"]
    assert store.unfinished_runs([{"epochs": 2}, {"epochs": 4}, {"epochs": 9}]) == [open_runs[0], open_runs[2]]
    assert store.unfinished_runs([]) == []
    store.close()
