"""A training that another process has taken over: the first one writes none of its files any more."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from harness.events import EpochDone, Event, Noted, training_key
from harness.execution import claimed
from harness.planning.missing import find_missing
from harness.store.leases import Lease
from harness.store.store import Store
from tests.harness.execution.asked import conduct, jobs
from tests.harness.store.holders import FAR, let_it_pass, taken


def test_a_training_that_another_process_has_taken_over_writes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is held up right after an epoch; then the other one has it, and does nothing for a moment."""
    monkeypatch.setattr(claimed, "_LOOK_AGAIN_S", 0.05)
    store = Store.write(str(tmp_path / "results.db"))
    found: list[dict[str, bytes]] = []

    def files() -> dict[str, bytes]:
        return {str(file): file.read_bytes() for file in (tmp_path / "runs").rglob("*.*t*") if file.suffix != ".txt"}

    def end() -> None:
        found.append(files())
        other = Store.write(str(tmp_path / "results.db"))
        other.end_run(1, "the loss is not finite", theirs[0])
        other.close()

    theirs: list[Lease] = []

    def listen(event: Event) -> None:
        if isinstance(event, EpochDone) and not theirs:
            let_it_pass(store, Lease("", 2))
            theirs.append(taken(store, training_key(1), FAR, run_id=1))
            found.append(files())
        if isinstance(event, Noted) and "is not this process's any more" in event.text:
            threading.Timer(0.5, end).start()

    missing = find_missing(jobs(methods=("standard",), train_seeds=1, epochs=3), store)
    assert conduct(missing, store, tmp_path / "runs", listen).trained == 0
    store.close()
    before, after = found
    assert any("state" in name for name in before)
    assert after == before
