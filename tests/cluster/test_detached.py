"""``--detach``: the command is checked here, handed to the cluster, and works there without this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.store.store import Store
from tests.cluster.machines import Machines, machines
from tests.dying.started import Started, Starter, until

pytestmark = pytest.mark.slow

RUN = "run standard --dataset digits --arch smallcnn --epochs 1 --seeds 1 --limit 40 --attacks natural --no-checks"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A cluster with a dashboard, which takes jobs."""
    pytest.importorskip("ray")
    with machines(tmp_path_factory.mktemp("cluster"), dashboard=True) as made:
        made.add(num_cpus=1)
        yield made


@pytest.fixture
def detached(cluster: Machines, commands: Starter, tmp_path: Path) -> Callable[[str], Started]:
    """Hands a command over from a folder of its own; gives the command that did so."""

    def start(command: str) -> Started:
        words = f"{command} --executor ray --detach --ray-address {cluster.address} --db board.db"
        return commands.start(tmp_path, *words.split(), more={"HARNESS_HOST": "handed over"})

    return start


def test_the_command_works_on_the_cluster_and_is_followed_in_the_store(
    detached: Callable[[str], Started], tmp_path: Path
) -> None:
    command = detached(f"{RUN} --json")
    assert command.wait() == 0, command.err
    assert json.loads(command.out)["job"].startswith("raysubmit_")

    def whole() -> bool:
        store = Store.read(str(tmp_path / "board.db"))
        found = [one for run in store.runs() for point in run.checkpoints for one in point.evaluations if one.complete]
        store.close()
        return len(found) == 1

    until(whole)
    store = Store.read(str(tmp_path / "board.db"))
    (run,) = store.runs()
    assert len(list(tmp_path.glob("runs/*/last.safetensors"))) == 1
    worker = store.states([run])[run.id].worker
    assert worker is not None
    assert worker.host == "handed over"
    store.close()
    again = detached(RUN)
    assert again.wait() == 0, again.err
    assert "nothing is missing, and nothing was handed over" in again.out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--arch nosuch", "unknown network 'nosuch'"),
        ("--set train.lr=fast", "lr=fast is refused"),
        ("--data-dir postgresql://me:correct-horse@host/db", "may have a secret"),
    ],
)
def test_a_mistake_is_told_here_and_nothing_is_handed_over(
    options: str, reason: str, detached: Callable[[str], Started], tmp_path: Path
) -> None:
    command = detached(f"{RUN} {options}")
    assert command.wait() == 2
    (line,) = [line for line in command.err.splitlines() if line.startswith("harness: ")]
    assert reason in line
    assert "correct-horse" not in command.err + command.out
    assert list(tmp_path.iterdir()) == []
