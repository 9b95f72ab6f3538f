"""Work on a Ray cluster: the results of one machine, whatever dies, stops, or is missing."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from harness.store.store import Store
from tests.cluster.machines import Machines
from tests.dying.started import Started, Starter, until

pytestmark = pytest.mark.slow

RUN = "--dataset digits --arch smallcnn --seeds 2 --limit 40 --db board.db"
METHOD = '''
"""Adversarial training that tells where it works, and does what a note says in the third epoch."""
import os, time
from dataclasses import dataclass
from pathlib import Path
import ray
from torch import Tensor
from torch.nn import functional as F
import harness
from harness.plugin.method import Method, Step
from harness.runtime.stopping import asked_to_stop

NOTES = Path(os.environ.get("TESTED", "/nowhere"))


@dataclass(frozen=True)
class Told(Method):
    """Told."""

    def loss(self, step: Step) -> Tensor:
        if "TESTED" in os.environ:  # on a worker
            (NOTES / ("note-" + "node")).write_text(ray.get_runtime_context().get_node_id())
            (NOTES / ("note-" + "code")).write_text(harness.__file__ + " " + __file__)
            while step.progress > 0.5 and (NOTES / ("note-" + "wait")).exists():
                time.sleep(0.05)
                if asked_to_stop():
                    (NOTES / ("note-" + "heard")).touch()
            if step.progress > 0.5 and (NOTES / ("note-" + "die")).exists():
                with (NOTES / ("note-" + "deaths")).open("a") as deaths:
                    deaths.write("x")
                os._exit(1)
        return F.cross_entropy(step.model(step.x), step.y)
'''
TOLD = f"run told --plugin told.py --epochs 4 --attacks natural --no-checks {RUN}"
Note = Callable[[str], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "told.py").write_text(METHOD)
    return tmp_path


@pytest.fixture(scope="module")
def uninterrupted(commands: Starter, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of ``TOLD`` on this machine."""
    whole = tmp_path_factory.mktemp("whole")
    (whole / "told.py").write_text(METHOD)
    ended(commands.start(whole, *TOLD.split()))
    found = results(whole / "board.db")
    assert len(found) == 4
    return found


@pytest.fixture
def one(cluster: Machines) -> str:
    """A machine with one core."""
    return cluster.add(num_cpus=1)


@pytest.fixture
def on_cluster(cluster: Machines, commands: Starter, folder: Path) -> Callable[..., Started]:
    """Starts a command whose work is done on the cluster."""

    def start(command: str, **options: Any) -> Started:
        words = [*command.split(), "--executor", "ray", "--ray-address", cluster.address]
        return commands.start(folder, *words, **options)

    return start


def ended(command: Started, code: int = 0) -> str:
    """What a command wrote on standard error; its exit code must be this one."""
    assert command.wait() == code, command.err
    assert "Traceback" not in command.err
    return command.err


def results(database: Path) -> dict[str, Any]:
    """What was computed, by its identity: weights, losses, verdicts, findings."""
    store = Store.read(str(database))
    found: dict[str, Any] = {}
    for run in store.runs():
        found[run.identity] = [(epoch.epoch, epoch.loss, epoch.diagnostics) for epoch in run.epochs]
        for checkpoint in run.checkpoints:
            found[f"{run.identity} {checkpoint.name}"] = checkpoint.sha256
            for one in checkpoint.evaluations:
                name = f"{run.identity} {checkpoint.name} {one.attack} {one.seed} {json.dumps(one.settings)}"
                found[name] = store.verdicts(one.id)
            for examined in checkpoint.examinations:
                found[f"{run.identity} {checkpoint.name} {json.dumps(examined.settings)}"] = examined.findings
    store.close()
    return found


def test_a_sweep_is_the_same_on_every_executor(
    cluster: Machines, commands: Starter, on_cluster: Callable[..., Started], folder: Path
) -> None:
    there = [cluster.add(num_cpus=1) for _ in range(2)]
    sweep = f"run sat lrat --wrap ema --epochs 2 --attacks pgd,cw {RUN}"
    ended(on_cluster(sweep))
    for name in there:
        cluster.remove(name)
    one, several = folder / "one", folder / "several"
    for place, workers in ((one, "1"), (several, "3")):
        place.mkdir()
        ended(commands.start(place, *sweep.split(), "--workers", workers))
    found = results(folder / "board.db")
    assert len(found) == 18
    assert found == results(one / "board.db") == results(several / "board.db")
    files = {file.relative_to(folder): file.read_bytes() for file in sorted(folder.glob("runs/*/*.safetensors"))}
    assert len(files) == 4
    assert files == {file.relative_to(one): file.read_bytes() for file in sorted(one.glob("runs/*/*.safetensors"))}
    again = ended(on_cluster(sweep))
    assert "harness: " not in again
    assert "trained to epoch" not in again


def test_the_work_of_a_machine_that_dies_goes_on_elsewhere_from_its_last_state(
    cluster: Machines, uninterrupted: dict[str, Any], on_cluster: Callable[..., Started], note: Note, folder: Path
) -> None:
    there = {cluster.add(num_cpus=1) for _ in range(2)}
    note("wait").touch()
    command = on_cluster(f"{TOLD} --json")
    _until_two_epochs_are_home(command, folder)
    first = note("node").read_text()
    cluster.remove(first)
    there.remove(first)
    note("wait").unlink()
    err = ended(command)
    assert "the machine of its worker left the cluster: training of run 1 is done again" in err
    assert "raylet" not in err
    assert json.loads(command.out)["method"] == "told"  # nothing but results stands there
    assert {note("node").read_text()} == there
    (log,) = folder.glob("runs/*/log.txt")
    assert "resume after epoch 2" in log.read_text()
    _equal_to_an_uninterrupted_one(uninterrupted, folder)
    harness, plugin = note("code").read_text().split()
    assert "py_modules" in harness  # what the command has travelled with the work
    assert Path(plugin).name == "told.py"
    assert str(folder) in plugin
    assert not plugin.startswith(str(folder))


def test_an_item_whose_worker_dies_three_times_is_given_up_and_the_rest_is_done(
    one: str, uninterrupted: dict[str, Any], on_cluster: Callable[..., Started], note: Note, folder: Path
) -> None:
    note("die").touch()
    err = ended(on_cluster(TOLD.replace("told", "told standard", 1)), 1)
    assert "harness: training of run 1 was given up: its worker process ended; so did 2 before it; the same" in err
    assert note("deaths").read_text() == "xxx"
    store = Store.read(str(folder / "board.db"))
    runs = store.runs()
    assert [store.states(runs)[run.id].state for run in runs] == ["lost", "done"]
    assert len(runs[0].epochs) <= 2  # what a worker says in its last moments may not come home
    store.close()
    note("die").unlink()
    ended(on_cluster(TOLD))
    _equal_to_an_uninterrupted_one(uninterrupted, folder)


def test_an_item_that_takes_too_long_is_given_up_and_the_rest_is_done(
    one: str, on_cluster: Callable[..., Started], note: Note, folder: Path
) -> None:
    note("wait").touch()
    err = ended(on_cluster(f"{TOLD.replace('told', 'told standard', 1)} --time-limit 0.7"), 1)
    assert "training of run 1 was given up: it took more than 0.7 minutes, and was ended; the same command" in err
    store = Store.read(str(folder / "board.db"))
    runs = store.runs()
    assert [store.states(runs)[run.id].state for run in runs] == ["lost", "done"]
    store.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_a_command_that_is_killed_or_stopped_goes_on(
    number: int,
    code: int,
    one: str,
    uninterrupted: dict[str, Any],
    on_cluster: Callable[..., Started],
    note: Note,
    folder: Path,
) -> None:
    note("wait").touch()
    command = on_cluster(TOLD)
    _until_two_epochs_are_home(command, folder)
    command.send(number)
    if number == signal.SIGTERM:
        until(note("heard").exists)  # by the worker, which would else be done before
    note("wait").unlink()
    err = ended(command, code)
    (log,) = folder.glob("runs/*/log.txt")
    if number == signal.SIGTERM:
        assert "the same command goes on" in err
        assert "epoch 4" not in log.read_text()
    ended(on_cluster(TOLD))
    assert "resume after epoch" in log.read_text()
    _equal_to_an_uninterrupted_one(uninterrupted, folder)


def test_a_full_cluster_makes_the_command_wait_and_say_so(
    cluster: Machines, on_cluster: Callable[..., Started], folder: Path
) -> None:
    command = on_cluster(f"run standard --epochs 1 --attacks natural --no-checks {RUN}")
    until(lambda: "the cluster has 0 cores, of which 0 are free: 1 item(s) wait for a place there" in command.err)
    cluster.add(num_cpus=1)
    ended(command)
    assert len(results(folder / "board.db")) == 4


def test_runs_and_weights_files_are_attacked_there(
    one: str, commands: Starter, on_cluster: Callable[..., Started], folder: Path
) -> None:
    ended(commands.start(folder, *f"run standard --epochs 1 --attacks natural --no-checks {RUN}".split()))
    (file,) = folder.glob("runs/*/last.safetensors")
    save_file(load_file(file), folder / "own.safetensors")  # without the settings of the run
    (folder / "local.db").write_bytes((folder / "board.db").read_bytes())
    options = "--attacks pgd --no-checks --seeds 2 --limit 40"
    own = f"evaluate own.safetensors --arch smallcnn --dataset digits --name own {options}"
    for command in (f"evaluate 1:last {options}", own):
        ended(on_cluster(f"{command} --db board.db"))
        ended(commands.start(folder, *f"{command} --db local.db".split()))
    found = _verdicts(folder / "board.db")
    assert len(found) == 6  # of the run and of the file: without an attack, and two seeds
    assert found == _verdicts(folder / "local.db")


def test_a_worker_without_the_device_that_ray_gives_it_is_refused(
    cluster: Machines, on_cluster: Callable[..., Started], folder: Path
) -> None:
    cluster.add(num_cpus=1, num_gpus=1)
    err = ended(on_cluster(f"run standard --epochs 1 --attacks natural --no-checks {RUN}"), 2)
    assert "was given a CUDA device, and its torch" in err


def test_a_plugin_that_a_worker_cannot_import_is_named_in_one_line(
    one: str, on_cluster: Callable[..., Started], folder: Path
) -> None:
    (folder / "library").mkdir()
    (folder / "library" / "onlyhere.py").write_text("HERE = 1\n")
    text = METHOD.replace("import harness\n", "import harness\nname = 'onlyhere'\n__import__(name[:4] + name[4:])\n")
    (folder / "told.py").write_text(text)
    err = ended(on_cluster(TOLD, more={"PYTHONPATH": str(folder / "library")}), 2)
    (line,) = [line for line in err.splitlines() if line.startswith("harness: ")]
    assert "'told' cannot be used" in line
    assert "No module named 'onlyhere'" in line


def _until_two_epochs_are_home(command: Started, folder: Path) -> None:
    def happened() -> bool:
        assert command.ended() is None, command.err
        return len(list(folder.glob("runs/*/state-before.pt"))) == 1

    until(happened)


def _verdicts(database: Path) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(database)) as opened:
        question = "SELECT sha256, attack, seed, verdicts FROM blocks JOIN evaluations JOIN checkpoints"
        on = "ON evaluation_id = evaluations.id AND checkpoint_id = checkpoints.id ORDER BY 1, 2, 3"
        return opened.execute(f"{question} {on}").fetchall()


def _equal_to_an_uninterrupted_one(found: dict[str, Any], folder: Path) -> None:
    mine = results(folder / "board.db")
    assert {name: mine[name] for name in found} == found
