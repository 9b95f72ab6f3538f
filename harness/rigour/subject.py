"""The model under examination. What several checks need is measured once, at first use."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn

from harness.fast.folded import Folded
from harness.identity import same
from harness.plugin.adversary import CrossEntropy, Objective, climb
from harness.plugin.threat import Threat
from harness.rigour.budgets import NOISE_DRAWS, Way, planned, planned_on_survivors, way
from harness.rigour.scaling import ScaledOdds
from harness.rigour.trajectory import Guarded, Trajectory, right
from harness.runtime.isolation import Isolation
from harness.runtime.seeds import generator


class FirstLooks(NamedTuple):
    """The first two passes in evaluation mode, over the same images."""

    logits: tuple[Tensor, Tensor]
    training: list[str]  # names of modules that were in training mode after the first pass
    changed: list[str]  # names of buffers that the first pass changed
    streams: list[Mapping[str, object]]  # the model's generators before, between, and after the passes


class Looks(NamedTuple):
    """Passes as attacks make them, over the same perturbed images."""

    without: Tensor  # ``(n, classes)`` logits of a pass without gradients
    logits: tuple[Tensor, ...]  # logits of two equal passes with gradients
    gradients: tuple[Tensor, ...]  # ``(n, numbers)`` gradients of the cross-entropy by the images, of the same two
    reordered: Tensor  # logits of a pass with gradients in reversed order and other batches, order put back
    streams: list[Mapping[str, object]]  # the model's generators before, between, and after the two equal passes


@dataclass(eq=False)
class Subject:
    """A model, images, and a budget. Each measurement is made in batches at first use, and kept.

    Attributes:
        x: ``(n, channels, height, width)`` in [0, 1]; ``y``: ``(n,)`` labels.
        threat: the budget that the stored figures were measured with.
        isolation: the isolation of the model's passes.
        names: of the classes, by their labels; empty if unknown.
        layers: faster layers for the attacks, which compute the same. Every other pass is the model's own.
    """

    model: nn.Module
    x: Tensor
    y: Tensor
    threat: Threat
    seed: int
    batch: int
    isolation: Isolation
    names: Sequence[str] = ()
    layers: Folded | None = None

    def __post_init__(self) -> None:
        self._plan = planned(self.threat, self.x.shape[1:])
        self._paths: dict[Way, Trajectory] = {}
        self._anew: dict[float | None, Trajectory] = {}

    def among(self, chosen: Tensor) -> Subject:
        """The same model on some of the images; its first looks are those made here, before any attack on the model.

        Args:
            chosen: places of the images; the outputs must be logits of all images.
        """
        part, looks = replace(self, x=self.x[chosen], y=self.y[chosen]), self.first_looks
        first, second = looks.logits
        part.__dict__["first_looks"] = looks._replace(logits=(first[chosen], second[chosen]))
        return part

    @property
    def n(self) -> int:
        """How many images."""
        return len(self.y)

    def forward(self, x: Tensor, batch: int | None = None) -> Tensor:
        """The model's own outputs, without gradient."""
        with torch.no_grad():
            return torch.cat([self.model(part) for part in torch.split(x, batch or self.batch)])

    @cached_property
    def first_looks(self) -> FirstLooks:
        """The first two passes over the images, and what the first pass changes in the model."""
        before = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        streams = [self.isolation.streams()]
        first = self.forward(self.x)
        streams.append(self.isolation.streams())
        after = dict(self.model.named_buffers())
        changed = [name for name, old in before.items() if name not in after or not same(old, after[name])]
        training = [name for name, module in self.model.named_modules() if module.training]
        second = self.forward(self.x)
        return FirstLooks((first, second), training, changed, [*streams, self.isolation.streams()])

    @property
    def logits(self) -> Tensor:
        """Outputs on the clean images, as the model gives them."""
        return self.first_looks.logits[0]

    @cached_property
    def reordered(self) -> Tensor:
        """Outputs of a pass in reversed order and in batches of another size, in the images' own order."""
        return self.forward(self.x.flip(0), self._other_batch).flip(0)

    @property
    def _other_batch(self) -> int:
        return max(1, min(self.batch, self.n) // 3)

    @cached_property
    def looks(self) -> Looks:
        """Passes as attacks make them, at uniform draws from the ball; made after the first looks."""
        assert self.first_looks is not None
        x = self.threat.ball(self.x).start("uniform", generator(self.x.device, self.seed, "rigour", "looks"))
        without = self.forward(x)
        streams, passes = [self.isolation.streams()], []
        for _ in range(2):
            passes.append(self._with_gradients(x, self.y, self.batch))
            streams.append(self.isolation.streams())
        reordered, _ = self._with_gradients(x.flip(0), self.y.flip(0), self._other_batch)
        logits, gradients = zip(*((logits, gradient) for logits, (gradient,) in passes), strict=True)
        return Looks(without, logits, gradients, reordered.flip(0), streams)

    def gradients(self, *objectives: Objective) -> list[Tensor]:
        """``(n, numbers)`` the gradient of each objective by each clean image; NaN is kept."""
        return self._with_gradients(self.x, self.y, self.batch, *objectives)[1]

    def _with_gradients(self, x: Tensor, y: Tensor, batch: int, *objectives: Objective) -> tuple[Tensor, list[Tensor]]:
        """Logits; and for each objective (by default the cross-entropy) ``(n, numbers)`` its gradient by each image."""
        parts = []
        for images, labels in zip(torch.split(x, batch), torch.split(y, batch), strict=True):
            leaf = images.detach().clone().requires_grad_()
            with torch.enable_grad():
                logits = self.model(leaf)
                losses = [objective(logits, labels) for objective in objectives or (CrossEntropy(),)]
                parts.append([logits.detach(), *(_input_gradient(loss, leaf).flatten(1) for loss in losses)])
        logits, *gradients = (torch.cat(each) for each in zip(*parts, strict=True))
        return logits, gradients

    @cached_property
    def misshapen(self) -> str | None:
        """Why the outputs are no logits of these labels, or None."""
        shape = tuple(self.logits.shape)
        if len(shape) != 2 or shape[0] != self.n:
            return f"{self.n} images give outputs of shape {shape}, not (images, classes)"
        if shape[1] <= int(self.y.max()):
            return f"it has {shape[1]} outputs, and labels reach {int(self.y.max())}"
        return None

    @cached_property
    def right(self) -> Tensor:
        """``(n,)`` bool: clean images classified rightly."""
        return right(self.logits, self.y)

    @cached_property
    def nothing_right(self) -> str | None:
        """Why there is nothing to attack, or None."""
        if self.misshapen is not None:
            return self.misshapen
        return None if bool(self.right.any()) else "no clean image is classified rightly"

    @property
    def unattacked(self) -> str | None:
        """Why an attack within the radius shows nothing, or None."""
        return self.nothing_right or ("the radius is 0" if self.threat.epsilon == 0 else None)

    @cached_property
    def survivors(self) -> Tensor:
        """``(n,)`` bool: right under PGD, as the stored figures use it; right at all, if the radius is 0."""
        return self.right if self.unattacked is not None else self.path(self.threat).last

    def path(self, threat: Threat) -> Trajectory:
        """Every iterate of projected gradient ascent on the cross-entropy; the budget must be a planned one."""
        key = way(threat)
        if key not in self._paths:
            self._paths[key] = self._ascend(self._plan[key])
        return self._paths[key].until(threat.steps)

    def anew(self, spread: float | None = None) -> Trajectory:
        """On the survivors alone, of whom there must be some, in their order: the attack from another start.

        Args:
            spread: to which each image's clean logits are scaled (``ScaledOdds``); None: PGD on the cross-entropy.
        """
        if spread not in self._anew:
            threat = planned_on_survivors(self.threat)[spread]
            self._anew[spread] = self._ascend(threat, restart=1, chosen=self.survivors, spread=spread)
        return self._anew[spread]

    def attack_wholly(self) -> None:
        """Run every planned attack, if there is something to attack."""
        if self.nothing_right is None:
            for threat in self._plan.values():
                self.path(threat)
            if bool(self.survivors.any()):
                for spread in planned_on_survivors(self.threat):
                    self.anew(spread)

    def _ascend(
        self, threat: Threat, *, restart: int = 0, chosen: Tensor | None = None, spread: float | None = None
    ) -> Trajectory:
        """The attack's way from that start; a choice of images, ``(n,)`` bool, changes no image's start."""
        parts = []
        for start, x, y in self._batches():
            draws = generator(x.device, self.seed, "rigour", repr(threat.epsilon), restart, start)
            first, clean = threat.ball(x).start(threat.start, draws), self.logits[start : start + len(y)]
            if chosen is not None:
                some = chosen[start : start + len(y)]
                x, y, first, clean = x[some], y[some], first[some], clean[some]
            if not len(y):
                continue
            guarded = Guarded(self.model)
            objective = CrossEntropy() if spread is None else ScaledOdds(clean, spread)
            with self.layers.put_in() if self.layers is not None else contextlib.nullcontext():
                climb(guarded, x, y, [objective], threat, first, keep="worst")  # looks at the last iterate, too
            losses = torch.stack([CrossEntropy()(logits, y) for logits in guarded.logits])
            logits, slopes = torch.stack(guarded.logits), torch.stack(guarded.slopes)
            parts.append([losses, right(logits, y), logits.isfinite().all(-1), slopes])
        return Trajectory(*(torch.cat(each, 1) for each in zip(*parts, strict=True)))

    @cached_property
    def under_noise(self) -> Tensor:
        """``(n,)`` bool: right under each of NOISE_DRAWS uniform draws from the ball."""
        parts = []
        for start, x, y in self._batches():
            draws = generator(x.device, self.seed, "rigour", "noise", start)
            kept = torch.ones_like(y, dtype=torch.bool)
            for _ in range(NOISE_DRAWS):
                kept &= right(self.forward(self.threat.ball(x).start("uniform", draws)), y)
            parts.append(kept)
        return torch.cat(parts)

    def _batches(self) -> list[tuple[int, Tensor, Tensor]]:
        starts = range(0, self.n, self.batch)
        return [(s, self.x[s : s + self.batch], self.y[s : s + self.batch]) for s in starts]


def _input_gradient(values: Tensor, x: Tensor) -> Tensor:
    if not values.requires_grad:
        return torch.zeros_like(x)  # the network cut the graph itself
    (gradient,) = torch.autograd.grad(values.sum(), x, retain_graph=True, allow_unused=True)
    return torch.zeros_like(x) if gradient is None else gradient
