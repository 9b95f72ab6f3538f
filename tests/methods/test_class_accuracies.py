"""CFA and CFA-TRADES over epochs: accuracies counted by hand, and the loss that follows, example by example."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from harness.methods.cfa import CFA
from harness.methods.cfa_trades import CFATRADES
from harness.methods.sat import SAT
from harness.plugin.adversary import KL, CrossEntropy
from harness.plugin.method import Step
from tests.methods.slow import kl, nll
from tests.tiny import make_batch, make_step, make_threat, make_tiny_model

THREAT = make_threat(epsilon=0.02, step_size=0.006)  # so narrow that some images stay right


def steps(model: nn.Module, epoch: int, seeds: tuple[int, ...]) -> list[Step]:
    """One step for each seed; no image has label 4."""
    made = []
    for seed in seeds:
        x, y = make_batch(n=20, seed=seed, classes=4)
        made.append(replace(make_step(model, x.double(), y, seed=seed, threat=THREAT), epoch=epoch))
    return made


def accuracies(right: list[Tensor], labels: list[Tensor]) -> dict[int, float]:
    shares: dict[int, list[bool]] = {}
    for rights, ys in zip(right, labels, strict=True):
        for one, y in zip(rights.tolist(), ys.tolist(), strict=True):
            shares.setdefault(y, []).append(one)
    return {k: sum(ones) / len(ones) for k, ones in shares.items()}


@pytest.mark.parametrize("method", [CFA(), CFATRADES(least_share=0.25, least_radius=1.5)], ids=["cfa", "cfa-trades"])
def test_the_accuracies_of_an_epoch_set_radii_and_weights_of_the_next(method: CFA | CFATRADES) -> None:
    model = make_tiny_model(dtype=torch.float64)
    trades = isinstance(method, CFATRADES)
    rights, labels = [], []
    for step in steps(model, 1, (0, 1)):
        other = copy.deepcopy(model)
        variant = replace(step, model=other, generator=torch.Generator().set_state(step.generator.get_state())).perturb(
            KL(step.x) if trades else CrossEntropy()
        )
        rights.append(other(variant.x).argmax(1) == step.y)
        labels.append(step.y)
        method.loss(step)
        assert "accuracy" not in method.memory
    t = accuracies(rights, labels)
    assert len(set(t.values())) > 2  # else the test could not tell classes apart

    (step,) = steps(model, 2, (2,))
    y = step.y.clone()
    y[0] = 4  # a class that had no image: it has the radius and the weight of the burn-in
    factors = [1.0 if k == 4 else method.least_radius + t[k] for k in y.tolist()]
    other = copy.deepcopy(model)
    mine = replace(step, model=other, y=y, generator=torch.Generator().set_state(step.generator.get_state()))
    variant = mine.perturb(KL(step.x) if trades else CrossEntropy(), radii=torch.tensor(factors))
    if isinstance(method, CFATRADES):
        p, q = other(step.x), other(variant.x)
        b = [method.inverse_lambda * (1.0 if k == 4 else method.least_share + t[k]) for k in y.tolist()]
        losses = [(nll(p[i], int(y[i])) + b[i] * kl(p[i], q[i])) / (1 + b[i]) for i in range(len(y))]
    else:
        q = other(variant.x)
        losses = [nll(q[i], int(y[i])) for i in range(len(y))]
    expected = torch.stack(losses).mean()
    logged: dict[str, Tensor] = {}
    loss = method.loss(replace(step, y=y, log=logged.__setitem__))
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-12)
    for ours, theirs in zip(
        torch.autograd.grad(loss, list(model.parameters())),
        torch.autograd.grad(expected, list(other.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6 * float(theirs.abs().max()) + 1e-12)
    assert float(logged["radius_factor_max"]) == pytest.approx(max(factors))
    assert float(logged["radius_factor_min"]) == pytest.approx(min(factors))


def test_without_a_difference_of_classes_and_in_the_burn_in_cfa_is_sat_to_the_last_bit() -> None:
    for epoch, memory, progress in (
        (3, {"epoch": 3, "accuracy": torch.full((5,), 0.5, dtype=torch.float64)}, 0.99),
        (3, {"epoch": 3, "accuracy": torch.linspace(0, 1, 5, dtype=torch.float64)}, 0.04),
    ):
        cfa, model = CFA(), make_tiny_model()
        cfa.memory.update(memory)
        x, y = make_batch()
        losses = [
            method.loss(replace(make_step(copy.deepcopy(model), x, y, progress=progress), epoch=epoch))
            for method in (cfa, SAT())
        ]
        assert torch.equal(losses[0], losses[1])
        assert int(cfa.memory["seen"].sum()) == len(y)


def test_a_class_without_images_in_an_epoch_keeps_its_accuracy() -> None:
    cfa, model = CFA(), make_tiny_model()
    x, y = make_batch(n=10)
    for epoch, labels in ((1, torch.zeros_like(y)), (2, torch.ones_like(y)), (3, y)):
        cfa.loss(replace(make_step(model, x, labels), epoch=epoch))
    known = cfa.memory["accuracy"].tolist()
    assert all(0 <= share <= 1 for share in known[:2])
    assert all(share != share for share in known[2:])  # NaN
