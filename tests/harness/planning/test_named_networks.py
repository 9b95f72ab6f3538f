"""Settings that name networks: found in the store or in a file, told by their weights, refused, given to a worker."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from harness.cli.named_weights import named_weights
from harness.errors import HarnessError, SettingError
from harness.events import CheckpointDone, Event
from harness.execution.executors.cluster.parcel import Packer
from harness.execution.executors.cluster.unpacked import unpacked
from harness.execution.work import TrainWork
from harness.identity import digest
from harness.methods.ard import ARD
from harness.methods.lbgat import LBGAT
from harness.planning.grid_jobs import resolve_grid
from harness.planning.missing import find_missing
from harness.planning.run_job import RunJob
from harness.protocols.run_spec import RunSpec
from harness.store.folders import run_folder
from harness.store.records import DatasetRecord
from harness.store.store import Store
from harness.training.checkpoints import save_weights
from harness.training.loop import initial_model
from tests.harness.planning.asked import DIGITS, job, refusal
from tests.stores import see_protocol, start

SMALL = ("width=2", "train.epochs=1", "train.steps=1", "train.batch_size=720")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A store with networks of the digits: 1 and 2 are done, 3 is not; 4 is of other images."""
    folder = tmp_path_factory.mktemp("place")
    one = job(*SMALL, methods=("standard",))
    store = Store.write(str(folder / "results.db"))
    see_protocol(store, {}, one.specs[0].training)
    for seed, others in ((0, False), (1, False), (2, False), (3, True)):
        images = "0" * 64 if others else one.dataset.fingerprint
        spec = replace(one.specs[0], train_seed=seed, dataset_fingerprint=images)
        data = one.dataset
        shape = data.shape
        record = DatasetRecord("digits", spec.dataset_fingerprint, len(data.train), len(data.test), *shape)
        run = start(store, spec, record)
        (directory := run_folder(folder / "runs", run)).mkdir(parents=True)
        for name, epoch in (("early", 1), ("last", 2)):
            weights = initial_model(one.network, shape, 10 * seed + epoch).state_dict()
            store.add_checkpoint(run.id, name, epoch, save_weights(directory, name, weights, spec, epoch))
        if seed != 2:
            store.end_run(run.id)
    store.close()
    return {"db": str(folder / "results.db"), "runs_dir": folder / "runs"}


def ard(place: dict[str, Any], teacher: str, *values: str) -> RunJob:
    return job(f"teacher={teacher}", *SMALL, *values, methods=("ard",), **place)


def kept(place: dict[str, Any], number: int, name: str = "last") -> tuple[str, Path]:
    """The hash of a checkpoint, and its file."""
    store = Store.read(place["db"])
    run = store.run(number)
    store.close()
    found = run.checkpoint(name)
    assert found is not None
    return found.sha256, run_folder(place["runs_dir"], run) / f"{name}.safetensors"


def test_however_a_teacher_is_named_it_is_one_run_told_by_its_weights(place: dict[str, Any], tmp_path: Path) -> None:
    sha256, file = kept(place, 1)
    moved = Path(shutil.copy(file, tmp_path / "anything.bin"))
    named = [ard(place, text) for text in ("1", "1:last", sha256, sha256[:8], str(file), str(moved))]
    elsewhere = job(f"teacher={moved}", *SMALL, methods=("ard",), db=str(tmp_path / "none.db"), runs_dir=tmp_path)
    assert len({one.specs[0].identity for one in (*named, elsewhere)}) == 1
    assert {one.specs[0].method_settings["teacher"] for one in named} == {sha256}
    assert named[0].method.departures() == {"teacher": sha256[:8]}
    others = {ard(place, text).specs[0].identity for text in ("1:early", "2")}
    assert len(others | {named[0].specs[0].identity}) == 3
    assert [weights.sha256 for weights in named[0].trained] == [sha256]
    assert job(*SMALL, methods=("sat",)).trained == ()


@pytest.mark.parametrize(
    ("teacher", "told"),
    [
        ("9", "there is no run 9"),
        ("3", "run 3 is running; only a network that is trained"),
        ("1:best", "run 1 has no checkpoint 'best'; write 1:early or 1:last"),
        ("nowhere.safetensors", "there is no such run and no such file"),
        ("0123abcd", "these are the weights of no run of this database"),
        ("4", r"were trained on digits \[00000000\], and this is digits"),
        ("", "ard needs teacher, a robust network that was trained before: give --set ard.teacher=RUN"),
    ],
)
def test_a_teacher_that_cannot_be_used_is_refused_in_one_line(place: dict[str, Any], teacher: str, told: str) -> None:
    message = refusal(SettingError, methods=("ard",), values=(f"teacher={teacher}", *SMALL), **place)
    assert re.search(told, message), message


def test_files_that_are_not_a_finished_runs_are_refused(place: dict[str, Any], tmp_path: Path) -> None:
    _, unfinished = kept(place, 3)
    asked: dict[str, Any] = {"methods": ("ard",), **place}
    assert "of a run that is not done" in refusal(SettingError, values=(f"teacher={unfinished}",), **asked)
    torch.save({"weight": torch.zeros(2)}, tmp_path / "mine.pt")
    message = refusal(SettingError, values=(f"teacher={tmp_path / 'mine.pt'}",), **asked)
    assert "does not say which network it is of" in message


def test_weights_that_are_gone_matter_only_to_a_training_that_needs_them(place: dict[str, Any], tmp_path: Path) -> None:
    away = {**place, "runs_dir": tmp_path}
    store, asked = Store.read(place["db"]), ard(away, "1")
    with pytest.raises(HarnessError, match=r"the weights \w{8} of 'standard-smallcnn-digits-s0' \(last\), which this"):
        find_missing([asked], store)
    assert find_missing([ard(place, "1")], store).to_train
    store.close()


def test_a_run_shows_which_run_its_teacher_is(place: dict[str, Any]) -> None:
    (sha256, _), store = kept(place, 1, "early"), Store.read(place["db"])
    taught = replace(store.run(2), method_settings={"teacher": sha256, "alpha": 1.0, "helper": "a" * 64})
    assert named_weights(taught, store) == {
        "teacher": f"run 1, early (standard-smallcnn-digits-s0); SHA-256 {sha256[:8]}",
        "helper": "weights of no run of this database; SHA-256 aaaaaaaa",
    }
    assert named_weights(store.run(1), store) == {}
    store.close()


def test_a_network_beside_is_the_main_ones_unless_it_is_another(place: dict[str, Any]) -> None:
    def natural(*values: str) -> str:
        return cast(LBGAT, job(*values, methods=("lbgat",)).method).natural

    assert natural("natural=smallcnn") == natural() == ""  # named or not, it is one run
    assert natural("natural=smallcnn", "width=2") == "smallcnn"  # of its own width
    message = refusal(HarnessError, methods=("lbgat",), values=("natural=smallnn",))
    assert "unknown network 'smallnn'; did you mean 'smallcnn'" in message


def test_a_protocol_tells_the_teachers_of_its_wrappers_by_their_weights(place: dict[str, Any], tmp_path: Path) -> None:
    """So it is one protocol in every store, and the one that its own runs were trained under."""
    file, sha256 = tmp_path / "mine.toml", kept(place, 1)[0]

    def made(robust: str) -> RunJob:
        file.write_text(f'base = "digits"\n[wrappers.kd]\nrobust = "{robust}"\nplain = "2"\n')
        return job(*SMALL, protocol=str(file), **place)

    mine, typed = made("1"), job(*SMALL, "robust=1", "plain=2", wrap=("kd",), **place)
    assert mine.specs == typed.specs
    assert mine.protocol.wrapper_settings["kd"]["robust"] == sha256
    assert mine.protocol.fingerprint == made(sha256[:8]).protocol.fingerprint != made("2").protocol.fingerprint
    assert mine.protocol_record().trains(digest(mine.specs[0].training), mine.specs[0].wrappers)


def test_a_protocols_wrappers_are_the_innermost_of_its_runs_in_their_order(tmp_path: Path) -> None:
    (file := tmp_path / "mine.toml").write_text('base = "digits"\n[wrappers.awp]\n[wrappers.ema]\n')
    made = job(protocol=str(file), wrap=("label-smoothing",))
    record, training, (awp, ema, more) = made.protocol_record(), digest(made.specs[0].training), made.specs[0].wrappers
    assert [one["name"] for one in (awp, ema, more)] == ["awp", "ema", "label-smoothing"]
    for wrappers, held in (([awp, ema], True), ([awp, ema, more], True), ([ema, awp], False), ([awp], False)):
        assert record.trains(training, wrappers) is held
    assert not record.trains(training, [more, awp, ema])
    assert not record.trains("another", [awp, ema])


def test_a_wrapper_of_a_protocol_may_go_without_a_network(place: dict[str, Any], tmp_path: Path) -> None:
    plugin, file = tmp_path / "perhaps.py", tmp_path / "mine.toml"
    plugin.write_text(
        "from dataclasses import dataclass\nfrom typing import Annotated\nfrom typing_extensions import Doc\n"
        "from harness.plugin.given import Trained\nfrom harness.plugin.wrapper import Wrapper\n"
        '@dataclass(frozen=True, kw_only=True)\nclass Perhaps(Wrapper):\n    "Does nothing."\n'
        "    teacher: Annotated[Trained | None, Doc('a network')] = None\n"
    )
    file.write_text('base = "digits"\n[wrappers.perhaps]\n')
    made = [job(*SMALL, *more, protocol=str(file), plugins=(plugin,), **place) for more in ((), ("perhaps.teacher=1",))]
    assert [one.specs[0].wrappers[0]["settings"]["teacher"] for one in made] == [None, kept(place, 1)[0]]


def test_a_teacher_is_not_compared_with_images_that_are_not_here(place: dict[str, Any], tmp_path: Path) -> None:
    """Neither for the first combination of a grid nor for those that share its outline."""
    asked = replace(DIGITS, methods=("ard",), dataset="cifar10", data_dir=tmp_path, values=("teacher=1",), **place)
    assert len(resolve_grid(replace(asked, grid=("train.lr=0.1,0.2",)), count_only=True)) == 2


@pytest.fixture
def work(place: dict[str, Any], tmp_path: Path) -> Callable[[str], TrainWork]:
    def made(teacher: str) -> TrainWork:
        asked = ard(place, teacher)
        return TrainWork(
            spec=asked.specs[0],
            run_id=7,
            place=asked.place,
            dataset_fingerprint=asked.dataset.fingerprint,
            folder=tmp_path / "run",
            device=torch.device("cpu"),
            threads=1,
            plugins=(),
            trained=asked.trained,
        )

    return made


def weights_of(work: TrainWork) -> str:
    events: list[Event] = []
    work.folder.mkdir(parents=True, exist_ok=True)
    work.perform(events.append)
    return next(event.sha256 for event in events if isinstance(event, CheckpointDone) and event.name == "last")


def test_a_worker_trains_with_the_weights_that_are_named_here_and_on_another_machine(
    place: dict[str, Any], work: Callable[[str], TrainWork], tmp_path: Path
) -> None:
    """The same training, whose item travels to another machine where the file is not, gives the same network."""
    here = work("1")
    parcel = Packer("command", None, lambda value: value, mixed=False).parcel(here)
    file = replace(parcel.files[0], path=tmp_path / "not here" / "last.safetensors")
    with unpacked(replace(parcel, files=(file,)), lambda reference: reference) as there:
        assert isinstance(there, TrainWork)
        assert there.trained[0].file.parent == there.folder
        assert there.trained[0].file.read_bytes() == here.trained[0].file.read_bytes()
        there_sha256 = weights_of(there)
    assert weights_of(here) == there_sha256
    assert weights_of(replace(work("2"), folder=tmp_path / "other")) != there_sha256


def test_a_file_that_is_another_now_is_refused_by_the_worker(work: Callable[[str], TrainWork], tmp_path: Path) -> None:
    (tmp_path / "other.safetensors").write_bytes(b"another")
    changed = work("1")
    changed = replace(changed, trained=(replace(changed.trained[0], file=tmp_path / "other.safetensors"),))
    with pytest.raises(HarnessError, match="are not those that the store recorded"):
        weights_of(changed)


def test_the_spec_of_a_run_with_a_teacher_makes_its_method_again(place: dict[str, Any]) -> None:
    spec: RunSpec = ard(place, "1").specs[0]
    assert ARD.from_mapping(spec.method_settings).teacher == kept(place, 1)[0]
