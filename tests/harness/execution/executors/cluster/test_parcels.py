"""What travels to a worker: all that an item needs, what items share once, and no secret."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.errors import HarnessError
from harness.execution.executors.cluster import unpacked
from harness.execution.executors.cluster.parcel import Packer
from harness.execution.work import BlockWork, TrainWork
from harness.registry.catalogue import discover
from harness.registry.shipped import code_of
from harness.store.leases import Lease, LeaseGuard
from harness.targets.model import RunWeights
from harness.training.state_file import STATE_BEFORE, STATE_FILE, read_state, write_state
from tests.harness.execution.executors.cluster.sendable import Cluster, block, sent, training

SECRET = "correct-horse"
PLUGIN = '''
"""A method that reads a file beside it."""
from dataclasses import dataclass
from pathlib import Path
from torch import Tensor
from torch.nn import functional as F
from harness.plugin.method import Method, Step
from beside import SCALE

LIMITS = (Path(__file__).parent / "limits.toml").read_text()


@dataclass(frozen=True)
class Mine(Method):
    """Mine."""

    def loss(self, step: Step) -> Tensor:
        return SCALE * F.cross_entropy(step.model(step.x), step.y)
'''


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def packer(cluster: Cluster) -> Packer:
    return Packer("me", "sign", cluster.put, mixed=False)


@pytest.fixture(autouse=True)
def new_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is a worker of its own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(unpacked, "_kept", {})
    unpacked._place.cache_clear()


class TestTheWayThere:
    def test_a_training_finds_its_images_and_its_newest_whole_state(
        self, tmp_path: Path, cluster: Cluster, packer: Packer
    ) -> None:
        home = tmp_path / "home"
        home.mkdir()
        write_state(home, b"older")
        write_state(home, b"newer")
        (home / STATE_FILE).write_bytes(b"damaged" + (home / STATE_FILE).read_bytes()[7:-1])
        (home / STATE_FILE).write_bytes((home / STATE_BEFORE).read_bytes()[:-1] + b"!")
        work = training(home)
        with unpacked.unpacked(sent(packer.parcel(work)), cluster.fetch) as there:
            assert isinstance(there, TrainWork)
            assert read_state(there.folder / STATE_FILE) == b"older"
            assert there.folder != home
            dataset, own = there._dataset(), work._dataset()
            assert torch.equal(dataset.train.images, own.train.images)
            assert torch.equal(dataset.test.labels, own.test.labels)
            assert dataset.fingerprint == own.fingerprint
            assert dataset.augmentation == own.augmentation
            used = there.folder
        assert not used.exists()

    def test_no_address_and_no_password_travels(self, tmp_path: Path, packer: Packer) -> None:
        place = f"postgresql+psycopg://me:{SECRET}@host/board"
        work = training(tmp_path / "home", guard=LeaseGuard(place, Lease("training of run 1", 7, 1)))
        assert SECRET.encode() in pickle.dumps(work)
        travels = pickle.dumps(packer.parcel(work))
        assert SECRET.encode() not in travels
        assert b"postgresql" not in travels

    def test_what_items_share_is_put_once(self, tmp_path: Path, cluster: Cluster, packer: Packer) -> None:
        (file := tmp_path / "last.safetensors").write_bytes(b"weights")
        for start in range(5):
            packer.parcel(replace(block(tmp_path, file), start=start))
        assert len(cluster.held) == 2  # the images, and the weights

    def test_a_file_is_read_where_it_lies_if_it_is_the_same_there(
        self, tmp_path: Path, cluster: Cluster, packer: Packer
    ) -> None:
        (file := tmp_path / "last.safetensors").write_bytes(b"weights")
        parcel = sent(packer.parcel(block(tmp_path, file)))
        (reference,) = [one.content for one in parcel.files]
        with unpacked.unpacked(parcel, cluster.fetch) as there:
            assert isinstance(there, BlockWork)
            assert isinstance(there.weights, RunWeights)
            assert there.weights.file.read_bytes() == b"weights"
        assert reference not in cluster.fetched

    @pytest.mark.parametrize("other", [None, b"another"])
    def test_elsewhere_it_comes_from_the_cluster(
        self, other: bytes | None, tmp_path: Path, cluster: Cluster, packer: Packer
    ) -> None:
        (file := tmp_path / "last.safetensors").write_bytes(b"weights")
        parcel = sent(packer.parcel(block(tmp_path, file)))
        file.unlink() if other is None else file.write_bytes(other)
        for _ in range(2):
            with unpacked.unpacked(parcel, cluster.fetch) as there:
                assert isinstance(there, BlockWork)
                assert isinstance(there.weights, RunWeights)
                assert there.weights.file.read_bytes() == b"weights"
        assert cluster.fetched.count(parcel.files[0].content) == 1  # the next block of the model has it

    def test_a_worker_keeps_the_weights_of_two_models(self, tmp_path: Path, cluster: Cluster, packer: Packer) -> None:
        for number in range(4):
            (file := tmp_path / f"{number}.safetensors").write_bytes(b"weights" * (number + 1))
            with unpacked.unpacked(sent(packer.parcel(block(tmp_path, file))), cluster.fetch):
                pass
        assert len(list((unpacked._place() / "weights").iterdir())) == 2

    def test_a_plugin_travels_with_the_files_that_it_reads(
        self, tmp_path: Path, cluster: Cluster, packer: Packer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HARNESS_PLUGINS", raising=False)
        (own := tmp_path / "own").mkdir()
        (own / "mine.py").write_text(PLUGIN)
        (own / "beside.py").write_text("SCALE = 2\n")
        (own / "limits.toml").write_text("most = 1\n")
        monkeypatch.chdir(own)
        code = code_of(discover("methods", (own / "mine.py",)).get("mine"))
        parcel = sent(packer.parcel(training(tmp_path / "home", plugins=(Path("mine.py"),))))
        for file in own.iterdir():
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        with unpacked.unpacked(parcel, cluster.fetch) as there:
            (file,) = there.plugins
            assert not file.is_relative_to(own)
            assert Path.cwd().name == "own"
            found = discover("methods", there.plugins).get("mine")
            assert code_of(found) == code
        assert Path.cwd() == own

    def test_a_device_that_is_not_there_is_refused(
        self, tmp_path: Path, cluster: Cluster, packer: Packer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parcel = sent(packer.parcel(training(tmp_path, device=torch.device("cuda", 1))))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with (
            pytest.raises(HarnessError, match=r"was given a CUDA device, and its torch .* finds none: install"),
            unpacked.unpacked(parcel, cluster.fetch),
        ):
            pass
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        with unpacked.unpacked(parcel, cluster.fetch) as there:
            assert there.device == torch.device("cuda", 0)  # Ray shows a worker its own devices alone
