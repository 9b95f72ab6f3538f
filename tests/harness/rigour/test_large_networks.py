"""On how many images the checks attack a large network, and what that costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from harness.rigour.budgets import EXAMPLES, FIRST, LARGE, images_attacked, passes, passes_at_most
from harness.rigour.checks import LOOKS, examine_model, subset
from tests.broken_models import Landscape, landscape_images
from tests.harness.rigour.landscapes import FAR_SLOPE, SLOPE, THREAT, examined


class Wide(nn.Module):
    """A landscape with as many parameters as a large network, which counts the images that it sees."""

    def __init__(self, landscape: nn.Module) -> None:
        super().__init__()
        self.landscape, self.weight = landscape, nn.Parameter(torch.zeros(LARGE + 1), requires_grad=False)
        self.images = 0

    def forward(self, x: Tensor) -> Tensor:
        self.images += len(x)
        return self.landscape(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("landscape", [SLOPE, FAR_SLOPE], ids=["slope", "far slope"])
def test_a_large_network_that_holds_nothing_is_attacked_on_few_images(landscape: Landscape) -> None:
    x, y = landscape_images(150)
    wide = Wide(landscape)
    few = {f.check: f for f in examine_model(wide, x, y, THREAT)}
    assert {name: f.status for name, f in few.items()} == {name: f.status for name, f in examined(landscape).items()}
    most = passes(THREAT, x.shape[1:]).forward
    assert wide.images <= FIRST * most + 10 * len(x)


@pytest.mark.parametrize(
    ("of", "left", "attacked"),
    [
        (500, 0, 32),
        (500, 1, 50),
        (500, 3, 150),
        (500, 9, 450),
        (500, 10, 500),
        (500, 32, 500),
        (200, 1, 32),
        (20, 0, 20),
    ],
)
def test_a_tenth_of_the_images_is_attacked_for_each_of_the_first_that_is_left(
    of: int, left: int, attacked: int
) -> None:
    assert images_attacked(of, left) == attacked


def far_among(n: int, holding: int) -> tuple[Tensor, Tensor]:
    """Images of which as many as ``holding`` of the first FIRST withstand SLOPE's attack, and none of the others."""
    x, y = landscape_images(n)
    for place in subset(y, FIRST)[:holding].tolist():
        x[place] += -0.1 if y[place] == 0 else 0.1  # further from the boundary than the radius
    return x, y


def test_a_large_network_that_holds_little_is_attacked_on_some_images_and_the_findings_say_so() -> None:
    x, y = far_among(400, 2)
    wide = Wide(SLOPE)
    findings = {f.check: f for f in examine_model(wide, x, y, THREAT)}
    few = passes(THREAT, x.shape[1:]).forward
    assert 70 * few * 0.5 < wide.images < (FIRST + 80) * few + 10 * len(x)  # two tenths of 400
    for name, finding in findings.items():
        if name in LOOKS:
            assert "examined" not in finding.details
        else:
            assert finding.reason.endswith(" (80 of 400 images)")
            assert finding.details.items() >= {"examined": 80, "examined_of": 400}.items()
    part = subset(y, 80)
    narrow = {f.check: f for f in examine_model(SLOPE, x[part], y[part], THREAT)}
    assert all(findings[name].value == f.value for name, f in narrow.items() if name not in LOOKS)
    assert all("of 400 images" not in f.reason for f in narrow.values())


@pytest.mark.parametrize("holding", [0, 1, 3, 10])
def test_the_cost_for_a_large_network_is_bounded_by_what_the_first_images_hold(holding: int) -> None:
    """However many images there are beyond EXAMPLES, and however slow the machine."""
    x, y = far_among(EXAMPLES, holding)
    wide, most = Wide(SLOPE), passes(THREAT, (1, 8, 8)).forward
    examine_model(wide, x, y, THREAT)
    looks_at_all, pgd_at_first = 2 * len(x), FIRST * 51
    assert wide.images <= looks_at_all + pgd_at_first + most * max(FIRST, EXAMPLES * holding / 10)
    assert wide.images <= passes_at_most(THREAT, (1, 8, 8), len(x)).forward


def test_the_most_that_a_large_network_costs_is_what_is_promised() -> None:
    """Of a network that nothing moves each pass is made, and PGD-50 on the first 32 images twice."""
    x, y = landscape_images(40)
    wide = Wide(Landscape((0.0, 1.0), (1.0, 0.9)))
    examine_model(wide, x, y, THREAT)
    assert wide.images == 40 * passes(THREAT, (1, 8, 8)).forward + 32 * 51
    assert wide.images == passes_at_most(THREAT, (1, 8, 8), 40).forward
    for few, at in ((THREAT, 32), (replace(THREAT, epsilon=0.0, step_size=0.0), 40)):
        assert passes_at_most(few, (1, 8, 8), at) == passes(few, (1, 8, 8)).times(at)


def test_of_few_images_none_is_attacked_twice() -> None:
    x, y = landscape_images(FIRST)
    wide, narrow = Wide(SLOPE), Wide(SLOPE)
    narrow.weight = nn.Parameter(torch.zeros(1), requires_grad=False)
    assert examine_model(wide, x, y, THREAT) == examine_model(narrow, x, y, THREAT)
    assert wide.images == narrow.images


def test_a_large_network_that_is_always_wrong_is_looked_at_on_few_images() -> None:
    x, y = landscape_images(400)
    wide = Wide(Landscape((0.0, -1.0), (1.0, -1.0)))
    findings = {f.check: f for f in examine_model(wide, x, y, THREAT)}
    assert findings["zero-gradient"].reason == "no clean image is classified rightly (32 of 400 images)"
    assert wide.images < 30 * len(x)


def test_at_radius_0_the_clean_images_that_are_right_decide() -> None:
    x, y = landscape_images(400)
    nowhere = replace(THREAT, epsilon=0.0, step_size=0.0)
    wide = Wide(SLOPE)
    assert examine_model(wide, x, y, nowhere) == examine_model(SLOPE, x, y, nowhere)


def test_a_large_network_that_holds_is_attacked_on_all_images() -> None:
    x, y = landscape_images(150)
    wide, narrow = Wide(SLOPE), replace(THREAT, epsilon=0.001, step_size=0.00025)
    assert examine_model(wide, x, y, narrow) == examine_model(SLOPE, x, y, narrow)
    assert wide.images > 150 * len(x)


class Adapts(nn.Module):
    """Answers otherwise once it has been asked a dozen times."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return SLOPE(x) * (1.0 if self.passes <= 12 else 1.5)  # type: ignore[no-any-return]


@pytest.mark.parametrize("holding", [0, 2, 32])
def test_a_large_network_that_adapts_to_the_attack_on_the_first_images_is_noticed(holding: int) -> None:
    x, y = far_among(400, holding)
    for model in (Adapts(), Wide(Adapts())):
        found = {f.check: f for f in examine_model(model, x, y, THREAT)}
        assert found["random-forward"].status == "flagged"


def test_a_look_at_a_large_network_that_holds_nothing_is_at_all_images() -> None:
    """Labels in another order make every image wrong under attack; the check that tells them needs many images."""
    x = torch.zeros(150, 3, 4, 4)
    labels = torch.arange(150) % 3
    for row, label in enumerate(labels):
        x[row, int(label)] = 0.5
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3, bias=False))
    with torch.no_grad():
        linear = model[2]
        assert isinstance(linear, nn.Linear)
        linear.weight.copy_(torch.eye(3)[[1, 2, 0]])
    x[0, :, :, :] = x[0].roll(1, 0)  # one clean image is right, so there is something to attack
    wide = Wide(model)
    found = {f.check: f for f in examine_model(wide, x, labels, replace(THREAT, epsilon=0.4, step_size=0.1))}
    assert found["classes-permuted"].status == "flagged"
