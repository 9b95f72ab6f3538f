"""What a bounded function made of logits is told from logits: attacks on it follow a gradient that fades."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.data.digits import Digits
from harness.plugin.adversary import CrossEntropy, ascend
from harness.plugin.threat import Threat
from harness.rigour.check import Outcome
from harness.rigour.outputs import not_logits
from harness.rigour.subject import Subject
from harness.runtime.device import arithmetic
from harness.runtime.isolation import isolated
from tests.broken_models import Around, Constant
from tests.tiny import draws

THREAT = Threat(epsilon=0.1, steps=20, step_size=0.025, start="uniform")
Change = Callable[[Tensor], Tensor]


class Cosines(nn.Module):
    """Cosines of an embedding with each class's weights, times a scale: bounded by design."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.embed = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16))
        self.weight = nn.Parameter(torch.randn(10, 16))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * F.linear(F.normalize(self.embed(x)), F.normalize(self.weight))


@pytest.fixture(scope="module")
def images() -> tuple[Tensor, Tensor]:
    data = Digits().load(Path())
    return data.pixels(data.test.images), data.test.labels


def trained(make: Callable[[], nn.Module], rate: float) -> nn.Module:
    data = Digits().load(Path())
    x, y = data.pixels(data.train.images), data.train.labels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make()
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def linear() -> nn.Module:
    return trained(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), 0.1)


def looked_at(model: nn.Module, x: Tensor, y: Tensor) -> Outcome:
    with arithmetic(x.device, "float32"), isolated(model, x.device, 0) as isolation:
        return not_logits(Subject(model.eval(), x, y, THREAT, 0, len(x), isolation))


def of(net: nn.Module, change: Change) -> nn.Module:
    return Around(net, lambda inner, x: change(inner(x)))


def under_pgd(model: nn.Module, x: Tensor, y: Tensor) -> float:
    (variant,) = ascend(model, x, y, [CrossEntropy()], THREAT, draws())
    return float((model(variant.x).argmax(1) == y).float().mean())


BOUNDED: dict[str, Change] = {
    "sigmoid": torch.sigmoid,
    "10 sigmoid": lambda z: 10 * z.sigmoid(),
    "sigmoid - 1/2": lambda z: z.sigmoid() - 0.5,
    "hard sigmoid": F.hardsigmoid,
    "logarithm of a sigmoid": F.logsigmoid,
    "tanh": torch.tanh,
    "5 tanh": lambda z: 5 * z.tanh(),
    "clamp": lambda z: z.clamp(-3, 3),
    "clamp above": lambda z: z.clamp(max=3),
    "sigmoid beside a masked class": lambda z: z.sigmoid().masked_fill(torch.arange(10) == 9, -1e9),
}


@pytest.mark.parametrize("change", BOUNDED.values(), ids=list(BOUNDED))
def test_a_bounded_function_that_blinds_pgd_is_flagged(
    change: Change, linear: nn.Module, images: tuple[Tensor, Tensor]
) -> None:
    bounded = of(linear, change)
    x, y = images
    kept = linear(x).argmax(1) == bounded(x).argmax(1)  # where both are one classifier, both are to be broken alike
    assert under_pgd(bounded, x[kept], y[kept]) > under_pgd(linear, x[kept], y[kept]) + 0.02
    found = looked_at(bounded, *images)
    assert found.status == "flagged"
    assert found.reason.endswith(
        "the gradient fades there, and attacks follow it; give the values before that function"
    )


PROBABLE: dict[str, Change] = {
    "softmax": lambda z: z.softmax(1),
    "5 softmax at temperature 5": lambda z: 5 * (z / 5).softmax(1),
    "softmax with a class left out": lambda z: F.pad(z, (0, 1)).softmax(1)[:, :10],
    "softmax of each half": lambda z: torch.cat([z[:, :5].softmax(1), z[:, 5:].softmax(1)], 1),
}


@pytest.mark.parametrize("change", PROBABLE.values(), ids=list(PROBABLE))
def test_probabilities_of_a_part_or_times_a_number_are_flagged(
    change: Change, linear: nn.Module, images: tuple[Tensor, Tensor]
) -> None:
    found = looked_at(of(linear, change), *images)
    assert found.status == "flagged"
    assert "; give the " in found.reason


LOGITS: dict[str, Change] = {
    "as they are": lambda z: z,
    "small": lambda z: z / 100,
    "small and above 0": lambda z: z / 100 + 0.2,
    "large": lambda z: 1e4 * z,
    "centred": lambda z: z - z.mean(1, keepdim=True),
    "logarithms of softmax": lambda z: z.log_softmax(1),
    "a class masked": lambda z: z.masked_fill(torch.arange(10) == 9, -1e9),
    "of one length": lambda z: 10 * F.normalize(z, dim=1),
    "a tanh that nothing reaches": lambda z: 20 * (z / 20).tanh(),
    "one for all images": lambda z: z[:1].expand(len(z), -1) * 0 + torch.arange(10.0),
}


@pytest.mark.parametrize("change", LOGITS.values(), ids=list(LOGITS))
def test_logits_are_not_flagged(change: Change, linear: nn.Module, images: tuple[Tensor, Tensor]) -> None:
    found = looked_at(of(linear, change), *images)
    assert found.status == "passed"
    assert found.reason == "the outputs are finite logits"


@pytest.mark.parametrize("scale", [5.0, 10.0, 64.0])
def test_cosines_that_were_trained_with_a_scale_are_not_flagged(scale: float, images: tuple[Tensor, Tensor]) -> None:
    model = trained(lambda: Cosines(scale), 0.01)
    assert float((model(images[0]).argmax(1) == images[1]).float().mean()) > 0.9
    found = looked_at(model, *images)
    assert found.status == "passed"


def test_a_sigmoid_is_told_where_the_network_is_not_sure(linear: nn.Module, images: tuple[Tensor, Tensor]) -> None:
    found = looked_at(of(linear, lambda z: (z / 5).sigmoid()), *images)
    assert found.details.get("at_ceiling") is None
    assert found.reason.startswith("the outputs all lie in [0, 1], as a sigmoid's do: if one made them, ")


def test_distances_that_touch_0_have_a_slope_there_and_are_not_flagged() -> None:
    levels = torch.arange(10) / 10 + 0.05
    x = (levels.repeat(9) + 1e-4)[:, None, None, None].expand(-1, 1, 4, 4).clone()
    model = Around(nn.Flatten(), lambda flat, images: -20 * (flat(images).mean(1, keepdim=True) - levels).abs())
    found = looked_at(model, x, torch.arange(10).repeat(9))
    assert found.status == "passed"


def test_a_constant_probability_is_one(images: tuple[Tensor, Tensor]) -> None:
    assert looked_at(Constant(), *images).status == "passed"
    found = looked_at(of(Constant(), lambda z: z.softmax(1)), *images)
    assert found.reason.startswith("the outputs lie in [0, 1] and sum to one: ")
