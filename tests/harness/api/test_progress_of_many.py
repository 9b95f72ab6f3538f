"""Hundreds of items of which many run at the same time: the display fits one screen, and a log stays short."""

from __future__ import annotations

import re

import pytest

from harness.api.progress import LATEST_S, MOST_SAID, PLAIN_HEIGHT
from harness.events import (
    Began,
    Ended,
    EpochDone,
    EpochRecord,
    Event,
    Phase,
    Planned,
    PlannedItem,
    TrainingProgress,
    training_key,
)
from harness.execution.outlook import Outlook
from tests.harness.api.display import Display

ITEMS, RUNNING = 300, 64


def plan(items: int = ITEMS) -> Planned:
    """Trainings of a hundred seconds each."""
    planned = (
        PlannedItem(training_key(n), "training", f"lrat-smallcnn-cifar10-s{n}", "t", 100, 1e6, 100.0)
        for n in range(items)
    )
    return Planned((Phase(tuple(planned), RUNNING),))


def told(number: int, epoch: int = 7) -> TrainingProgress:
    return TrainingProgress(number, f"lrat-smallcnn-cifar10-s{number}", epoch, 20, 77, 390, 0.00012, 1.0, 50.0)


def trained(number: int) -> list[Event]:
    """What is reported of a training that ends well."""
    record = EpochRecord(20, 0.5, 0.1, 100, 2.0)
    return [EpochDone(number, f"lrat-smallcnn-cifar10-s{number}", 20, record), Ended(training_key(number))]


def begun(display: Display) -> None:
    """Let 64 of the 300 trainings begin, one a second."""
    display.hear(plan())
    for number in range(RUNNING):
        display.hear(Began(training_key(number)), told(number))
        display.now += 1


@pytest.mark.parametrize("height", [24, 10, 50, 100, 3])
def test_a_terminal_shows_what_fits_and_counts_the_rest(height: int) -> None:
    display = Display(terminal=True, height=height)
    with display.watch:
        begun(display)
        display.wait(1)
        (lines,) = [block for block in _drawn(display) if block]
    shown = [line for line in lines if line.startswith("  lrat")]
    assert len(lines) <= height - 1
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("1:05 so far, 0 of 300 parts done, about ")
    more = RUNNING - len(shown)
    assert lines[-1] == f"  and {more} more" if more else len(lines) == RUNNING + 1
    assert [line.partition(":")[0] for line in shown] == [f"  lrat-smallcnn-cifar10-s{n}" for n in range(len(shown))]
    assert len(shown) == min(RUNNING, height - 2 - (height - 2 < RUNNING))


def _drawn(display: Display) -> list[list[str]]:
    """The screens that were drawn, each as its lines."""
    text = re.sub(r"\x1b\[\?25[lh]", "", display.file.getvalue())
    screens = re.split(r"\r?\x1b\[2K(?:\x1b\[1A\x1b\[2K)*", text)
    return [screen.strip("\n").splitlines() for screen in screens]


def test_a_log_has_a_sign_of_life_every_half_minute_and_no_line_an_event() -> None:
    """300 trainings end one after the other, a second apart, and 30 of them fail; each reports twice a second."""
    display = Display(terminal=False)
    begun(display)
    for number in range(ITEMS):
        for at_work in range(number, min(number + RUNNING, ITEMS)):
            display.hear(told(at_work, 8), told(at_work, 9))
        ended: list[Event] = [Ended(training_key(number), failed=True, reason=f"the loss of {number} is not finite")]
        display.hear(*(ended if number % 10 == 3 else trained(number)))
        if number + RUNNING < ITEMS:
            display.hear(Began(training_key(number + RUNNING)))
        display.wait(1)
    texts = display.file.getvalue().splitlines()
    states = [line for line in texts if " so far, " in line]
    times = [60 * int(m) + int(s) for m, s in (line.split(" ")[0].split(":") for line in states)]
    assert (
        max(after - before for before, after in zip([RUNNING, *times], [*times, RUNNING + ITEMS], strict=True))
        <= LATEST_S
    )
    assert len(texts) <= PLAIN_HEIGHT * len(states) + 2 * (MOST_SAID + 1)
    assert len(states) <= 2 + ITEMS / 5
    failed = [line for line in texts if " failed: " in line]
    assert [line.partition(" ")[2] for line in failed] == [
        f"lrat-smallcnn-cifar10-s{n}: training failed: the loss of {n} is not finite" for n in range(3, 200, 10)
    ]
    assert sum("trained to epoch 20" in line for line in texts) == MOST_SAID
    assert sum(line.endswith("more failures are counted, and told at the end") for line in texts) == 1
    assert sum(line.endswith("what else is done is only counted") for line in texts) == 1
    done, failures = (int(n) for n in re.findall(r", (\d+) of 300 parts done, (\d+) failed", states[-1])[0])
    assert (done + failures, failures) == (times[-1] - RUNNING, sum(n % 10 == 3 for n in range(times[-1] - RUNNING)))
    assert max(map(len, texts)) <= 100


def test_a_failure_stays_above_the_lines_that_move() -> None:
    display = Display(terminal=True)
    with display.watch:
        begun(display)
        reason = f"the loss is not finite at epoch 3, {'x' * 100} end"
        display.hear(Ended(training_key(5), failed=True, reason=reason))
        display.wait(2)
    text = display.file.getvalue()
    assert text.count("lrat-smallcnn-cifar10-s5: training failed: the loss is not finite at epoch 3, xxx") == 1
    assert text.count("x end") == 1
    assert "0 of 300 parts done, 1 failed, about " in text


def test_the_time_left_of_ten_thousand_items_by_hand() -> None:
    outlook = Outlook()
    outlook.hear(plan(10_000), 0.0)
    for number in range(RUNNING):
        outlook.hear(Began(training_key(number)), 0.0)
        outlook.hear(told(number), 1.0)
    left = outlook.left(1.0)
    assert left is not None
    # 64 have 50 s to go; the others take 100 s each, as 1 image/s of 100 images says, on 64 workers
    waves = -(-(10_000 - RUNNING) // RUNNING)
    assert left.seconds == pytest.approx(50 + 100 * waves)
