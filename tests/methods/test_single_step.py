"""Where the variants of one step may be, and of which attack they are."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from harness.methods.fast import RSFGSM
from harness.methods.n_fgsm import NFGSM
from harness.methods.sat import SAT
from tests.tiny import make_batch, make_step, make_threat, make_tiny_model


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
