"""What a worker makes comes home in order, and is written there if the command still holds the item."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import HarnessError, LeaseLost
from harness.events import BlockDone, CheckpointDone, Noted
from harness.execution.executors.cluster import arrivals
from harness.execution.executors.cluster.arrivals import keep, with_commit
from harness.execution.executors.cluster.courier import Courier
from harness.execution.executors.cluster.messages import FileMade, LogGrew, Message
from harness.execution.log import LOG_FILE
from harness.store.leases import Lease, LeaseGuard
from harness.training.state_file import STATE_BEFORE, STATE_FILE, read_state, write_state
from tests.harness.execution.executors.cluster.sendable import training


@pytest.fixture
def messages() -> list[Message]:
    return []


@pytest.fixture
def courier(tmp_path: Path, messages: list[Message]) -> Courier:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / STATE_FILE).write_bytes(b"the state that travelled")
    return Courier(tmp_path / "there", Path("/home/runs/one"), messages.append)


class TestTheWayHome:
    def test_a_file_comes_before_the_event_that_tells_of_it(
        self, tmp_path: Path, courier: Courier, messages: list[Message]
    ) -> None:
        there = tmp_path / "there"
        (there / "last.safetensors").write_bytes(b"weights")
        (there / STATE_BEFORE).write_bytes(b"the state that travelled")
        (there / LOG_FILE).write_bytes(b"epoch 1\n")
        event = CheckpointDone(1, "last", 1, "sha")
        courier.report(event)
        (there / STATE_FILE).unlink()
        (there / STATE_FILE).write_bytes(b"a state in another place")
        with (there / LOG_FILE).open("ab") as log:
            log.write(f"see {there}/x\n".encode())
        courier.look()
        courier.look()
        assert messages == [
            FileMade("last.safetensors", b"weights"),
            LogGrew(b"epoch 1\n"),
            event,
            LogGrew(b"see /home/runs/one/x\n"),
            FileMade(STATE_FILE, b"a state in another place"),
        ]

    def test_remarks_and_mistakes_name_the_files_at_home(
        self, tmp_path: Path, courier: Courier, messages: list[Message]
    ) -> None:
        courier.report(Noted(f"it goes to {tmp_path / 'there' / LOG_FILE}"))
        assert messages == [Noted(f"it goes to /home/runs/one/{LOG_FILE}")]
        error = HarnessError(f"{tmp_path / 'there' / STATE_FILE} is damaged")
        courier.tell_of_home(error)
        assert str(error) == f"/home/runs/one/{STATE_FILE} is damaged"

    def test_states_take_turns_as_on_one_machine(self, tmp_path: Path) -> None:
        (one := tmp_path / "one").mkdir()
        (other := tmp_path / "other").mkdir()
        for content in (b"first", b"second", b"third"):
            write_state(one, content)
            keep(training(other), FileMade(STATE_FILE, (one / STATE_FILE).read_bytes()))
        assert read_state(other / STATE_FILE) == b"third"
        assert read_state(other / STATE_BEFORE) == b"second"

    def test_nothing_is_written_for_an_item_that_another_process_has(self, tmp_path: Path) -> None:
        class Gone(LeaseGuard):
            def __call__(self) -> None:
                raise LeaseLost("training of run 1")

        work = training(tmp_path / "home", guard=Gone("", Lease("training of run 1", 1, 1)))
        for name in (STATE_FILE, "last.safetensors"):
            with pytest.raises(LeaseLost):
                keep(work, FileMade(name, b"content"))
        assert list((tmp_path / "home").iterdir()) == []

    @pytest.mark.parametrize("name", ["../outside", "/etc/passwd", ".hidden", "a/b"])
    def test_a_worker_writes_into_the_item_s_folder_alone(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(HarnessError, match="it is refused, since it is no file's name"):
            keep(training(tmp_path / "home"), FileMade(name, b"content"))
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_results_name_the_commit_of_the_code_that_travelled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(arrivals, "commit", lambda: {"commit": "abc", "dirty": False})
        done = BlockDone(1, 0, b"\1", 0.1, (), provenance={"host": "there"})
        assert with_commit(done) == replace(done, provenance={"commit": "abc", "dirty": False, "host": "there"})
        own = replace(done, provenance={"commit": "its own", "dirty": True})
        assert with_commit(own) == own
