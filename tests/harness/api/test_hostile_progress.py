"""Hostile labels in the progress of a command: a label is part of its line, and changes nothing on a terminal."""

from __future__ import annotations

import io
import re

import pytest

from harness.api.progress import Watch
from harness.api.terminal import Terminal
from harness.events import (
    Began,
    Ended,
    EpochDone,
    EpochRecord,
    Examined,
    Finding,
    Logged,
    Noted,
    Phase,
    Planned,
    PlannedItem,
    training_key,
)
from tests.hostile_labels import LABELS, unseen

MOVES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")  # rich's own: the lines that move


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize("label", LABELS, ids=ascii)
def test_none_acts_in_any_line(label: str, terminal: bool) -> None:
    file, now = io.StringIO(), [0.0]
    console = Terminal(file=file, force_terminal=terminal, width=100, legacy_windows=False, color_system=None)
    item = PlannedItem(training_key(1), "training", label, label, 100, 100.0)
    with Watch(console=console, time_s=lambda: now[0], ticking=False, verbose=True) as watch:
        watch(Planned((Phase((item,), 1),)))
        watch(Began(training_key(1)))
        for _ in range(40):
            now[0] += 1
            watch.tick()
        watch(Noted(f"the method {label} prints"))
        watch(EpochDone(1, label, 2, EpochRecord(2, 1.5, 0.1, 100, 0.5, {})))
        watch(Examined(1, label, {}, (Finding(label, "flagged", "A", 1.0, 0.5, label, {}),), 1.0, {}))
        watch(Ended(training_key(1), failed=True, reason=label))
        watch.alert(f"tracker {label} is off")
        watch(Logged("a record is one line"))
    lines = MOVES.sub("\n", file.getvalue()).split("\n")
    assert unseen("".join(lines)) == set()
    assert [line for line in lines if line.lstrip().startswith(("forged", "b so"))] == []
    begins = (r"\d+:\d\d ", "  ", "harness: ", "a record is one line$", "$")
    assert [line for line in lines if not any(re.match(begin, line) for begin in begins)] == []
    assert len([line for line in lines if re.match("harness: ", line)]) == 2
