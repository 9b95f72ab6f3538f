"""A target that is a live module: a copy of it is attacked, so that the module itself stays as it is."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import one_line
from harness.plugin.network import Shape
from harness.registry.source import Source, source_of
from harness.runtime.process import process_kept
from harness.targets.attributes import described
from harness.targets.normalisation import formula
from harness.targets.open import conforming, refuse_second_normalisation
from harness.targets.preprocessing import BINARY, Preprocessing
from harness.targets.target import Opened, Target, TargetError, quiet, seeded

_KNOWN = {*sys.stdlib_module_names, "torch"}  # provenance records the versions of these


@dataclass(frozen=True, kw_only=True)
class LiveTarget(Target):
    """A module of the user's process.

    Attributes:
        module: a copy of the user's module, which is never passed through.
        identity: its classes, attributes, and hooks, in JSON types; None if it is not kept, and needs no identity.
        source: the user's source of its classes and functions.
    """

    module: nn.Module = field(compare=False, repr=False)
    identity: list[Any] | None = None
    source: Source | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(16))  # apart from every other module, if not kept

    def network(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        return _copy(self.module, self.label)

    def code(self) -> dict[str, str]:
        return self.source.document() if self.source is not None else {}

    def context(self) -> dict[str, Any]:
        if self.identity is None or self.source is None:
            return {"live": self.token}
        return {"live": self.identity, "source": self.source.digest}


def open_live(
    module: nn.Module, *, label: str, shape: Shape, images: Tensor, preprocessing: Preprocessing, keep: bool
) -> Opened:
    """Copy a live module, pass images through the copy, and describe it. The module stays as it is.

    Args:
        images: some test images, ``(n, channels, height, width)`` float32 in [0, 1], on the CPU.
        keep: whether its results are kept, so that it needs an identity.
    Raises:
        TargetError: it cannot be copied, does not classify these images into these classes, or cannot be identified.
    """
    preprocessing.check_channels(shape.channels)
    target = live_target(module, label, preprocessing)
    if keep:
        identity, functions = described(module, label)
        target = replace(target, identity=identity, source=_source(module, functions, label))
    network = target.build(shape, ())
    if preprocessing.mean:
        refuse_second_normalisation(network, label, shape, given=True)
    with _not_reached(module, label):
        conforming_target, sha256, notes = conforming(target, network, shape, images, ())
        probe = conforming_target.probe(shape, ()) if keep else None
    provenance = {"kind": "live module", "class": type(module).__name__, **notes}
    if preprocessing.mean:
        provenance["normalisation"] = f"{formula(preprocessing)}, as given"
    return Opened(
        target=conforming_target,
        sha256=sha256,
        network=type(module).__name__,
        network_settings={},
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        provenance=provenance | {"preprocessing": preprocessing.resolved()},
        probe=probe,
    )


def live_target(module: nn.Module, label: str, preprocessing: Preprocessing) -> LiveTarget:
    """A target with a copy of a module.

    Raises:
        TargetError: the module cannot be copied.
    """
    inner = getattr(module, "_orig_mod", module)  # of torch.compile
    return LiveTarget(label=label, preprocessing=preprocessing, module=_copy(inner, label))


def device_of(module: nn.Module) -> torch.device | None:
    """The device of a module's tensors; None if it has none.

    Raises:
        TargetError: they are on several devices.
    """
    devices = {tensor.device for tensor in (*module.parameters(), *module.buffers())}
    if len(devices) > 1:
        there = ", ".join(sorted(map(str, devices)))
        raise TargetError(f"the model is on several devices ({there}); bring it to one, or give device=")
    return next(iter(devices), None)


def classes_of(module: nn.Module, label: str, preprocessing: Preprocessing, images: Tensor) -> int | None:
    """How many classes a module tells apart, seen in a pass of a copy; None if the pass does not show it."""
    if preprocessing.outputs in BINARY:
        return 2
    channels, height, width = images.shape[1:]
    target = live_target(module, label, preprocessing)
    with contextlib.suppress(Exception), quiet(), seeded(), process_kept(), torch.no_grad():  # it is refused later
        outputs = target.model(Shape(channels, height, width, 1), ()).outputs(images)
        if isinstance(outputs, Tensor) and outputs.ndim == 2:
            return outputs.shape[1]
    return None


def _copy(module: nn.Module, label: str) -> nn.Module:
    memo: dict[int, Any] = {}
    for part in module.modules():  # the old weight_norm keeps a computed tensor, which has no copy of its own
        for value in vars(part).values():
            if isinstance(value, Tensor) and value.grad_fn is not None:
                memo[id(value)] = value.detach().clone()
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:  # its parts may raise anything
        raise TargetError(
            f"{label} cannot be copied ({one_line(error)}), and a copy is attacked so that the model stays as it is;"
            " give it as a file's factory, such as 'mynet.py:make'"
        ) from error


def _source(module: nn.Module, functions: Sequence[Any], label: str) -> Source:
    """The source of the user's classes in a module, of their methods, and of the functions in its attributes.

    Raises:
        TargetError: the source of one is in no file.
    """
    used = [kind for part in module.modules() for kind in inspect.getmro(type(part))]
    used += [kind for each in functions if isinstance(each, type) for kind in inspect.getmro(each)]
    classes = [kind for kind in dict.fromkeys(used) if kind.__module__.split(".")[0] not in _KNOWN]
    methods = [f for kind in classes for f in vars(kind).values() if inspect.isfunction(f) and not _made(kind, f)]
    definers: list[Any] = [*classes, *methods, *(each for each in functions if inspect.isfunction(each))]
    for definer in definers:
        if not _in_a_file(definer):
            raise TargetError(
                f"{label} cannot be kept in a database: the source of {definer.__qualname__} is in no file, as in a"
                " notebook or at the prompt, so nothing identifies it; put it into a module, or leave db out"
            )
    return source_of(*definers, directory=Path.cwd())


def _made(kind: type, function: Any) -> bool:
    """Whether ``dataclass`` made a method of a class."""
    return dataclasses.is_dataclass(kind) and function.__code__.co_filename == "<string>"


def _in_a_file(definer: Any) -> bool:
    if inspect.isfunction(definer):
        return Path(definer.__code__.co_filename).is_file()  # also where another file's class was given the method
    try:
        return bool(inspect.getsource(definer))  # a class typed at the prompt is not in the file of the main module
    except (OSError, TypeError):
        return False


@contextlib.contextmanager
def _not_reached(module: nn.Module, label: str) -> Iterator[None]:
    """Refuse a module if its copy passes images through the module itself, as a closure over it would."""
    reached: list[str] = []
    hooks = [
        part.register_forward_pre_hook(lambda part, _: reached.append(type(part).__name__))
        for part in module.modules()
        if not isinstance(part, torch.jit.ScriptModule)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
    if reached:
        raise TargetError(
            f"{label} is refused: a copy of it still calls the {reached[0]} of the original, through a closure or a"
            " global name, so the copy is not the model; call its parts through self"
        )
