"""A target: a model that was not trained here, and that any process can build again."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import itertools
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from harness.errors import HarnessError, ModelFault, one_line
from harness.identity import canonical_json
from harness.plugin.network import Shape
from harness.runtime.isolation import blaming_model
from harness.runtime.printing import prints_to
from harness.runtime.process import process_kept
from harness.runtime.seeds import derive_seed, global_seed
from harness.targets.prepared import Prepared
from harness.targets.preprocessing import Preprocessing
from harness.targets.probe import Probe, probe, same_function


class TargetError(HarnessError):
    """A model that cannot be evaluated: what was refused, the rule, what to do next."""


@dataclass(frozen=True, kw_only=True)
class Target(ABC):
    """A model that can be built again anywhere: plain data, which can be sent to other processes.

    Attributes:
        label: the target's name in messages.
        preprocessing: what is put inside the model.
        own_types: whether the network computes in its own floating types, since it does not run in float32.
    """

    label: str
    preprocessing: Preprocessing
    own_types: bool = False

    @abstractmethod
    def network(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        """The network alone, with its weights, before any preparation.

        Raises:
            TargetError: it cannot be built, or has changed since it was opened.
        """

    @abstractmethod
    def context(self) -> dict[str, Any]:
        """What identifies the model besides its tensors, in JSON types."""

    def code(self) -> dict[str, str]:
        """The user's source files that decide what the model computes, each with its SHA-256; by default none."""
        return {}

    def architecture(self, network: nn.Module) -> tuple[str, dict[str, Any]]:
        """The name and settings of a built network; by default its class's name, without settings."""
        return type(network).__name__, {}

    def seen(self, network: nn.Module) -> Self:
        """The target, completed with facts known only once its network is built; by default unchanged."""
        return self

    def build(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        """The network alone, built with seeded global generators.

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
            network = network.module  # DataParallel would choose devices itself
        try:
            prepared = Prepared(network, self.preprocessing).cpu()
            return (prepared if self.own_types else prepared.float()).eval().requires_grad_(False)
        except (Exception, SystemExit) as error:  # from tensors without values, or a stranger's own .train()
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
        """The model's answers to fixed images. A fresh model is built for them, since passes may change a model."""
        unheard = io.StringIO()  # the model printed the same when it was opened
        try:
            with contextlib.redirect_stdout(unheard), contextlib.redirect_stderr(unheard), blaming_model():
                return probe(lambda: self.model(shape, plugins), shape)
        except ModelFault as fault:
            raise TargetError(
                f"{self.label} {fault}, on noise and ramps in [0, 1], which identify it; it must take any"
                " images in [0, 1], any number of times"
            ) from fault

    def verified(self, shape: Shape, plugins: tuple[Path, ...], sha256: str, expected: Probe | None = None) -> Prepared:
        """The model, checked to be the one that was opened; ``expected`` is its probe, if tensors do not identify it.

        Raises:
            TargetError: its fingerprint or its answers have changed.
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
    """A target that passed every check."""

    target: Target
    sha256: str  # identifies the model: weights, preprocessing, and for a user's own code its name and source
    network: str  # the registered network's name, else the name of the class or the function that makes it
    network_settings: dict[str, Any]  # resolved, for a registered network
    parameters: int  # how many numbers the network's parameters hold
    provenance: dict[str, Any]  # where it came from and what was done to it, in JSON types
    probe: Probe | None = None  # its answers to fixed images


def fingerprint(model: nn.Module, context: dict[str, Any]) -> str:
    """SHA-256 over the names, shapes, dtypes, and bytes of all parameters and buffers, and over a JSON document.

    Buffers that a state dict leaves out count, too.

    Args:
        model: on the CPU.
        context: what the tensors do not show: the network's name, its preprocessing, its source.
    """
    sha = hashlib.sha256(canonical_json(context).encode())
    named = itertools.chain(model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False))
    for name, tensor in sorted(named, key=lambda item: item[0]):
        sha.update(repr((name, tuple(tensor.shape), str(tensor.dtype))).encode())
        sha.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def conversions(tensors: Iterable[Tensor]) -> list[str]:
    """The names of the floating types other than float32 that tensors have."""
    return sorted({str(t.dtype).removeprefix("torch.") for t in tensors if t.is_floating_point()} - {"float32"})


@contextlib.contextmanager
def seeded() -> Iterator[None]:
    """Inside, global generators are seeded. Afterwards the generators and torch's modes are put back."""
    with global_seed(torch.device("cpu"), derive_seed(0, "target")), process_kept():
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send to standard error what a stranger's code prints, in Python or not: standard output is for results."""
    _flush()
    try:
        kept = os.dup(1)
        os.dup2(2, 1)  # for other processes and code in C, too
    except OSError:  # standard output or error is closed
        kept = None
    try:
        with prints_to(sys.stderr):
            yield
    finally:
        if kept is not None:
            _flush()
            os.dup2(kept, 1)
            os.close(kept)


def _flush() -> None:
    """Flush the buffers of Python and of C."""
    for stream in (sys.stdout, sys.__stdout__):
        if stream is not None:
            stream.flush()
    ctypes.CDLL(None).fflush(None)
