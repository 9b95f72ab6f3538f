"""The inner maximisation: projected gradient ascent in the threat's ball, and the objectives that it ascends.

Training methods and evaluation attacks craft with the same function, so their steps agree to the last bit.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.plugin.reach import WHOLE, Going, Reach
from harness.plugin.threat import Threat
from harness.plugin.worst import Worst, nan_lowest


@dataclass(frozen=True)
class Variant:
    """An adversarial variant of a batch.

    Attributes:
        x: ``(batch, channels, height, width)`` in [0, 1] and in the ball; no gradient.
        steps_to_flip: ``(batch,)`` int64 in [0, K], the geometric distance (the paper's kappa): the least step whose
            iterate is ``broken``, iterate 0 being the start; K where none of the iterates 0 ... K-1 is.
    """

    x: Tensor
    steps_to_flip: Tensor


class Objective(ABC):
    """What an attack ascends: one number for each example, from its logits."""

    @abstractmethod
    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        """``(batch,)`` values, from ``(batch, classes)`` logits and ``(batch,)`` labels."""

    def bind(self, model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
        """The function of logits and labels to ascend on this model; called once per crafting, in evaluation mode."""
        return self

    def flat_at(self, x: Tensor) -> bool:
        """Whether the gradient is zero at these images, whatever the network is: then only a random start leads on."""
        return False


class CrossEntropy(Objective):
    """The cross-entropy with the true label (LRAT paper, Eq. 11)."""

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(logits, y, reduction="none")


@dataclass(frozen=True)
class Margin(Objective):
    """The capped logit margin of Carlini and Wagner: min(max_{i != y} Z_i - Z_y, kappa) (LRAT paper, Eq. 12).

    Departs: Eq. 12 subtracts the constant kappa, which has no gradient; the cap is Carlini and Wagner's own.
    """

    kappa: float = 50.0

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        return logit_margin(logits, y).clamp(max=self.kappa)


Of = Literal["logits", "probabilities"]


@dataclass(frozen=True)
class TargetMargin(Objective):
    """The margin of one target class for each example: Z_t - Z_y of logits, or p_t - p_y of probabilities.

    It is positive only where the example is misclassified. Source: Gowal et al. 2019, arXiv:1910.09338.

    Attributes:
        targets: ``(batch,)`` int64, the classes t.
        of: what the difference is taken of.
    """

    targets: Tensor
    of: Of = "logits"

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        values = logits if self.of == "logits" else logits.softmax(1)
        target, true = (values.gather(1, classes[:, None]).squeeze(1) for classes in (self.targets, y))
        return target - true


class KL(Objective):
    """KL(p(x) || p(x_adv)), the divergence from the clean prediction (LRAT paper, Eq. 14-16).

    The clean prediction is computed once, in evaluation mode, without gradient. The gradient is zero at x itself, so
    it needs a random start.
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        raise TypeError("KL needs the clean prediction: craft with it, or call bind(model)")

    def bind(self, model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
        with torch.no_grad():
            log_p = _log_probabilities(model(self.x))  # new memory: the network may write its next logits into its own
            p = log_p.exp()
        return lambda logits, y: (p * (log_p - _log_probabilities(logits))).sum(1)

    def flat_at(self, x: Tensor) -> bool:
        return self.x is x or torch.equal(self.x, x)


def broken(logits: Tensor, y: Tensor) -> Tensor:
    """``(batch,)`` whether each example counts as wrong: it is misclassified, or its logits are not finite.

    The evaluator judges by this rule, and whatever chooses among images must agree with it.
    """
    return (logits.argmax(1) != y) | ~logits.isfinite().all(1)


def logit_margin(logits: Tensor, y: Tensor) -> Tensor:
    """``max_{i != y} Z_i - Z_y`` for each example: positive where misclassified."""
    true = logits.gather(1, y[:, None]).squeeze(1)
    others = logits.scatter(1, y[:, None], -torch.inf)
    return others.amax(1) - true


def kl_divergence(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """``KL(softmax(p) || softmax(q))`` for each example, ``(batch,)``; gradient flows through both.

    It is computed in float32 or better: log-probabilities of bfloat16 would leave few digits of their difference.
    """
    log_p, log_q = _log_probabilities(p_logits), _log_probabilities(q_logits)
    return (log_p.exp() * (log_p - log_q)).sum(1)


def _log_probabilities(logits: Tensor) -> Tensor:
    return F.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), 1)


class Crafter(Protocol):
    """The function that crafts for a training step: ``ascend``, or a faster way to the same variants."""

    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        objectives: Sequence[Objective],
        threat: Threat,
        generator: torch.Generator,
        reach: Reach = WHOLE,
        /,
    ) -> tuple[Variant, ...]:
        """A variant of the batch for each objective."""


def ascend(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    objectives: Sequence[Objective],
    threat: Threat,
    generator: torch.Generator,
    reach: Reach = WHOLE,
    *,
    keep: Literal["last", "worst"] = "last",
) -> tuple[Variant, ...]:
    """Craft one variant of the batch for each objective: x <- project(x + a direction(grad objective)), K times.

    The ball gives the direction of steepest ascent: in L-infinity, the sign of the gradient.
    All objectives go through the network in one batch, which changes no value in evaluation mode.
    The model is put in evaluation mode and back. No parameter's gradient is read or written. There are K forward
    passes, which give the steps to flip, too (one more with ``keep="worst"``, and one more with KL).

    Args:
        x: ``(batch, channels, height, width)`` in [0, 1].
        y: ``(batch,)`` int64 labels.
        reach: which examples stop early, and whether each has a radius of its own.
        keep: ``last`` gives the K-th iterate. ``worst`` gives the iterate of the highest objective, from the start to
            the K-th: among the ``broken`` iterates, or among all if none is.
    Source: Madry et al. 2018; LRAT paper, Eq. 3, Algorithms 2 and 3, section 5.2 (the uniform start).
    """
    ball = reach.ball(threat, x.detach().repeat(len(objectives), 1, 1, 1))
    return climb(model, x, y, objectives, threat, ball.start(threat.start, generator), reach, keep=keep)


def climb(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    objectives: Sequence[Objective],
    threat: Threat,
    start: Tensor,
    reach: Reach = WHOLE,
    *,
    keep: Literal["last", "worst"] = "last",
    lengths: Sequence[float] | None = None,
) -> tuple[Variant, ...]:
    """``ascend`` from a start that is given. It draws nothing, and every tensor has a shape that is known beforehand.

    Args:
        start: ``(objectives * batch, channels, height, width)``, the first iterates, objective after objective.
        lengths: of each of the threat's steps; None: all have the threat's step size.
    """
    count = len(objectives)
    with evaluation_mode(model), torch.enable_grad():
        bound = [objective.bind(model) for objective in objectives]
        clean, labels = x.detach().repeat(count, 1, 1, 1), y.repeat(count)
        ball, iterate, going = reach.ball(threat, clean), start.detach(), Going(reach, labels)
        worst = Worst(iterate) if keep == "worst" else None
        path: list[Tensor] = []
        for length in [threat.step_size] * threat.steps if lengths is None else lengths:
            iterate.requires_grad_()
            logits = model(iterate)
            values = _values(bound, logits, labels)
            (gradient,) = torch.autograd.grad(values.sum(), iterate)
            with torch.no_grad():  # all on the device: the CPU never waits for a value
                path.append(logits.detach().clone())  # the network may write its next logits into the same memory
                if worst is not None:
                    worst.update(iterate, values, broken(logits, labels))
                iterate = iterate.detach()
                onward = ball.step(iterate, gradient, length)
                iterate = going.moved(iterate, onward, ~broken(logits, labels)) if going.some_stop else onward
        if worst is not None:
            with torch.no_grad():
                logits = model(iterate)
                worst.update(iterate, _values(bound, logits, labels), broken(logits, labels))
            iterate = worst.iterate
        steps_to_flip = _steps_to_flip(path, labels)
    return tuple(Variant(*pair) for pair in zip(iterate.chunk(count), steps_to_flip.chunk(count), strict=True))


def _values(bound: Sequence[Callable[[Tensor, Tensor], Tensor]], logits: Tensor, labels: Tensor) -> Tensor:
    """``(objectives * batch,)`` what each objective says of its part of the batch."""
    chunks = zip(bound, logits.chunk(len(bound)), labels.chunk(len(bound)), strict=True)
    return torch.cat([objective(z, label) for objective, z, label in chunks])


def _steps_to_flip(path: Sequence[Tensor], labels: Tensor) -> Tensor:
    """``(batch,)`` how many iterates come before the first one that is broken, from the logits of all of them.

    For all iterates at once: on a small network the same at every step takes as long as a layer.
    """
    if not path:
        return torch.zeros_like(labels)
    wrong = broken(torch.cat(list(path)), labels.repeat(len(path))).view(len(path), -1)
    return (~wrong).long().cumprod(0).sum(0)


def worst_of(model: nn.Module, y: Tensor, objective: Objective, attempts: int, attempt: Callable[[], Tensor]) -> Tensor:
    """Attack a batch several times: for each example, the first attempt that broke it, or else the highest objective.

    An attempt breaks an example if the evaluator would say so (``broken``). So an example counts as robust only if
    every attempt failed. The CPU never waits for a value of the device.

    Args:
        attempt: gives ``(batch, channels, height, width)`` images, different ones at each call.
        attempts: how often to call it, at least 1; each call costs one forward pass besides its own.
    """
    with evaluation_mode(model), torch.no_grad():
        bound = objective.bind(model)

        def judged(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            logits = model(images)
            return images, broken(logits, y), nan_lowest(bound(logits, y))

        worst, fallen, highest = judged(attempt())
        for _ in range(attempts - 1):
            images, wrong, values = judged(attempt())
            better = ~fallen & (wrong | (values > highest))
            worst = torch.where(better[:, None, None, None], images, worst)
            highest, fallen = torch.where(better, values, highest), fallen | wrong
    return worst


@contextlib.contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards each module has its own mode again (a frozen batch-norm stays frozen)."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
