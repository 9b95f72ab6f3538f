"""Which cluster is joined, what it has room for, and which workers are refused."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.errors import HarnessError, SettingError
from harness.execution.executors.cluster import capacity, connection, software
from harness.execution.executors.cluster.capacity import Capacity
from harness.execution.executors.cluster.connection import AUTO, Resources, answering, connect
from harness.execution.executors.cluster.software import CODE, code_digest, refuse_other_software
from harness.execution.executors.cluster.stop import follow
from harness.execution.executors.placement import OnCluster
from harness.runtime.stopping import ask_to_stop, asked_to_stop, take_back_stop
from tests.harness.execution.executors.cluster.sendable import training

SMALL = Resources(cores=5, devices=2, widest=3, free_cores=1, free_devices=0)


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address at which nothing answers; no cluster runs on this machine."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


@pytest.fixture
def somebody() -> Iterator[str]:
    """An address at which something answers as a cluster does."""
    with _answering(b"\0\0\0\4\0\0\0\0\0") as address:
        yield address


@contextlib.contextmanager
def _answering(said: bytes) -> Iterator[str]:
    """An address at which each who comes gets these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as one:

        def answer() -> None:
            with contextlib.suppress(OSError):  # it is closed at the end
                while True:
                    comer, _ = one.accept()
                    open_ones.append(comer)
                    comer.sendall(said)

        open_ones: list[socket.socket] = []
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"127.0.0.1:{one.getsockname()[1]}"
        one.shutdown(socket.SHUT_RDWR)
        thread.join()
        for comer in open_ones:
            comer.close()


class TestAddresses:
    def test_a_silent_one_is_told_with_the_time_that_it_was_given(self, nobody: str) -> None:
        with pytest.raises(HarnessError) as told:
            connect(nobody)
        assert str(told.value) == (
            f"--ray-address {nobody}: no Ray cluster answers there (Connection refused; it was given 10 s); check the"
            " address, and that `ray start --head` has run there"
        )

    @pytest.mark.parametrize(
        ("said", "why"), [(b"", "timed out"), (b"HTTP/1.0 400 Bad", "what is there is no head of")]
    )
    def test_what_is_no_head_is_refused_and_not_tried_for_minutes(
        self, said: bytes, why: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "_ANSWER_S", 0.3)
        with _answering(said) as address, pytest.raises(HarnessError, match=f"no Ray cluster answers there .{why}"):
            connect(address)

    def test_another_cluster_than_the_one_that_is_joined_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        joined = SimpleNamespace(gcs_address="192.0.2.1:6379")
        monkeypatch.setattr("ray.is_initialized", lambda: True)
        monkeypatch.setattr("ray.get_runtime_context", lambda: joined)
        for same in (None, AUTO, "192.0.2.1:6379", "127.0.0.1:6379"):
            connect(same)
        for other in ("192.0.2.2:6379", "192.0.2.1:6380"):
            with pytest.raises(SettingError, match=r"this process is connected to the Ray cluster at 192.0.2.1:6379"):
                connect(other)

    @pytest.mark.parametrize(
        "address", ["host", "host:", ":6379", "host:0", "host:70000", "ray://host:10001", "host:a"]
    )
    def test_one_that_is_none_is_refused_with_an_example(self, address: str) -> None:
        with pytest.raises(SettingError, match=r"^--ray-address .* is refused: (write auto|name HOST:PORT)"):
            connect(address)

    def test_auto_needs_a_cluster_on_this_machine(self, nobody: str) -> None:
        with pytest.raises(
            HarnessError, match="no Ray cluster runs on this machine; start one with `ray start --head`"
        ):
            connect(AUTO)

    def test_a_note_of_a_cluster_that_has_ended_does_not_count(
        self, nobody: str, somebody: str, tmp_path: Path
    ) -> None:
        (tmp_path / "ray").mkdir()
        note = tmp_path / "ray" / "ray_current_cluster"
        note.write_text(nobody)
        assert answering(None) is None
        note.write_text(f"{somebody}\n")
        assert answering(None) == answering(AUTO) == answering(somebody) == somebody

    def test_the_variable_of_ray_counts(self, nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAY_ADDRESS", nobody)
        with pytest.raises(HarnessError, match=f"--ray-address {nobody}: no Ray cluster answers there"):
            connect(None)

    def test_without_ray_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
        with pytest.raises(SettingError, match=r"pip install 'robustness-harness\[ray\]'"):
            connect(None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time and the resources that ``Capacity`` sees."""
    now = SimpleNamespace(s=0.0, has=SMALL, head=True)
    monkeypatch.setattr(f"{capacity.__name__}.time.monotonic", lambda: now.s)
    monkeypatch.setattr(capacity, "resources", lambda: now.has)
    monkeypatch.setattr(capacity, "head_answers", lambda: now.head)
    return now


class TestCapacity:
    @pytest.mark.parametrize(
        ("threads", "most", "needs", "room", "wanted"),
        [(1, None, 1, 5, 6), (2, None, 2, 2, 3), (8, None, 3, 1, 2), (1, 4, 1, 4, 4), (1, 9, 1, 5, 9)],
    )
    def test_cores(
        self,
        threads: int,
        most: int | None,
        needs: float,
        room: int,
        wanted: int,
        clock: SimpleNamespace,
        tmp_path: Path,
    ) -> None:
        there = Capacity(most, 0)
        assert there.needs(training(tmp_path, threads=threads)) == {"num_cpus": needs, "num_gpus": 0.0}
        assert (there.room(), there.wanted()) == (room, wanted)

    @pytest.mark.parametrize(("per_device", "room"), [(1, 2), (3, 6)])
    def test_devices(self, per_device: int, room: int, clock: SimpleNamespace, tmp_path: Path) -> None:
        there = Capacity(None, per_device)
        work = training(tmp_path, device=torch.device("cuda"))
        assert there.needs(work) == {"num_cpus": 0.0, "num_gpus": pytest.approx(1 / per_device)}
        assert there.room() == room

    def test_it_grows_and_shrinks_with_the_cluster(self, clock: SimpleNamespace) -> None:
        there = Capacity(None, 0)
        assert there.room() == 5
        clock.has = replace(SMALL, cores=0.0)
        assert there.room() == 5
        clock.s = 3.0
        assert (there.room(), there.wanted()) == (0, 1)

    def test_a_head_that_is_gone_ends_the_command_and_one_that_starts_anew_does_not(
        self, clock: SimpleNamespace
    ) -> None:
        there = Capacity(None, 0)
        for s, clock.head in ((0.0, True), (10.0, False), (30.0, False), (39.0, False), (45.0, True), (50.0, False)):
            clock.s = s
            assert there.room() == 5  # as before
        clock.s = 81.0
        with pytest.raises(HarnessError, match="the head of the Ray cluster has not answered for 30 s: start"):
            there.room()

    def test_waiting_is_told_after_a_while_and_again_when_it_changes(
        self, clock: SimpleNamespace, tmp_path: Path
    ) -> None:
        there, waiting = Capacity(None, 0), [training(tmp_path)]
        told = []
        for s, has, running in (
            (0.0, SMALL, 0),
            (9.0, SMALL, 0),
            (11.0, SMALL, 0),
            (12.0, SMALL, 0),
            (20.0, replace(SMALL, cores=0, free_cores=0), 0),
            (300.0, replace(SMALL, cores=0, free_cores=0), 0),
            (630.0, replace(SMALL, cores=0, free_cores=0), 0),
            (640.0, SMALL, 1),
            (645.0, SMALL, 0),
            (654.0, SMALL, 0),
            (656.0, SMALL, 0),
        ):
            clock.s, clock.has = s, has
            told += [(s, text.partition(":")[0]) for text in there.remarks(waiting, running)]
        full = "the cluster has 5 cores, of which 1 are free"
        gone = "the cluster has 0 cores, of which 0 are free"
        assert told == [(11.0, full), (20.0, gone), (630.0, gone), (656.0, full)]


class TestSoftware:
    def test_the_same_is_taken(self) -> None:
        refuse_other_software(software.software(), mixed=False)

    def test_other_code_is_refused_naming_both(self) -> None:
        other = software.software() | {CODE: "f" * 64}
        for mixed in (False, True):
            with pytest.raises(HarnessError, match=f"code {code_digest()[:12]}, and this command has ffffffffffff:"):
                refuse_other_software(other, mixed=mixed)

    def test_another_torch_is_refused_unless_versions_may_be_mixed(self) -> None:
        other = software.software() | {"torch": "1.0"}
        with pytest.raises(
            HarnessError, match=f"other versions: torch {torch.__version__.partition('+')[0]}.* there, 1.0"
        ):
            refuse_other_software(other, mixed=False)
        refuse_other_software(other, mixed=True)

    def test_the_digest_sees_each_file_that_decides_a_figure(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "harness" / "deep").mkdir(parents=True)
        (tmp_path / "linked").mkdir()
        (tmp_path / "harness" / "methods").symlink_to(tmp_path / "linked")
        monkeypatch.setattr(software, "ENGINE", tmp_path / "harness")
        found = {code_digest()}
        for place in ("harness/a.py", "harness/deep/b.toml", "linked/sat.py", "harness/c.json"):
            (tmp_path / place).write_text("x = 1\n")
            found.add(code_digest())
        assert len(found) == 5
        (tmp_path / "harness" / "a.py").write_text("x = 2\n")
        found.add(code_digest())
        (tmp_path / "harness" / "a.py").rename(tmp_path / "harness" / "b.py")
        found.add(code_digest())
        assert len(found) == 7
        (tmp_path / "harness" / "page.html").write_text("no figure")
        (tmp_path / "harness" / "b.py").write_bytes(b"x = 2\r\n")  # as on Windows
        assert code_digest() in found


def test_a_worker_s_next_command_does_not_stop_for_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[Any] = []
    monkeypatch.setattr("harness.execution.executors.cluster.stop._followed", [])
    monkeypatch.setattr("harness.execution.executors.cluster.stop._wait_for", lambda *what: waited.append(what))
    follow("first", "sign 1")
    ask_to_stop()
    follow("first", "sign 1")
    assert asked_to_stop()
    follow("second", "sign 2")
    assert not asked_to_stop()
    assert waited == [("first", "sign 1"), ("second", "sign 2")]
    take_back_stop()


def test_a_network_on_several_devices_is_refused() -> None:
    with pytest.raises(SettingError, match="--devices-per-run is refused beside --executor ray"):
        OnCluster().together((torch.device("cpu"),) * 2)
