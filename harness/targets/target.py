"""What a target is: a model that was not trained here, and how it is built again in any process."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from harness.errors import ModelFault, one_line
from harness.plugin.network import Shape
from harness.runtime.model_faults import blaming_model
from harness.runtime.process import process_kept
from harness.runtime.seeds import derive_seed, global_seed
from harness.targets.errors import TargetError
from harness.targets.fingerprint import fingerprint
from harness.targets.prepared import Prepared
from harness.targets.preprocessing import Preprocessing
from harness.targets.probe import Probe, probe, same_function


@dataclass(frozen=True, kw_only=True)
class Target(ABC):
    """A model that can be built again anywhere: plain data, so that it crosses processes.

    Attributes:
        label: how the target is shown.
        preprocessing: what is put inside the model.
        own_types: whether the network computes in its own floating types, since it does not run in float32.
    """

    label: str
    preprocessing: Preprocessing
    own_types: bool = False

    @abstractmethod
    def network(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        """The network alone, with its weights, as it comes.

        Raises:
            TargetError: it cannot be built, or is not what it was when it was opened.
        """

    @abstractmethod
    def context(self) -> dict[str, Any]:
        """What identifies the model beside its tensors, in JSON types."""

    def code(self) -> dict[str, str]:
        """The source files of the user's own that decide what the model computes, each with its SHA-256; none here."""
        return {}

    def architecture(self, network: nn.Module) -> tuple[str, dict[str, Any]]:
        """The name of a network that was built, and its settings: its class's name, without settings."""
        return type(network).__name__, {}

    def seen(self, network: nn.Module) -> Self:
        """The target, completed with what is known only once its network is built; here nothing."""
        return self

    def build(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        """The network alone, built while torch's global generator is seeded.

        So a network that was never trained is the same in each process.
        """
        with seeded():
            return self.network(shape, plugins)

    def prepare(self, network: nn.Module) -> Prepared:
        """A built network with its preprocessing: on the CPU, evaluation mode, no parameter gradients; in float32."""
        if any(isinstance(p, UninitializedParameter) for p in network.parameters()):
            raise TargetError(
                f"{self.label} has lazy layers without weights; pass one image through it in the factory, and load the"
                " weights then"
            )
        if isinstance(network, nn.DataParallel):
            network = network.module  # it would ask for its own devices
        try:
            prepared = Prepared(network, self.preprocessing).cpu()
            return (prepared if self.own_types else prepared.float()).eval().requires_grad_(False)
        except (Exception, SystemExit) as error:  # of tensors without values, or of a stranger's own .train()
            raise TargetError(
                f"{self.label} cannot be brought to the CPU, to float32, and to evaluation mode ({one_line(error)});"
                " its factory must give a network that .cpu().float().eval() takes"
            ) from error

    def model(self, shape: Shape, plugins: tuple[Path, ...]) -> Prepared:
        """Images in [0, 1] to float32 logits; see ``prepare``."""
        return self.prepare(self.build(shape, plugins))

    def fingerprint(self, model: Prepared) -> str:
        """The SHA-256 that identifies a model of this target."""
        types = {"types": "own"} if self.own_types else {}
        return fingerprint(model, {**self.context(), **types, "preprocessing": self.preprocessing.resolved()})

    def probe(self, shape: Shape, plugins: tuple[Path, ...]) -> Probe:
        """The logits on fixed images of a model that is built for this alone, since passes may change a model."""
        unheard = io.StringIO()  # the model printed it before, when it was opened
        try:
            with contextlib.redirect_stdout(unheard), contextlib.redirect_stderr(unheard), blaming_model():
                return probe(lambda: self.model(shape, plugins), shape)
        except ModelFault as fault:
            raise TargetError(
                f"{self.label} {fault}, on noise and ramps in [0, 1], by which it is known again; it must answer"
                " whatever it is asked, and as often"
            ) from fault

    def verified(self, shape: Shape, plugins: tuple[Path, ...], sha256: str, expected: Probe | None = None) -> Prepared:
        """The model, where it is still the one that was opened; ``expected`` is its probe, unless its tensors say all.

        Raises:
            TargetError: its fingerprint is another one now, or it answers otherwise.
        """
        model = self.model(shape, plugins)
        same = self.fingerprint(model) == sha256
        if not same or (expected is not None and not same_function(self.probe(shape, plugins), expected)):
            raise TargetError(
                f"{self.label} gave another model than when it was opened; it must give the same weights each time,"
                " and its files must not change while the command runs"
            )
        return model


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A target that passed every check.

    Attributes:
        sha256: identifies the model: weights, preprocessing, and for a user's own code its name and source.
        network: the registered network's name, else the name of the class, or of the function, that makes it.
        network_settings: resolved, for a registered network.
        parameters: how many numbers are in the network's parameters.
        provenance: where it came from and what was done to it, in JSON types.
        probe: its logits on fixed images.
    """

    target: Target
    sha256: str
    network: str
    network_settings: dict[str, Any]
    parameters: int
    provenance: dict[str, Any]
    probe: Probe | None = None


def conversions(network: nn.Module) -> list[str]:
    """The floating types of a network's tensors that are brought to float32, by name."""
    tensors = [*network.parameters(), *network.buffers()]
    types = {str(t.dtype).removeprefix("torch.") for t in tensors if t.is_floating_point()} - {"float32"}
    return sorted(types)


@contextlib.contextmanager
def seeded() -> Iterator[None]:
    """Code that draws from a global generator draws the same each time; generators and torch's modes are put back."""
    with global_seed(torch.device("cpu"), derive_seed(0, "target")), process_kept():
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Standard output is for results: what a stranger's code prints, or writes past Python, goes to standard error."""
    _flush()
    try:
        kept = os.dup(1)
        os.dup2(2, 1)  # for other processes and code in C, too
    except OSError:  # one of them is closed
        kept = None
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if kept is not None:
            _flush()
            os.dup2(kept, 1)
            os.close(kept)


def _flush() -> None:
    """Write what waits in the buffers of Python and of C."""
    for stream in (sys.stdout, sys.__stdout__):
        if stream is not None:
            stream.flush()
    ctypes.CDLL(None).fflush(None)
