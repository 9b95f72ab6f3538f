"""The training loop of one run, from the first epoch or from the saved state."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import TrainingFailed
from harness.events import CheckpointDone, EpochDone, EpochRecord, Report, TrainingProgress
from harness.fast.crafting import FastCrafter
from harness.fast.folded import LOOKED_AT
from harness.fast.layout import lay_out
from harness.plugin.adversary import Crafter, ascend
from harness.plugin.dataset import Dataset
from harness.plugin.method import Method, Step
from harness.plugin.network import Network, Shape
from harness.plugin.wrapper import Backward, Loss, Wrapper
from harness.protocols.protocol import TrainProtocol
from harness.protocols.run_spec import RunSpec
from harness.registry.faults import blaming, modes_held, suspect
from harness.registry.shipped import ships
from harness.runtime.device import arithmetic
from harness.runtime.process import process_kept
from harness.runtime.seeds import derive_seed, generator, global_seed
from harness.training.batches import batch_sizes, epoch_batches
from harness.training.checkpoints import TrainingState, save_weights
from harness.training.guard import guarded, moving_once
from harness.training.histograms import Histograms
from harness.training.means import Means
from harness.training.rebuilt import Rebuilding
from harness.training.recorder import Recorder
from harness.training.remembered import Remembered
from harness.training.wrapped import held_backward, published

log = logging.getLogger("harness.training")
PROGRESS_INTERVAL_S = 0.5
_RISE = 2 / 5  # of a training, in which one-cycle's learning rate rises
_COMPARED = 8  # training images on which a rebuilt network is compared with the trained one


def initial_model(network: Network, shape: Shape, train_seed: int) -> nn.Module:
    """The untrained network for a training seed; built on the CPU, so that it is the same for every device."""
    with process_kept(), global_seed(torch.device("cpu"), derive_seed(train_seed, "initialisation")):
        return network.build(shape)


def learning_rate(protocol: TrainProtocol, epoch: int, share: float = 1.0) -> float:
    """The learning rate of an update in an epoch (counted from 1).

    A drop at fraction f acts after round(f * epochs) epochs. One-cycle rises linearly from 0 in the first two fifths of
    the training, then falls linearly to 0.

    Args:
        share: of the epoch's updates, up to and with this one.
    Source: one-cycle is the schedule ``superconverge`` of the official code of Rice et al. 2020, "Overfitting in
        adversarially robust deep learning". Departs: the peak is at two fifths exactly, not rounded down to an epoch.
    """
    if protocol.schedule == "one-cycle":
        passed = (epoch - 1 + share) / protocol.epochs
        return protocol.lr * min(passed / _RISE, (1 - passed) / (1 - _RISE))
    drops = sum(epoch > round(fraction * protocol.epochs) for fraction in protocol.lr_drops)
    return protocol.lr * protocol.lr_factor**drops


def checkpoint_epochs(protocol: TrainProtocol) -> dict[str, int]:
    """Checkpoint -> the epoch after which it is saved."""
    return {"early": max(1, round(protocol.early * protocol.epochs)), "last": protocol.epochs}


class Trainer:
    """The training of one run on one device. ``fit`` resumes from the state in the run's directory, if there is one.

    Args:
        craft: crafts the variants that the method trains on. With the faster one, the network is laid out to be faster
            in the update's own passes, too, if method and wrappers ship.
        recorder: measures accuracies after some epochs, on a copy of the network.
    """

    def __init__(
        self,
        spec: RunSpec,
        run_id: int,
        method: Method,
        network: Network,
        dataset: Dataset,
        directory: Path,
        wrappers: Sequence[Wrapper] = (),
        craft: Crafter = ascend,
        recorder: Recorder | None = None,
    ) -> None:
        self.spec, self.run_id, self.method, self.directory = spec, run_id, method, directory
        self.network, self.wrappers, self.craft, self.recorder = network, wrappers, craft, recorder
        self._updated = False
        self._loss_of_an_update = moving_once(method, guarded(method, network, wrappers), wrappers)
        training = dict(spec.training)
        epsilon = training.pop("epsilon")
        self.protocol = TrainProtocol.from_mapping(training)
        self.threat = self.protocol.threat(float(epsilon))
        self.device = dataset.train.images.device
        self.dataset = dataset
        self.model = initial_model(network, dataset.shape, spec.train_seed).to(self.device)

    def fit(self, report: Report) -> None:
        """Train to the last epoch; write checkpoints and, after every epoch, the state to resume from.

        Raises:
            TrainingFailed: a loss or a weight is not finite; names the epoch, and for a loss the batch.
            PluginFault: the method, the network, or a wrapper broke its contract; or saving the weights of the trained
                network would lose a part of it.
        """
        state = TrainingState.load(self.directory, self.spec.identity, self.device) or TrainingState(
            self.spec.identity, 0, {}, {}, {}
        )
        resumed, rebuilding = state.epoch > 0, self._rebuilding()
        self.begin()
        if resumed:
            self.model.load_state_dict(state.model)
            self.optimizer.load_state_dict(state.optimizer)
            self.method.load_state_dict(state.method)
            for wrapper, saved in zip(self.wrappers, state.wrappers, strict=True):
                wrapper.load_state_dict(saved)
            self._repeat(state, report)
        with arithmetic(self.device, self.protocol.precision):
            for epoch in range(state.epoch + 1, self.protocol.epochs + 1):
                if isinstance(self.craft, FastCrafter):
                    self.craft.begin(epoch)
                record = self.train_epoch(epoch, report)
                if epoch in checkpoint_epochs(self.protocol).values():
                    rebuilding.refuse_lost_state(self.model, resumed=resumed)
                if self.recorder is not None and self.recorder.due(epoch):
                    copied = rebuilding.rebuilt(self._published_apart())
                    record = replace(record, curve=self.recorder.points(copied, epoch))
                with blaming([self.method, self.network, *self.wrappers]):
                    self._remembered.refuse_lost()
                    self._keep(state, record, report)

    def _published_apart(self) -> dict[str, Tensor]:
        """The weights that a checkpoint would hold now. What a wrapper remembers stays as it was."""
        theirs = [wrapper for wrapper in self.wrappers if not ships(type(wrapper))]
        with process_kept(), global_seed(self.device, 0), blaming(self.wrappers):
            kept = [copy.deepcopy(wrapper.state_dict()) for wrapper in theirs]
            weights = published(self.wrappers, self.model)
            for wrapper, state in zip(theirs, kept, strict=True):
                wrapper.load_state_dict(state)
        return weights

    def begin(self) -> None:
        """Have the method and the wrappers prepare the network, and make the optimiser; once, before any epoch."""
        seed = derive_seed(self.spec.train_seed, "prepare")
        with global_seed(self.device, seed), blaming([self.method, self.network, *self.wrappers]):
            parts: list[Method | Wrapper] = [self.method, *self.wrappers]
            for part in parts:
                with modes_held(part, "its prepare"):
                    part.prepare(self.model)
            self._remembered = Remembered(parts, self.model)
            self._remembered.refuse_lost()
        # somebody else's method or wrapper may flatten weights or features by ``view``, or draw like them
        if isinstance(self.craft, FastCrafter) and all(ships(type(part)) for part in parts):
            lay_out(self.model, self.dataset.pixels(self.dataset.train.images[:LOOKED_AT]))
        # only now: ``prepare`` may have replaced parameters of the network, for example by a new last layer
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=self.protocol.lr,
            momentum=self.protocol.momentum,
            weight_decay=self.protocol.weight_decay,
        )

    def _repeat(self, state: TrainingState, report: Report) -> None:
        """Report the epochs and checkpoints of an earlier start again: the store may lack those before the stop."""
        log.info("resume after epoch %d", state.epoch)
        for record in state.records:
            report(EpochDone(self.run_id, self.spec.label, self.protocol.epochs, record))
        for name, (epoch, sha256) in state.checkpoints.items():
            report(CheckpointDone(self.run_id, name, epoch, sha256))

    def _keep(self, state: TrainingState, record: EpochRecord, report: Report) -> None:
        """Write the epoch's checkpoints, then the state, then report both: what is reported is on the disk."""
        for name, at in checkpoint_epochs(self.protocol).items():
            if record.epoch == at:
                weights = published(self.wrappers, self.model)
                sha256 = save_weights(self.directory, name, weights, self.spec, at)
                state.checkpoints[name] = (at, sha256)
        state.epoch = record.epoch
        state.model, state.optimizer = self.model.state_dict(), self.optimizer.state_dict()
        state.method = self.method.state_dict()
        state.wrappers = [wrapper.state_dict() for wrapper in self.wrappers]
        state.records.append(record)
        state.save(self.directory)
        log.info("epoch %d: loss %.4f, lr %g, %.1f s", record.epoch, record.loss, record.lr, record.duration_s)
        report(EpochDone(self.run_id, self.spec.label, self.protocol.epochs, record))
        for name, (epoch, sha256) in state.checkpoints.items():
            if epoch == record.epoch:
                report(CheckpointDone(self.run_id, name, epoch, sha256))

    def _rebuilding(self) -> Rebuilding:
        def build() -> nn.Module:
            fresh = type(self.network).from_mapping(self.network.resolved())  # a new instance, as in evaluation
            return initial_model(fresh, self.dataset.shape, self.spec.train_seed).to(self.device)

        chosen = torch.linspace(0, len(self.dataset.train) - 1, _COMPARED, device=self.device).long()
        images = self.dataset.pixels(self.dataset.train.images[chosen])
        return Rebuilding([self.network, self.method, *self.wrappers], build, images)

    def train_epoch(self, epoch: int, report: Report) -> EpochRecord:
        """Train on every image once, under the caller's arithmetic; write nothing.

        Raises:
            TrainingFailed, PluginFault: as ``fit``.
        """
        # For networks that draw. Seeded for each epoch, so that a resumed training draws the same numbers.
        with global_seed(self.device, derive_seed(self.spec.train_seed, "network", epoch)):
            return self._epoch(epoch, report)

    def _epoch(self, epoch: int, report: Report) -> EpochRecord:
        images = len(self.dataset.train)
        batches = len(batch_sizes(images, self.protocol.batch_size))
        means, histograms = Means(self.device), Histograms()
        attack_draws = generator(self.device, self.spec.train_seed, "attack", epoch)
        self.model.train()
        started = shown = time.perf_counter()
        for index, (x, y) in enumerate(self._batches(epoch), start=1):
            progress = (epoch - 1 + (index - 1) / batches) / self.protocol.epochs
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(self.protocol, epoch, index / batches)
            told: dict[str, Any] = {"log": means.add, "tally": histograms.add, "craft": self.craft}
            step = Step(x, y, self.model, self.threat, progress, attack_draws, **told)
            means.add_loss(self._update(step))
            now = time.perf_counter()
            if now - shown >= PROGRESS_INTERVAL_S:  # seldom: reading the loss waits for the device
                shown = now
                done = min(index * self.protocol.batch_size, images)
                rate = done / (now - started)
                left = ((self.protocol.epochs - epoch + 1) * images - done) / rate
                means.raise_if_not_finite(epoch)
                place = (self.run_id, self.spec.label, epoch, self.protocol.epochs, index, batches)
                report(TrainingProgress(*place, loss=means.loss(), images_per_s=rate, left_s=left))
        means.raise_if_not_finite(epoch)
        if not all(bool(p.isfinite().all()) for p in self.model.parameters()):
            raise TrainingFailed("a weight is not finite", epoch, None)
        duration = time.perf_counter() - started
        lr, seen = learning_rate(self.protocol, epoch), histograms.read()
        return EpochRecord(epoch, means.loss(), lr, images, duration, means.read(), seen)

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        return epoch_batches(self.dataset, self.protocol.batch_size, self.spec.train_seed, epoch)

    def _update(self, step: Step) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        plugins = [self.method, self.network, *self.wrappers]
        with modes_held(suspect(plugins), "an update"), blaming(plugins):
            loss = wrapped_backward(self.wrappers, held=True)(step, self._loss_of_an_update())
            self.optimizer.step()
            for wrapper in self.wrappers:
                wrapper.after(self.model)
            if not self._updated:  # report a fault after the first update, not after an epoch
                self._remembered.refuse_lost()
                self._updated = True
        return loss


def wrapped_backward(wrappers: Sequence[Wrapper], *, held: bool = False) -> Backward:
    """The function that computes an update's gradient: plain ``backward`` inside the wrappers, the last one outermost.

    Args:
        held: check each wrapper's contract.
    """
    backward: Backward = _backward
    for wrapper in wrappers:
        backward = partial(partial(held_backward, wrapper) if held else wrapper.backward, inner=backward)
    return backward


def _backward(step: Step, loss: Loss) -> Tensor:
    value = loss(step)
    value.backward()  # type: ignore[no-untyped-call]
    return value.detach()
