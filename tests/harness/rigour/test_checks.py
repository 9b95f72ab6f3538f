"""The checks on landscapes whose answer is known, what they cost, which images they look at, what they leave behind."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.events import Finding
from harness.plugin.attack import Passes
from harness.plugin.threat import Threat
from harness.rigour.budgets import EXAMPLES, passes, planned_on_survivors, radii
from harness.rigour.check import Check, Excess
from harness.rigour.checks import MODEL_CHECKS, VERDICT_CHECKS, examine_model, subset
from harness.statistics.exact_bounds import lower_bound, upper_bound
from tests.broken_models import Landscape, landscape_images
from tests.harness.rigour.landscapes import FAR_SLOPE, SLOPE, THREAT, examined
from tests.tiny import draws, make_batch, make_threat, make_tiny_model

# every image starts at distance 0.0005; margins are by the distance
DIP_WITHIN = Landscape((0.0, 1.0), (0.008, -1.0), (0.012, -1.0), (0.018, 1.0))
RIDGE_BEFORE = Landscape((0.0, 1.0), (0.008, 0.2), (0.012, 0.6), (0.02, -1.0))
NEAR_DIP = Landscape((0.0, 1.0), (0.002, -1.0), (0.005, -1.0), (0.006, 1.0), (0.03, 0.5))
VALLEY = Landscape((0.0, 2.0), (0.008, -0.5), (0.02, 0.3))
SMALL_STEPS = replace(THREAT, step_size=0.0002)


@pytest.mark.parametrize(
    ("landscape", "threat", "check", "least"),
    [
        pytest.param(DIP_WITHIN, THREAT, "catastrophic-overfitting", 1.0, id="a full step lands beyond the dip"),
        pytest.param(RIDGE_BEFORE, THREAT, "fgsm-stronger", 1.0, id="small steps stay before the ridge"),
        pytest.param(NEAR_DIP, THREAT, "larger-ball-helps", 0.3, id="large radii step over the dip"),
        pytest.param(FAR_SLOPE, SMALL_STEPS, "not-converged", 1.0, id="20 steps go 0.004 of 0.007, 50 go 0.01"),
        pytest.param(FAR_SLOPE, SMALL_STEPS, "loss-rising", 1.0, id="half way down the slope"),
        # iterates at 0.0005, 0.0055, then 0.0105 and 0.0055 in turn: wrong after an even number of steps
        pytest.param(VALLEY, replace(THREAT, steps=22), "more-steps-help", 1.0, id="wrong after 22, right after 55"),
        pytest.param(
            VALLEY, replace(THREAT, steps=21), "not-converged", 1.0, id="wrong on the way, right after 21 and 53"
        ),
        pytest.param(VALLEY, replace(THREAT, steps=21), "loss-falls", 1.0, id="ends on the near side of the valley"),
    ],
)
def test_a_landscape_raises_its_flag(landscape: Landscape, threat: Threat, check: str, least: float) -> None:
    finding = examined(landscape, threat)[check]
    assert finding.status == "flagged"
    assert finding.value is not None
    assert finding.value >= least


@pytest.mark.parametrize("landscape", [SLOPE, FAR_SLOPE], ids=["slope", "far slope"])
def test_a_plain_slope_raises_none(landscape: Landscape) -> None:
    findings = examined(landscape)
    assert [f for f in findings.values() if f.status == "flagged"] == []
    curve = findings["robust-everywhere"].details
    assert curve["radius"] == pytest.approx([0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5])
    # the images are at 0.0005, the boundary is at 0.005 or 0.007
    assert curve["accuracy"] == [1.0, 0.0 if landscape is SLOPE else 1.0, 0, 0, 0, 0, 0, 0, 0]


def test_a_network_that_nothing_moves_within_the_radius_is_not_accused() -> None:
    findings = examined(Landscape((0.0, 1.0), (0.03, 0.8), (0.04, -1.0)))
    assert findings["noise-as-strong"].status == "not-applicable"
    assert {name for name, f in findings.items() if f.status == "flagged"} == set()


def test_two_images_that_a_longer_attack_breaks_are_no_sign() -> None:
    x, y = landscape_images(150)
    x[2:] += torch.where(y[2:] == 1, -0.0035, 0.0035)[:, None, None, None]  # nearer: 20 small steps break them
    findings = {f.check: f for f in examine_model(FAR_SLOPE, x, y, SMALL_STEPS)}
    assert findings["not-converged"].details == {"broken": 2, "left": 2}
    assert findings["not-converged"].status == "passed"


def test_a_radius_of_0_leaves_the_checks_that_need_none() -> None:
    findings = examined(SLOPE, replace(THREAT, epsilon=0.0, step_size=0.0))
    idle = {name for name, f in findings.items() if f.status == "not-applicable"}
    assert idle == {
        "larger-ball-helps",
        "more-steps-help",
        "not-converged",
        "logit-scale",
        "loss-rising",
        "loss-falls",
        "fgsm-stronger",
        "noise-as-strong",
        "catastrophic-overfitting",
    }
    assert all(f.reason == "the radius is 0" for name, f in findings.items() if name in idle)


def test_a_network_that_is_always_wrong_leaves_nothing_to_attack() -> None:
    findings = examined(Landscape((0.0, -1.0), (1.0, -1.0)))
    assert findings["zero-gradient"].reason == "no clean image is classified rightly"
    assert findings["not-logits"].status == "passed"


@pytest.mark.parametrize(
    "threat",
    [
        Threat(epsilon=0.2, steps=20, step_size=0.05, start="uniform"),
        Threat(epsilon=8 / 255, steps=20, step_size=2 / 255, start="uniform"),
        Threat(epsilon=0.1, steps=7, step_size=0.01, start="gaussian"),
        Threat(epsilon=0.6, steps=3, step_size=0.2, start="none"),
        Threat(epsilon=0.0, steps=20, step_size=0.0, start="uniform"),
    ],
    ids=lambda t: f"{t.epsilon:.3g}, {t.steps} steps",
)
@pytest.mark.parametrize("sure", [False, True], ids=["some images fall", "none falls"])
def test_passes_are_what_hooks_count(threat: Threat, sure: bool) -> None:
    model = make_tiny_model()
    if sure:  # of one class, so that no attack breaks an image, and each takes every pass that is promised
        linear = model[4]
        assert isinstance(linear, nn.Linear)
        linear.bias.data[0] += 100
    x, _ = make_batch(6)
    y = model.eval()(x).argmax(1)
    counted = {"forward": 0, "backward": 0}

    def backward(gradient: Tensor) -> None:
        counted["backward"] += len(gradient)

    def forward(_model: nn.Module, _inputs: object, logits: Tensor) -> None:
        counted["forward"] += len(logits)
        if logits.requires_grad:
            logits.register_hook(backward)  # type: ignore[no-untyped-call]

    model.requires_grad_(False).register_forward_hook(forward)
    found = {f.check: f for f in examine_model(model, x, y, threat, batch=4)}
    left = found["not-converged"].details.get("left", 0) if threat.epsilon > 0 else len(x)
    assert left == len(x) or not sure
    spared = sum((Passes(t.steps + 1, t.steps) for t in planned_on_survivors(threat).values()), Passes())
    promised, less = passes(threat, x.shape[1:]).times(len(x)), spared.times(len(x) - left)
    assert counted == {"forward": promised.forward - less.forward, "backward": promised.backward - less.backward}


def test_what_the_paper_s_budget_costs_by_hand() -> None:
    """Looks at the images 9 + 6, ten draws, PGD-50 twice, FGSM, seven radii of 20 steps, and PGD-20 on two scales.

    Of the seven radii one is the protocol's, whose 20 steps are the first of PGD-50.
    """
    threat = Threat(epsilon=8 / 255, steps=20, step_size=2 / 255, start="uniform")
    forward = 3 + 1 + 1 + 4 + 1 + 10 + 2 * 51 + 2 + 6 * 21 + 2 * 21
    assert passes(threat, (3, 32, 32)) == Passes(forward, 0 + 2 + 1 + 3 + 2 * 50 + 1 + 6 * 20 + 2 * 20)


class Wavering(nn.Module):
    """Two logits, the largest about 10,000; every second pass adds to both."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by, self.passes = by, 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        score = x.flatten(1)[:, :1]
        return torch.cat([1e4 + score, -score], 1) + self.by * (self.passes % 2)


@pytest.mark.parametrize(("by", "status"), [(0.5, "passed"), (2.0, "flagged")])
def test_what_differs_between_passes_is_judged_by_the_largest_logit(by: float, status: str) -> None:
    x = torch.rand(6, 1, 2, 2, generator=draws())
    found = {f.check: f for f in examine_model(Wavering(by), x, torch.zeros(6, dtype=torch.int64), THREAT)}
    assert found["random-forward"].status == status
    assert found["random-forward"].value == pytest.approx(by / 1e4, rel=0.01)


def test_the_radii_of_the_paper_s_budget_by_hand() -> None:
    def of(epsilon: float) -> tuple[float, ...]:
        return radii(make_threat(epsilon=epsilon), (3, 32, 32))

    assert [255 * radius for radius in of(8 / 255)] == pytest.approx([2, 4, 8, 16, 32, 64, 127.5])
    assert of(0.2) == pytest.approx((0.05, 0.1, 0.2, 0.4, 0.5))
    assert of(0.0) == (0.5,)
    assert of(0.6)[-2:] == pytest.approx((0.3, 0.6))
    assert len(of(1e-4)) == 8  # the cost is bounded however small the radius


def test_model_and_generators_are_left_as_they_were() -> None:
    model = make_tiny_model().train()
    model[2].eval()
    x, y = make_batch(8)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes, random = [m.training for m in model.modules()], torch.get_rng_state()
    examine_model(model, x, y, THREAT)
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_findings_are_repeatable_and_plain_json() -> None:
    model, (x, y) = make_tiny_model(), make_batch(8)
    threat = replace(THREAT, start="uniform")
    first, second = (examine_model(model, x, y, threat, seed=3) for _ in range(2))
    assert first == second
    assert [Finding(**f) for f in json.loads(json.dumps([asdict(f) for f in first], allow_nan=False))] == first


@pytest.mark.parametrize("order", ["sorted", "cyclic"])
def test_the_subset_has_every_class_s_share_however_images_are_sorted(order: str) -> None:
    classes, each = 10, 200
    y = torch.arange(classes).repeat_interleave(each) if order == "sorted" else torch.arange(classes).repeat(each)
    chosen = subset(y)
    assert len(chosen) == len(set(chosen.tolist())) == EXAMPLES
    assert chosen.tolist() == sorted(chosen.tolist())
    assert torch.bincount(y[chosen]).tolist() == [EXAMPLES // classes] * classes
    assert subset(y[:EXAMPLES]).tolist() == list(range(EXAMPLES))


def test_names_are_unique_and_marks_are_each_check_s_own() -> None:
    table: list[Check[Any]] = [*MODEL_CHECKS, *VERDICT_CHECKS]
    assert len({check.name for check in table}) == len(table)
    own = [check.mark for check in table if check.mark != "W"]  # W: AutoAttack's warnings, of whatever kind
    assert len(set(own)) == len(own)
    assert all(len(check.mark) == 1 for check in table)
    assert all("Source: " in (check.judge.__doc__ or "") for check in table)


@pytest.mark.parametrize("n", [1, 5, 60, 360])
def test_bounds_against_their_closed_forms(n: int) -> None:
    assert lower_bound(n, n) == pytest.approx(0.05 ** (1 / n))
    assert lower_bound(1, n) == pytest.approx(1 - 0.95 ** (1 / n))
    assert lower_bound(0, n) == 0
    assert upper_bound(0, n) == pytest.approx(1 - 0.05 ** (1 / n))
    assert (lower_bound(0, 0), upper_bound(0, 0)) == (0, 1)


@pytest.mark.parametrize(("more", "less"), [(6, 0), (7, 0), (9, 1), (10, 1), (20, 8), (40, 39)])
def test_an_excess_is_beyond_chance_by_the_binomial_tail(more: int, less: int) -> None:
    discordant = more + less
    tail = sum(math.comb(discordant, k) for k in range(more, discordant + 1)) / 2**discordant
    assert Excess(more, less, 1000).beyond(0.0) == (tail < 0.01)
    assert not Excess(more, less, 1000).beyond((more - less) / 1000)
