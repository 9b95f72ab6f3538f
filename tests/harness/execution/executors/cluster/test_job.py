"""A command that is handed over: what the cluster is given, and what is refused."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from harness.cli.detached import _words
from harness.errors import HarnessError, SettingError
from harness.execution.executors.cluster import job
from harness.execution.executors.cluster.job import submitted

WORDS = ["run", "sat", "--set", "name=a b", "--executor", "ray"]


class Client:
    """A cluster that takes jobs; each is in these states one after the other."""

    states: tuple[str, ...] = ("RUNNING",)
    said = ""
    refusals: ClassVar[list[str]] = []

    def __init__(self, address: str) -> None:
        self.address, self.left = address, list(self.states)

    def submit_job(self, *, entrypoint: str) -> str:
        if self.refusals:
            raise RuntimeError(f"Request failed with status code 500: {self.refusals.pop(0)}.")
        given.append((self.address, entrypoint))
        return "raysubmit_1"

    def get_job_status(self, _job: str) -> Any:
        return SimpleNamespace(value=self.left.pop(0))

    def get_job_logs(self, _job: str) -> str:
        return self.said

    def get_job_info(self, _job: str) -> Any:
        return SimpleNamespace(message="its folder is not there")


given: list[tuple[str, str]] = []


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    given.clear()
    monkeypatch.setattr("ray.job_submission.JobSubmissionClient", Client)
    monkeypatch.setattr(job, "answering", lambda address: address)
    monkeypatch.setattr(job, "_LOOK_S", 0.0)
    monkeypatch.setattr(job, "_ANSWER_S", 0.3)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_the_command_runs_in_this_folder_with_this_python_and_these_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := tmp_path / "my runs").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HARNESS_HOST", "it's mine")
    monkeypatch.setenv("OTHER", "no")
    assert submitted(WORDS, "head:6379") == "raysubmit_1"
    ((address, entrypoint),) = given
    assert address == "head:6379"
    assert "OTHER" not in entrypoint
    words = shlex.split(entrypoint)
    assert words[-10:] == ["-m", "harness", *WORDS, "--ray-address", "$RAY_ADDRESS"]
    assert words[words.index("-m") - 1] == sys.executable
    shown = entrypoint.replace(shlex.join([sys.executable, "-m", "harness", *WORDS]), "sh -c 'pwd; echo $HARNESS_HOST'")
    told = subprocess.run(
        ["sh", "-c", shown], capture_output=True, text=True, check=True, cwd="/", env={"PATH": "/bin"}
    )
    assert told.stdout == f"{folder}\nit's mine\n"


@pytest.mark.parametrize("where", ["a word", "a variable"])
def test_a_secret_is_refused_and_not_shown(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address = "postgresql+psycopg://me:correct-horse@host/board"
    monkeypatch.setenv("HARNESS_DB", address if where == "a variable" else "board.db")
    with pytest.raises(SettingError, match="may have a secret") as refused:
        submitted([*WORDS, "--db", address if where == "a word" else "board.db"], "head:6379")
    assert "correct-horse" not in str(refused.value)
    assert given == []


def test_without_a_cluster_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "answering", lambda _address: None)
    with pytest.raises(HarnessError, match="--detach: no Ray cluster runs on this machine; start one"):
        submitted(WORDS, None)


def test_a_dashboard_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_address: str) -> Client:
        raise ConnectionError("Failed to connect to Ray at address")

    monkeypatch.setattr("ray.job_submission.JobSubmissionClient", silent)
    with pytest.raises(HarnessError, match=r"no dashboard of a Ray cluster answers .*Failed to connect"):
        submitted(WORDS, "head:6379")


NO_AGENT = "No available agent to submit job, please try again later"


def test_a_cluster_that_began_just_now_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "refusals", [NO_AGENT, NO_AGENT])
    assert submitted(WORDS, "head:6379") == "raysubmit_1"
    assert len(given) == 1


@pytest.mark.parametrize(("reason", "agent_s", "left"), [("no such job", 60.0, 1), (NO_AGENT, 0.0, 1)])
def test_another_refusal_and_one_that_stays_are_told(
    reason: str, agent_s: float, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "refusals", [reason, reason])
    monkeypatch.setattr(job, "_AGENT_S", agent_s)
    with pytest.raises(HarnessError, match=reason):
        submitted(WORDS, "head:6379")
    assert len(Client.refusals) == left
    assert given == []


@pytest.mark.parametrize("how", ["--ray-address", "RAY_ADDRESS"])
def test_a_dashboard_that_says_nothing_is_not_waited_for_for_ever(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address if how == "RAY_ADDRESS" else "")
        with pytest.raises(HarnessError, match=f"{address} was given 0.3 s: TimeoutError"):
            submitted(WORDS, address if how == "--ray-address" else None)
    assert given == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [("no colour\nharness: --db is refused\n", "harness: --db is refused"), ("", "its folder is not there")],
)
def test_a_job_that_ends_at_once_is_told(said: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "states", ("PENDING", "PENDING", "FAILED"))
    monkeypatch.setattr(Client, "said", said)
    with pytest.raises(HarnessError, match=f"the job raysubmit_1 ended at once: {reason}"):
        submitted(WORDS, "head:6379")


@pytest.mark.parametrize(
    "typed",
    [
        ["run", "sat", "--detach", "--ray-address", "a:1", "--seeds", "5"],
        ["run", "--ray-address=a:1", "sat", "--seeds", "5", "--detach"],
    ],
)
def test_the_job_hands_nothing_over_itself_and_works_on_its_own_cluster(typed: list[str]) -> None:
    assert list(_words(typed)) == ["run", "sat", "--seeds", "5"]
