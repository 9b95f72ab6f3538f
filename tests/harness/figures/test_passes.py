"""Which networks and which images: a folder of images, several training seeds, labels, and plugins that changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.data.folder import Folder
from harness.errors import HarnessError
from harness.figures.passes import seen_by_networks
from harness.networks.smallcnn import SmallCNN
from harness.store.records import DatasetRecord
from harness.store.store import Store
from harness.training.checkpoints import save_weights
from harness.training.loop import initial_model
from tests import stores
from tests.harness.figures import networks


def test_of_several_training_seeds_the_lowest_is_shown(tmp_path: Path) -> None:
    store = networks.filled(tmp_path, methods=["sat"], seeds=(3, 1, 2))
    (one,) = seen_by_networks(networks.material(store, tmp_path, images=5), ("sat",))
    assert one.about["train_seed"] == 1
    data = networks.digits()
    x = data.pixels(data.train.images[list(one.places)])
    with torch.no_grad():
        expected = initial_model(SmallCNN(width=networks.WIDTH), data.shape, 1).eval()(x).double()
    torch.testing.assert_close(one.views.logits, expected, rtol=1e-5, atol=1e-5)


def test_variants_and_wrappers_are_no_usual_training(tmp_path: Path) -> None:
    store = networks.filled(tmp_path)
    networks.add_network(store, tmp_path / "runs", "gairat", 9, departures={"attack": "cw"})
    usual = seen_by_networks(networks.material(store, tmp_path, images=5), ("sat", "gairat"))
    assert [one.about["row"] for one in usual] == ["sat", "gairat"]
    chosen = seen_by_networks(networks.material(store, tmp_path, images=5, methods=("gairat", "sat")), ("sat",))
    assert [one.about["row"] for one in chosen] == ["gairat", "gairat attack=cw", "sat"]


def test_all_images_are_in_the_order_of_the_data_set(tmp_path: Path) -> None:
    store = networks.filled(tmp_path, methods=["sat"])
    (one,) = seen_by_networks(networks.material(store, tmp_path, part="test"), ("sat",))
    assert one.places == tuple(range(360))
    assert list(one.labels) == networks.digits().test.labels.tolist()


def photographs(folder: Path, seed: int) -> Path:
    draws = np.random.default_rng(seed)
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            for i in range(3):
                pixels = draws.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{i}.png")
    return folder


@pytest.fixture
def of_folder(tmp_path: Path) -> tuple[Store, Path]:
    """A store with a run on a folder of images, and the folder."""
    folder = photographs(tmp_path / "pets", 0)
    data = Folder(path=str(folder)).load(tmp_path / "data")
    spec = stores.make_spec(data, network_settings={"width": networks.WIDTH}, training=networks.TRAINING)
    record = DatasetRecord(data.name, data.fingerprint, len(data.train), len(data.test), *data.shape)
    store = Store.in_memory()
    stores.see_protocol(store, {"natural": {}}, networks.TRAINING)
    run = stores.start(store, spec, record, network_departures={"width": networks.WIDTH})
    (tmp_path / "runs" / run.folder).mkdir(parents=True)
    weights = initial_model(SmallCNN(width=networks.WIDTH), data.shape, 0).state_dict()
    sha256 = save_weights(tmp_path / "runs" / run.folder, "last", weights, spec, 2)
    stores.add_checkpoint(store, run, "last", 2, sha256)
    store.end_run(run.id)
    return store, folder


def test_a_folder_is_read_where_the_user_says(of_folder: tuple[Store, Path], tmp_path: Path) -> None:
    store, folder = of_folder
    chosen = networks.material(store, tmp_path, folder=folder, data_dir=tmp_path / "data")
    (one,) = seen_by_networks(chosen, ("sat",))
    assert one.labels == (0, 0, 0, 1, 1, 1)


def test_other_images_than_those_of_the_training_are_refused(of_folder: tuple[Store, Path], tmp_path: Path) -> None:
    store, _ = of_folder
    with pytest.raises(HarnessError, match="run 1 was trained on folder:pets; say where it is: --folder PATH"):
        seen_by_networks(networks.material(store, tmp_path), ("sat",))
    other = photographs(tmp_path / "other" / "pets", 1)
    with pytest.raises(HarnessError, match=r"trained on folder:pets \[\w{8}\], and these images are folder:pets"):
        seen_by_networks(networks.material(store, tmp_path, folder=other, data_dir=tmp_path / "data"), ("sat",))


def test_the_digits_are_no_folder(tmp_path: Path) -> None:
    store = networks.filled(tmp_path, methods=["sat"])
    with pytest.raises(HarnessError, match="are for folders of images; run 1 was trained on digits"):
        seen_by_networks(networks.material(store, tmp_path, folder=tmp_path), ("sat",))


def test_two_networks_are_not_compared(tmp_path: Path) -> None:
    store = networks.filled(tmp_path, methods=["sat"])
    spec = stores.make_spec(networks.digits(), method="gairat", training=networks.TRAINING)
    held = store.run(1).dataset
    run = stores.start(store, spec, held)
    store.end_run(run.id)
    with pytest.raises(
        HarnessError, match="networks cannot be compared: smallcnn, smallcnn width=4; keep each of them"
    ):
        seen_by_networks(networks.material(store, tmp_path), ("sat", "gairat"))
