"""The training loop of one run, from the first epoch or from the saved state."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import PluginFault, TrainingFailed, TrainingStopped
from harness.events import CheckpointDone, EpochDone, EpochRecord, Report
from harness.fast.crafting import FastCrafter
from harness.fast.folded import LOOKED_AT
from harness.fast.layout import lay_out
from harness.files import always
from harness.plugin.adversary import Crafter, ascend
from harness.plugin.dataset import Dataset
from harness.plugin.method import Method, Step
from harness.plugin.network import Network, Shape
from harness.plugin.wrapper import Wrapper
from harness.protocols.run_spec import RunSpec
from harness.protocols.train_protocol import TrainProtocol
from harness.registry.faults import blaming, modes_held, suspect
from harness.registry.shipped import ships
from harness.runtime.device import arithmetic
from harness.runtime.process import process_kept
from harness.runtime.seeds import derive_seed, global_seed
from harness.training.batches import batch_sizes, some_images
from harness.training.checkpoints import TrainingState, save_weights
from harness.training.company import Company
from harness.training.epoch_so_far import EpochSoFar
from harness.training.guard import guarded, moving_once, updates_a_batch
from harness.training.optimiser import make_optimiser, set_rates
from harness.training.pace import Pace
from harness.training.prepared import Batch, prepared_batches
from harness.training.rebuilt import Rebuilding
from harness.training.recorder import Recorder
from harness.training.remembered import Remembered
from harness.training.schedule import checkpoint_epochs, learning_rate, threat_in
from harness.training.together.agreement import least_images
from harness.training.together.crafting import SharedCrafter
from harness.training.together.peers import ALONE, Peers
from harness.training.validation import save_best, with_choice
from harness.training.wrapped import published, published_apart, wrapped_backward

log = logging.getLogger("harness.training")
STATE_EVERY_S = 600.0  # of a long epoch, at most so much is lost
_COMPARED = 8  # training images on which a rebuilt network is compared with the trained one


def initial_model(network: Network, shape: Shape, train_seed: int) -> nn.Module:
    """The untrained network for a training seed; built on the CPU, so that it is the same for every device."""
    with process_kept(), global_seed(torch.device("cpu"), derive_seed(train_seed, "initialisation")):
        return network.build(shape)


class Trainer:
    """The training of one run on one device. ``fit`` resumes from the state in the run's directory, if there is one.

    Args:
        craft: crafts the variants that the method trains on. With the faster one, the network is laid out to be faster
            in the update's own passes, too, if method and wrappers ship.
        recorder: measures accuracies after some epochs, on a copy of the network.
        state_every_s: within an epoch a state is written when so many seconds have passed since the last.
        may_write: called just before each file takes its place, and raises if another process has taken the run over.
        peers: the processes that train the network together. Each computes the same but for its share of a batch's
            passes, and the first one alone writes files; ``report`` and ``recorder`` of the others should do nothing.
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
        *,
        state_every_s: float = STATE_EVERY_S,
        may_write: Callable[[], None] = always,
        peers: Peers = ALONE,
    ) -> None:
        self.spec, self.run_id, self.method, self.directory = spec, run_id, method, directory
        self.network, self.wrappers, self.craft, self.recorder = network, wrappers, craft, recorder
        self.state_every_s, self.may_write, self.peers = state_every_s, may_write, peers
        self.plugins = [method, network, *wrappers]
        self._updated, self._written = False, time.monotonic()
        self._loss_of_an_update = moving_once(method, guarded(method, network, wrappers), wrappers)
        training = dict(spec.training)
        epsilon = training.pop("epsilon")
        self.protocol = TrainProtocol.from_mapping(training)
        self._pace = Pace(run_id, spec.label, self.protocol.epochs)
        self.threat = self.protocol.threat(float(epsilon))
        self.device = dataset.train.images.device
        self.dataset, self.choice = with_choice(dataset, self.protocol, float(epsilon))
        self.model = initial_model(network, dataset.shape, spec.train_seed).to(self.device)

    def fit(self, report: Report) -> None:
        """Train to the last epoch; write checkpoints, and the state to resume from: after every epoch, and within one.

        Raises:
            TrainingStopped: the process was asked to stop; the same training goes on from the state.
            TrainingFailed: a loss or a weight is not finite; names the epoch, and for a loss the batch.
            PluginFault: the method, the network, or a wrapper broke its contract; or saving the weights of the trained
                network would lose a part of it.
        """
        known = TrainingState.load(self.directory, self.spec.identity, self.device)
        state = known or TrainingState(self.spec.identity)
        resumed, rebuilding = state.begun, self._rebuilding()
        self.begin()
        if resumed:
            state.give(self.model, self.optimizer, self.method, self.wrappers)
            self._repeat(state, report)
        self._updated = state.within is not None  # within an epoch a plugin may have what it has not at the end of one
        self._written = time.monotonic()
        with arithmetic(self.device, self.protocol.precision):
            for epoch in range(state.epoch + 1, self.protocol.epochs + 1):
                if self.peers.asked_to_stop():
                    raise TrainingStopped(self.spec.label, state.place)
                if isinstance(self.craft, FastCrafter):
                    self.craft.begin(epoch)
                record = self.train_epoch(epoch, report, state)
                if epoch in checkpoint_epochs(self.protocol).values():
                    rebuilding.refuse_lost_state(self.model, resumed=resumed)
                with self._pace.beside():
                    record = self._measured(record, state, rebuilding)
                with blaming(self.plugins):
                    self._remembered.refuse_lost()
                    self._keep(state, record, report)

    def _measured(self, record: EpochRecord, state: TrainingState, rebuilding: Rebuilding) -> EpochRecord:
        """The record with what copies of the network reach after the epoch; the state has the best of them."""
        due = self.recorder is not None and self.recorder.due(record.epoch)
        if self.choice is None and not due:
            return record
        weights = published_apart(self.wrappers, self.model, self.device)
        if self.choice is not None and self.peers.first:
            record = self.choice.measured(record, state, weights, rebuilding.rebuilt(weights))
        if self.recorder is not None and due:
            record = replace(record, curve=self.recorder.points(rebuilding.rebuilt(weights), record.epoch))
        return record

    def begin(self) -> None:
        """Have the method and the wrappers prepare the network, and make the optimiser; once, before any epoch."""
        seed = derive_seed(self.spec.train_seed, "prepare")
        with global_seed(self.device, seed), blaming(self.plugins):
            parts: list[Method | Wrapper] = [self.method, *self.wrappers]
            for part in parts:
                with modes_held(part, "its prepare"):
                    part.prepare(self.model)
            self._remembered = Remembered(parts, self.model)
            self._remembered.refuse_lost()
        # somebody else's method or wrapper may flatten weights or features by ``view``, or draw like them
        if isinstance(self.craft, FastCrafter) and all(ships(type(part)) for part in parts):
            lay_out(self.model, self.dataset.pixels(self.dataset.train.images[:LOOKED_AT]))
        self._company = Company(self.model, parts, self.peers)
        self._craft = self.craft if self.peers.alone else SharedCrafter(self._company.main, self.craft)
        # only now: ``prepare`` may have replaced parameters of the network, for example by a new last layer
        self.optimizer = make_optimiser(self._company.parameters(), self.protocol)

    def _repeat(self, state: TrainingState, report: Report) -> None:
        """Report the epochs and checkpoints of an earlier start again: the store may lack those before the stop."""
        log.info("resume %s", state.place)
        for record in state.records:
            report(EpochDone(self.run_id, self.spec.label, self.protocol.epochs, record))
        for name, (epoch, sha256) in state.checkpoints.items():
            report(CheckpointDone(self.run_id, name, epoch, sha256))

    def _keep(self, state: TrainingState, record: EpochRecord, report: Report) -> None:
        """Write the epoch's checkpoints, then the state, then report both: what is reported is on the disk."""
        for name, at in checkpoint_epochs(self.protocol).items():
            if record.epoch == at:
                weights = published(self.wrappers, self.model)
                if self.peers.first:
                    sha256 = save_weights(self.directory, name, weights, self.spec, at, self.may_write)
                    state.checkpoints[name] = (at, sha256)
        ended = record.epoch == self.protocol.epochs
        if ended and self.peers.first:  # until now a later epoch could have been the best
            save_best(state, self.directory, self.spec, self.may_write)
        state.epoch, state.within = record.epoch, None
        state.records.append(record)
        self._write(state)
        log.info("epoch %d: loss %.4f, lr %g, %.1f s", record.epoch, record.loss, record.lr, record.duration_s)
        report(EpochDone(self.run_id, self.spec.label, self.protocol.epochs, record))
        for name, (epoch, sha256) in state.checkpoints.items():
            if epoch == record.epoch or (ended and name == "best"):
                report(CheckpointDone(self.run_id, name, epoch, sha256))

    def _write(self, state: TrainingState) -> None:
        if self.peers.first:
            state.take(self.model, self.optimizer, self.method, self.wrappers)
            state.save(self.directory, self.may_write)
        self._written = time.monotonic()

    def _keep_within(self, so_far: EpochSoFar, state: TrainingState) -> bool:
        """Write the state within an epoch, if a training that resumes from it would go on to the last bit.

        If it would not, the training goes on as if nobody had looked: the end of the epoch decides what is refused.
        """
        within = so_far.state_dict(self.model, self.craft)
        with so_far.uncounted():
            try:
                with blaming(self.plugins):
                    self._remembered.refuse_lost()
            except PluginFault as fault:
                log.info("no state within epoch %d, after update %d: %s", so_far.epoch, so_far.updates, fault)
                self._written = time.monotonic()
                return False
            state.within = within
            self._write(state)
        return True

    def _rebuilding(self) -> Rebuilding:
        def build() -> nn.Module:
            fresh = type(self.network).from_mapping(self.network.resolved())  # a new instance, as in evaluation
            return initial_model(fresh, self.dataset.shape, self.spec.train_seed).to(self.device)

        images = some_images(self.dataset, _COMPARED)
        return Rebuilding([self.network, self.method, *self.wrappers], build, images)

    def train_epoch(self, epoch: int, report: Report, state: TrainingState | None = None) -> EpochRecord:
        """Train on every image once, under the caller's arithmetic.

        Args:
            state: to begin where it is within the epoch, and to write on the way; None: nothing is written.
        Raises:
            TrainingFailed, PluginFault, TrainingStopped: as ``fit``.
        """
        # For networks that draw. Seeded for each epoch, so that a resumed training draws the same numbers.
        with global_seed(self.device, derive_seed(self.spec.train_seed, "network", epoch)):
            so_far = EpochSoFar(self.device, self.spec.train_seed, epoch, updates_a_batch(self.method))
            return self._epoch(so_far, report, state)

    def _epoch(self, so_far: EpochSoFar, report: Report, state: TrainingState | None) -> EpochRecord:
        images, epoch, means, each = len(self.dataset.train), so_far.epoch, so_far.means, so_far.a_batch
        updates = each * len(batch_sizes(images, self.protocol.batch_size))
        self._company.train()
        if state is not None and state.within is not None:
            so_far.load_state_dict(state.within, self.model, self.craft)
        if not self.peers.alone:
            self._company.refuse_another_pass(some_images(self.dataset, least_images(self.peers)))
        threat = threat_in(self.protocol, self.threat, epoch)
        for x, y, mixture in self._batches(so_far):
            index = so_far.updates + 1
            progress = (epoch - 1 + (index - 1) / updates) / self.protocol.epochs
            set_rates(self.optimizer, self.protocol, epoch, index / updates)
            told: dict[str, Any] = {"log": means.add, "tally": so_far.histograms.add}
            when: dict[str, Any] = {"epoch": epoch, "turn": so_far.turn, "craft": self._craft, "mixture": mixture}
            step = Step(x, y, self.model, threat, progress, so_far.attack_draws, **when, **told)
            means.add_loss(self._update(step))
            so_far.updates = index
            stopping = state is not None and self.peers.asked_to_stop()
            if state is not None and (stopping or time.monotonic() - self._written >= self.state_every_s):
                means.raise_if_not_finite(epoch)
                kept = self._keep_within(so_far, state)
                if stopping:
                    place = f"in epoch {epoch} of {self.protocol.epochs}, after update {index} of {updates}"
                    raise TrainingStopped(self.spec.label, place, saved=kept)
            if self._pace.due():  # seldom: reading the loss waits for the device
                means.raise_if_not_finite(epoch)
                done = min(index * self.protocol.batch_size / each, images)
                report(self._pace.progress(so_far, images, -(-index // each), updates // each, done))
        means.raise_if_not_finite(epoch)
        if not self._company.finite():
            raise TrainingFailed("a weight is not finite", epoch, None)
        self._company.refuse_other_weights()
        duration, lr, seen = so_far.duration_s, learning_rate(self.protocol, epoch), so_far.histograms.read()
        return EpochRecord(epoch, means.loss(), lr, images, duration, means.read(), seen)

    def _batches(self, so_far: EpochSoFar) -> Iterator[Batch]:
        return prepared_batches(self.dataset, self.protocol, self.spec.train_seed, so_far)

    def _update(self, step: Step) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        with modes_held(suspect(self.plugins), "an update"), blaming(self.plugins):
            with self._company.shared():
                loss = wrapped_backward(self.wrappers, held=True)(step, self._loss_of_an_update())
            self._company.clip(self.protocol)
            self.optimizer.step()
            for wrapper in self.wrappers:
                wrapper.after(self.model)
            if not self._updated:  # report a fault after the first update, not after an epoch
                self._remembered.refuse_lost()
                self._updated = True
        return loss
