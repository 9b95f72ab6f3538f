"""FAB draws nothing: an image that it attacked with one seed gets the same images again, and is not attacked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pyautoattack
import pytest
import torch
from torch import Tensor, nn

from harness.attacks import _fab_findings
from harness.attacks._fab_findings import Findings
from harness.evaluator import evaluate
from harness.fast.folded import Folded
from harness.plugin.attack import Attack
from harness.registry.catalogue import discover
from tests.attacks.package import Apart
from tests.tiny import draws, make_threat, make_tiny_model

SHAPE, CLASSES, N = (1, 6, 6), 5, 40


class Settable(Apart):
    """An attribute that is no tensor changes what it computes; ``rounds`` makes the last bit depend on the batch."""

    skew, rounds = 0.0, False

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x) + self.skew * torch.arange(CLASSES)
        return logits * (1 + 1e-6 * len(x)) if self.rounds else logits


def fab_of(model: nn.Module, *, epsilon: float = 0.04, iterations: int = 4) -> Any:
    fab = pyautoattack.AutoAttack(model, norm="Linf", eps=epsilon, seed=0).fab
    fab.targeted, fab.n_iter, fab.n_target_classes = True, iterations, CLASSES - 1
    return fab


@pytest.fixture
def at_hand() -> tuple[Settable, Tensor, Tensor]:
    model = Settable(SHAPE, CLASSES, 1)
    x = torch.rand(N, *SHAPE, generator=draws(1))
    return model, x, model(x).argmax(1)


def attacked(found: Findings, model: Settable, x: Tensor, y: Tensor, **settings: Any) -> tuple[Tensor, int]:
    """The images, and how many images went through the network."""
    fab, before = fab_of(model, **settings), model.images
    return found.perturb(fab, x, y), model.images - before


def anew(model: Settable, x: Tensor, y: Tensor, **settings: Any) -> Tensor:
    """The package's own images."""
    images: Tensor = fab_of(model, **settings).perturb(x, y)
    return images


def test_images_are_the_packages_whichever_others_were_attacked_before(
    at_hand: tuple[Settable, Tensor, Tensor],
) -> None:
    model, x, y = at_hand
    found = Findings()
    first, all_passes = attacked(found, model, x[:32], y[:32])
    assert torch.equal(first, anew(model, x[:32], y[:32]))
    assert 2 < int((first != x[:32]).flatten(1).any(1).sum()) < 12  # some break, and enough hold
    again, passes = attacked(found, model, x[:32].flip(0), y[:32].flip(0))
    assert torch.equal(again, first.flip(0))
    assert passes == 32  # one look at each
    others, passes = attacked(found, model, x[6:], y[6:])
    assert torch.equal(others, anew(model, x[6:], y[6:]))
    assert 34 < passes < all_passes  # eight new images, in company


def change_weight(model: Any) -> None:
    model.net[0].weight.data[0, 0, 0, 0] += 0.5  # which no version tells


def change_attribute(model: Any) -> None:
    model.skew = 0.01


def change_buffer(model: Any) -> None:
    model.net[1].running_var[3] *= 2


@pytest.mark.parametrize("change", [change_weight, change_attribute, change_buffer])
def test_nothing_is_taken_over_from_another_network(
    at_hand: tuple[Settable, Tensor, Tensor], change: Callable[[Settable], None]
) -> None:
    model, x, y = at_hand
    found = Findings()
    before, _ = attacked(found, model, x, y)
    change(model)
    after, passes = attacked(found, model, x, y)
    assert passes > 2 * N
    assert torch.equal(after, anew(model, x, y))
    assert not torch.equal(after, before)


def test_a_network_that_differs_where_nobody_has_looked_is_another_one(
    at_hand: tuple[Settable, Tensor, Tensor],
) -> None:
    """A weight of a unit that is off for all clean images: logits and gradients there are the same."""
    model, x, y = at_hand
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
            found.perturb(fab_of(network, iterations=1), x, y)
        seen.append(found._of)
    assert len(set(seen)) == 4


@pytest.mark.parametrize("settings", [{"epsilon": 0.05}, {"iterations": 5}], ids=str)
def test_nor_from_other_settings(at_hand: tuple[Settable, Tensor, Tensor], settings: dict[str, Any]) -> None:
    model, x, y = at_hand
    found = Findings()
    attacked(found, model, x, y)
    after, passes = attacked(found, model, x, y, **settings)
    assert passes > 2 * N
    assert torch.equal(after, anew(model, x, y, **settings))


def test_nor_for_another_label(at_hand: tuple[Settable, Tensor, Tensor]) -> None:
    model, x, y = at_hand
    found = Findings()
    attacked(found, model, x, y)
    other = (y + 1) % CLASSES
    assert torch.equal(attacked(found, model, x, other)[0], x)  # misclassified images are left as they are


def test_where_the_last_bit_depends_on_the_batch_all_are_attacked_again(
    at_hand: tuple[Settable, Tensor, Tensor],
) -> None:
    model, x, y = at_hand
    model.rounds = True
    found = Findings()
    _, all_passes = attacked(found, model, x[:32], y[:32])
    others, passes = attacked(found, model, x[6:], y[6:])
    assert torch.equal(others, anew(model, x[6:], y[6:]))
    assert passes > all_passes


def test_random_restarts_and_logits_that_are_not_finite_are_the_packages(
    at_hand: tuple[Settable, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x, y = at_hand
    found, fab = Findings(), fab_of(model)
    monkeypatch.setattr(Findings, "_begin", None)  # it is not asked
    fab.n_restarts, fab.n_iter, few = 2, 1, slice(0, 3)
    with torch.random.fork_rng(devices=[]):
        assert torch.equal(found.perturb(fab, x[few], y[few]), fab.perturb(x[few], y[few]))
    model.skew = float("nan")
    fab = fab_of(model, iterations=1)
    assert torch.equal(found.perturb(fab, x[few], y[few]), fab.perturb(x[few], y[few]))


@pytest.mark.usefixtures("few_iterations")
def test_a_second_seed_of_an_evaluation_looks_and_does_not_attack() -> None:
    """In radius 1e-6 all images hold, so both seeds leave the same to FAB: four targets of five iterations each."""
    model = make_tiny_model().eval()
    images: list[int] = []
    counts: list[int] = []
    x = torch.rand(20, 3, 6, 6, generator=draws(1))
    y = model(x).argmax(1)
    model.register_forward_hook(lambda _model, given, _logits: images.append(len(given[0])))
    attack, threat = discover("attacks").get("fab-t")(), make_threat(epsilon=1e-6)
    _fab_findings.findings.forget()
    for faster in (model, model, None):
        images.clear()
        right = evaluate(model, cast(Attack, attack), x, y, threat, draws(len(counts)), faster=faster).correct
        assert bool(right.all())
        counts.append(sum(images))
    first, second, plain = counts
    each = 1 + 4 * (1 + 2 * 5 + 1)  # is it right; then for each target the classes, two passes a step, and the outcome
    assert first - second == 20 * each + 4  # and four images when the network was traced
    assert plain > second


def test_few_holding_images_are_no_company(
    at_hand: tuple[Settable, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x, y = at_hand
    monkeypatch.setattr(_fab_findings, "COMPANY", N)
    found = Findings()
    _, all_passes = attacked(found, model, x[:32], y[:32])
    assert attacked(found, model, x[2:34], y[2:34])[1] >= all_passes / 2
