"""What a process keeps between items of work: the data set and the model that it used last."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import torch
from torch import nn

from harness.planning.assessment import DatasetPlace, GivenImages
from harness.plugin.dataset import Dataset, DataSource
from harness.plugin.network import Shape
from harness.registry.catalogue import discover
from harness.registry.generated import with_extra
from harness.registry.loading import load
from harness.targets.conformity import Steadiness
from harness.targets.model import ElsewhereWeights, Weights
from harness.targets.probe import fixed_images

_loaded: dict[str, Dataset] = {}


def dataset_of(place: DatasetPlace, plugins: tuple[Path, ...]) -> Dataset:
    """The data set, loaded once: many items of work share it."""
    if isinstance(place, GivenImages):
        assert place.dataset is not None
        return place.dataset
    if place.key not in _loaded:
        source = cast(DataSource, discover("datasets", plugins).get(place.source).from_mapping(place.settings))
        _loaded.clear()
        dataset = load(source, place.data_dir, evaluation_only=place.evaluation_only, limit=place.limit)
        _loaded[place.key] = dataset if place.extra is None else with_extra(dataset, place.extra)
    return _loaded[place.key]


def keep_dataset(place: DatasetPlace, dataset: Dataset) -> None:
    """Have ``dataset_of`` give a data set that was loaded already."""
    if not isinstance(place, GivenImages):  # which hold theirs
        _loaded[place.key] = dataset


@contextlib.contextmanager
def datasets_kept(known: Iterable[tuple[DatasetPlace, Dataset]]) -> Iterator[None]:
    """Inside, ``dataset_of`` gives these, which the plan has loaded; afterwards nothing is kept."""
    forget_dataset()
    for place, dataset in known:
        keep_dataset(place, dataset)
    try:
        yield
    finally:
        forget_dataset()


def kept_dataset(place: DatasetPlace) -> Dataset | None:
    """What ``dataset_of`` would give without loading it."""
    return None if isinstance(place, GivenImages) else _loaded.get(place.key)


_resident: dict[tuple[str, int, str, torch.device], Dataset] = {}


def forget_dataset() -> None:
    """Have the next item load its data set anew, and keep nothing of the last one."""
    _loaded.clear()
    _resident.clear()


def on_device(dataset: Dataset, device: torch.device) -> Dataset:
    """The data set on the device, brought there once."""
    # a sample of a folder has the fingerprint of the whole
    key = (dataset.fingerprint, len(dataset.test), dataset.extra_sha256, device)
    if key not in _resident:
        _resident.clear()
        _resident[key] = dataset.to(device)
    return _resident[key]


_models: dict[tuple[str, torch.device], tuple[nn.Module, Steadiness | None]] = {}


def model_of(
    weights: Weights, shape: Shape, device: torch.device, plugins: tuple[Path, ...]
) -> tuple[nn.Module, Steadiness | None]:
    """The model on the device, and its first answers if it is from elsewhere.

    The last model is kept, since the blocks of a model follow each other.
    """
    key = (weights.key, device)
    if key not in _models:
        _models.clear()
        model = weights.model(shape, plugins).to(device).eval().requires_grad_(False)
        elsewhere = isinstance(weights, ElsewhereWeights)
        _models[key] = model, Steadiness(model, weights.label, fixed_images(shape).to(device)) if elsewhere else None
    return _models[key]


def forget_model() -> None:
    """Have the next item open its model anew."""
    _models.clear()
