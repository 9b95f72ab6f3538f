"""Every method against the papers' equations: values and parameter gradients, on a network with batch-norm."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from harness.methods.alp import ALP
from harness.methods.fast import RSFGSM
from harness.methods.free import Free
from harness.methods.gair_trades import GAIRTRADES
from harness.methods.gairat import GAIRAT
from harness.methods.grad_align import GradAlign
from harness.methods.lrat import LRAT
from harness.methods.lrat_trades import LRATTRADES
from harness.methods.mart import MART
from harness.methods.n_fgsm import NFGSM
from harness.methods.sat import SAT
from harness.methods.standard import Standard
from harness.methods.trades import TRADES
from harness.plugin.adversary import KL, CrossEntropy, Margin, Objective
from harness.plugin.method import Method, Step
from harness.registry.catalogue import discover
from tests.methods import searched
from tests.methods.slow import geometry_weights, kl, local, mean, nll
from tests.methods.slow_second import CASES as SECOND
from tests.tiny import make_batch, make_step, make_threat, make_tiny_model

Slow = Callable[[Any, Step], Tensor]


def slow_standard(method: Standard, step: Step) -> Tensor:
    z = step.model(step.x)
    return mean([nll(z[i], int(step.y[i])) for i in range(len(z))])


def slow_sat(method: SAT, step: Step) -> Tensor:
    z = step.model(step.perturb(CrossEntropy()).x)
    return mean([nll(z[i], int(step.y[i])) for i in range(len(z))])


def slow_gairat(method: GAIRAT, step: Step) -> Tensor:
    variant = step.perturb({"pgd": CrossEntropy(), "cw": Margin(method.kappa)}[method.attack])
    z, omega = step.model(variant.x), geometry_weights(method, step, variant.steps_to_flip)
    return mean([omega[i] * nll(z[i], int(step.y[i])) for i in range(len(z))])


def slow_trades(method: TRADES, step: Step) -> Tensor:
    variant = step.perturb(KL(step.x))
    p, q = step.model(step.x), step.model(variant.x)
    return mean([nll(p[i], int(step.y[i])) + method.inverse_lambda * kl(p[i], q[i]) for i in range(len(p))])


def slow_gair_trades(method: GAIRTRADES, step: Step) -> Tensor:
    variant = step.perturb(KL(step.x))
    omega = geometry_weights(method, step, variant.steps_to_flip)
    p, q = step.model(step.x), step.model(variant.x)
    return mean([nll(p[i], int(step.y[i])) + method.inverse_lambda * omega[i] * kl(p[i], q[i]) for i in range(len(p))])


def crafted(method: LRAT | LRATTRADES, step: Step, first: Objective) -> dict[str, Tensor]:
    objectives = {name: first if name == "pgd" else Margin(method.kappa) for name in method.attacks.split("+")}
    variants = step.perturb_all(*objectives.values())
    return {name: variant.x for name, variant in zip(objectives, variants, strict=True)}


def powers(method: LRAT | LRATTRADES) -> dict[str, tuple[float, float]]:
    return {"pgd": (method.alpha_pgd, method.beta_pgd), "cw": (method.alpha_cw, method.beta_cw)}


def slow_lrat(method: LRAT, step: Step) -> Tensor:
    logits = {name: step.model(x) for name, x in crafted(method, step, CrossEntropy()).items()}
    omega, floor = local(logits, step.y, powers(method), 0.0 if method.floor == "none" else method.minimum)
    natural = step.model(step.x) if "natural" in method.floor else None
    losses = []
    for i in range(len(step.y)):
        y = int(step.y[i])
        loss = torch.zeros((), dtype=step.x.dtype)
        for name, z in logits.items():
            loss = loss + omega[name][i] * nll(z[i], y)
        if natural is not None:
            loss = loss + floor[i] * nll(natural[i], y)
        if "pgd" in method.floor:
            loss = loss + floor[i] * nll(logits["pgd"][i], y)
        losses.append(loss)
    return mean(losses)


def slow_lrat_trades(method: LRATTRADES, step: Step) -> Tensor:
    variants = crafted(method, step, KL(step.x) if method.first == "kl" else CrossEntropy())
    p = step.model(step.x)
    logits = {name: step.model(x) for name, x in variants.items()}
    omega, floor = local(logits, step.y, powers(method), method.minimum)
    losses = []
    for i in range(len(step.y)):
        y = int(step.y[i])
        pairs = torch.zeros((), dtype=step.x.dtype)
        for name, z in logits.items():
            pairs = pairs + omega[name][i] * kl(p[i], z[i])
        if method.literal:
            losses.append(floor[i] * nll(p[i], y) + pairs)
        else:
            losses.append(nll(p[i], y) + method.inverse_lambda * pairs + floor[i] * nll(p[i], y))
    return mean(losses)


def slow_mart(method: MART, step: Step) -> Tensor:
    variant = step.perturb(CrossEntropy())
    p, q = step.model(step.x), step.model(variant.x)
    losses = []
    for i in range(len(p)):
        y = int(step.y[i])
        adversarial, clean = q[i].softmax(0), p[i].softmax(0)
        others = [adversarial[k] for k in range(len(adversarial)) if k != y]
        if method.guard:
            boosted = -torch.log(adversarial[y]) - torch.log(1.0001 - torch.stack(others).max() + 1e-12)
            pairs = zip(clean, adversarial, strict=True)
            divergence = sum((a * (torch.log(a) - torch.log(b + 1e-12)) for a, b in pairs), torch.zeros(()))
            losses.append(boosted + method.weight * divergence * (1.0000001 - clean[y]))
        else:
            boosted = -torch.log(adversarial[y]) - torch.log(1 - torch.stack(others).max())
            losses.append(boosted + method.weight * kl(p[i], q[i]) * (1 - clean[y]))
    return mean(losses)


def slow_fast(method: RSFGSM, step: Step) -> Tensor:
    epsilon = step.threat.epsilon
    start = step.x + epsilon * (2 * torch.rand(step.x.shape, generator=step.generator, dtype=step.x.dtype) - 1)
    ahead = start.clamp(0, 1) + method.alpha * epsilon * slow_sign(step, start.clamp(0, 1))
    z = step.model(torch.maximum(torch.minimum(ahead, step.x + epsilon), step.x - epsilon).clamp(0, 1))
    return mean([nll(z[i], int(step.y[i])) for i in range(len(z))])


def slow_n_fgsm(method: NFGSM, step: Step) -> Tensor:
    epsilon = step.threat.epsilon
    noise = method.k * epsilon * (2 * torch.rand(step.x.shape, generator=step.generator, dtype=step.x.dtype) - 1)
    noisy = (step.x + noise).clamp(0, 1)
    z = step.model((noisy + method.alpha * epsilon * slow_sign(step, noisy)).clamp(0, 1))
    return mean([nll(z[i], int(step.y[i])) for i in range(len(z))])


def slow_sign(step: Step, x: Tensor) -> Tensor:
    """The sign of the cross-entropy's gradient by each image alone, in evaluation mode."""
    model, signs = copy.deepcopy(step.model).eval(), []
    for i in range(len(x)):
        image = x[i : i + 1].clone().requires_grad_()
        signs.append(torch.autograd.grad(nll(model(image)[0], int(step.y[i])), image)[0].sign())
    return torch.cat(signs)


def slow_grad_align(method: GradAlign, step: Step) -> Tensor:
    epsilon = step.threat.epsilon
    variant = (step.x + method.alpha * epsilon * slow_sign(step, step.x)).clamp(0, 1)
    eta = epsilon * (2 * torch.rand(step.x.shape, generator=step.generator, dtype=step.x.dtype) - 1)
    gradients = []
    for point in (step.x, step.x + eta):
        point = point.clone().requires_grad_()
        logits = step.model(point)
        total = sum((nll(logits[i], int(step.y[i])) for i in range(len(point))), torch.zeros((), dtype=point.dtype))
        gradients.append(torch.autograd.grad(total, point, create_graph=True)[0].flatten(1))
    cosines = [(u @ v) / (u.norm() * v.norm()) for u, v in zip(*gradients, strict=True) if u.norm() * v.norm() > 0]
    z = step.model(variant)
    natural = mean([nll(z[i], int(step.y[i])) for i in range(len(z))])
    return natural + method.weight * (1 - mean(cosines))


def slow_free(method: Free, step: Step) -> Tensor:
    z = step.model(step.x)  # the perturbation begins at zero; tests/methods/test_free.py moves it
    return mean([nll(z[i], int(step.y[i])) for i in range(len(z))])


def slow_alp(method: ALP, step: Step) -> Tensor:
    variant = step.perturb(CrossEntropy())
    p, q = step.model(step.x), step.model(variant.x)
    losses = []
    for i in range(len(p)):
        y, classes = int(step.y[i]), range(len(p[i]))
        paired = torch.stack([(p[i][k] - q[i][k]) ** 2 for k in classes]).sum() / len(classes)
        losses.append((nll(p[i], y) + nll(q[i], y)) / 2 + method.weight * paired)
    return mean(losses)


CASES: list[tuple[Method, Slow]] = [
    (RSFGSM(), slow_fast),
    (RSFGSM(alpha=0.4), slow_fast),
    (NFGSM(), slow_n_fgsm),
    (NFGSM(alpha=0.5, k=0.0), slow_n_fgsm),
    (GradAlign(), slow_grad_align),
    (GradAlign(weight=3.0, alpha=0.5), slow_grad_align),
    (Free(), slow_free),
    (ALP(), slow_alp),
    (ALP(weight=10.0), slow_alp),
    (Standard(), slow_standard),
    (SAT(), slow_sat),
    (GAIRAT(), slow_gairat),
    (GAIRAT(shift=0.0, assignment="sigmoid"), slow_gairat),
    (GAIRAT(assignment="discrete", burn_in=0.0), slow_gairat),
    (GAIRAT(burn_in=1.0), slow_gairat),
    (GAIRAT(attack="cw"), slow_gairat),
    (GAIRAT(attack="cw", kappa=0.05, assignment="sigmoid"), slow_gairat),
    (TRADES(), slow_trades),
    (TRADES(inverse_lambda=0.5), slow_trades),
    (GAIRTRADES(), slow_gair_trades),
    (GAIRTRADES(assignment="sigmoid", inverse_lambda=2.0), slow_gair_trades),
    (LRAT(), slow_lrat),
    (LRAT(attacks="pgd", floor="none"), slow_lrat),
    (LRAT(attacks="cw", floor="none"), slow_lrat),
    (LRAT(floor="none"), slow_lrat),
    (LRAT(floor="pgd", minimum=0.6), slow_lrat),
    (LRAT(floor="natural", minimum=0.9), slow_lrat),
    (LRAT(minimum=0.0), slow_lrat),
    (LRAT(alpha_pgd=0.0, alpha_cw=0.0), slow_lrat),
    (LRAT(alpha_pgd=0.5, beta_pgd=2.0, alpha_cw=4.0, beta_cw=0.25, minimum=0.4), slow_lrat),
    (LRAT(kappa=0.05), slow_lrat),
    (MART(), slow_mart),
    (MART(weight=0.5), slow_mart),
    (MART(guard=True), slow_mart),
    (LRATTRADES(), slow_lrat_trades),
    (LRATTRADES(literal=True, minimum=0.6), slow_lrat_trades),
    (LRATTRADES(literal=True, alpha_pgd=0.0, alpha_cw=0.0), slow_lrat_trades),
    (LRATTRADES(first="kl", minimum=0.0), slow_lrat_trades),
    (LRATTRADES(attacks="pgd", first="kl", inverse_lambda=1.0, minimum=0.5), slow_lrat_trades),
    (LRATTRADES(attacks="cw", alpha_cw=3.0, beta_cw=2.0), slow_lrat_trades),
    *searched.CASES,
]


def labels_of(kind: str, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    predicted = model.eval()(x).argmax(1)
    cases = {"random": y, "all wrong": (predicted + 1) % 5, "all right": predicted, "one class": torch.zeros_like(y)}
    chosen: Tensor = cases[kind]
    return chosen


@pytest.mark.parametrize("labels", ["random", "all wrong", "all right", "one class"])
@pytest.mark.parametrize(("method", "slow"), CASES, ids=[repr(method) for method, _ in CASES])
def test_loss_and_gradients_equal_the_equations(method: Method, slow: Slow, labels: str) -> None:
    for seed in (3, 4):
        model, (x, y) = make_tiny_model(seed, dtype=torch.float64), make_batch(n=9 + seed, seed=seed)
        x, y = x.double(), labels_of(labels, model, x.double(), y)
        other = copy.deepcopy(model)
        expected = slow(method, make_step(other, x, y))
        loss = method.loss(make_step(model, x, y))
        torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-12)
        pairs = zip(
            torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True),
            torch.autograd.grad(expected, list(other.parameters()), materialize_grads=True),
            strict=True,
        )
        for ours, theirs in pairs:
            largest = float(theirs.abs().max())
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6 * largest + 1e-12)
        for ours, theirs in zip(model.buffers(), other.buffers(), strict=True):
            torch.testing.assert_close(ours, theirs)  # the same passes, in whatever order


def test_one_large_step_in_the_ball_is_sat_of_one_step() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    threat = make_threat(epsilon=0.1, steps=1, step_size=1.25 * 0.1)
    one = SAT().loss(make_step(copy.deepcopy(model), x, y, threat=threat))
    assert torch.equal(RSFGSM().loss(make_step(model, x, y)), one)


def test_the_noise_reaches_beyond_the_ball_and_nothing_but_the_pixels_bounds_the_step() -> None:
    model, (x, y) = make_tiny_model(), make_batch(64)
    seen: list[Tensor] = []
    model.register_forward_pre_hook(lambda m, inputs: seen.append(inputs[0].detach()) if m.training else None)
    NFGSM().loss(make_step(model, x, y, threat=make_threat(epsilon=0.1), seed=1))
    away = (seen[0] - x).abs()
    assert 0.29 < float(away.max()) <= 0.3 + 1e-6  # k + alpha = 3 radii
    assert bool(((seen[0] >= 0) & (seen[0] <= 1)).all())


def test_every_method_that_ships_is_compared() -> None:
    compared = {type(method) for method, _ in (*CASES, *SECOND)}
    assert compared == {found.cls for found in discover("methods").found.values()}


@pytest.mark.parametrize("kappa", ["none flips", "all flip at once"])
@pytest.mark.parametrize("cls", [GAIRAT, GAIRTRADES])
def test_equal_distances_give_equal_weights(cls: type[Method], kappa: str) -> None:
    """With every distance 0 or every distance K the weights are all one: GAIRAT is SAT, GAIR-TRADES is TRADES."""
    model, (x, y) = make_tiny_model(2), make_batch(n=10, seed=2)
    y = labels_of("all right" if kappa == "none flips" else "all wrong", model, x, y)
    threat = make_threat(epsilon=1e-4, step_size=1e-5)  # too small a ball to change any prediction
    plain: Method = SAT() if cls is GAIRAT else TRADES()
    expected = plain.loss(make_step(copy.deepcopy(model), x, y, threat=threat))
    loss = cls().loss(make_step(model, x, y, threat=threat))
    assert torch.equal(loss, expected)


def test_a_batch_of_one() -> None:
    for method, slow in CASES:
        model, (x, y) = make_tiny_model(5, dtype=torch.float64), make_batch(n=1, seed=5)
        x = x.double()
        loss, expected = (f(make_step(copy.deepcopy(model), x, y)) for f in (method.loss, partial(slow, method)))
        torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-12)


def settings(cls: type[Method], **values: object) -> Method:
    return cls.from_mapping(values)


IDENTITIES = {
    "LRAT with g == 1 and PGD alone is SAT": (
        settings(LRAT, attacks="pgd", alpha_pgd=1.0, beta_pgd=0.0, floor="pgd"),
        SAT(),
    ),
    "LRAT-TRADES with omega == 1 and one KL variant is TRADES": (
        settings(LRATTRADES, attacks="pgd", first="kl", alpha_pgd=1.0, beta_pgd=0.0),
        TRADES(),
    ),
    "GAIRAT with lambda -> inf is SAT": (settings(GAIRAT, shift="inf", burn_in=0.0), SAT()),
    "GAIR-TRADES with lambda -> inf is TRADES": (settings(GAIRTRADES, shift="inf", burn_in=0.0), TRADES()),
    "TRADES with 1/lambda = 0 weighs the images alone": (settings(TRADES, inverse_lambda=0.0), Standard()),
    "alpha common to both attacks cancels": (
        settings(LRAT, alpha_pgd=4.0, alpha_cw=4.0),
        settings(LRAT, alpha_pgd=1.0, alpha_cw=1.0),
    ),
    **searched.IDENTITIES,
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_identity_to_the_last_bit(name: str) -> None:
    one, other = IDENTITIES[name]
    for seed in range(4):
        model, (x, y) = make_tiny_model(seed), make_batch(n=8 + 5 * seed, seed=seed)
        losses = [method.loss(make_step(copy.deepcopy(model), x, y, seed=seed)) for method in (one, other)]
        assert torch.equal(losses[0], losses[1])


def test_trades_in_a_ball_of_radius_zero_is_natural_training() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    threat = make_threat(epsilon=0.0)
    losses = [m.loss(make_step(copy.deepcopy(model), x, y, threat=threat)) for m in (TRADES(), Standard())]
    assert torch.equal(losses[0], losses[1])


FORWARD = {  # of the update, after K for each attack that is crafted and one for each clean prediction of KL
    "standard": 1,
    "fast": 1 + 1,
    "n-fgsm": 1 + 1,
    "grad-align": 1 + 3,
    "free": 1,
    "alp": 5 + 2,
    "sat": 5 + 1,
    "gairat": 5 + 1,
    "lrat": 5 + 3,
    "mart": 5 + 2,
    "trades": 6 + 2,
    "gair-trades": 6 + 2,
    "lrat-trades": 5 + 3,
    **searched.FORWARD,
}


@pytest.mark.parametrize("name", sorted(FORWARD))
def test_forward_passes_are_counted(name: str) -> None:
    """Geometric distances and vulnerabilities cost no pass; two attacks are crafted in one."""
    model, (x, y) = make_tiny_model(), make_batch()
    passes: list[int] = []
    model.register_forward_pre_hook(lambda _model, inputs: passes.append(len(inputs[0])))
    cast(Method, discover("methods").found[name].cls()).loss(make_step(model, x, y))
    assert len(passes) == FORWARD[name]


def test_no_gradient_flows_through_weights() -> None:
    """The gradient is that of the same loss with the weights as given numbers: the slow formulas use plain floats.

    Here once more from the other side: weights made from logits that require a gradient require none.
    """
    logits = torch.randn(6, 5, requires_grad=True)
    y = torch.zeros(6, dtype=torch.int64)
    model, (x, _) = make_tiny_model(), make_batch(n=6)
    step = make_step(model, x, y)
    weights, floor = LRAT().weights(step, {"pgd": logits, "cw": logits}, 0.1)
    assert not any(t.requires_grad for t in (*weights, floor))
    assert not GAIRAT().weights(step, torch.tensor([0, 1, 2, 3, 4, 5])).requires_grad
