"""What stored work took, against the whole records of runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.events import EpochRecord
from harness.store.records import CheckpointRecord, EvaluationRecord, RunRecord
from harness.store.store import Store
from tests.harness.leaderboard.drawn import drawn
from tests.stores import add_checkpoint, add_evaluation, make_spec, start
from tests.varied import varied_store


def here(provenance: Mapping[str, Any]) -> bool:
    return bool(provenance.get("host") == "here")


@pytest.fixture(params=[*range(4), "varied"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store with several attempts."""
    varied = request.param == "varied"
    return timed(varied_store(tmp_path / "varied.db") if varied else drawn(request.param))


def timed(made: Store) -> Store:
    """The store, with epochs; some trainings, and some attacks, were made on this machine."""
    checkpoint = add_checkpoint(made, start(made, make_spec(method="mart")))
    for attempt in (3, 2, 1):  # the newest attempts have the lowest numbers
        for seed in range(3):
            add_evaluation(made, checkpoint, "pgd", {}, [1, 0, 1], seed=seed, attempt=attempt)
    for run in made.runs():
        for epoch in range(run.id % 4):
            made.add_epoch(run.id, EpochRecord(epoch + 1, 0.5, 0.1, 10 + epoch, 0.1 * run.id))
        made.add_provenance(run.id, {"host": "here" if run.id % 3 else "there"})
    with made._engine.begin() as connection:
        connection.exec_driver_sql("""UPDATE evaluations SET provenance = '{"host": "here"}' WHERE id % 3 > 0""")
        connection.exec_driver_sql("UPDATE blocks SET duration_s = 0.1 * evaluation_id + start")
    return made


def newest(checkpoint: CheckpointRecord) -> list[EvaluationRecord]:
    """Of each evaluation the newest attempt, complete or not, in the order of their numbers."""
    attempts = {(e.attack, e.settings_sha256, e.seed, e.images): e for e in checkpoint.evaluations}
    attempts |= {(e.attack, e.settings_sha256, e.seed, e.images): e for e in checkpoint.begun}
    return sorted(attempts.values(), key=lambda e: e.id)


def attacks_of(run: RunRecord) -> list[tuple[str, int, float]]:
    evaluations = [e for c in run.checkpoints for e in newest(c) if here(e.provenance)]
    return [(e.settings_sha256, e.done, e.duration_s) for e in evaluations]


@pytest.mark.parametrize("networks", [{"smallcnn"}, {"smallcnn", "resnet18"}, {"another"}])
def test_it_is_what_the_records_say(store: Store, networks: set[str]) -> None:
    runs = [run for run in store.runs() if run.network in networks]
    found = store.timed_runs(networks, here)
    for run, timed in zip(runs, found, strict=True):
        for name in ("method", "method_settings", "wrappers", "network_settings", "training", "provenance", "dataset"):
            assert getattr(timed, name) == getattr(run, name)
        own = run.epochs if here(run.provenance) else ()
        assert timed.trained == (len(own), sum(e.images for e in own), sum(e.duration_s for e in own))
        assert [(one.settings_sha256, one.done, one.duration_s) for one in timed.attacks] == attacks_of(run)


def test_the_stores_above_have_work_of_both_places() -> None:
    runs = [run for number in range(4) for run in timed(drawn(number)).runs()]
    assert {here(run.provenance) for run in runs if run.epochs} == {True, False}
    assert {here(e.provenance) for run in runs for c in run.checkpoints for e in c.evaluations} == {True, False}
