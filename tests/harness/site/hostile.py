"""A store whose names would run as scripts, break a page, or hide what follows, if a page took them for markup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.events import EpochRecord, Finding
from harness.store.store import Store
from tests.stores import DIGITS, add_checkpoint, add_evaluation, make_spec, right, see_protocol, start

SCRIPT = "<script>document.title='run';alert(1)</script>"
NAMES = [
    SCRIPT,
    "</script><script>alert(2)</script>",
    '"><img src=x onerror=alert(3)>',
    "' onmouseover='alert(4)",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(5)",
    "\u202eright to left\u202c \u200fmarks",
    "long-" * 60,
    "&lt;b&gt; & &amp;",
    "#run=1&method=x%27%22?/../..",
]
ATTACKS: dict[str, dict[str, Any]] = {"natural": {}, "pgd": {"block_size": 4, "note": SCRIPT}}
TRAINING = {"epochs": 2, "epsilon": 0.2, "name": SCRIPT}


def hostile_store(file: Path) -> None:
    """A board with a row for each name, a failed run, flags, and models from elsewhere, all of such names."""
    store = Store.write(str(file))
    see_protocol(store, ATTACKS, TRAINING, name=NAMES[1])
    finding = Finding("zero-gradient", "flagged", "Z", 1.0, 0.5, NAMES[2], {})
    settings = {"kind": "model", "epsilon": 0.2, "examples": 360, "threat": {}, "block_size": 100}
    settings["threat"] = {"epsilon": 0.2, "steps": 20, "step_size": 0.05, "start": "uniform"}
    for number, name in enumerate(NAMES):
        departures: dict[str, Any] = {"method_departures": {NAMES[3]: SCRIPT}, "network_departures": {}}
        spec = make_spec(method=name, network=NAMES[2], training=TRAINING)
        run = start(store, spec, provenance={"host": SCRIPT, "device": NAMES[1]}, **departures)
        store.add_epoch(run.id, EpochRecord(1, 1.0, 0.1, 100, 1.0, {NAMES[1]: 0.5, SCRIPT: float("nan")}))
        checkpoint = add_checkpoint(store, run)
        add_evaluation(store, checkpoint, "natural", {}, right(300 + number, 360), warnings=(SCRIPT,))
        add_evaluation(store, checkpoint, "pgd", ATTACKS["pgd"], right(100 + 5 * number, 360), warnings=(NAMES[2],))
        store.add_examination(checkpoint.id, settings, [finding], 1.0, {})
        store.end_run(run.id)
        model = store.see_model(
            name or "x",
            DIGITS,
            sha256=f"{number:064d}",
            network=SCRIPT,
            network_settings={SCRIPT: SCRIPT},
            network_departures={SCRIPT: SCRIPT},
            parameters=1,
            provenance={"origin": SCRIPT},
        )
        add_evaluation(store, model.checkpoint, "pgd", ATTACKS["pgd"], right(50 + number, 360))
    failed = start(store, make_spec(method=SCRIPT, network=NAMES[2], training=TRAINING, train_seed=1), **departures)
    store.end_run(failed.id, NAMES[1])
    alone = start(store, make_spec(method=NAMES[1], network=SCRIPT, training=TRAINING, train_seed=1))
    store.end_run(alone.id, SCRIPT)
    store.close()
