"""A store in which much can be mixed up: attempts, protocols, radii, limits, data sets, models from elsewhere."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.store.records import CheckpointRecord, DatasetRecord, RunRecord
from harness.store.store import Store
from tests.stores import add_checkpoint, add_evaluation, as_digits, make_spec, see_protocol, start

TOY = DatasetRecord("toy", "a" * 64, 20, 8, 1, 8, 8, 2)
OTHER_TOY = replace(TOY, fingerprint="b" * 64)  # another data set with the same name
TRAINING, LONGER, UNUSED = ({"epochs": epochs, "epsilon": 0.1} for epochs in (2, 4, 8))  # no run has the last
PGD = {"epsilon": 0.1, "steps": 20, "block_size": 3}
WEAK_PGD = PGD | {"epsilon": 0.05}
ATTACKS: dict[str, dict[str, Any]] = {"natural": {}, "pgd": PGD}
MARGINS = (0.5, -0.25, 0.1, -1.0, 1.0, 0.0, 0.3, 0.7)
PREDICTED = (0, 1, 1, -1, 65534, 0, 1, 0)  # -1: none, the logits are not finite; 65534: the last that two bytes hold


def varied_store(file: Path) -> Store:
    """The runs 1 to 8 and three models from elsewhere, on ``TOY`` with 8 test images unless something else is said.

    Run 1 and run 2 are attempts at one identity, and run 3 a third attempt, which failed.
    """
    file.write_bytes(_written())
    return Store.write(str(file))


@functools.cache
def _written() -> bytes:
    """The file, written once: many tests begin with a copy."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "varied.db"
        _fill(Store.write(str(file)))
        return file.read_bytes()


def _fill(store: Store) -> None:
    see_protocol(store, ATTACKS, TRAINING, fingerprint="1" * 64, name="short")
    see_protocol(store, ATTACKS | {"cw": {"epsilon": 0.1}}, TRAINING, fingerprint="2" * 64, name="with-cw")
    see_protocol(store, ATTACKS, TRAINING, fingerprint="3" * 64, name="short")  # equal to the first, but for its name
    see_protocol(store, ATTACKS, LONGER, fingerprint="4" * 64, name="long")
    see_protocol(store, {"natural": {}, "pgd": WEAK_PGD}, LONGER, fingerprint="5" * 64, name="weak")
    see_protocol(store, {"natural": {}, "mine": {}}, LONGER, fingerprint="6" * 64, name="without-settings")
    see_protocol(store, {"natural": {}, "pgd": WEAK_PGD}, UNUSED, fingerprint="7" * 64, name="weak-too")
    see_protocol(store, {"natural": {}, "pgd": PGD}, UNUSED, fingerprint="8" * 64, name="unused")

    _attacked(store, _last(store, train_seed=0), "11111111", "11111110")
    second = _last(store, train_seed=0, attempt=2)
    _attacked(store, second, "11111101", "11110000", "11110001", "01110000", margins=MARGINS, predicted=PREDICTED)
    add_evaluation(store, second, "pgd", PGD, as_digits("00000000"), seed=1, attempt=2, block=3)
    add_evaluation(store, second, "pgd", PGD, as_digits("11111"), seed=2, attempt=2, examples=8)  # was stopped
    add_evaluation(store, second, "pgd", WEAK_PGD, as_digits("11111000"), block=3)
    add_evaluation(store, second, "pgd", PGD, as_digits("1100"), sample="balanced", margins=MARGINS[:4])
    add_evaluation(store, second, "pgd", PGD, as_digits("1110"), attempt=2)  # the first four
    failed = start(store, make_spec(TOY, train_seed=0, training=TRAINING), TOY, attempt=3)
    store.end_run(failed.id, "the loss is not finite")

    _attacked(store, _last(store, train_seed=1), "11011101", "11100000")  # run 4
    wrapped = _run(store, method="lrat", wrappers=({"name": "awp", "settings": {}, "departures": {}},))
    _attacked(store, add_checkpoint(store, wrapped, "early", 1), "11110000", "11000000")
    _attacked(store, add_checkpoint(store, wrapped), "11110001", "11001000")
    _attacked(store, _last(store, training=LONGER), "10110001", "10001000", "11111000", "10001011")  # run 6
    add_evaluation(store, _last(store, method="trades"), "natural", {}, as_digits("11111111"))  # natural alone
    other = _last(store, OTHER_TOY, method="mart")  # run 8
    add_evaluation(store, other, "pgd", PGD, as_digits("10000000"))

    _attacked(store, _model(store, "theirs"), "01111111", "00111111")
    _attacked(store, _model(store, "unattacked"), "01111100")  # natural accuracy alone
    weak = _model(store, "weakly attacked")
    add_evaluation(store, weak, "pgd", WEAK_PGD, as_digits("10101010"))
    add_evaluation(store, weak, "pgd", WEAK_PGD, as_digits("1010"), sample="balanced")
    store.close()


def _run(store: Store, dataset: DatasetRecord = TOY, attempt: int = 1, **changes: Any) -> RunRecord:
    spec = make_spec(dataset, **({"training": TRAINING} | changes))
    run = start(store, spec, dataset, attempt=attempt)
    store.end_run(run.id)
    return run


def _last(store: Store, dataset: DatasetRecord = TOY, attempt: int = 1, **changes: Any) -> CheckpointRecord:
    return add_checkpoint(store, _run(store, dataset, attempt, **changes))


def _attacked(store: Store, checkpoint: CheckpointRecord, natural: str, *pgd: str, **more: Any) -> None:
    add_evaluation(store, checkpoint, "natural", {}, as_digits(natural), **more)
    for seed, verdicts in enumerate(pgd):
        add_evaluation(store, checkpoint, "pgd", PGD, as_digits(verdicts), seed=seed, block=3, **more)


def _model(store: Store, name: str) -> CheckpointRecord:
    facts: dict[str, Any] = {"network": "resnet", "network_settings": {}, "network_departures": {}, "parameters": 9}
    return store.see_model(name, TOY, sha256=name.ljust(64, "."), provenance={}, **facts).checkpoint
