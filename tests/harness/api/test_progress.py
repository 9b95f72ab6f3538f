"""The progress display says what is at work, moves by itself, and fits 80 columns; a clock of the test drives it."""

from __future__ import annotations

import errno
import io
import itertools

import pytest
from rich.console import Console

from harness.api.progress import Watch, pause_after
from harness.api.progress_text import clock, cut_label, duration, labelled
from harness.events import Began, Ended, Noted, Phase, Planned, PlannedItem, TrainingProgress, training_key
from tests.harness.api.display import Display

LONG = "lrat-smallcnn-folder-cifar10-jpeg-10k-s"


class Closed(io.StringIO):
    """A terminal that is closed at some moment: every write fails from then on."""

    closed_now = False

    def write(self, text: str) -> int:
        if self.closed_now:
            raise OSError(errno.EIO, "Input/output error")
        return super().write(text)


def test_the_display_takes_at_most_a_twentieth_of_the_time() -> None:
    assert pause_after(0.0) == pause_after(0.05) == 1.0
    assert pause_after(0.5) == 10.0


@pytest.mark.parametrize("at", ["the beginning", "a note", "a tick", "the end"])
@pytest.mark.parametrize("terminal", [True, False])
def test_work_goes_on_when_its_terminal_is_closed(at: str, terminal: bool) -> None:
    file, now = Closed(), [100.0]
    console = Console(file=file, force_terminal=terminal, width=80, legacy_windows=False)
    file.closed_now = at == "the beginning"
    with Watch(console=console, time_s=lambda: now[0], ticking=False) as watch:
        watch(blocks(4))
        file.closed_now |= at == "a note"
        watch(Noted("a remark"))
        file.closed_now |= at == "a tick"
        now[0] += 60
        watch.tick()
        watch.alert("a tracker is off")
        file.closed_now = True


def blocks(count: int, seconds: float | None = 200.0) -> Planned:
    items = (
        PlannedItem(f"b{i}", f"autoattack, seed {i}", f"{LONG}{i} last", "aa", 1000, 9e6, seconds) for i in range(count)
    )
    return Planned((Phase(tuple(items), 2),))


def test_a_long_silence_has_a_sign_of_life_and_two_workers_are_two_things() -> None:
    display = Display(terminal=False)
    display.hear(blocks(4), Began("b0"), Began("b1"))
    lines = display.wait(150)
    states = [line for line in lines if not line.startswith(" ")]
    times = [60 * int(m) + int(s) for m, s in (line.split(" ")[0].split(":") for line in states)]
    assert times[0] == 5
    assert max(b - a for a, b in itertools.pairwise(times)) <= 30
    assert 150 - times[-1] <= 30
    for state, time in zip(states, times, strict=True):
        assert state.endswith(f" so far, 0 of 4 parts done, about {duration(400 - time)} left")
    assert lines[-2:] == [
        f"  lrat-smallcnn-folder-cifar10-jpeg-10k-s{i} last: autoattack, seed {i}, for {clock(times[-1])}"
        for i in (0, 1)
    ]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", [80, 120])
def test_lines_fit_and_figures_are_never_cut(terminal: bool, width: int) -> None:
    display = Display(terminal=terminal, width=width)
    key = training_key(7)
    plan = Planned((Phase((PlannedItem(key, "training", f"{LONG}0", "t", 10**6, 1e9, None),), 1),))
    told = TrainingProgress(7, f"{LONG}0", 119, 120, 77, 390, loss=0.000123456, images_per_s=12345.6, left_s=86400.0)
    with display.watch:
        display.hear(plan, Began(key), told)
        display.now += 3600
        lines = display.wait(1)
        assert max(map(len, lines)) <= (width if terminal else 80)
        (row,) = [line for line in lines if "epoch" in line]
        assert row.endswith("epoch 119/120, batch 77/390, loss 0.0001235, for 1:00:01")
        assert row.startswith("  lrat")
        assert "s0: epoch" in row
        assert [line for line in lines if "0 of 1 parts done, about 23.0 h left" in line]


def test_a_terminal_shows_a_clock_that_moves_each_second() -> None:
    display = Display(terminal=True)
    with display.watch:
        display.hear(blocks(2), Began("b0"), Began("b1"), Noted("a remark"))
        lines = display.wait(3)
    for second in (1, 2, 3):
        assert f"0:0{second} so far, 0 of 2 parts done, about {duration(200 - second)} left" in lines
    assert "harness: a remark" in display.file.getvalue()


def test_what_is_not_known_is_not_told() -> None:
    display = Display(terminal=False)
    display.hear(blocks(3, None), Began("b0"))
    assert display.wait(5)[0].endswith("0 of 3 parts done, time left not known yet")
    display.hear(Ended("b0", 300.0), Began("b1"))
    assert display.wait(30)[0].endswith("1 of 3 parts done, about 5 min left")
    display.now += 1000
    assert display.wait(1)[0].endswith("1 of 3 parts done, 5 min or more left")


def test_nothing_is_said_of_no_work() -> None:
    display = Display(terminal=False)
    assert display.wait(60) == []
    display.hear(Planned((Phase((), 1),)))
    assert display.wait(60) == []


def test_its_own_thread_shows_it_and_ends(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.api.progress.TICK_S", 0.01)
    monkeypatch.setattr("harness.api.progress.SOONEST_S", 0.0)
    with Watch() as watch:
        watch(blocks(1))
        watch(Began("b0"))
        while "autoattack, seed 0" not in capsys.readouterr().err:
            pass
    assert not watch._thread.is_alive()


def test_texts_by_hand() -> None:
    assert [clock(s) for s in (0, 59.9, 61, 3661)] == ["0:00", "0:59", "1:01", "1:01:01"]
    assert [duration(s) for s in (3.2, 89, 91, 5399, 5400)] == ["3 s", "89 s", "2 min", "90 min", "1.5 h"]
    assert cut_label("sat-smallcnn-digits-s0", 22) == "sat-smallcnn-digits-s0"
    assert cut_label("sat-smallcnn-digits-s0", 11) == "sat-s…ts-s0"
    assert labelled("a" * 40 + "s0", "12 s", 20) == f"{'a' * 7}…{'a' * 4}s0: 12 s"
