"""A store in memory, and how a trained network comes into it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.events import BlockDone
from harness.identity import digest
from harness.protocols.run_spec import RunSpec
from harness.store.records import DatasetRecord, ProtocolRecord
from tests.harness.comparison.kept import DIGITS, SETTINGS, TRAINING, Kept, Put
from tests.tiny import PROTOCOL_DOCUMENT


@pytest.fixture
def store() -> Kept:
    store = Kept.read("sqlite://")  # in memory
    assert isinstance(store, Kept)
    store.kept = {}
    attacks = {name: digest(settings) for name, settings in SETTINGS.items()}
    store.see_protocol(ProtocolRecord("1" * 64, "tiny", digest(TRAINING), attacks, PROTOCOL_DOCUMENT), TRAINING)
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
    ) -> int:
        spec = RunSpec(
            method=method,
            method_settings=departures or {},
            network=network,
            network_settings={},
            dataset=dataset.name,
            dataset_fingerprint=dataset.fingerprint,
            training=training,
            train_seed=train_seed,
        )
        words: dict[str, Any] = {"method_departures": departures or {}, "network_departures": {}}
        run = store.start_run(spec, dataset, **words, parameters=1, provenance={}, attempt=attempt)
        store.add_checkpoint(run.id, checkpoint, epoch, digest([run.id, checkpoint]))
        kept = store.run(run.id).checkpoint(checkpoint)
        assert kept is not None
        for attack, several in verdicts.items():
            for seed, digits in enumerate(several, start=first_seed):
                number = store.open_evaluation(kept.id, attack, settings[attack], seed, len(digits), {})
                whole = bytes(map(int, digits))
                for start in (0, 4):  # two blocks, of which the second is no whole byte
                    store.add_block(BlockDone(number, start, whole[start : start + 4 if start == 0 else None], 1.0, ()))
                if margins and (attack, seed) in margins:
                    store.kept[number] = margins[attack, seed]
        if status != "running":
            store.end_run(run.id, failure=None if status == "done" else "it failed")
        return run.id

    return put
