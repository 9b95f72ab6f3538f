"""The evaluator: it alone decides whether an attack succeeded."""

from __future__ import annotations

import contextlib
import inspect
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.adversary import logit_margin, project
from harness.attack import Attack
from harness.device import arithmetic
from harness.errors import PluginError
from harness.isolation import isolated
from harness.seeds import derive_seed, global_seed
from harness.threat import Threat


@dataclass(frozen=True)
class Verdicts:
    """The outcome of one attack on one block.

    Attributes:
        correct: ``(batch,)`` bool on the CPU, true where the network was right under the attack.
        margins: ``(batch,)`` float32 on the CPU in [-1, 1]: p_y - max_{i != y} p_i at the adversarial image, the
            vulnerability of LRAT's Eq. 9 (smaller is more vulnerable); -1 where the logits are not finite.
        warnings: texts of what the attack warned of.
    """

    correct: Tensor
    margins: Tensor
    duration_s: float
    warnings: tuple[str, ...]


def evaluate(
    model: nn.Module, attack: Attack, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator
) -> Verdicts:
    """Attack a block in evaluation mode and float32; project what comes back, and score it by a fresh forward pass.

    A network whose logits are not finite is wrong on that example. The verdict on an example does not ask whether
    the clean image was classified rightly: an attack may by chance repair an error, as in the papers' figures.

    Model and attack do not meet in the global generators: each has streams of its own in place while it runs, which
    start from the generator's seed, and what was there is put back. So the figures of a model that draws, or of an
    attack that draws from them by mistake, are the same in any process and order.

    Raises:
        PluginError: the attack gave another shape, or a value that is not a number; names the attack and its file.
    """
    if not (bool((x >= 0).all()) and bool((x <= 1).all())):
        raise AssertionError("images must lie in [0, 1]")
    model.eval()
    started = time.perf_counter()
    seed = generator.initial_seed()  # another for each attack, seed, and block
    with (
        arithmetic(x.device, "float32"),
        global_seed(x.device, derive_seed(seed, "global")),
        isolated(model, x.device, seed),
        _inputs_kept(model),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        x_adv = attack.perturb(model, x, y, threat, generator).detach()
        if x_adv.shape != x.shape:
            shapes = f"{tuple(x_adv.shape)} for images of shape {tuple(x.shape)}"
            raise PluginError(f"{_named(attack)} returned shape {shapes}; it must keep the shape")
        if bool(x_adv.isnan().any()):
            raise PluginError(f"{_named(attack)} returned NaN; adversarial images must be numbers")
        with torch.no_grad():
            logits = model(project(x_adv, x, threat.epsilon))
            finite = logits.isfinite().all(1)
            correct = (logits.argmax(1) == y) & finite
            margins = torch.where(finite, -logit_margin(logits.softmax(1), y), -1.0)
    texts = tuple(dict.fromkeys(str(warning.message) for warning in caught))
    return Verdicts(correct.cpu(), margins.cpu(), time.perf_counter() - started, texts)


@contextlib.contextmanager
def _inputs_kept(model: nn.Module) -> Iterator[None]:
    """Inside, each pass gets a copy of the images, so that a first layer in place leaves an attack's iterate alone."""

    def copied(_model: nn.Module, inputs: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(given.clone() if isinstance(given, Tensor) else given for given in inputs)

    hook = model.register_forward_pre_hook(copied)
    try:
        yield
    finally:
        hook.remove()


def _named(attack: Attack) -> str:
    """The attack and the file that its author should look into."""
    return f"attack {attack.name!r} ({inspect.getfile(type(attack))})"
