"""A store with small networks whose weights are on the disk: those that a training would begin with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.data.digits import Digits
from harness.figures.material import Material
from harness.leaderboard.board import Selection
from harness.networks.smallcnn import SmallCNN
from harness.plugin.dataset import Dataset
from harness.protocols.protocol import load_protocol
from harness.store.records import DatasetRecord, RunRecord
from harness.store.store import Store
from harness.training.checkpoints import save_weights
from harness.training.loop import initial_model
from tests import stores

TRAINING = load_protocol("digits").with_values({"train.steps": 3}).training_document
WIDTH = 4
GEOMETRY: Mapping[str, Any] = {"shift": -1.0, "assignment": "tanh", "burn_in": 0.3}


def digits() -> Dataset:
    """The digits, as a run reads them."""
    return Digits().load(Path())


def add_network(
    store: Store, runs_dir: Path, method: str, seed: int, *, departures: Mapping[str, Any] | None = None
) -> RunRecord:
    """Add a run that is done, with the weights that its training would begin with."""
    data, changed = digits(), dict(departures or {})
    spec = stores.make_spec(
        data,
        method=method,
        method_settings=({**GEOMETRY} if method == "gairat" else {}) | changed,
        network_settings={"width": WIDTH},
        training=TRAINING,
        train_seed=seed,
    )
    record = DatasetRecord(data.name, data.fingerprint, len(data.train), len(data.test), *data.shape)
    stores.see_protocol(store, {"natural": {}}, TRAINING)
    run = stores.start(store, spec, record, method_departures=changed, network_departures={"width": WIDTH})
    folder = runs_dir / run.folder
    folder.mkdir(parents=True)
    model = initial_model(SmallCNN(width=WIDTH), data.shape, seed)
    sha256 = save_weights(folder, "last", model.state_dict(), spec, 2)
    stores.add_checkpoint(store, run, "last", 2, sha256)
    store.end_run(run.id)
    return store.run(run.id)


def filled(place: Path, methods: Iterable[str] = ("sat", "gairat"), seeds: Iterable[int] = (0,)) -> Store:
    """A store with a network of each method and training seed; its weights are in ``place / "runs"``."""
    store = Store.in_memory()
    for seed in seeds:
        for method in methods:
            add_network(store, place / "runs", method, seed + (5 if method == "gairat" else 0))
    return store


def material(store: Store, place: Path, *, methods: tuple[str, ...] = (), **choices: Any) -> Material:
    """The store as material, with the places of ``filled``; on the CPU."""
    selection = Selection(methods=methods, checkpoint=choices.pop("checkpoint", None))
    return Material(store=store, selection=selection, runs_dir=place / "runs", device="cpu", **choices)
