"""Signals that ask a command to end: its exit code, its last line, and that nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from harness.cli.signals import NAMES, ending, interrupted_by_signal, stoppable
from harness.runtime import stopping
from tests.dying.deaths import Job
from tests.dying.left import held, history
from tests.dying.signalled import SIGNALS, last_line, signal_at_random
from tests.dying.started import Started, until

Known = Callable[[str], Job]
LONG = ("--epochs", "400")


@pytest.fixture(autouse=True)
def nobody_asks() -> Iterator[None]:
    """No request stays, and no signal is ignored, as it is where ``nohup`` started the tests."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    stopping.take_back_stop()
    for number, handler in before.items():
        signal.signal(number, handler)


def in_training(job: Job, *more: str) -> tuple[Started, Callable[[], list[str]]]:
    """A command in its training, which would go on for long; and the states of its run."""
    place = job.place()
    started = job.starter.start(place, *job.command, *LONG, *more)
    until(lambda: (place / "leaderboard.db").exists() and "training of run 1" in held(place))
    return started, lambda: history(place)


@pytest.mark.parametrize(("number", "state"), [(signal.SIGTERM, "preempted"), (signal.SIGINT, "cancelled")])
def test_a_training_that_gets_a_signal_says_how_to_go_on(number: int, state: str, known: Known) -> None:
    started, states = in_training(known("plain"))
    started.send(number)
    assert started.wait() == 128 + number
    assert started.out == ""
    assert started.err.splitlines()[-1] == last_line(number)
    assert "Traceback" not in started.err
    assert states() == ["queued", "running", state]


def test_what_a_signal_stopped_goes_on_to_the_same_numbers(known: Known, draws: random.Random) -> None:
    signal_at_random(known("plain"), draws, signal.SIGUSR1)


@pytest.mark.slow
def test_a_second_signal_ends_at_once(known: Known) -> None:
    """An update takes so long that the first one waits."""
    started, states = in_training(known("plain"), "--set", "train.batch_size=1437", "--set", "train.steps=3000")
    started.send(signal.SIGTERM)
    until(lambda: "again ends at once" in started.err)
    assert started.ended() is None
    started.send(signal.SIGTERM)
    assert started.wait(20) == -signal.SIGTERM
    assert states() == ["queued", "running"]  # shown as lost


def test_a_signal_that_is_ignored_ends_nothing_where_no_work_goes_on() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stopping.asked_to_stop()
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("name", NAMES)
def test_where_no_work_goes_on_a_signal_ends_as_ctrl_c_does(name: str) -> None:
    with pytest.raises(KeyboardInterrupt), ending():
        os.kill(os.getpid(), getattr(signal, name))
    assert interrupted_by_signal()
    with ending():
        assert not interrupted_by_signal()


def test_another_thread_has_no_handlers_to_set() -> None:
    done = []

    def block() -> None:
        with ending(), stoppable():
            done.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert done == [signal.SIG_DFL]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wrapped", "autoattack", "checks", "workers"])
@pytest.mark.parametrize("number", [*SIGNALS, signal.SIGINT])
def test_signals_at_random_moments_lose_nothing(name: str, number: int, known: Known, draws: random.Random) -> None:
    signal_at_random(known(name), draws, number, group=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_a_fresh_process_may_get_a_signal_while_it_imports(number: int, known: Known, draws: random.Random) -> None:
    signal_at_random(known("plain"), draws, number, fresh=True)


@pytest.mark.slow
def test_a_command_that_waits_for_another_may_be_stopped(known: Known) -> None:
    job = known("plain")
    place = job.place()
    first = job.starter.start(place, *job.command, *LONG)
    until(lambda: (place / "leaderboard.db").exists() and "training of run 1" in held(place))
    second = job.starter.start(place, *job.command, *LONG)
    until(lambda: "training of run 1 at work since" in second.err)
    second.send(signal.SIGTERM)
    assert second.wait(20) == 143
    assert second.err.splitlines()[-1] == last_line(signal.SIGTERM)
    assert first.ended() is None
    first.send(signal.SIGTERM)
    assert first.wait(20) == 143
