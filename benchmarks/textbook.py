"""Training steps and PGD as the methods' official scripts do them, in this project's words.

What the scripts of GAIRAT (Zhang et al., ICLR 2021) and TRADES (Zhang et al., ICML 2019) have in common is kept,
because its cost is what the comparison is about: ``loss.backward()`` in the attack, which computes the gradients of the
weights too and throws them away; the clean pass of TRADES at every step, and twice in the loss; GAIRAT's count of steps
on the host, example by example; the plain network, with its batch-norm. LRAT has no official script: its two attacks
are two calls of the same loop.

All start uniformly in the ball, as the harness does. So every side makes the same number of steps from the same kind of
start.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from harness.plugin.threat import Threat


def start(x: Tensor, threat: Threat) -> Tensor:
    """A uniform start in the L-infinity ball, within [0, 1]."""
    return (x + torch.empty_like(x).uniform_(-threat.epsilon, threat.epsilon)).clamp(0, 1)


def stepped(x_adv: Tensor, gradient: Tensor, x: Tensor, threat: Threat) -> Tensor:
    """One step along the sign of the gradient, and back into the ball and [0, 1]."""
    x_adv = x_adv.detach() + threat.step_size * gradient.sign()
    x_adv = torch.min(torch.max(x_adv, x - threat.epsilon), x + threat.epsilon)
    return torch.clamp(x_adv, 0.0, 1.0)


def margin(logits: Tensor, y: Tensor, kappa: float = 50.0) -> Tensor:
    """The capped margin of Carlini and Wagner, summed over the batch, by a one-hot mask as the scripts have it."""
    chosen = F.one_hot(y, logits.shape[1]).to(logits.dtype)
    true = (chosen * logits).sum(1)
    other = ((1.0 - chosen) * logits - chosen * 10000.0).max(1)[0]
    return torch.clamp(other - true, max=kappa).sum()


def pgd(
    model: nn.Module, x: Tensor, y: Tensor, threat: Threat, *, margins: bool = False, count: bool = False
) -> tuple[Tensor, Tensor]:
    """PGD on the cross-entropy or the margin; with ``count``, also the steps at which each example is right."""
    model.eval()
    steps = torch.zeros(len(x))
    x_adv = start(x, threat)
    for _ in range(threat.steps):
        x_adv.requires_grad_()
        logits = model(x_adv)
        if count:
            predicted = logits.max(1)[1]
            for i in range(len(x)):
                if predicted[i] == y[i]:
                    steps[i] += 1
        model.zero_grad()
        loss = margin(logits, y) if margins else F.cross_entropy(logits, y)
        loss.backward()  # type: ignore[no-untyped-call]
        assert x_adv.grad is not None
        x_adv = stepped(x_adv, x_adv.grad, x, threat)
    return x_adv.detach(), steps


def kl_attack(model: nn.Module, x: Tensor, threat: Threat, *, weights: bool) -> Tensor:
    """PGD on the KL divergence from the clean prediction, which is computed anew at every step.

    Args:
        weights: compute the weights' gradients, too. The authors' script of TRADES does not.
    """
    model.eval()
    x_adv = start(x, threat)
    for _ in range(threat.steps):
        x_adv.requires_grad_()
        if weights:
            model.zero_grad()
        clean = model(x).detach() if weights else model(x)  # detached: no script sends a gradient back through it
        loss = F.kl_div(F.log_softmax(model(x_adv), 1), F.softmax(clean, 1), reduction="sum")
        if weights:
            loss.backward()  # type: ignore[no-untyped-call]
            assert x_adv.grad is not None
            gradient = x_adv.grad
        else:
            (gradient,) = torch.autograd.grad(loss, [x_adv])
        x_adv = stepped(x_adv, gradient, x, threat)
    return x_adv.detach()


def sat(model: nn.Module, optimizer: optim.Optimizer, x: Tensor, y: Tensor, threat: Threat) -> None:
    """One update of SAT."""
    x_adv, _ = pgd(model, x, y, threat)
    model.train()
    optimizer.zero_grad()
    F.cross_entropy(model(x_adv), y).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def geometry(steps: Tensor, of: int) -> Tensor:
    """GAIRAT's weights, of mean 1, from the steps at which each example was right (its shift is -1)."""
    raw = (torch.tanh((-1 + of / 2 - steps) * 5 / (of / 2)) + 1) / 2
    return raw * len(raw) / raw.sum()


def gairat(model: nn.Module, optimizer: optim.Optimizer, x: Tensor, y: Tensor, threat: Threat) -> None:
    """One update of GAIRAT."""
    x_adv, steps = pgd(model, x, y, threat, count=True)
    model.train()
    optimizer.zero_grad()
    losses = F.cross_entropy(model(x_adv), y, reduction="none")
    (losses * geometry(steps.to(x.device), threat.steps)).mean().backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def trades(
    model: nn.Module, optimizer: optim.Optimizer, x: Tensor, y: Tensor, threat: Threat, *, weights: bool = False
) -> None:
    """One update of TRADES, with three passes in the loss as in the authors' script; ``weights`` as in the attack."""
    x_adv = kl_attack(model, x, threat, weights=weights)
    model.train()
    optimizer.zero_grad()
    natural = F.cross_entropy(model(x), y)
    divergence = F.kl_div(F.log_softmax(model(x_adv), 1), F.softmax(model(x), 1), reduction="sum") / len(x)
    (natural + 6.0 * divergence).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def lrat(model: nn.Module, optimizer: optim.Optimizer, x: Tensor, y: Tensor, threat: Threat) -> None:
    """One update of LRAT: two attacks one after the other, and a pass for each variant and for the images."""
    variants = [pgd(model, x, y, threat)[0], pgd(model, x, y, threat, margins=True)[0]]
    local_update(model, optimizer, x, y, variants)


def local_update(model: nn.Module, optimizer: optim.Optimizer, x: Tensor, y: Tensor, variants: list[Tensor]) -> None:
    """LRAT's update on given variants: weights 2 sqrt(1 - V), a floor of 0.1; scaled once to mean 1 (simpler)."""
    model.train()
    optimizer.zero_grad()
    logits = [model(variant) for variant in variants]
    natural = F.cross_entropy(model(x), y, reduction="none")
    losses = [F.cross_entropy(z, y, reduction="none") for z in logits]
    with torch.no_grad():
        pgd_p, cw_p = (F.softmax(z, 1) for z in logits)
        true = cw_p.gather(1, y[:, None])[:, 0]
        vulnerable = [pgd_p.gather(1, y[:, None])[:, 0], true - cw_p.scatter(1, y[:, None], 0.0).amax(1)]
        weights = torch.stack([2 * (1 - v).clamp(min=0).sqrt() for v in vulnerable])
        weights = weights * len(x) / weights.sum()
        floor = (0.1 - weights.sum(0)).clamp(min=0)
    loss = weights[0] * losses[0] + weights[1] * losses[1] + floor * (natural + losses[0])
    loss.mean().backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def pgd_evaluation(model: nn.Module, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
    """``(batch,)`` bool: right under PGD, scored by a new pass."""
    x_adv, _ = pgd(model, x, y, threat)
    with torch.no_grad():
        verdict: Tensor = model(x_adv).max(1)[1] == y
    return verdict
