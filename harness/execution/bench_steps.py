"""Measures training steps: each method's, by the trainer of real runs."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median

from torch import nn

from harness.errors import TrainingFailed
from harness.execution.bench_items import FEWEST, MOST_REPEATS, Item, forget_peak, images_together, peak_bytes
from harness.execution.peak import Arithmetic
from harness.execution.rates import time_passes
from harness.execution.stopwatch import CRAFTING, DATA, UPDATE, Clock, Stopwatch, TimedTrainer
from harness.fast.crafting import FastCrafter, crafter_for
from harness.planning.bench_job import BenchJob, split_passes
from harness.planning.measured_times import Timed
from harness.protocols.run_spec import RunSpec
from harness.runtime.device import arithmetic
from harness.training.given_networks import give_stand_ins
from harness.training.loop import initial_model

_EPOCH_S = 0.3  # the batches of an epoch take at least so long, so that what an epoch costs besides is little
_MOST_BATCHES = 50
_FEW = 16  # images of a batch: with fewer, the optimiser's own work counts for too much


class StepBench:
    """Measures each method's training step, under the arithmetic and with the crafting of a real run.

    Args:
        model: the network, untrained, on the device and in evaluation mode.
    """

    noun = "a training step of"

    def __init__(self, job: BenchJob, model: nn.Module, counted: Arithmetic, clock: Clock) -> None:
        self._job, self._counted, self._clock = job, counted, clock
        self._passes = {name: split_passes(method, job.training_threat) for name, method in job.methods.items()}
        data = job.likeness.images(job.protocol.train.batch_size, job.device)
        with arithmetic(job.device, job.protocol.train.precision):
            self._rates = time_passes(model, data.pixels(data.train.images), plain=job.plain, clock=clock)

    def expected(self, name: str) -> Item:
        crafting, update = self._passes[name]
        seconds = self._rates.step(crafting, update)
        operations = self._counted.crafting(crafting) + self._counted.update(update)
        timed = Timed(seconds=seconds, passes=crafting + update, measured=False)
        return Item(name=name, timed=timed, operations=operations)

    def measured(self, expected: Item, share: float, most: float, *, fewest: bool = False) -> Item:
        start, wanted = self._clock(), self._job.protocol.train.batch_size
        least = FEWEST if fewest and not self._rates.crafted else _FEW
        batch = images_together(wanted, least, expected.timed.seconds, self._rates.forward, share, most)
        if batch is None:
            return expected
        forget_peak(self._job.device)
        try:
            each_s, shares = self._steps(expected.name, batch, start + share)
        except TrainingFailed:  # random labels may be too much for a method
            return expected
        self._rates.learn_step(median(each_s), shares, *self._passes[expected.name])
        timed = replace(expected.timed, seconds=median(each_s), measured=True)
        memory = peak_bytes(self._job.device)
        return replace(expected, timed=timed, images=batch, each_s=tuple(each_s), shares=shares, peak_bytes=memory)

    def _steps(self, name: str, batch: int, end: float) -> tuple[list[float], dict[str, float]]:
        """Seconds an image of some repeats, until the clock says ``end``; and the share of each part."""
        trainer = self._trainer(name, batch)
        whole = trainer.threat

        def seconds(batches: int) -> float:
            trainer.dataset = self._job.likeness.images(batches * batch, self._job.device)
            trainer.watch.read()
            begun = self._clock()
            trainer.train_epoch(trainer.protocol.epochs, lambda _event: None)  # the last: no method burns in
            return (self._clock() - begun) / (batches * batch)

        with arithmetic(self._job.device, self._job.protocol.train.precision):
            trainer.begin()
            if self._passes[name][0].total:
                trainer.threat = replace(whole, steps=1)
                seconds(1)  # prepares the layers for crafting, at little cost
                trainer.threat = whole
            if self._job.device.type == "cuda":
                seconds(1)  # records the steps of crafting as a graph
            each_s = [seconds(1)]
            step_s = max(each_s[0] * batch, 1e-6)
            batches = min(math.ceil(_EPOCH_S / step_s), _MOST_BATCHES)
            if batches > 1:  # the first was too short
                each_s = [seconds(batches)]
            while len(each_s) < MOST_REPEATS and self._clock() + batches * step_s < end:
                each_s.append(seconds(batches))
        parts, total = trainer.watch.read(), each_s[-1] * batches * batch
        crafting, update, data = (parts.get(part, 0.0) / total for part in (CRAFTING, UPDATE, DATA))
        return each_s, {CRAFTING: crafting, UPDATE: update - crafting, DATA: data, "other": 1 - update - data}

    def _trainer(self, name: str, batch: int) -> TimedTrainer:
        job = self._job
        data, method = job.likeness.images(batch, job.device), job.methods[name]
        spec = RunSpec(
            method=name,
            method_settings=method.resolved(),
            network=job.network.name,
            network_settings=job.network.resolved(),
            dataset=data.name,
            dataset_fingerprint=data.fingerprint,
            training=job.protocol.training_document | {"batch_size": batch},
            train_seed=0,
        )
        own = type(method).from_mapping(method.resolved())  # it may remember something
        give_stand_ins(own, lambda: initial_model(job.network, data.shape, 0).to(job.device))
        watch, craft = Stopwatch(job.device, self._clock), crafter_for(job.plain)
        if isinstance(craft, FastCrafter):
            craft.begin(epoch=2)  # in the first, the faster layers are compared with the network's own more often
        return TimedTrainer(spec, own, job.network, data, craft, watch)
