"""The fast path and the plain path agree: for every method that is registered, and for every attack that ships."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from harness.evaluator import evaluate
from harness.fast import folded
from harness.fast.crafting import EVERY, FastCrafter
from harness.fast.folded import Folded
from harness.plugin.adversary import KL, CrossEntropy, Margin, Objective, ascend
from harness.plugin.attack import Attack
from harness.plugin.method import Method
from harness.registry.catalogue import discover
from harness.training.given_networks import give_stand_ins
from harness.training.loop import initial_model
from tests.tiny import draws, make_batch, make_step, make_threat, make_tiny_model

BUDGET = make_threat(epsilon=0.06, step_size=0.015)
METHODS, ATTACKS = sorted(discover("methods").found), sorted(discover("attacks").found)


def trained(model: nn.Module, x: Tensor, y: Tensor) -> nn.Module:
    """The model after some updates, so that its answers are no noise."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(8):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model.train()(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.eval()


@pytest.mark.parametrize("name", METHODS)
def test_every_methods_loss_and_its_gradient_are_the_same(name: str) -> None:
    x, y = make_batch(32)
    losses, gradients = [], []
    for craft in (ascend, FastCrafter()):
        method = cast(Method, discover("methods").get(name).from_mapping({}))  # it may remember something
        give_stand_ins(method, make_tiny_model)
        model = make_tiny_model()  # a pass changes its running statistics
        method.prepare(model)
        step = replace(make_step(model, x, y), craft=craft)
        loss = method.loss(step)
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(float(loss.detach()))
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert float((gradients[1] - gradients[0]).norm()) <= 1e-3 * float(gradients[0].norm())


@pytest.mark.parametrize("objective", [CrossEntropy(), Margin(), "kl"])
def test_the_variants_are_the_same_but_for_the_sign_of_a_gradient_near_zero(objective: Objective | str) -> None:
    x, y = make_batch(64)
    model = trained(make_tiny_model(), x, y).train()
    crafted = []
    for craft in (ascend, FastCrafter()):
        wanted = KL(x) if isinstance(objective, str) else objective
        crafted.append(craft(model, x, y, [wanted], make_threat(steps=10), draws())[0])
    plain, fast = crafted
    assert float((plain.x == fast.x).float().mean()) > 0.999
    assert torch.equal(plain.steps_to_flip, fast.steps_to_flip)
    assert model.training


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attacks_verdicts_are_the_same(name: str) -> None:
    attack = cast(Attack, discover("attacks").get(name).from_mapping({}))
    x, y = make_batch(24)
    model = trained(make_tiny_model(), x, y).requires_grad_(False)
    plain = evaluate(model, attack, x, y, BUDGET, draws())
    fast = evaluate(model, attack, x, y, BUDGET, draws(), faster=model)
    assert torch.equal(fast.correct, plain.correct)
    assert torch.allclose(fast.margins, plain.margins, atol=0.02)  # the margin of an image at which an attack stopped
    if name != "natural":
        assert 0 < int(plain.correct.sum()) < len(y)  # so both outcomes are seen


def test_an_objective_of_somebody_else_gets_the_network_as_it_is() -> None:
    seen: list[bool] = []
    model = make_tiny_model()

    class Looks(Objective):
        def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
            seen.append(isinstance(model[1], nn.BatchNorm2d))
            return logits.logsumexp(1)

    x, y = make_batch()
    FastCrafter()(model, x, y, [Looks()], make_threat(), draws())
    assert seen
    assert all(seen)


def test_an_attack_of_somebody_else_gets_the_network_as_it_is() -> None:
    seen: list[nn.Module] = []
    PGD = discover("attacks").get("pgd")

    class Mine(PGD):  # type: ignore[misc, valid-type]
        """PGD that looks at the network."""

        def perturb(self, model: nn.Module, *others: object) -> Tensor:
            seen.extend(model.modules())
            return super().perturb(model, *others)  # type: ignore[no-any-return]

    x, y = make_batch()
    model = make_tiny_model().requires_grad_(False)
    evaluate(model, Mine(), x, y, make_threat(), draws(), faster=model)
    assert seen == list(model.modules())


def test_layers_are_compared_often_at_first_and_a_network_that_has_changed_is_traced_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y = make_batch()
    model, craft = make_tiny_model(), FastCrafter()
    puts: list[int] = []
    put_in = Folded.put_in

    def counted(self: Folded) -> object:
        puts.append(1)
        return put_in(self)

    monkeypatch.setattr(folded.Folded, "put_in", counted)
    for _ in range(2 * EVERY):
        craft(model, x, y, [CrossEntropy()], make_threat(), draws())
    assert len(puts) == 2 * EVERY + EVERY + 1  # to craft, and to compare
    model[1] = nn.BatchNorm2d(8)
    expected = ascend(model, x, y, [CrossEntropy()], make_threat(), draws())[0]
    given = craft(model, x, y, [CrossEntropy()], make_threat(), draws())[0]
    assert float((given.x == expected.x).float().mean()) > 0.99
    assert len(puts) == 2 * EVERY + EVERY + 3


def test_a_smallcnn_that_is_trained_is_crafted_against_with_faster_layers() -> None:
    network = discover("networks").get("smallcnn").from_mapping({})
    from harness.plugin.network import Network, Shape

    model = initial_model(cast(Network, network), Shape(1, 8, 8, 10), 0)
    x = torch.rand(8, 1, 8, 8, generator=draws())
    assert Folded(model, x).fits(x)
