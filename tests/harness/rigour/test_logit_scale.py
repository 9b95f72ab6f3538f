"""The check logit-scale on networks whose answers are known, and on networks that are broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from harness.events import Finding
from harness.methods.sat import SAT
from harness.plugin.ball import Start
from harness.plugin.threat import Threat
from harness.rigour.checks import examine_model
from harness.rigour.scaling import ScaledOdds
from tests import broken_models as bank
from tests.harness.rigour import trained as nets
from tests.tiny import draws, make_batch, make_tiny_model

THREAT = Threat(epsilon=0.1, steps=20, step_size=0.025, start="uniform")
DECOYS = 8


class Decoyed(nn.Module):
    """A true class, a rival that brightness brings nearer, and eight decoys far below that darkness brings nearer.

    In an image of brightness b (the mean of its pixels) the true class has 0, the rival ``b - 0.55``, and each decoy
    ``-10 - 2 b``. So the rival wins where b exceeds 0.55. If all classes weigh alike, the gradient points to darkness:
    ``1 - 2 * 8`` is negative. If the rival outweighs the decoys by far, as the logits' own size would have it, it
    points to brightness.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        bright = x.flatten(1).mean(1, keepdim=True)
        decoys = (-10 - 2 * bright).expand(-1, DECOYS)
        return self.scale * torch.cat([0 * bright, bright - 0.55, decoys], 1)


def images(near: int, far: int) -> tuple[Tensor, Tensor]:
    """Even images of the true class: near ones at 0.5, where a radius of 0.1 reaches 0.55, and far ones at 0.3."""
    level = torch.tensor([0.5] * near + [0.3] * far)
    return level[:, None, None, None].expand(-1, 1, 4, 4).clone(), torch.zeros(near + far, dtype=torch.int64)


def found(model: nn.Module, x: Tensor, y: Tensor, threat: Threat = THREAT) -> Finding:
    (finding,) = (f for f in examine_model(model, x, y, threat) if f.check == "logit-scale")
    return finding


@pytest.mark.parametrize("start", ["uniform", "gaussian", "none"])
@pytest.mark.parametrize(
    "scale", [pytest.param(2.0**-7, id="too small"), pytest.param(1e5, id="too large for a gradient in float32")]
)
def test_an_attack_that_the_scale_misleads_is_found_out(scale: float, start: Start) -> None:
    finding = found(Decoyed(scale), *images(30, 30), replace(THREAT, start=start))
    assert finding.status == "flagged"
    assert finding.mark == "H"
    assert finding.value == 0.5  # PGD leaves all 60; at another scale it breaks the 30 near ones
    assert finding.details == {"spread": [10.0, 100.0], "broken": [30, 30], "own_scale": 0, "left": 60}
    assert finding.reason == (
        "of the 60 images that PGD-20 leaves, another start breaks 0.0 %, and with it logits of spread 10 break "
        "50.0 %: "
        "the figure under PGD depends on the scale of the logits, and flatters the network"
    )


def test_an_attack_that_the_scale_does_not_mislead_is_not_accused() -> None:
    finding = found(Decoyed(1.0), *images(30, 30))
    assert (finding.status, finding.value) == ("passed", 0.0)  # it breaks the near ones itself
    assert finding.details == {"spread": [10.0, 100.0], "broken": [0, 0], "own_scale": 0, "left": 30}
    assert found(Decoyed(1.0), *images(30, 0)).reason == "PGD-20 leaves nothing to break"


@pytest.mark.parametrize(
    ("near", "far", "status", "why"),
    [
        (7, 0, "passed", "McNemar with 7 of 7: 1/128, above 1/200"),
        (8, 0, "flagged", "8 of 8: 1/256"),
        (8, 71, "flagged", "8 of 79 are 10.1 %"),
        (8, 72, "passed", "8 of 80 are 10 %, and no more"),
    ],
)
def test_the_rule_by_hand(near: int, far: int, status: str, why: str) -> None:
    finding = found(Decoyed(2.0**-7), *images(near, far))
    assert (finding.status, finding.value) == (status, near / (near + far)), why


def test_fewer_than_two_points_of_all_images_raise_no_flag() -> None:
    """Images at brightness 0.7 are wrong and stay so. 8 of the 10 that PGD leaves are 2 points of 400 images."""
    x, y = images(8, 2)
    for wrong, status in ((390, "flagged"), (391, "passed")):
        bright = torch.full((wrong, 1, 4, 4), 0.7)
        all_x, all_y = torch.cat([x, bright]), torch.cat([y, torch.zeros(wrong, dtype=torch.int64)])
        assert found(Decoyed(2.0**-7), all_x, all_y).status == status


def test_with_two_classes_a_scale_changes_no_direction_and_so_no_verdict() -> None:
    """The gradient of the cross-entropy of two classes is a multiple of that of their difference."""
    model, (x, _) = make_tiny_model(classes=2), make_batch(200)
    y = model.eval()(x).argmax(1)
    finding = found(model, x, y, replace(THREAT, epsilon=0.3, steps=2, step_size=0.05))
    assert finding.value == 0.0
    assert finding.details["own_scale"] > 5  # two short steps from another start break other images
    assert finding.details["broken"] == [finding.details["own_scale"]] * 2


def test_a_multiple_of_a_network_has_the_same_objective() -> None:
    clean, moved = torch.randn(5, 7, generator=draws(1)), torch.randn(5, 7, generator=draws(2))
    y = torch.arange(5)
    one = ScaledOdds(clean, 10.0)(moved, y)
    for power in (-40, -7, 7, 40):  # powers of two change no digit
        assert torch.equal(ScaledOdds(2.0**power * clean, 10.0)(2.0**power * moved, y), one)


def test_the_factor_is_that_of_each_image_s_spread() -> None:
    clean = torch.tensor([[1.0, 5.0, 3.0], [0.0, 0.0, 2.0], [4.0, -1e9, 0.0]])
    objective = ScaledOdds(clean, 10.0)
    assert objective.factors.flatten().tolist() == pytest.approx([5.0, 5.0, 2.5])  # 10 over 2, 2, and 4
    scaled = torch.tensor([[5.0, 25.0, 15.0], [0.0, 0.0, 10.0], [10.0, -2.5e9, 0.0]])
    y = torch.tensor([1, 2, 2])
    p = scaled.double().softmax(1)[[0, 1, 2], y]
    odds = objective(clean, y).double()
    assert torch.allclose(odds, ((1 - p) / p).log())
    assert torch.allclose(softplus(odds), cross_entropy(scaled.double(), y, reduction="none"))


def test_the_gradient_lasts_where_that_of_the_cross_entropy_has_rounded_away() -> None:
    """The rival is 1 behind, and 100 behind if scaled: 1 - p_y is 4e-44, which p_y cannot hold in float32."""
    logits = torch.tensor([[40.0, 39.0, 0.0]], requires_grad=True)
    y = torch.tensor([0])
    (gone,) = torch.autograd.grad(cross_entropy(100 * logits, y), logits)
    assert float(gone[0, 0]) == 0.0
    objective = ScaledOdds(logits.detach(), 100.0)  # 40 above the median 39 is a spread of 1
    (gradient,) = torch.autograd.grad(objective(logits, y).sum(), logits)
    assert gradient.tolist() == [[-100.0, 100.0, 0.0]]


def test_logits_that_do_not_differ_give_numbers() -> None:
    objective = ScaledOdds(torch.zeros(2, 4), 100.0)
    assert objective(torch.tensor([[0.0, 0, 0, 0], [1.0, 0, 0, 0]]), torch.tensor([0, 0])).isfinite().all()


def test_small_logits_of_half_precision_have_the_factors_of_float32() -> None:
    clean = torch.tensor([[2.0**-10, 0.0, 0.0]]).half()
    objective = ScaledOdds(clean, 100.0)
    assert objective.factors.tolist() == [[100 * 2.0**10]]  # float16 ends at 65504
    assert objective(clean.float(), torch.tensor([0])).isfinite().all()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    """A network of adversarial training that has found its scale, unlike those of five epochs."""
    return nets.trained(SAT(), "sat", nets.digits(), tmp_path_factory.mktemp("sat"), epochs=12)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (nn.Identity, "passed"),
        (bank.ten_times, "passed"),
        (bank.tiny_logits, "flagged"),
        (bank.scaled, "flagged"),
        (bank.squashed_margins, "flagged"),
        (bank.decoys, "flagged"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_flag_is_raised_where_pgd_is_misled(
    change: Callable[[nn.Module], nn.Module], status: str, sound: nn.Module
) -> None:
    data = nets.digits()
    x, y = data.pixels(data.test.images[::2]), data.test.labels[::2]
    model = sound if change is nn.Identity else change(sound)
    finding = found(model, x, y, nets.THREAT)
    assert finding.status == status
    more = nets.margin_breaks_more(model, x, y)
    assert finding.value == pytest.approx(more, abs=0.06)
    assert more > 0.05 or status == "passed"
