"""The evaluator: it alone decides whether an attack succeeded."""

from __future__ import annotations

import contextlib
import inspect
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import PluginError, listed
from harness.fast.folded import Folded
from harness.fast.pure import is_pure
from harness.plugin.adversary import broken, logit_margin
from harness.plugin.attack import Attack
from harness.plugin.threat import Threat
from harness.registry.shipped import ships
from harness.runtime.device import arithmetic
from harness.runtime.isolation import isolated
from harness.runtime.process import process_kept
from harness.runtime.seeds import derive_seed, global_seed
from harness.runtime.untouched import Untouched

FEW_PASSES = 10  # an image; for fewer, a search for faster layers does not pay
_AS_IT_IS = contextlib.nullcontext()


@dataclass(frozen=True)
class Verdicts:
    """The outcome of one attack on one block.

    Attributes:
        correct: ``(batch,)`` bool on the CPU, True where the network is right under the attack.
        margins: ``(batch,)`` float32 on the CPU in [-1, 1]: p_y - max_{i != y} p_i at the adversarial image, the
            vulnerability of LRAT's Eq. 9 (smaller is more vulnerable); -1 where the logits are not finite.
        warnings: the messages of the attack's warnings.
        predicted: ``(batch,)`` int64 on the CPU, the class of the adversarial image; -1 where logits are not finite.
        adversarial: ``(keep, channels, height, width)`` float32 on the CPU, the first adversarial images, projected.
    """

    correct: Tensor
    margins: Tensor
    duration_s: float
    warnings: tuple[str, ...]
    predicted: Tensor
    adversarial: Tensor


def evaluate(
    model: nn.Module,
    attack: Attack,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    generator: torch.Generator,
    *,
    faster: nn.Module | None = None,
    keep: int = 0,
) -> Verdicts:
    """Attack a block in evaluation mode and float32, project the result onto the ball, and score it by a new pass.

    A network whose logits for an image are not finite is wrong on that image. The verdict does not depend on the clean
    image: an attack may by chance correct an error, as in the papers' figures.

    Model and attack share no random numbers: while either runs, its own generator states, derived from the generator's
    seed, replace the global ones, which are restored afterwards. So the figures of a model that draws, or of an attack
    that draws from global generators by mistake, are the same in any process and order.

    The attack gets copies of images and labels, and those parts of the threat that its budget names. It must restore
    the network: otherwise another network would be judged, here and later. A network may change itself, as observers
    in a quantised network do; the checks of rigour and ``Steadiness`` report that.

    Args:
        faster: the model, or the network in it, if an attack that ships may go through faster layers that compute the
            same. If the model is seen to be pure, too, the attack's passes are not isolated, and the attack may leave
            out those whose outcome it knows. The verdict is the model's own, as it is.
        keep: how many of the adversarial images to return.
    Raises:
        SettingError: the attack cannot attack in the threat's ball, or not images of this shape there.
        PluginError: the attack returned no images of this shape and type, or NaN; or it changed the network, or read a
            part of the threat that its budget does not name. Names the attack and its file.
    """
    if not (bool((x >= 0).all()) and bool((x <= 1).all())):
        raise AssertionError("images must lie in [0, 1]")
    attack.refuse_other_balls(threat)
    attack.refuse_shape(threat, x.shape[1:])
    model.eval()
    started = time.perf_counter()
    folded = _faster_layers(faster, attack, x, threat)
    pure = folded is not None and is_pure(model, x)
    seed = generator.initial_seed()  # differs between attacks, seeds, and blocks
    with (
        arithmetic(x.device, "float32"),
        global_seed(x.device, derive_seed(seed, "global")),
        isolated(model, x.device, seed) as isolation,
        _inputs_kept(model),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        before = Untouched(model)
        with process_kept():  # a mode that the attack leaves changed would affect the verdict, and later work
            budget = threat.seen_as(attack.budget, partial(_undeclared, attack))
            perturb = attack.perturb_pure if pure else attack.perturb
            with folded.put_in() if folded else _AS_IT_IS, isolation.left_out() if pure else _AS_IT_IS:
                x_adv = perturb(model, x.clone(), y.clone(), budget, generator)  # clones: it may write into them
        _refuse_images(attack, x_adv, x)
        touched = before.changed(model)
        given_back = Untouched(model) if touched else before
        with torch.no_grad():
            projected = threat.ball(x).project(x_adv.detach())
            logits = model(projected)
            finite = logits.isfinite().all(1)
            predicted = torch.where(finite, logits.argmax(1), -1)
            correct = ~broken(logits, y)
            margins = torch.where(finite, -logit_margin(logits.softmax(1), y), -1.0)
        if touched and not ships(type(attack)):  # if it ships, tests show that the network changed itself
            _refuse_touched(attack, touched - given_back.changed(model))  # not what a pass changes anyway
    texts = tuple(dict.fromkeys(str(warning.message) for warning in caught))
    duration, first = time.perf_counter() - started, projected[:keep].cpu()
    return Verdicts(correct.cpu(), margins.cpu(), duration, texts, predicted.cpu(), first)


def _faster_layers(network: nn.Module | None, attack: Attack, x: Tensor, threat: Threat) -> Folded | None:
    """Faster layers for the network, if an attack that ships goes through it often, and if they fit; else None.

    Any other attack gets the network as it is: it may look at its layers.
    """
    if network is None or not ships(type(attack)) or attack.passes(threat).total < FEW_PASSES:
        return None
    if not (_last and _last[0].model is network and not _last[0].changed() and _last[0].fits(x)):
        _last[:] = [Folded(network, x)]
        if not _last[0].fits(x):
            return None
    return _last[0]


_last: list[Folded] = []
"""The faster layers of the last network, as the blocks of a network follow each other."""


def _refuse_images(attack: Attack, x_adv: Any, x: Tensor) -> None:
    """Refuse anything but images of the same shape, type, and device without NaN.

    Also refuse an attack that moves images although its budget does not name epsilon.
    """
    if not isinstance(x_adv, Tensor):
        raise PluginError(f"{_named(attack)} returned a {type(x_adv).__name__}; it must return a tensor of images")
    if x_adv.shape != x.shape:
        shapes = f"{tuple(x_adv.shape)} for images of shape {tuple(x.shape)}"
        raise PluginError(f"{_named(attack)} returned shape {shapes}; it must keep the shape")
    kind, kept = ((t.dtype, t.device, t.layout) for t in (x_adv, x))
    if kind != kept:
        both = f"{', '.join(map(str, kind))} for images of {', '.join(map(str, kept))}"
        raise PluginError(f"{_named(attack)} returned {both}; it must keep type, device, and layout")
    if bool(x_adv.isnan().any()):
        raise PluginError(f"{_named(attack)} returned NaN; adversarial images must be numbers")
    if "epsilon" not in attack.budget and not torch.equal(x_adv, x):
        raise PluginError(
            f"{_named(attack)} moves images, but its budget does not name epsilon, so results for another radius would"
            " be taken for these; name 'epsilon' in budget"
        )


def _refuse_touched(attack: Attack, names: set[str]) -> None:
    if names:
        raise PluginError(
            f"{_named(attack)} left the network changed ({listed(sorted(names))}), so another network would be judged;"
            " it must put back weights, modes, layers, and hooks"
        )


def _undeclared(attack: Attack, part: str) -> PluginError:
    return PluginError(
        f"{_named(attack)} reads {part} of the threat, but its budget does not name it, so results under another"
        f" {part} would be taken for these; name {part!r} in budget"
    )


@contextlib.contextmanager
def _inputs_kept(model: nn.Module) -> Iterator[None]:
    """Give each pass a copy of the images: an in-place first layer would otherwise overwrite the attack's iterate."""

    def copied(_model: nn.Module, inputs: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(given.clone() if isinstance(given, Tensor) else given for given in inputs)

    hook = model.register_forward_pre_hook(copied)
    try:
        yield
    finally:
        hook.remove()


def _named(attack: Attack) -> str:
    """The attack's name and file, for messages."""
    return f"attack {attack.name!r} ({inspect.getfile(type(attack))})"
