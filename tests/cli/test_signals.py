"""Signals that stop a command: heard once, however often they are sent at once, and never against ``nohup``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from harness.cli import signals
from harness.cli.signals import ending, stoppable, stopped
from harness.runtime.stopping import asked_by, asked_to_stop, take_back_stop

HERE = os.getpid()


@pytest.fixture(autouse=True)
def nobody_asks() -> Iterator[None]:
    """No request stays, and no signal is ignored, as it is where ``nohup`` started the tests."""
    before = {
        number: signal.signal(number, signal.SIG_DFL) for number in map(signal.Signals.__getitem__, signals.NAMES)
    }
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    take_back_stop()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGUSR1", 138)])
def test_a_signal_asks_the_work_to_stop(name: str, code: int) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with stoppable():
        os.kill(HERE, number)
        assert asked_by() == name
    assert signal.getsignal(number) is before
    assert stopped()[0] == code


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(HERE, signal.SIGHUP)
            assert not asked_to_stop()
            os.kill(HERE, signal.SIGTERM)
            assert asked_by() == "SIGTERM"
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_is_sent_at_once_is_one_request(capfd: pytest.CaptureFixture[str]) -> None:
    with stoppable():
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
            os.kill(HERE, number)
    assert asked_by() == "SIGHUP"
    assert capfd.readouterr().err.count("again ends at once") == 1


def test_a_later_signal_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "SAME_S", -1.0)
    sent: list[tuple[int, object]] = []
    with stoppable():
        os.kill(HERE, signal.SIGTERM)
        with monkeypatch.context() as patched:  # else this process would end
            patched.setattr(os, "kill", lambda process, number: sent.append((number, signal.getsignal(number))))
            signal.raise_signal(signal.SIGTERM)
    assert sent == [(signal.SIGTERM, signal.SIG_DFL)]


def test_a_hangup_stops_a_command_whose_terminal_is_gone() -> None:
    script = (
        "import os, signal\n"
        "from harness.cli.signals import stoppable\n"
        "from harness.runtime.stopping import asked_by\n"
        "os.close(2)\n"
        "with stoppable():\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "print(asked_by())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "SIGHUP")


def test_what_is_logged_of_an_interrupt_is_not_printed_and_all_else_is() -> None:
    """SQLAlchemy logs what interrupts it while it closes a connection, and raises it again."""
    program = (
        "import logging\n"
        "from harness.cli.signals import ending\n"
        "def log(error):\n"
        "    try:\n"
        "        raise error\n"
        "    except BaseException:\n"
        "        logging.getLogger('sqlalchemy.pool').error('while closing', exc_info=True)\n"
        "with ending():\n"
        "    log(KeyboardInterrupt())\n"
        "    log(ValueError('a fault'))\n"
        "    logging.getLogger('sqlalchemy.pool').error('a word')\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr
    assert [line for line in told.splitlines() if not line.startswith(" ")] == [
        *("while closing", "Traceback (most recent call last):", "ValueError: a fault", "a word")
    ]


class InterruptedWhenDropped:
    """Ctrl-C comes while it is destroyed, where Python drops what the signal's handler raises."""

    def __del__(self) -> None:
        os.kill(HERE, signal.SIGINT)
        time.sleep(0)  # here the handler is called


def test_an_interrupt_that_python_drops_comes_again(capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.unraisablehook

    def work() -> None:
        InterruptedWhenDropped()
        for _ in range(2000):
            time.sleep(0.01)

    with ending(), pytest.raises(KeyboardInterrupt):
        work()
    assert capfd.readouterr().err == ""
    assert sys.unraisablehook is before


def test_what_else_a_destructor_raises_is_told_as_before() -> None:
    class Faulty:
        def __del__(self) -> None:
            raise ZeroDivisionError

    with pytest.MonkeyPatch.context() as patch:
        told: list[type[BaseException] | None] = []
        patch.setattr(sys, "unraisablehook", lambda found: told.append(found.exc_type))
        with ending():
            Faulty()
    assert told == [ZeroDivisionError]


def test_an_interrupt_that_was_dropped_at_the_end_disturbs_nothing_after_it() -> None:
    with ending():
        InterruptedWhenDropped()
    time.sleep(5 * signals._AGAIN_S)
