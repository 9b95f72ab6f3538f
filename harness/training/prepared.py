"""The batches of an epoch as the updates get them: changed, mixed, and each as often as it has updates."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from harness.plugin.dataset import Dataset
from harness.plugin.method import Mixture
from harness.protocols.train_protocol import TrainProtocol
from harness.training.augmentations import change_of, mixed
from harness.training.batches import epoch_batches
from harness.training.epoch_so_far import EpochSoFar

Batch = tuple[Tensor, Tensor, Mixture | None]
"""``(batch, channels, height, width)`` float32 in [0, 1], int64 labels, and the second labels of mixed images."""


def prepared_batches(dataset: Dataset, protocol: TrainProtocol, seed: int, so_far: EpochSoFar) -> Iterator[Batch]:
    """The batches that the epoch still has, once for each update; the updates on a batch get the same images."""
    fraction = protocol.extra_fraction if protocol.extra else 0.0
    how = protocol.batch_size, seed, so_far.epoch
    draws, change = so_far.augmentation_draws, change_of(dataset, protocol)
    batches = epoch_batches(dataset, *how, after=so_far.batches, draws=draws, fraction=fraction, change=change)
    return so_far.in_turn(_mixed(x, y, protocol, so_far) for x, y in batches)


def _mixed(x: Tensor, y: Tensor, protocol: TrainProtocol, so_far: EpochSoFar) -> Batch:
    images, mixture = mixed(x, y, protocol, so_far.augmentation_draws)
    return images, y, mixture
