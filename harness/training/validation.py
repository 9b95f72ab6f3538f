"""Training images that are held out, and how a network does on them: they choose the checkpoint ``best``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from harness.errors import SettingError
from harness.events import VALIDATION_NATURAL, VALIDATION_ROBUST, EpochRecord
from harness.plugin.adversary import CrossEntropy, ascend
from harness.plugin.attack import Passes
from harness.plugin.dataset import Dataset, Split
from harness.plugin.images import balanced_order
from harness.plugin.threat import Threat
from harness.protocols.run_spec import RunSpec
from harness.protocols.train_protocol import TrainProtocol
from harness.runtime.device import arithmetic
from harness.runtime.process import process_kept
from harness.runtime.seeds import derive_seed, generator, global_seed
from harness.training.checkpoints import TrainingState, save_weights


@dataclass(frozen=True)
class Accuracies:
    """How many of some images a network gets right, as they are and under an attack."""

    images: int
    natural: int
    robust: int

    def diagnostics(self) -> dict[str, float]:
        """Both accuracies in percent, as an epoch's record keeps them."""
        counts = {VALIDATION_NATURAL: self.natural, VALIDATION_ROBUST: self.robust}
        return {name: 100.0 * correct / self.images for name, correct in counts.items()}


def hold_out(dataset: Dataset, number: int) -> tuple[Dataset, Split]:
    """The data set without so many of its training images, and these images.

    They are the first of the order of ``balanced_order``, which the labels alone decide: the same images for every
    method, network, and training seed. A larger number holds out the smaller number's images, too.

    Args:
        number: 0 gives the data set itself.
    """
    train = dataset.train
    chosen = torch.tensor(balanced_order(tuple(train.labels.tolist()))[:number] if number else (), dtype=torch.int64)
    chosen = chosen.to(train.labels.device)
    if not number:
        return dataset, Split(train.images[chosen], train.labels[chosen])
    kept = torch.ones(len(train), dtype=torch.bool, device=chosen.device)
    kept[chosen] = False
    rest = Split(train.images[kept], train.labels[kept])
    return replace(dataset, train=rest), Split(train.images[chosen], train.labels[chosen])


def refuse_few_left(number: int, dataset: Dataset) -> None:
    """Refuse to hold out so many images that a class has none left to train on.

    Raises:
        SettingError: names the class, and the largest number that may be held out.
    """
    if dataset.train.labels.is_meta:  # only published sizes are known; the images are here before a training begins
        return
    labels = dataset.train.labels.tolist()
    order = balanced_order(tuple(labels)) if number else ()
    left = Counter(labels)
    for place, image in enumerate(order[:number]):
        left[labels[image]] -= 1
        if not left[labels[image]]:
            raise SettingError(
                f"train.validation={number} is refused: no training image of class {dataset.classes[labels[image]]}"
                f" would be left; {place} is the most for {dataset.name}"
            )


def validation_passes(protocol: TrainProtocol) -> Passes:
    """The passes that an image held out takes after an epoch: an attack, and one pass for each accuracy."""
    steps = protocol.validation_steps
    return Passes(steps + 2, steps) if protocol.validation else Passes()


def accuracies(model: nn.Module, x: Tensor, y: Tensor, threat: Threat, batch_size: int) -> Accuracies:
    """A network's accuracy on images, natural and under PGD, in evaluation mode and float32.

    The random starts are the same at every call, so two networks differ by their weights alone. An image counts as
    robust if the last iterate is classified right; logits that are not finite are wrong. Global random numbers and
    torch's modes are as before afterwards.

    Args:
        x: ``(n, channels, height, width)`` in [0, 1].
        y: ``(n,)`` int64 labels.
        batch_size: images attacked together; each batch has its own random starts.
    """
    natural = robust = 0
    model.eval().requires_grad_(False)
    for start in range(0, len(y), batch_size):
        part = slice(start, start + batch_size)
        draws = generator(x.device, 0, "validation", start)
        seed = derive_seed(0, "validation network", start)
        with process_kept(), arithmetic(x.device, "float32"), global_seed(x.device, seed):
            (variant,) = ascend(model, x[part], y[part], (CrossEntropy(),), threat, draws)
            natural += _right(model, x[part], y[part])
            robust += _right(model, variant.x, y[part])
    return Accuracies(len(y), natural, robust)


@dataclass(frozen=True)
class BestEpoch:
    """Chooses the checkpoint ``best``: after each epoch the network is measured on the images held out.

    Args:
        x, y: the images held out, as ``accuracies`` takes them.
    """

    x: Tensor
    y: Tensor
    threat: Threat
    batch_size: int

    def measured(
        self, record: EpochRecord, state: TrainingState, weights: Mapping[str, Tensor], network: nn.Module
    ) -> EpochRecord:
        """The record with both accuracies. If the robust one is higher than ever before, the state keeps the weights.

        Args:
            weights: those that a checkpoint would hold now.
            network: a copy that has them.
        """
        found = accuracies(network, self.x, self.y, self.threat, self.batch_size).diagnostics()
        robust = found[VALIDATION_ROBUST]
        if state.best is None or robust > state.best["robust_percent"]:  # of equal ones, the earliest stays
            kept = {name: tensor.detach().clone() for name, tensor in weights.items()}
            state.best = {"epoch": record.epoch, "robust_percent": robust, "weights": kept}
        return replace(record, diagnostics=record.diagnostics | found)


def with_choice(dataset: Dataset, protocol: TrainProtocol, epsilon: float) -> tuple[Dataset, BestEpoch | None]:
    """The data set to train on, and what chooses ``best``: nothing where no images are held out.

    Args:
        epsilon: the radius of the training's ball.
    """
    rest, held_out = hold_out(dataset, protocol.validation)
    if not len(held_out):
        return rest, None
    threat = protocol.validation_threat(epsilon)
    return rest, BestEpoch(dataset.pixels(held_out.images), held_out.labels, threat, protocol.batch_size)


def save_best(state: TrainingState, directory: Path, spec: RunSpec, may_write: Callable[[], None]) -> None:
    """At the end of a training, write the checkpoint ``best``, if its state has one; see ``save_weights``."""
    if state.best is not None:
        epoch = state.best["epoch"]
        sha256 = save_weights(directory, "best", state.best["weights"], spec, epoch, may_write)
        state.checkpoints["best"] = (epoch, sha256)


@torch.no_grad()
def _right(model: nn.Module, x: Tensor, y: Tensor) -> int:
    logits = model(x)
    return int(((logits.argmax(1) == y) & logits.isfinite().all(1)).sum())
