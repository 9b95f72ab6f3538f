"""In the L2 ball everything attacks, trains, and checks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.conformance import Violation, checks, load_plugin
from harness.errors import PluginError, SettingError
from harness.evaluator import evaluate
from harness.identity import digest
from harness.methods.sat import SAT
from harness.networks.smallcnn import SmallCNN
from harness.plugin.adversary import CrossEntropy, Margin, Objective, Variant, ascend
from harness.plugin.attack import Attack, Passes
from harness.plugin.dataset import Dataset, Split
from harness.plugin.method import Method
from harness.plugin.threat import Threat
from harness.protocols.protocol import load_protocol
from harness.protocols.run_spec import RunSpec
from harness.registry.catalogue import discover
from harness.runtime.device import arithmetic
from harness.runtime.seeds import generator
from harness.training.given_networks import give_stand_ins
from harness.training.loop import Trainer, initial_model
from tests.in_l2 import Linear, centred, l2_threat
from tests.tiny import draws, make_batch, make_step, make_tiny_model

MOVING = ("fgsm", "noise", "pgd", "cw", "minimum-margin", "apgd-ce", "apgd-t", "fab-t", "square", "autoattack")


def attack(name: str) -> Attack:
    return cast(Attack, discover("attacks").get(name)())


# ---- attacks


@pytest.mark.parametrize("start", ["uniform", "gaussian", "none"])
@pytest.mark.parametrize("objective", [CrossEntropy(), Margin()], ids=["ce", "margin"])
def test_the_optimum_of_a_linear_model_is_found(start: str, objective: Objective) -> None:
    """It is x + epsilon w / ||w||, away from the label's class."""
    model, x, epsilon = Linear(), centred(), 0.2
    y = (model(x).argmax(1) == 1).long()
    (variant,) = ascend(model, x, y, [objective], l2_threat(epsilon, steps=40, start=start), draws())
    way = torch.where(y == 0, -1.0, 1.0)[:, None] * model.w / model.w.norm()
    optimum = x.flatten(1) + epsilon * way
    torch.testing.assert_close(variant.x.flatten(1), optimum.detach(), rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", ["pgd", "cw", "fgsm", "minimum-margin", "apgd-ce", "fab-t"])
def test_an_attack_on_a_linear_model_reaches_the_closed_form_robust_accuracy(name: str) -> None:
    """Robust where the margin exceeds epsilon ||w||; in the L-infinity ball it would be epsilon ||w||_1."""
    model, x, epsilon = Linear(), centred(), 0.2
    margin = model(x).diff(dim=1).flatten().abs().detach()
    y = model(x).argmax(1)
    closed_form = margin > epsilon * model.w.norm().detach()
    assert 0.05 < float(closed_form.float().mean()) < 0.95
    assert bool((closed_form != (margin > epsilon * model.w.abs().sum())).any())
    verdicts = evaluate(model, attack(name), x, y, l2_threat(epsilon), draws())
    assert torch.equal(verdicts.correct, closed_form)


def test_what_leaves_the_ball_is_projected_onto_it_before_it_is_scored() -> None:
    class Far(Attack):
        budget: ClassVar[tuple[str, ...]] = ("epsilon", "norm")

        def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
            return x + torch.tensor([3.0, 4.0]).view(2, 1, 1)

        def passes(self, threat: Threat) -> Passes:
            return Passes()

    seen: list[Tensor] = []

    class Recorder(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return torch.zeros(len(x), 2)

    x = torch.full((1, 2, 1, 1), 0.2)
    evaluate(Recorder(), Far(), x, torch.tensor([0]), l2_threat(0.5), draws())
    torch.testing.assert_close(seen[-1].flatten(), torch.tensor([0.5, 0.6]))  # 0.2 + 0.5 (3, 4) / 5


@dataclass(frozen=True, kw_only=True)
class Corner(Attack):
    """An attack of before there were norms: it names the radius alone, and goes to a corner of the L-infinity ball."""

    name: ClassVar[str] = "corner"
    budget: ClassVar[tuple[str, ...]] = ("epsilon",)

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        return (x + threat.epsilon).clamp(max=1.0)

    def passes(self, threat: Threat) -> Passes:
        return Passes()


def test_an_attack_that_does_not_know_of_norms_is_refused_in_another_ball() -> None:
    x, y = make_batch()
    words = "attack 'corner' is refused in the L2 ball: it attacks in Linf alone; leave it out, or, if it is yours"
    with pytest.raises(SettingError, match=words):
        evaluate(make_tiny_model(), Corner(), x, y, l2_threat(), draws())
    with pytest.raises(SettingError, match=words):
        Corner().settings_under(l2_threat())  # before anything is written
    linf = Threat(epsilon=0.1, steps=1, step_size=0.1, start="none")
    assert evaluate(make_tiny_model(), Corner(), x, y, linf, draws()).correct.shape == y.shape
    assert Corner().settings_under(linf) == {"epsilon": 0.1}


def test_one_that_moves_nothing_is_the_same_in_any_ball_and_may_not_ask_which() -> None:
    linf = Threat(epsilon=0.1, steps=1, step_size=0.1, start="none")
    assert attack("natural").settings_under(l2_threat()) == attack("natural").settings_under(linf) == {}

    class Curious(Attack):
        budget: ClassVar[tuple[str, ...]] = ()

        def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
            return x if threat.norm == "Linf" else x.flip(0)

        def passes(self, threat: Threat) -> Passes:
            return Passes()

    x, y = make_batch()
    evaluate(make_tiny_model(), Curious(), x, y, linf, draws())
    with pytest.raises(PluginError, match="reads norm of the threat"):
        evaluate(make_tiny_model(), Curious(), x, y, l2_threat(), draws())


@pytest.mark.parametrize("name", MOVING)
def test_the_norm_is_part_of_an_attacks_identity_where_it_is_another(name: str) -> None:
    linf = Threat(epsilon=0.4, steps=20, step_size=0.1, start="uniform")
    before, now = attack(name).settings_under(linf), attack(name).settings_under(l2_threat())
    assert "norm" not in before
    assert now == before | {"norm": "L2"}
    assert digest(now) != digest(before)


@pytest.mark.parametrize("name", ["fgsm", "noise", "pgd", "cw"])
def test_the_contract_holds_in_every_ball(name: str) -> None:
    checks("attack")["they are inside the ball and [0, 1]"](load_plugin("attack", name))


def test_the_contract_notices_an_attack_that_says_that_it_asks_for_the_ball_and_does_not() -> None:
    class Says(Corner):
        budget: ClassVar[tuple[str, ...]] = ("epsilon", "norm")

    with pytest.raises(Violation, match=r"outside the L2 ball of 1\.03923"):
        checks("attack")["they are inside the ball and [0, 1]"](Says())


# ---- training


def data() -> Dataset:
    images = torch.randint(256, (32, 1, 8, 8), generator=draws(7), dtype=torch.uint8)
    split = Split(images, torch.randint(4, (32,), generator=draws(8)))
    return Dataset("noise", split, split, tuple("abcd"))


def spec(**changes: Any) -> RunSpec:
    values = {"train.epochs": 2, "train.batch_size": 16, "train.steps": 3, "epsilon": 2.0, "train.norm": "L2"}
    protocol = load_protocol("digits").with_values(values | changes)
    return RunSpec(
        method="sat",
        method_settings={},
        network="smallcnn",
        network_settings={"width": 4},
        dataset="noise",
        dataset_fingerprint="0" * 64,
        training=protocol.training_document,
        train_seed=0,
    )


def slow_l2_pgd(model: nn.Module, x: Tensor, y: Tensor, threat: Threat, draws: torch.Generator) -> Tensor:
    """One image after another, by textbook formulas; the start alone is drawn by the ball."""
    starts = threat.ball(x).start("uniform", draws)
    made = []
    for i in range(len(x)):
        centre, point = x[i : i + 1], starts[i : i + 1]
        for _ in range(threat.steps):
            point = point.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(F.cross_entropy(model(point), y[i : i + 1]), point)
            offset = point.detach() + threat.step_size * gradient / gradient.norm() - centre
            point = (centre + offset * min(1.0, threat.epsilon / float(offset.norm()))).clamp(0, 1)
        made.append(point)
    return torch.cat(made)


def test_a_network_is_trained_on_variants_in_the_ball_of_its_protocol(tmp_path: Path) -> None:
    """The whole trainer, two epochs of two updates; the first variants against a slow loop."""
    crafted: list[tuple[Tensor, Tensor, Threat, Tensor]] = []

    def watched(model: nn.Module, x: Tensor, y: Tensor, *rest: Any) -> tuple[Variant, ...]:
        variants = ascend(model, x, y, *rest)
        crafted.append((x, y, rest[1], variants[0].x))
        return variants

    asked, dataset = spec(), data()
    network = SmallCNN(width=4)
    Trainer(asked, 1, SAT(), network, dataset, tmp_path, craft=watched).fit(lambda _event: None)
    assert len(crafted) == 4
    for x, _, threat, variant in crafted:
        assert (threat.norm, threat.epsilon, threat.steps) == ("L2", 2.0, 3)
        distance = threat.ball(x).distance(variant)
        assert float(distance.max()) <= 2.0 + 1e-5
        assert float(distance.max()) > 1.5  # most of the radius
    x, y, threat, variant = crafted[0]
    model = initial_model(network, dataset.shape, asked.train_seed).eval()
    with arithmetic(torch.device("cpu"), "float32"):
        expected = slow_l2_pgd(model, x, y, threat, generator(torch.device("cpu"), 0, "attack", 1))
    torch.testing.assert_close(variant, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", sorted(discover("methods").found))
def test_every_method_takes_its_variants_from_the_ball_of_its_threat(name: str) -> None:
    """Whatever it asks of the step, with a budget of its own or not, is at the L2 ball's radius, and not beyond."""
    model, (x, y) = make_tiny_model(), make_batch()
    made = cast(Method, discover("methods").get(name)())
    give_stand_ins(made, make_tiny_model)
    made.prepare(model)
    shares: list[Tensor] = []

    def watched(
        model: nn.Module, x: Tensor, y: Tensor, objectives: Any, threat: Threat, *rest: Any, **more: Any
    ) -> Any:
        assert threat.norm == "L2"
        variants = ascend(model, x, y, objectives, threat, *rest, **more)
        shares.extend(threat.ball(x).distance(variant.x) / threat.epsilon for variant in variants)
        return variants

    step = make_step(model, x, y, threat=l2_threat(0.4, steps=5))
    assert bool(made.loss(replace(step, craft=watched)).isfinite())
    for share in shares:
        assert 0.7 < float(share.max()) <= 1 + 1e-5


def test_the_norm_is_part_of_a_runs_identity_where_it_is_another() -> None:
    assert spec().training["norm"] == "L2"
    linf = spec(**{"epsilon": 1.0, "train.norm": "Linf"})
    assert "norm" not in linf.training
    assert spec(epsilon=1.0).identity != linf.identity


def test_a_radius_is_held_to_the_norm_that_it_is_of() -> None:
    digits = load_protocol("digits")
    with pytest.raises(SettingError, match=r"^epsilon=2 is refused: it should be less than or equal to 1; pixels"):
        digits.with_values({"epsilon": 2})
    both = digits.with_values({"epsilon": 2, "train.norm": "L2"})
    assert both.evaluation_threat.ball(torch.zeros(1, 1)).norm == "L2"  # that of the training, where none is named
    with pytest.raises(SettingError, match=r"^evaluation\.epsilon=2 is refused"):
        both.with_values({"evaluation.norm": "Linf"})
    other = both.with_values({"evaluation.norm": "Linf", "evaluation.epsilon": 0.1})
    assert (other.evaluation_threat.norm, other.evaluation_threat.epsilon) == ("Linf", 0.1)
    assert both.with_values({"evaluation.norm": "L2"}).fingerprint == both.fingerprint  # said twice: one protocol
