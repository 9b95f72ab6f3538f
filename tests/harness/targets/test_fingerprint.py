"""The fingerprint: equal for equal models, different for anything that changes what a model computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from harness.targets.target import fingerprint


def net() -> Any:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.fill_(number + 0.25)
    return model


def changed_last_bit(model: Any) -> Any:
    model[0].bias.data.view(torch.int32)[1] ^= 1
    return model


def changed_statistics(model: Any) -> Any:
    model[1].running_mean.add_(1e-6)
    return model


def renamed(model: Any) -> Any:
    return nn.ModuleDict({"0": model[0], "a": model[1]})


def reshaped(model: Any) -> Any:
    model[0].weight = nn.Parameter(model[0].weight.detach().reshape(3, 2))
    return model


def other_type(model: Any) -> Any:
    model[1].num_batches_tracked = model[1].num_batches_tracked.to(torch.int32)
    return model


def hidden_buffer(model: Any) -> Any:
    model.register_buffer("scale", torch.ones(1), persistent=False)
    return model


def test_equal_models_are_equal_and_gradients_do_not_matter() -> None:
    assert fingerprint(net(), {"a": 1}) == fingerprint(net().requires_grad_(False).eval(), {"a": 1})


@pytest.mark.parametrize(
    "change",
    [changed_last_bit, changed_statistics, renamed, reshaped, other_type, hidden_buffer],
    ids=lambda f: f.__name__,
)
def test_any_change_of_a_tensor_shows(change: Callable[[Any], nn.Module]) -> None:
    assert fingerprint(change(net()), {}) != fingerprint(net(), {})


def test_the_context_shows() -> None:
    assert fingerprint(net(), {"outputs": "logits"}) != fingerprint(net(), {"outputs": "probabilities"})
