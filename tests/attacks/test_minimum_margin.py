"""The margin attack: against a closed form, against a slow loop of its own, and where other attacks fail."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from harness.attacks.minimum_margin import MinimumMargin
from harness.attacks.pgd import PGD
from harness.evaluator import evaluate
from harness.plugin.adversary import TargetMargin, logit_margin
from harness.plugin.attack import Passes
from tests.attacks.counting import Counting
from tests.tiny import draws, make_batch, make_threat, make_tiny_model

Of = Literal["logits", "probabilities", "both"]
OF: dict[Of, tuple[str, ...]] = {
    "logits": ("logits",),
    "probabilities": ("probabilities",),
    "both": ("logits", "probabilities"),
}
THREAT = make_threat(epsilon=0.03)
CLASSES = 5


def problem(n: int = 40) -> tuple[nn.Module, Tensor, Tensor]:
    """A network, and images that it classifies rightly, some by little."""
    model = make_tiny_model(seed=3).eval().requires_grad_(False)
    x, _ = make_batch(n=n, seed=3)
    return model, x, model(x).argmax(1)


class Linear(nn.Module):
    """``Z_i = scale (w_i . x + b_i)``, for which the worst case in L-infinity is known."""

    def __init__(self, scale: float = 1.0, classes: int = CLASSES) -> None:
        super().__init__()
        self.weights, self.biases = torch.randn(classes, 108, generator=draws(5)), torch.zeros(classes)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * (x.flatten(1) @ self.weights.T + self.biases)

    def worst_margins(self, x: Tensor, y: Tensor, epsilon: float) -> Tensor:
        """``max_t max_x' Z_t - Z_y`` over the ball: each pixel goes to the end that w_t - w_y points to."""
        low, high = (x - epsilon).clamp(min=0).flatten(1), (x + epsilon).clamp(max=1).flatten(1)
        margins = []
        for image in range(len(x)):
            label, of_image = int(y[image]), []
            for target in set(range(len(self.weights))) - {label}:
                slope = self.weights[target] - self.weights[label]
                best = torch.where(slope > 0, high[image], low[image])
                of_image.append(self.scale * float(slope @ best + self.biases[target] - self.biases[label]))
            margins.append(max(of_image))
        return torch.tensor(margins)


def linear_problem(scale: float = 1.0) -> tuple[Linear, Tensor, Tensor]:
    model = Linear(scale)
    x = torch.rand(200, 3, 6, 6, generator=draws(6))
    return model, x, model(x).argmax(1)


@pytest.mark.parametrize("of", list(OF))
def test_it_reaches_the_worst_case_of_a_linear_network(of: Of) -> None:
    model, x, y = linear_problem(scale=0.5)
    threat = make_threat(epsilon=0.02)
    worst = model.worst_margins(x, y, 0.02)
    verdicts = evaluate(model, MinimumMargin(of=of), x, y, threat, draws())
    assert verdicts.correct.tolist() == (worst < 0).tolist()
    assert 20 < int(verdicts.correct.sum()) < 180  # the radius breaks some, and not all
    if of != "probabilities":  # an ascent of probabilities stops a little before the corner
        margins = logit_margin(model(MinimumMargin(of=of).perturb(model, x, y, threat, draws())), y)
        torch.testing.assert_close(margins[verdicts.correct], worst[verdicts.correct], rtol=1e-5, atol=1e-4)


def test_it_breaks_images_whose_cross_entropy_has_no_gradient() -> None:
    """With logits of thousands the softmax is 0 or 1, so that PGD on the cross-entropy gets the gradient 0."""
    model, x, y = linear_problem(scale=3000.0)
    threat = make_threat(epsilon=0.02, steps=20, step_size=0.005, start="none")
    worst = model.worst_margins(x, y, 0.02)
    by_pgd = evaluate(model, PGD(keep="worst"), x, y, threat, draws()).correct
    by_margin = evaluate(model, MinimumMargin(), x, y, threat, draws()).correct
    assert by_margin.tolist() == (worst < 0).tolist()
    assert int(by_pgd.sum()) - int(by_margin.sum()) > 50


def slow(attack: MinimumMargin, model: nn.Module, x: Tensor, y: Tensor, epsilon: float) -> list[Tensor]:
    """The attack, image by image, with no step left out; each start is drawn for all images."""
    generator, margins = draws(7), OF[attack.of]
    ascents = attack.restarts * attack.targets * len(margins)
    starts = [2 * torch.rand(x.shape, generator=generator, dtype=x.dtype) - 1 for _ in range(ascents)]
    found = []
    for image, label, *noises in zip(x, y.tolist(), *starts, strict=True):
        clean = model(image[None])[0].tolist()
        order = sorted((i for i in range(len(clean)) if i != label), key=lambda i: -clean[i])[: attack.targets]
        best, best_margin = image, max(clean[i] for i in order) - clean[label]
        for noise, (target, of) in zip(
            noises, [(t, of) for t in order for of in margins] * attack.restarts, strict=True
        ):
            if best_margin > 0:
                break
            iterate, seen = (image + epsilon * noise).clamp(image - epsilon, image + epsilon).clamp(0, 1), []
            for k in range(attack.steps + 1):
                z = iterate.clone().requires_grad_()
                logits = model(z[None])[0]
                values = logits if of == "logits" else logits.exp() / logits.exp().sum()
                value = values[target] - values[label]
                (gradient,) = torch.autograd.grad(value, z)
                logits, value = logits.detach(), value.detach()
                others = torch.cat([logits[:label], logits[label + 1 :]])
                seen.append(
                    (bool(others.max() > logits[label]), float(value), iterate, float(others.max() - logits[label]))
                )
                length = epsilon / 2 * (1 + math.cos(math.pi * k / attack.steps))
                moved = iterate + length * gradient.sign()
                iterate = moved.clamp(image - epsilon, image + epsilon).clamp(0, 1)
            _, _, nearest, margin = max(seen, key=lambda one: one[:2])
            if margin > best_margin:
                best, best_margin = nearest, margin
        found.append(best)
    return found


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(MinimumMargin(targets=4, steps=5, of="logits"), id="logits"),
        pytest.param(MinimumMargin(targets=4, steps=5, of="probabilities"), id="probabilities"),
        pytest.param(MinimumMargin(targets=2, steps=3, restarts=3), id="both, with restarts"),
    ],
)
def test_it_equals_a_slow_loop(attack: MinimumMargin) -> None:
    model, x, y = problem()
    model, x = model.double(), x.double()  # the last bits of a batch and of one image differ
    expected = torch.stack(slow(attack, model, x, y, 0.03))
    found = attack.perturb(model, x, y, THREAT, draws(7))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    wrong = model(found).argmax(1) != y
    assert 0 < int(wrong.sum()) < len(x)


def test_the_objective_by_hand() -> None:
    logits = torch.tensor([[1.0, 4.0, 2.0], [0.0, 0.0, math.log(2.0)]])
    y, targets = torch.tensor([1, 2]), torch.tensor([2, 0])
    assert TargetMargin(targets)(logits, y).tolist() == pytest.approx([-2.0, -math.log(2.0)])
    total = math.e + math.e**4 + math.e**2
    expected = [(math.e**2 - math.e**4) / total, 0.25 - 0.5]
    assert TargetMargin(targets, "probabilities")(logits, y).tolist() == pytest.approx(expected)


def test_each_target_ascends_to_its_own_class() -> None:
    """Only class t answers to pixel t, so that an image that moved at pixel t shows that t was a target."""

    class Apart(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            logits = 0.1 * x.flatten(1)[:, :4]
            return torch.cat([logits, torch.full((len(x), 1), 0.5)], 1)

    seen: list[set[int]] = []
    for targets in (1, 2, 3, 4):
        model = Apart()
        moved: set[int] = set()
        x = torch.full((1, 1, 2, 2), 0.5)
        x.view(-1)[:4] += torch.tensor([0.03, 0.01, 0.04, 0.02])  # by their logits: 2, 0, 3, 1

        def look(_model: nn.Module, inputs: tuple[Tensor, ...], moved: set[int] = moved, x: Tensor = x) -> None:
            raised = (inputs[0] - x).view(-1) >= 0.1 - 1e-6
            if int(raised.sum()) == 1:
                moved.update(raised.nonzero().view(-1).tolist())

        model.register_forward_pre_hook(look)
        MinimumMargin(targets=targets, of="logits").perturb(
            model, x, torch.tensor([4]), make_threat(epsilon=0.1), draws()
        )
        seen.append(moved)
    assert seen == [{2}, {2, 0}, {2, 0, 3}, {2, 0, 3, 1}]


def rights(attacks: list[MinimumMargin]) -> list[Tensor]:
    model, x, y = problem(n=200)
    return [evaluate(model, attack, x, y, make_threat(epsilon=0.02), draws()).correct for attack in attacks]


def test_more_targets_and_more_restarts_never_help_the_defender() -> None:
    """The draws of the first ascents are the same, so that what they break stays broken."""
    for attacks in (
        [MinimumMargin(targets=targets, steps=4) for targets in (1, 2, 3, 4)],
        [MinimumMargin(targets=4, steps=2, restarts=restarts) for restarts in (1, 2, 4)],
        [MinimumMargin(targets=1, steps=4, of=of) for of in OF if of != "probabilities"],
    ):
        found = rights(attacks)
        for fewer, more in itertools.pairwise(found):
            assert bool((more <= fewer).all())
        assert int(found[-1].sum()) < int(found[0].sum())


def test_more_steps_break_more() -> None:
    one, twenty = rights([MinimumMargin(steps=steps) for steps in (1, 20)])
    assert int(twenty.sum()) < int(one.sum())


def test_more_targets_than_there_are_classes_are_all_of_them() -> None:
    model, x, y = problem()
    alike = [MinimumMargin(targets=targets, steps=3).perturb(model, x, y, THREAT, draws()) for targets in (4, 9)]
    assert torch.equal(*alike)


def test_two_classes() -> None:
    """The one target is the other class, so that the attack is an ascent of the margin."""
    model = Linear(scale=0.5, classes=2)
    x = torch.rand(100, 3, 6, 6, generator=draws(6))
    y = model(x).argmax(1)
    verdicts = evaluate(model, MinimumMargin(), x, y, make_threat(epsilon=0.02), draws())
    assert verdicts.correct.tolist() == (model.worst_margins(x, y, 0.02) < 0).tolist()


def test_an_image_that_is_wrong_already_is_left_as_it_is() -> None:
    model, x, _ = problem()
    x_adv = MinimumMargin().perturb(model, x, (model(x).argmax(1) + 1) % CLASSES, THREAT, draws())
    assert torch.equal(x_adv, x)


def test_an_image_whose_logits_are_not_finite_is_broken() -> None:
    class Fragile(nn.Module):
        """Its logits are NaN where the image is brighter than it was."""

        def forward(self, x: Tensor) -> Tensor:
            bright = x.flatten(1).mean(1, keepdim=True)
            return torch.cat([bright - 1.0, 1.0 - bright], 1) + torch.where(bright > 0.505, torch.nan, 0.0)

    x, y = torch.full((3, 1, 4, 4), 0.5), torch.ones(3, dtype=torch.int64)
    verdicts = evaluate(Fragile(), MinimumMargin(), x, y, make_threat(epsilon=0.02), draws())
    assert verdicts.correct.tolist() == [False] * 3


def test_an_image_does_not_depend_on_the_others() -> None:
    """Its start is drawn by its place in the block, whichever images are broken already."""
    model, x, y = problem()
    model, x = model.double(), x.double()
    attack = MinimumMargin(targets=3, steps=3)
    alone = attack.perturb(model, x, y, THREAT, draws(1))
    others = x.clone()
    others[1::2] = torch.rand(others[1::2].shape, generator=draws(9), dtype=torch.float64)
    beside = attack.perturb(model, others, y, THREAT, draws(1))
    torch.testing.assert_close(beside[::2], alone[::2], rtol=0, atol=1e-9)


@pytest.mark.parametrize("settings", [{}, {"targets": 2, "steps": 7, "restarts": 3}])
def test_an_image_that_stays_right_takes_the_passes_that_are_declared(settings: dict[str, Any]) -> None:
    class Certain(nn.Module):
        """Ten classes, of which the first is far ahead."""

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([100 + x.flatten(1)[:, :1], x.flatten(1)[:, :9]], 1)

    model, attack = Counting(Certain()), MinimumMargin(**settings)
    x = torch.rand(4, 1, 3, 3, generator=draws())
    attack.perturb(model, x, torch.zeros(4, dtype=torch.int64), THREAT, draws())
    taken = Passes(model.forwards / 4, model.backwards / 4)
    assert taken == attack.passes(THREAT)
    assert MinimumMargin().passes(THREAT) == Passes(1 + 18 * 22, 18 * 20)
    assert MinimumMargin(of="logits").passes(THREAT) == Passes(1 + 9 * 22, 9 * 20)


def test_the_budget_of_other_attacks_changes_nothing() -> None:
    model, x, y = problem()
    others = replace(THREAT, steps=50, step_size=0.5, start="none")
    found = [MinimumMargin(steps=3).perturb(model, x, y, threat, draws(2)) for threat in (THREAT, others)]
    assert torch.equal(*found)
