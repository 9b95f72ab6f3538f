"""The three views against a slow computation, one image after the other; and that nothing outside changes them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from harness.errors import HarnessError
from harness.figures.views import TOGETHER, Views, views_of
from harness.plugin.threat import Threat
from tests.tiny import make_batch, make_threat, make_tiny_model


def slow(model: nn.Module, image: Tensor, label: int, threat: Threat, attack: str) -> tuple[list[float], int]:
    """The probabilities at the last iterate of an attack that starts at the image, and the steps to flip."""
    iterate, steps, flipped = image.clone(), threat.steps, False
    for step in range(threat.steps):
        iterate.requires_grad_()
        z = model(iterate[None])[0]
        if int(z.argmax()) != label and not flipped:
            steps, flipped = step, True
        others = torch.cat([z[:label], z[label + 1 :]])
        value = others.max() - z[label] if attack == "cw" else torch.logsumexp(z, 0) - z[label]
        (gradient,) = torch.autograd.grad(value, iterate)
        moved = iterate.detach() + threat.step_size * gradient.sign()
        iterate = torch.minimum(torch.maximum(moved, image - threat.epsilon), image + threat.epsilon).clamp(0, 1)
    z = [float(value) for value in model(iterate[None])[0].detach().double()]
    exponentials = [math.exp(value - max(z)) for value in z]
    return [value / sum(exponentials) for value in exponentials], steps


def test_each_image_by_itself() -> None:
    model, (x, y) = make_tiny_model(6).eval(), make_batch(n=40, seed=6)
    y[:30] = model(x[:30]).argmax(1)  # most are right; the others are wrong from the start
    threat = make_threat(epsilon=0.06, steps=5, step_size=0.015, start="none")
    views = views_of(model, x, y, threat, called="it")
    torch.testing.assert_close(views.logits, model(x).detach().double(), rtol=1e-5, atol=1e-5)
    for i, label in enumerate(y.tolist()):
        p, steps = slow(model, x[i], label, threat, "pgd")
        assert int(views.steps_to_flip[i]) == steps
        assert float(views.pgd[i]) == pytest.approx(p[label], rel=1e-4)
        p, _ = slow(model, x[i], label, threat, "cw")
        assert float(views.cw[i]) == pytest.approx(p[label] - max(p[:label] + p[label + 1 :]), abs=1e-5)
    assert len(set(views.steps_to_flip.tolist())) > 3
    by_pgd, by_cw = views.pgd.argsort().tolist(), views.cw.argsort().tolist()
    assert by_pgd != by_cw  # the two views are two


def same(one: Views, other: Views) -> bool:
    return all(torch.equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def test_the_same_at_each_call_whatever_the_global_generators_do() -> None:
    model, (x, y) = make_tiny_model(1), make_batch(n=10, seed=1)
    threat = make_threat(epsilon=0.1, steps=3)
    first = views_of(model, x, y, threat, called="it")
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert same(first, views_of(model, x, y, threat, called="it"))
    assert torch.equal(torch.get_rng_state(), state)


def test_starts_are_random_and_of_each_block_its_own() -> None:
    model, (x, y) = make_tiny_model(1), make_batch(n=4, seed=1)
    threat = make_threat(epsilon=0.2, steps=1, step_size=0.001)
    repeated = views_of(model, x[:1].repeat(TOGETHER + 1, 1, 1, 1), y[:1].repeat(TOGETHER + 1), threat, called="it")
    assert len(set(repeated.pgd.tolist())) == TOGETHER + 1
    assert len(set(repeated.cw.tolist())) == TOGETHER + 1


def test_more_images_leave_the_first_blocks_as_they_are() -> None:
    model, (x, y) = make_tiny_model(1), make_batch(n=TOGETHER + 5, seed=1)
    threat = make_threat(epsilon=0.1, steps=2)
    few, more = (views_of(model, x[:n], y[:n], threat, called="it") for n in (TOGETHER, TOGETHER + 5))
    assert same(few, Views(*(values[:TOGETHER] for values in vars(more).values())))


def test_batch_norm_keeps_its_statistics() -> None:
    model, (x, y) = make_tiny_model(1).train(), make_batch(n=6, seed=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    views_of(model, x, y, make_threat(steps=2), called="it")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_network_without_finite_logits_is_refused() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :5] / 0

    x, y = make_batch(n=3)
    with pytest.raises(HarnessError, match="the network of run 7 returns logits that are not finite"):
        views_of(Broken(), x, y, make_threat(steps=1), called="run 7")
