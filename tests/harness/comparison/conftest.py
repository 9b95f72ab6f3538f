"""A store in memory, and how a trained network comes into it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.store.records import DatasetRecord
from tests.harness.comparison.kept import DIGITS, SETTINGS, TRAINING, Kept, Put
from tests.stores import add_checkpoint, add_evaluation, as_digits, make_spec, see_protocol, start


@pytest.fixture
def store() -> Kept:
    store = Kept.read("sqlite://")  # in memory
    assert isinstance(store, Kept)
    store.kept = {}
    see_protocol(store, SETTINGS, TRAINING)
    return store


@pytest.fixture
def put(store: Kept) -> Put:
    """Keep a trained network: attack -> verdicts such as "1101", one a seed; gives the run's number."""

    def put(
        method: str,
        verdicts: dict[str, list[str]],
        train_seed: int = 0,
        *,
        dataset: DatasetRecord = DIGITS,
        training: dict[str, Any] = TRAINING,
        network: str = "smallcnn",
        checkpoint: str = "last",
        epoch: int = 3,
        settings: dict[str, dict[str, Any]] = SETTINGS,
        margins: dict[tuple[str, int], list[float]] | None = None,
        first_seed: int = 0,
        departures: dict[str, Any] | None = None,
        attempt: int = 1,
        status: str = "done",
        hyper_parameters: dict[str, Any] | None = None,
        wrappers: tuple[dict[str, Any], ...] = (),
    ) -> int:
        made = departures or {}
        spec = make_spec(
            dataset,
            method=method,
            method_settings=hyper_parameters or made,
            network=network,
            training=training,
            train_seed=train_seed,
            wrappers=wrappers,
        )
        run = start(store, spec, dataset, method_departures=made, attempt=attempt)
        kept = add_checkpoint(store, run, checkpoint, epoch)
        for attack, several in verdicts.items():
            for seed, digits in enumerate(several, start=first_seed):
                of_attack = settings[attack]
                # of two blocks the second is no whole byte
                number = add_evaluation(store, kept, attack, of_attack, as_digits(digits), seed=seed, block=4)
                if margins and (attack, seed) in margins:
                    store.kept[number] = margins[attack, seed]
        if status != "running":
            store.end_run(run.id, failure=None if status == "done" else "it failed")
        return run.id

    return put
