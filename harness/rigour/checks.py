"""All checks of rigour in one table, and the two ways to run them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

import torch
from torch import Tensor, nn

from harness.events import Finding
from harness.fast.folded import Folded
from harness.plugin.attack import Attack
from harness.plugin.threat import Threat
from harness.rigour import classes, consistency, forward, outputs, pgd, warned
from harness.rigour.budgets import EXAMPLES, FIRST, LARGE, images_attacked
from harness.rigour.check import Check
from harness.rigour.record import Record
from harness.rigour.subject import Subject
from harness.runtime.device import arithmetic
from harness.runtime.isolation import isolated
from harness.runtime.seeds import derive_seed
from harness.statistics import attack_gaps

_MISSHAPEN, _NOTHING_RIGHT, _UNATTACKED = map(attrgetter, ("misshapen", "nothing_right", "unattacked"))  # obstacles

MODEL_CHECKS: tuple[Check[Subject], ...] = (
    Check("random-forward", "R", forward.one_answer, forward.SAME),
    Check("training-mode", "T", forward.training_mode, None),
    Check("not-logits", "L", outputs.not_logits, 0.0),
    Check("class-collapse", "C", classes.class_collapse, classes.CROWDED, _MISSHAPEN),
    Check("classes-permuted", "J", classes.classes_permuted, classes.GAINED, _MISSHAPEN),
    Check("zero-gradient", "Z", outputs.zero_gradient, outputs.WITHOUT_GRADIENT, _NOTHING_RIGHT),
    Check("robust-everywhere", "E", pgd.robust_everywhere, pgd.LEFT, _NOTHING_RIGHT),
    Check("larger-ball-helps", "B", pgd.larger_ball_helps, pgd.RISE, _UNATTACKED),
    Check("more-steps-help", "K", pgd.more_steps_help, pgd.RISE, _UNATTACKED),
    Check("not-converged", "N", pgd.not_converged, pgd.UNCONVERGED, _UNATTACKED),
    Check("logit-scale", "H", pgd.logit_scale, pgd.OTHERWISE_SCALED, _UNATTACKED),
    Check("loss-rising", "P", pgd.loss_rising, pgd.STILL_RISING, _UNATTACKED),
    Check("loss-falls", "D", pgd.loss_falls, pgd.FALLEN, _UNATTACKED),
    Check("fgsm-stronger", "G", pgd.fgsm_stronger, pgd.RISE, _UNATTACKED),
    Check("noise-as-strong", "U", pgd.noise_as_strong, pgd.NOISE_RATIO, _UNATTACKED),
    Check("catastrophic-overfitting", "O", pgd.catastrophic_overfitting, pgd.OVERFITTED, _UNATTACKED),
    Check("global-state", "F", forward.global_state, None),  # last, since it sums up all passes
)

LOOKS = ("training-mode", "class-collapse", "classes-permuted")
"""The checks that attack no image, and so always look at all."""

VERDICT_CHECKS: tuple[Check[Record], ...] = (
    Check(attack_gaps.CHECK, attack_gaps.MARK, consistency.autoattack_gap, None),
    Check("autoattack-misses", "M", consistency.autoattack_misses, consistency.MISSED),
    Check("square-stronger", "S", consistency.square_stronger, consistency.ALONE),
    Check("robust-above-clean", "X", consistency.robust_above_clean, consistency.ABOVE),
    Check("class-left-behind", "Y", classes.class_left_behind, None),
    *warned.CHECKS,
)


def examine_model(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    seed: int = 0,
    batch: int = EXAMPLES,
    names: Sequence[str] = (),
    faster: nn.Module | None = None,
) -> list[Finding]:
    """Run every check that needs the model, in float32, on at most EXAMPLES images; ``budgets.passes`` is the cost.

    A network of more than LARGE parameters is attacked by PGD on FIRST images at first. How many of them PGD leaves
    decides on how many images the checks attack the network (``images_attacked``): figures that are low anyway are
    worth few images, and AutoAttack is as soon done with such a network. A finding on fewer images than there are says
    so, in its reason and in its details.
    The model's modes and buffers are put back, and so are the global generators around each of its passes.

    Args:
        x: ``(n, channels, height, width)`` in [0, 1], ``y``: ``(n,)`` labels; both on the model's device.
        threat: the budget that the stored figures of PGD were measured with.
        batch: images that go through the model together.
        names: of the classes, by their labels, for findings.
        faster: the model, or the network in it, if its attacks may go through faster layers that compute the same.
    """
    layers = Folded(faster, x) if faster is not None else None
    layers = layers if layers is not None and layers.fits(x) else None
    large = sum(parameter.numel() for parameter in model.parameters()) > LARGE
    draws = derive_seed(seed, "rigour")  # a model that draws at test time must draw here, to be caught
    with arithmetic(x.device, "float32"), isolated(model, x.device, draws) as isolation, _left_as_it_was(model):
        chosen = subset(y)
        whole = Subject(model.eval(), x[chosen], y[chosen], threat, seed, batch, isolation, names, layers)
        attacked = _worth_attacking(whole) if large and whole.misshapen is None else whole
        return [
            check(whole) if check.name in LOOKS else _of_images(check(attacked), attacked.n, whole.n)
            for check in MODEL_CHECKS
        ]


def examine_verdicts(
    verdicts: Mapping[str, Sequence[bytes]],
    types: Mapping[str, type[Attack]],
    labels: Tensor | Sequence[int],
    warnings: Mapping[str, Sequence[str]],
    block: int | None = None,
    names: Sequence[str] = (),
) -> list[Finding]:
    """Run every check that reads stored verdicts: on all images, without a pass through a model.

    Args:
        verdicts: for each attack, for each of its seeds, one byte per image: 1 if right under attack.
        types, labels, warnings, names: see ``Record``.
        block: how many images a block of the evaluation has, and so a warning is about; None: all.
    """
    record = Record(verdicts, types, labels, warnings, block, names)
    return [check(record) for check in VERDICT_CHECKS]


def subset(y: Tensor, count: int = EXAMPLES) -> Tensor:
    """Which images are examined: all, or ``count`` of them, evenly spaced in the order of their labels.

    So every class has its share, however the images are sorted, and without random numbers. In ascending order.
    """
    if len(y) <= count:
        return torch.arange(len(y), device=y.device)
    places = torch.arange(count, device=y.device) * len(y) // count
    return y.argsort(stable=True)[places].sort().values


def _worth_attacking(whole: Subject) -> Subject:
    """The part of a large network's images that its checks attack."""
    if whole.n <= FIRST:
        return whole
    first = whole.among(subset(whole.y, FIRST))
    count = images_attacked(whole.n, int(first.survivors.sum()))
    if count == whole.n:
        return whole
    return first if count == first.n else whole.among(subset(whole.y, count))


def _of_images(finding: Finding, n: int, of: int) -> Finding:
    """The finding, which also says that it is of ``n`` images alone, if there are more."""
    if n == of:
        return finding
    stands_on = {"examined": n, "examined_of": of}
    return replace(finding, reason=f"{finding.reason} ({n} of {of} images)", details=finding.details | stands_on)


@contextlib.contextmanager
def _left_as_it_was(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                if name in buffers and buffer.shape == buffers[name].shape:
                    buffer.copy_(buffers[name])
        for module, training in modes:
            module.training = training
