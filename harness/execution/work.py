"""Work items: plain data that any process can take and perform."""

from __future__ import annotations

import io
import logging
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import nn

from harness.errors import DataError, PluginError
from harness.evaluator import evaluate
from harness.events import Began, BlockDone, Examined, Report, TrainingBegan, block_key, checks_key, training_key
from harness.execution.loaded import dataset_of, forget_dataset, forget_model, model_of, on_device
from harness.execution.log import LOG_FILE, PrintLog, logging_to, speaker_of
from harness.execution.recording import CurveRecorder
from harness.fast.crafting import crafter_for
from harness.files import always
from harness.planning.assessment import DatasetPlace
from harness.planning.curve_plan import CurvePlan
from harness.plugin.attack import Attack
from harness.plugin.dataset import Dataset
from harness.plugin.images import Images
from harness.plugin.threat import Threat
from harness.protocols.run_spec import RunSpec
from harness.registry.catalogue import discover
from harness.registry.faults import blaming
from harness.registry.shipped import code_of
from harness.rigour.budgets import EXAMPLES
from harness.rigour.checks import examine_model, subset
from harness.runtime.allocator import keep_freed_memory
from harness.runtime.determinism import deterministic
from harness.runtime.device import device_label
from harness.runtime.printing import prints_to
from harness.runtime.process import process_kept
from harness.runtime.provenance import path_of, provenance, resume_of
from harness.runtime.seeds import generator
from harness.store.leases import LeaseGuard
from harness.targets.model import RunWeights, Weights
from harness.targets.target import quiet
from harness.training.given_networks import give_networks
from harness.training.loop import STATE_EVERY_S, Trainer
from harness.training.run_plugins import method_of, network_of, wrappers_of
from harness.training.together.peers import ALONE, Peers
from harness.training.validation import hold_out

KEPT = 4  # adversarial images of each attack's first seed, to look at


@dataclass(frozen=True, kw_only=True)
class Work(ABC):
    """One item of work. It holds everything it needs, and reports its results."""

    speaker: ClassVar[str] = "the model or an attack"  # who may print during the work, for the note about it

    place: DatasetPlace
    dataset_fingerprint: str
    folder: Path  # where the log goes, and a training's weights and states
    device: torch.device
    threads: int  # of the CPU; fixed in advance, since their number can change the last bit
    plugins: tuple[Path, ...]
    plain: bool = False  # whether each network is computed with its own layers alone

    @property
    def key(self) -> str:
        """Names the item among the items of a command."""
        return str(self.folder)

    @property
    def near(self) -> str:
        """Equal for items that one worker does best, one after the other: what it learns at one serves at the next."""
        return self.key

    def perform(self, report: Report) -> None:
        """Do the work in this process, with the run's log open."""
        report(Began(self.key))
        file = self.folder / LOG_FILE
        # torch's settings are put back for the next item
        keep_freed_memory()
        with process_kept(), logging_to(file, report), quiet(), prints_to(PrintLog(self.speaker, file, report)):
            torch.set_num_threads(self.threads)
            self._perform(report)

    @abstractmethod
    def _perform(self, report: Report) -> None: ...

    def _provenance(self) -> dict[str, Any]:
        """Where and how the work is done. Only the process that does it knows: it may be on another machine."""
        place = provenance(device_label(self.device), torch.get_num_threads())
        return place | {"path": path_of(self.plain)}

    def _dataset(self) -> Dataset:
        dataset = dataset_of(self.place, self.plugins)
        if dataset.fingerprint != self.dataset_fingerprint:
            forget_dataset()
            raise DataError(
                f"the data set {dataset.name} changed while the command ran: run it again; if its loader draws, no two"
                f" loads are equal, and `harness check dataset {self.place.source}` says so"
            )
        if self.extra_sha256 not in ("", dataset.extra_sha256):
            forget_dataset()
            raise DataError(f"the generated images {self.place.extra} changed while the command ran: run it again")
        return on_device(dataset, self.device)

    @property
    def extra_sha256(self) -> str:
        """What the generated images must be; empty if the work takes none."""
        return ""


@dataclass(frozen=True, kw_only=True)
class TrainWork(Work):
    """Train one network, from the beginning or from its last state."""

    speaker: ClassVar[str] = "a plugin"

    spec: RunSpec
    run_id: int
    curve: CurvePlan | None = None
    guard: LeaseGuard | None = None  # asked before each file is written; None: nobody else can have the training
    state_every_s: float = STATE_EVERY_S
    deterministic: bool = False
    trained: tuple[RunWeights, ...] = ()  # the networks, trained before, that settings name
    peers: Peers = ALONE  # the processes that do this training together; set by each of them

    @property
    def key(self) -> str:
        return training_key(self.run_id)

    @property
    def extra_sha256(self) -> str:
        return str(self.spec.training.get("extra", ""))

    def perform(self, report: Report) -> None:
        if self.peers.first:
            super().perform(report)
            return
        keep_freed_memory()
        with process_kept(), quiet(), prints_to(io.StringIO()):  # the first process logs and reports for all
            torch.set_num_threads(self.threads)
            self._perform(lambda _event: None)

    def _perform(self, report: Report) -> None:
        method, wrappers = method_of(self.spec, self.plugins), wrappers_of(self.spec, self.plugins)
        network = network_of(self.spec, self.plugins)
        craft, dataset = crafter_for(self.plain, repeatable=self.deterministic), self._dataset()

        def load(sha256: str) -> nn.Module:
            (weights,) = (one for one in self.trained if one.sha256 == sha256)
            return weights.model(dataset.shape, self.plugins)

        give_networks([method, *wrappers], self.spec, network, dataset.shape, self.device, self.plugins, load)
        recorded = self.curve if self.peers.first else None
        trained_on = hold_out(dataset, self.spec.training.get("validation", 0))[0] if recorded else dataset
        recorder = CurveRecorder(recorded, trained_on, self.plugins, self.plain) if recorded else None
        parts: tuple[Any, ...] = (method, network, dataset, self.folder, wrappers, craft, recorder)
        how: dict[str, Any] = {"state_every_s": self.state_every_s, "may_write": self.guard or always}
        trainer = Trainer(self.spec, self.run_id, *parts, **how, peers=self.peers)
        report(TrainingBegan(self.run_id, self._provenance()))
        speaker = speaker_of([method, network, *wrappers])
        prints = prints_to(PrintLog(speaker, self.folder / LOG_FILE, report))
        with prints, deterministic(self.device, wanted=self.deterministic):
            trainer.fit(report)

    def _provenance(self) -> dict[str, Any]:
        resume = resume_of(self.device.type, deterministic=self.deterministic)
        return super()._provenance() | {"resume": resume, "devices": self.peers.count}


@dataclass(frozen=True, kw_only=True)
class BlockWork(Work):
    """Attack one block of examples with one seed."""

    weights: Weights
    evaluation_id: int
    attack: str
    attack_settings: dict[str, Any]
    attack_code: str
    threat: Threat
    seed: int
    images: Images
    start: int
    length: int

    @property
    def key(self) -> str:
        return block_key(self.evaluation_id, self.start)

    @cached_property
    def near(self) -> str:
        """The seeds of an attack on the same images: AutoAttack need not do again what draws no random number."""
        return f"{self.weights.key}, {self.attack}, image {self.start}, {self.threads} threads"

    def _perform(self, report: Report) -> None:
        dataset = self._dataset()
        model, steadiness = model_of(self.weights, dataset.shape, self.device, self.plugins)
        cls = discover("attacks", self.plugins).get(self.attack)
        if code_of(cls) != self.attack_code:
            raise PluginError(f"the code of the attack {self.attack!r} changed while the command ran; run it again")
        attack = cast(Attack, cls.from_mapping(self.attack_settings))
        chosen = dataset.places(self.images)[self.start : self.start + self.length]
        x, y = dataset.pixels(dataset.test.images[chosen]), dataset.test.labels[chosen]
        draws = generator(self.device, self.seed, "evaluation", self.attack, self.start)
        log = logging.getLogger("harness.evaluation")
        log.info("%s on %s, seed %d, images from %d", self.attack, self.weights.checkpoint, self.seed, self.start)
        with blaming([attack]):
            faster = None if self.plain else self.weights.network_in(model)
            keep = KEPT if self.start == 0 and self.seed == 0 else 0
            verdicts = evaluate(model, attack, x, y, self.threat, draws, faster=faster, keep=keep)
        if steadiness is not None:
            steadiness.check()
        for text in verdicts.warnings:
            log.warning("%s: %s", self.attack, text)
        report(
            BlockDone(
                evaluation_id=self.evaluation_id,
                start=self.start,
                verdicts=bytes(verdicts.correct.to(torch.uint8).tolist()),
                margins=tuple(verdicts.margins.tolist()),
                duration_s=verdicts.duration_s,
                warnings=verdicts.warnings,
                provenance=self._provenance(),
                predicted=tuple(verdicts.predicted.tolist()),
                adversarial=tuple(image.numpy().astype("<f4").tobytes() for image in verdicts.adversarial),
            )
        )


@dataclass(frozen=True, kw_only=True)
class ExamineWork(Work):
    """Check a model for signs that its figures cannot be trusted, on some of the images that it is attacked on."""

    weights: Weights
    checkpoint_id: int
    threat: Threat
    images: Images
    block_size: int  # images that an attack takes together: the checks take no more, and so need no more memory
    settings: dict[str, Any]

    @property
    def key(self) -> str:
        return checks_key(self.checkpoint_id, self.settings)

    def _perform(self, report: Report) -> None:
        dataset = self._dataset()
        model, _ = model_of(self.weights, dataset.shape, self.device, self.plugins)
        places = dataset.places(self.images)
        chosen = places[subset(dataset.test.labels[places].cpu())]
        x, y = dataset.pixels(dataset.test.images[chosen]), dataset.test.labels[chosen]
        log = logging.getLogger("harness.rigour")
        log.info("checks of rigour on %s", self.weights.checkpoint)
        started = time.perf_counter()
        faster = None if self.plain else self.weights.network_in(model)
        batch, names = min(self.block_size, EXAMPLES), dataset.classes
        findings = examine_model(model, x, y, self.threat, batch=batch, names=names, faster=faster)
        forget_model()  # its many passes may have changed the model; attacks need it as it was opened
        for finding in (finding for finding in findings if finding.status == "flagged"):
            log.warning("%s: %s", finding.check, finding.reason)
        duration = time.perf_counter() - started
        found = (self.checkpoint_id, self.weights.label, self.settings, tuple(findings), duration)
        report(Examined(*found, self._provenance()))
