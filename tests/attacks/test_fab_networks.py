"""What FAB found counts for one network alone, with the settings and labels of that run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.attacks._fab_findings import Findings
from harness.fast.folded import Folded
from tests.attacks.fab import CLASSES, SHAPE, N, Settable, anew, at_hand, attacked, fab_of
from tests.tiny import draws


def change_weight(model: Any) -> None:
    model.net[0].weight.data[0, 0, 0, 0] += 0.5  # which no version tells


def change_attribute(model: Any) -> None:
    model.skew = 0.01


def change_buffer(model: Any) -> None:
    model.net[1].running_var[3] *= 2


@pytest.mark.parametrize("change", [change_weight, change_attribute, change_buffer])
def test_nothing_is_taken_over_from_another_network(change: Callable[[Settable], None]) -> None:
    model, x, y = at_hand()
    found = Findings()
    before, _ = attacked(found, model, x, y)
    change(model)
    after, passes = attacked(found, model, x, y)
    assert passes > 2 * N
    assert torch.equal(after, anew(model, x, y))
    assert not torch.equal(after, before)


@pytest.mark.parametrize("same", [False, True], ids=["another object", "changed in place"])
def test_nothing_is_taken_over_from_a_network_of_the_same_tensors_that_differs_away_from_the_images(same: bool) -> None:
    """No clean image reaches the limit, so that logits and gradients of clean images tell nothing."""
    model, x, _ = at_hand()
    x = 0.3 + 0.4 * x.round()
    y, found = model(x).argmax(1), Findings()
    before, first = attacked(found, model, x, y)
    other = model if same else Settable(SHAPE, CLASSES, 1)
    other.most = 0.7 + 1e-6
    assert torch.equal(other(x), model(x))
    expected = anew(other, x, y)
    after, passes = attacked(found, other, x, y)
    assert torch.equal(after, expected)
    assert not torch.equal(after, before)
    assert passes > first / 2


def test_the_same_weights_in_another_object_are_another_network() -> None:
    """A plugin's code may differ where neither tensors nor attributes tell it."""
    model, x, y = at_hand()
    found = Findings()
    _, first = attacked(found, model, x, y)
    assert attacked(found, Settable(SHAPE, CLASSES, 1), x, y)[1] == first


def test_a_network_that_differs_where_nobody_has_looked_is_another_one() -> None:
    """A weight of a unit that is off for all clean images: logits and gradients there are the same."""
    model, x, y = at_hand()
    bias: Any = model.net[1].bias
    bias.data[2] -= 100.0  # its ReLU gives zero everywhere
    found = Findings()
    attacked(found, model, x, y)
    logits = model(x)
    bias.data[2] += 1.0
    assert torch.equal(model(x), logits)
    assert attacked(found, model, x, y)[1] > 2 * N


def test_the_weights_of_faster_layers_count_though_they_are_no_parameters() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    network = nn.Sequential(*network, nn.Flatten(), nn.Linear(8, CLASSES)).eval().requires_grad_(False)
    x = torch.rand(8, *SHAPE, generator=draws(1))
    y, faster, found = network(x).argmax(1), Folded(network, x), Findings()
    assert faster.fits(x)
    seen = []
    for layer in (None, *(network[place] for place in (0, 1, 5))):
        if layer is not None:
            cast(Tensor, layer.bias).data.add_(1e-3)
        with faster.put_in():
            fab = fab_of(network, iterations=1)
            fab.target_class = 2
            found.run(fab.attack_single_run, fab, x, y, is_targeted=True)
        seen.append(found._of)
    assert len(set(seen)) == 4


@pytest.mark.parametrize("settings", [{"epsilon": 0.05}, {"iterations": 5}], ids=str)
def test_nor_from_other_settings(settings: dict[str, Any]) -> None:
    model, x, y = at_hand()
    found = Findings()
    attacked(found, model, x, y)
    after, passes = attacked(found, model, x, y, **settings)
    assert passes > 2 * N
    assert torch.equal(after, anew(model, x, y, **settings))


def test_nor_for_another_label() -> None:
    model, x, y = at_hand()
    found = Findings()
    attacked(found, model, x, y)
    other = (y + 1) % CLASSES
    assert torch.equal(attacked(found, model, x, other)[0], x)  # misclassified images are left as they are


@pytest.mark.parametrize("content", [torch.eye(3).to_sparse(), np.array(3.0), torch.ones(2, dtype=torch.bfloat16)])
def test_odd_content_of_a_network_is_hashed_or_nothing_is_kept(content: Any) -> None:
    model, x, y = at_hand()
    found = Findings()
    if isinstance(content, Tensor):
        model.register_buffer("odd", content)
    else:
        monkeyed: Any = type("Monkeyed", (Settable,), {"get_extra_state": lambda _self: content})
        model = monkeyed(SHAPE, CLASSES, 1)
    expected = anew(model, x, y)
    for _ in range(2):
        assert torch.equal(attacked(found, model, x, y)[0], expected)
    assert bool(found._found) == (not isinstance(content, Tensor) or content.layout == torch.strided)
