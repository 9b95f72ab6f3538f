"""Whether a process is dead for certain: never a live one, whatever the system hides or the database says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.runtime import worker
from harness.runtime.worker import Worker, is_dead, this_worker

HERE = this_worker()
pytestmark = pytest.mark.skipif(" since " not in HERE.process, reason="the system tells no start of a process")


def of(number: object) -> Worker:
    """This process, under another number."""
    return Worker(HERE.host, HERE.process.replace(str(os.getpid()), str(number), 1))


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError])  # hidepid=2, and hidepid=1
def test_a_live_process_that_the_system_hides_is_not_dead(
    error: type[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_text

    def hidden(path: Path, *arguments: object, **named: object) -> str:
        if path.name == "stat":
            raise error(path)
        return read(path, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", hidden)
    assert not is_dead(HERE)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    assert is_dead(of(ended.pid))


def test_a_process_of_another_user_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_number: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(worker, "_started", lambda number: Path(f"/nowhere/{number}").read_text())
    monkeypatch.setattr(os, "kill", refuse)
    assert not is_dead(HERE)


def test_a_process_that_waits_for_its_parent_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        began = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
        there = Worker(HERE.host, f"{child.pid} since {began} in {HERE.process.partition(' in ')[2]}")
        assert not is_dead(there)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(there)


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 19, "0", "-1", "٣", "1_0"])
def test_a_number_from_elsewhere_is_no_crash(number: str) -> None:
    is_dead(of(number))  # nothing is raised, and no group of processes is asked


def test_where_the_system_does_not_tell_its_boot_nothing_is_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_machine", lambda: "")
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("on Windows this would end the process"))
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    for process in (f"{ended.pid} since 1 in ", f"{ended.pid} since 1", str(ended.pid)):
        assert not is_dead(Worker("any", process))
