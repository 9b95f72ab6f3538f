"""The request to stop: any thread or signal handler may make it, and it stays until it is taken back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from harness.runtime.stopping import ask_to_stop, asked_to_stop, take_back_stop


@pytest.fixture(autouse=True)
def nobody_asks() -> Iterator[None]:
    yield
    take_back_stop()


def test_a_thread_may_ask() -> None:
    assert not asked_to_stop()
    thread = threading.Thread(target=ask_to_stop)
    thread.start()
    thread.join()
    assert asked_to_stop()
    assert asked_to_stop()
    take_back_stop()
    assert not asked_to_stop()


def test_a_signal_handler_may_ask() -> None:
    before = signal.signal(signal.SIGUSR2, lambda _number, _frame: ask_to_stop())
    try:
        os.kill(os.getpid(), signal.SIGUSR2)
        assert asked_to_stop()
    finally:
        signal.signal(signal.SIGUSR2, before)
