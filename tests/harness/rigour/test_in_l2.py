"""The checks of rigour in the L2 ball: in which ball they look, and by which thresholds they judge."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.plugin.threat import Threat
from harness.rigour.checks import examine_model
from harness.rigour.pgd import catastrophic_overfitting, loss_rising
from tests.in_l2 import Linear, centred, l2_threat


def test_the_checks_of_rigour_look_into_the_ball_of_the_figures() -> None:
    """Noise and one step at the radius, the sweep to where all images are grey."""
    model, x = Linear(), centred(60)
    y = model(x).argmax(1)
    seen: list[Tensor] = []
    model.register_forward_pre_hook(lambda _model, inputs: seen.append(inputs[0].detach()))
    found = {finding.check: finding for finding in examine_model(model, x, y, l2_threat(0.2))}
    grey = 0.5 * 12**0.5
    sweep = found["robust-everywhere"].details
    assert sweep["radius"] == pytest.approx([0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, grey], rel=1e-5)
    assert sweep["accuracy"][-1] == 0.0
    margin = model(x).diff(dim=1).flatten().abs().detach()
    for radius, accuracy in zip(sweep["radius"][:4], sweep["accuracy"], strict=False):  # which nothing clips
        assert accuracy == pytest.approx(float((margin > radius * model.w.norm()).float().mean()), abs=0.02)
    assert [found[name].status for name in ("robust-everywhere", "larger-ball-helps", "fgsm-stronger")] == 3 * [
        "passed"
    ]
    lengths = torch.cat([(points - x).flatten(1).norm(dim=1) for points in seen if points.shape == x.shape])
    assert float(lengths.max()) <= grey + 1e-4
    assert bool((lengths - 0.2).abs().lt(1e-5).any())


@pytest.mark.parametrize(("norm", "share", "flagged"), [("Linf", 0.25, True), ("L2", 0.25, False), ("L2", 0.45, True)])
def test_in_l2_one_step_may_fall_farther_short_of_many(norm: str, share: float, flagged: bool) -> None:
    images, threat = torch.arange(400), Threat(epsilon=0.4, steps=20, step_size=0.1, start="uniform", norm=norm)
    right = {1: images < 300, 20: images < 300 - 400 * share}
    subject: Any = SimpleNamespace(threat=threat, path=lambda budget: SimpleNamespace(last=right[budget.steps]))
    outcome = catastrophic_overfitting(subject)
    assert (outcome.status == "flagged") is flagged
    assert outcome.value == pytest.approx(share)
    assert outcome.threshold == (0.2 if norm == "Linf" else 0.35)


@pytest.mark.parametrize(("norm", "share", "flagged"), [("Linf", 0.2, True), ("L2", 0.2, False), ("L2", 0.4, True)])
def test_in_l2_the_loss_may_rise_on_more_images(norm: str, share: float, flagged: bool) -> None:
    """Of 400 images this share rises to the last of 20 steps; the others have risen after the first one."""
    rises = torch.arange(400) < 400 * share
    steps = torch.arange(21.0)[:, None]
    losses = torch.where(rises, steps, steps.clamp(max=1.0))
    threat = Threat(epsilon=0.4, steps=20, step_size=0.1, start="uniform", norm=norm)
    subject: Any = SimpleNamespace(threat=threat, path=lambda _budget: SimpleNamespace(losses=losses))
    outcome = loss_rising(subject)
    assert (outcome.status == "flagged") is flagged
    assert outcome.value == pytest.approx(share)
    assert outcome.threshold == (0.1 if norm == "Linf" else 0.3)
