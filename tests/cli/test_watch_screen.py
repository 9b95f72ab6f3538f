"""The screen of harness runs --watch: everything fits it, and what is left out is counted."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from harness.cli.watch_text import screen_lines
from harness.errors import legible
from harness.runtime.worker import Worker
from harness.store.leases import Held
from harness.store.run_state import RunState
from harness.store.seen import STATES, EvaluationSeen, FailedRun, ItemSeen, RunSeen, WorkSeen
from tests.harness.store.holders import FAR
from tests.hostile_labels import LABELS, unseen

NOW = datetime(2026, 12, 1, 12, 0, 30)


def seen(items: int = 0, failures: int = 0, workers: int = 1, label: str = "lrat-smallcnn-digits") -> WorkSeen:
    """So many items at work, trainings and blocks in turn, and so many failures."""
    found = []
    for n in range(items):
        held = Held(f"item {n}", Worker(f"gpu{n % workers}", "17", "ann"), NOW - timedelta(seconds=items - n), None)
        training = RunSeen(n, f"{label}-s{n}", "running", None, None, 119, 120)
        attacked = EvaluationSeen(n, "autoattack", 4, 9000, 10000)
        about: dict[str, Any] = {"training": training} if n % 2 else {"evaluation": attacked, "checkpoint": "early"}
        found.append(ItemSeen(held, f"{label}-s{n}", n, **about))
    state = RunState("failed", FAR, NOW, "the loss is not finite at epoch 100, batch 388, and so on")
    failed = [FailedRun(n, f"{label}-s{n}", state) for n in range(failures)]
    totals = dict.fromkeys(STATES, 0) | {"running": items, "failed": failures, "queued": 236}
    who = frozenset(item.held.worker for item in found)
    return WorkSeen(totals, 140_000, 139_000, found, failed, who, filtered=False)


def left_out(lines: list[str]) -> int:
    return sum(int(found[1]) for line in lines if (found := re.fullmatch(r"  and (\d+) more", line)))


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize(("items", "failures"), [(300, 40), (300, 0), (64, 1), (5, 40), (0, 0), (3, 2)])
def test_everything_fits_one_screen_and_what_is_left_out_is_counted(items: int, failures: int, workers: int) -> None:
    for width, height in [(80, 23), (80, 8), (120, 50), (48, 23), (200, 400)]:
        lines = screen_lines(seen(items, failures, workers), NOW, width, height)
        assert len(lines) <= height
        assert max(map(len, lines)) <= width
        failed = [line for line in lines if line.startswith("  run ")]
        shown = [line for line in lines if line.startswith("  lrat")]
        assert len(shown) + len(failed) + left_out(lines) == items + failures
        assert width == 48 or all(", since 1" in line for line in shown)
        if items + failures < height - 8:
            assert left_out(lines) == 0
        assert len(failed) >= min(failures, 1)
        assert len(shown) >= min(items, 1)


def test_a_screen_by_hand() -> None:
    assert screen_lines(seen(3, 1), NOW, 80, 23) == [
        "12:00:30 UTC, runs: 236 queued, 3 running, 1 failed",
        "whole evaluations: 139000 of 140000; at work: 3 items; epochs: 119 of 120",
        "by process 17 on gpu0 (ann)",
        "  lrat-smallc…ts-s0 early: autoattack, seed 4, 9000/10000 images, since 12:00:27",
        "  lrat-smallcnn-digits-s1: epoch 119/120, since 12:00:28",
        "  lrat-smallc…ts-s2 early: autoattack, seed 4, 9000/10000 images, since 12:00:29",
        "failed or lost: 1, the newest first",
        "  run 0 failed: lrat-smallcnn-digits-s0: the loss is not finite at epoch 100, b…",
    ]


def test_no_screen_is_too_small() -> None:
    for height in range(1, 12):
        assert 1 <= len(screen_lines(seen(300, 40), NOW, 80, height)) <= height


@pytest.mark.parametrize("label", LABELS, ids=ascii)
def test_no_label_acts_on_the_screen(label: str) -> None:
    held = Held(label, Worker(label, label, label), NOW, None)
    failed = FailedRun(1, label, RunState("failed", held.worker, NOW, label))
    items = [ItemSeen(held), ItemSeen(held, label, 1, evaluation=EvaluationSeen(1, label, 0, 1, 2), checkpoint=label)]
    found = WorkSeen(dict.fromkeys(STATES, 0), 0, 0, items, [failed], frozenset({held.worker}), filtered=False)
    lines = screen_lines(found, NOW, 200, 40)
    assert unseen("".join(lines)) == set()
    assert len(lines) == 7
    assert len(label) > 99 or legible(label) in lines[-1]
