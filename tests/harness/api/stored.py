"""A store with what tables are about: runs, attempts, a model from elsewhere, blocks, findings, missing values."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from harness.events import BlockDone, CurvePoint, EpochRecord, Finding, Histogram
from harness.store.records import DatasetRecord, RunRecord
from harness.store.scope import Scope
from harness.store.store import Store
from tests.stores import add_checkpoint, add_evaluation, as_digits, make_spec, see_protocol, start
from tests.tiny import PROTOCOL_DOCUMENT

TOY = DatasetRecord("toy", "a" * 64, 20, 8, 1, 8, 8, 2)
TRAINING = {"epochs": 2, "epsilon": 0.1}
PGD = {"epsilon": 0.1, "steps": 20, "block_size": 3}
DOCUMENT = PROTOCOL_DOCUMENT | {"epsilon": 0.1}
MARGINS: tuple[float, ...] = (0.5, -0.25, 0.125, -1.0, 1.0, 0.0, 0.375, 0.75)  # exact in float16
PREDICTED = (0, 1, 1, -1, 65534, 0, 1, 0)
IMAGES = tuple(struct.pack("<64f", *[place + 0.1] * 64) for place in range(4))  # of the first four
WARNED = Finding("zero-gradient", "flagged", "Z", 0.5, 0.1, "no <gradient>", {})
PASSED = Finding("not-logits", "passed", "", 0.0, 0.0, "logits", {})


def run_of(store: Store, attempt: int = 1, **changes: Any) -> RunRecord:
    spec = make_spec(TOY, **({"training": TRAINING} | changes))
    return start(store, spec, TOY, attempt=attempt, method_departures=changes.get("method_settings", {}))


def fill(file: Path) -> None:
    """Run 1 and its attempt 2 (run 2), run 3 of lrat floor=pgd, run 4 that failed, and a model from elsewhere."""
    store = Store.write(str(file))
    see_protocol(store, {"natural": {}, "pgd": PGD}, TRAINING, document=DOCUMENT)
    for attempt, pgd in ((1, "00000000"), (2, "11110001")):
        run = run_of(store, attempt=attempt)
        counted = (Histogram("steps_to_flip", -0.5, 2.5, (attempt, 0, 7)), Histogram("weight", 0.0, 1.0, (3, 5)))
        points = (CurvePoint("test", "natural", {}, 8, 6, 0.1), CurvePoint("test", "pgd", PGD, 8, 4 + attempt, 0.1))
        store.add_epoch(run.id, EpochRecord(1, 2.0, 0.1, 20, 1.5, {"kl": 0.5}, counted, points))
        points = (CurvePoint("test", "pgd", PGD, 8, 3, 0.1), CurvePoint("train", "pgd", PGD, 16, 12, 0.1))
        store.add_epoch(run.id, EpochRecord(2, 1.0, 0.01, 20, 2.5, {}, (), points))
        store.end_run(run.id)
        kept = add_checkpoint(store, run)
        add_evaluation(store, kept, "natural", {}, as_digits("11111110"))
        add_evaluation(store, kept, "pgd", PGD, as_digits(pgd), block=3, warnings=("slow",))
        add_evaluation(store, kept, "pgd", PGD, as_digits("11111"), seed=1, examples=8)  # was stopped
        for edition, findings in ((1, (PASSED,)), (2, (WARNED, PASSED))):
            settings = Scope.of_document(DOCUMENT, {}, 8).settings("model") | {"edition": edition}
            store.add_examination(kept.id, settings, findings, 1.0, {})
    floored = run_of(store, method="lrat", method_settings={"floor": "pgd"})
    store.end_run(floored.id)
    add_evaluation(store, add_checkpoint(store, floored, sha256="d" * 64), "natural", {}, as_digits("10000000"))
    store.end_run(run_of(store, method="mart").id, "the loss is not finite")
    facts: dict[str, Any] = {"network_settings": {}, "network_departures": {}, "provenance": {"kind": "x"}}
    model = store.see_model("theirs", TOY, sha256="e" * 64, network="net", parameters=9, **facts)
    number = store.open_evaluation(model.checkpoint.id, "pgd", PGD, 0, 8)
    for first in (3, 0, 6):  # blocks may come in any order
        part = slice(first, first + 3)
        right = bytes(as_digits("01100111"[part]))
        more: dict[str, Any] = {"predicted": PREDICTED[part], "adversarial": IMAGES[part]}
        store.add_block(BlockDone(number, first, right, 1.0, (), MARGINS[part], **more))
    store.close()
