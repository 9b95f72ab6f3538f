"""The same training steps on torchattacks' PGD, and PGD evaluations by torchattacks and foolbox, as users call them.

Neither library gives LRAT's margin attack or GAIRAT's count of steps, so these loops do the nearest that costs the same
or less: LRAT runs PGD twice; GAIRAT counts from the logits that a hook keeps, on the device.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from benchmarks.textbook import geometry, local_update
from harness.plugin.threat import Threat

HAS_TORCHATTACKS, HAS_FOOLBOX = find_spec("torchattacks") is not None, find_spec("foolbox") is not None


class TorchAttacks:
    """Training steps and PGD evaluation with torchattacks, on one network."""

    def __init__(self, model: nn.Module, threat: Threat) -> None:
        torchattacks: Any = import_module("torchattacks")

        self.model, self.threat = model, threat
        self.pgd = torchattacks.PGD(model, eps=threat.epsilon, alpha=threat.step_size, steps=threat.steps)
        self.kl = torchattacks.TPGD(model, eps=threat.epsilon, alpha=threat.step_size, steps=threat.steps)

    def sat(self, optimizer: optim.Optimizer, x: Tensor, y: Tensor) -> None:
        """One update of SAT."""
        x_adv = self.pgd(x, y)
        self.model.train()
        optimizer.zero_grad()
        F.cross_entropy(self.model(x_adv), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def gairat(self, optimizer: optim.Optimizer, x: Tensor, y: Tensor) -> None:
        """One update of GAIRAT; steps counted on the device, from the logits of the attack's passes."""
        right: list[Tensor] = []
        hook = self.model.register_forward_hook(lambda _model, _inputs, logits: right.append(logits.argmax(1) == y))
        x_adv = self.pgd(x, y)
        hook.remove()
        self.model.train()
        optimizer.zero_grad()
        losses = F.cross_entropy(self.model(x_adv), y, reduction="none")
        weights = geometry(torch.stack(right).sum(0), self.threat.steps)
        (losses * weights).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def trades(self, optimizer: optim.Optimizer, x: Tensor, y: Tensor) -> None:
        """One update of TRADES on ``TPGD``, with one clean pass in the loss."""
        x_adv = self.kl(x)
        self.model.train()
        optimizer.zero_grad()
        clean, adversarial = self.model(x), self.model(x_adv)
        divergence = F.kl_div(F.log_softmax(adversarial, 1), F.softmax(clean, 1), reduction="batchmean")
        (F.cross_entropy(clean, y) + 6.0 * divergence).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def lrat(self, optimizer: optim.Optimizer, x: Tensor, y: Tensor) -> None:
        """One update of LRAT; the second variant is PGD's too, since torchattacks has no margin attack in this ball."""
        local_update(self.model, optimizer, x, y, [self.pgd(x, y), self.pgd(x, y)])

    def evaluate(self, x: Tensor, y: Tensor) -> Tensor:
        """``(batch,)`` bool: right under PGD, scored by a new pass."""
        x_adv = self.pgd(x, y)
        with torch.no_grad():
            verdict: Tensor = self.model(x_adv).argmax(1) == y
        return verdict


class Foolbox:
    """PGD evaluation with foolbox, on one network in evaluation mode."""

    def __init__(self, model: nn.Module, threat: Threat) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it imports from a module of scipy that has moved
            foolbox: Any = import_module("foolbox")

        step, steps = threat.step_size, threat.steps
        self.model, self.threat = foolbox.PyTorchModel(model.eval(), bounds=(0, 1)), threat
        self.attack = foolbox.attacks.LinfPGD(abs_stepsize=step, steps=steps, random_start=True)

    def evaluate(self, x: Tensor, y: Tensor) -> Tensor:
        """``(batch,)`` bool: right under PGD, as foolbox itself scores."""
        _, _, broken = self.attack(self.model, x, y, epsilons=self.threat.epsilon)
        return ~torch.as_tensor(broken)
