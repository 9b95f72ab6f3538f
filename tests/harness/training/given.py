"""A small data set, a run of it, and what its events said of its checkpoints."""

from __future__ import annotations

import torch

from harness.events import CheckpointDone, Event
from harness.plugin.dataset import Augmentation, Dataset, Split
from harness.protocols.protocol import load_protocol
from harness.protocols.run_spec import RunSpec
from tests.stores import make_spec
from tests.tiny import draws


def dataset(n: int = 50, size: int = 8, augmentation: Augmentation | None = None) -> Dataset:
    generator = draws(7)
    images = torch.randint(256, (n, 1, size, size), generator=generator, dtype=torch.uint8)
    labels = torch.randint(4, (n,), generator=generator)
    split = Split(images, labels)
    return Dataset("noise", split, split, tuple("abcd"), augmentation=augmentation or Augmentation())


def spec(data: Dataset, epochs: int = 4, seed: int = 0, precision: str = "float32") -> RunSpec:
    values = {"train.epochs": epochs, "train.batch_size": 16, "train.steps": 2, "train.precision": precision}
    protocol = load_protocol("digits").with_values(values)
    return make_spec(data, network_settings={"width": 4}, training=protocol.training_document, train_seed=seed)


def checkpoints(events: list[Event]) -> dict[str, tuple[int, str]]:
    return {e.name: (e.epoch, e.sha256) for e in events if isinstance(e, CheckpointDone)}
