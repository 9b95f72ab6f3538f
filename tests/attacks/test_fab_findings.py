"""FAB draws nothing: an image that it attacked with one seed gets the same images again, and is not attacked again."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
import pyautoattack
import pytest
import torch
from torch import Tensor, nn

from harness.attacks import _autoattack, _fab, _fab_findings
from harness.attacks._fab_findings import COMPANY, Findings
from harness.evaluator import evaluate
from harness.fast.folded import Folded
from harness.plugin.attack import Attack
from harness.registry.catalogue import discover
from tests.attacks.package import Apart
from tests.tiny import draws, make_threat, make_tiny_model

SHAPE, CLASSES, N = (1, 6, 6), 5, 40


class Settable(Apart):
    """Its attributes are no tensors, and change what it computes.

    Attributes:
        border: with so many images or more in the batch, the last bits are others.
        most: a larger pixel counts as that.
    """

    skew, border, most = 0.0, 0, float("inf")

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x.clamp(max=self.most)) + self.skew * torch.arange(CLASSES)
        return logits * (1 + 1e-6) if len(x) < self.border else logits


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
    fab.attack_single_run = partial(found.run, fab.attack_single_run, fab)
    return fab.perturb(x, y), model.images - before


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
    assert passes <= 32 + 2 * 32 * (CLASSES - 1)  # for each target one look at each image, and the package's own
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


@pytest.mark.parametrize("same", [False, True], ids=["another object", "changed in place"])
def test_nothing_is_taken_over_from_a_network_of_the_same_tensors_that_differs_away_from_the_images(
    at_hand: tuple[Settable, Tensor, Tensor], same: bool
) -> None:
    """No clean image reaches the limit, so that logits and gradients of clean images tell nothing."""
    model, x, _ = at_hand
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


def test_the_same_weights_in_another_object_are_another_network(at_hand: tuple[Settable, Tensor, Tensor]) -> None:
    """A plugin's code may differ where neither tensors nor attributes tell it."""
    model, x, y = at_hand
    found = Findings()
    _, first = attacked(found, model, x, y)
    assert attacked(found, Settable(SHAPE, CLASSES, 1), x, y)[1] == first


def test_findings_go_with_their_network(at_hand: tuple[Settable, Tensor, Tensor]) -> None:
    _, x, y = at_hand
    model, found = Settable(SHAPE, CLASSES, 1), Findings()
    attacked(found, model, x, y)
    assert found._found
    del model
    gc.collect()
    assert not found._found


def test_what_is_kept_has_a_limit(at_hand: tuple[Settable, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, y = at_hand
    limit = 30 * _fab_findings._ENTRY_BYTES + x[0].nbytes
    monkeypatch.setattr(_fab_findings, "_MOST_BYTES", limit)
    found = Findings()
    for places in (slice(0, 32), slice(6, N)):
        assert torch.equal(attacked(found, model, x[places], y[places])[0], anew(model, x[places], y[places]))
        kept = found._found.values()
        assert 20 < len(kept) <= 30
        assert found._bytes == sum(one.bytes for one in kept) <= limit


@pytest.mark.parametrize("content", [torch.eye(3).to_sparse(), np.array(3.0), torch.ones(2, dtype=torch.bfloat16)])
def test_odd_content_of_a_network_is_hashed_or_nothing_is_kept(
    at_hand: tuple[Settable, Tensor, Tensor], content: Any
) -> None:
    model, x, y = at_hand
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


def test_logits_of_fewer_bits_are_looked_at_by_their_bytes() -> None:
    class Halved(Settable):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).bfloat16()

    x = torch.rand(4, *SHAPE, generator=draws(1))
    model = Halved(SHAPE, CLASSES, 1)
    looks = _fab_findings._bits(model, x, model(x).argmax(1))
    assert looks is not None
    assert len(set(looks)) == 4


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
            fab = fab_of(network, iterations=1)
            fab.target_class = 2
            found.run(fab.attack_single_run, fab, x, y, is_targeted=True)
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


@pytest.mark.parametrize("border", [0, 3, 18, 25, 29, 33, 100])
def test_images_are_the_packages_where_the_last_bit_depends_on_the_size_of_the_batch(
    at_hand: tuple[Settable, Tensor, Tensor], border: int
) -> None:
    """Some images break with each target class, so the batch gets smaller, and passes the border at any time."""
    model, x, y = at_hand
    model.border, found, draw = border, Findings(), random.Random(border)
    for size in (N, 30, 20, 34, 26, 18, N, 5):
        places = draw.sample(range(N), size)
        expected = anew(model, x[places], y[places])
        assert torch.equal(attacked(found, model, x[places], y[places])[0], expected)


def test_what_few_images_say_of_the_routines_is_not_believed(at_hand: tuple[Settable, Tensor, Tensor]) -> None:
    model, x, y = at_hand
    found, few = Findings(), slice(0, COMPANY - 1)
    _, first = attacked(found, model, x[few], y[few])
    assert attacked(found, model, x[few], y[few])[1] >= first


def test_random_starts_and_logits_that_are_not_finite_are_the_packages(
    at_hand: tuple[Settable, Tensor, Tensor],
) -> None:
    model, x, y = at_hand
    found, fab, few = Findings(), fab_of(model), slice(0, 3)
    fab.n_restarts, fab.n_iter = 2, 1
    with torch.random.fork_rng(devices=[]):
        expected = fab.perturb(x[few], y[few])
        fab.attack_single_run = partial(found.run, fab.attack_single_run, fab)
        assert torch.equal(fab.perturb(x[few], y[few]), expected)
    found.forget()
    model.skew = float("nan")
    assert torch.equal(
        attacked(found, model, x[few], y[few], iterations=1)[0], anew(model, x[few], y[few], iterations=1)
    )
    assert not found._found


@pytest.mark.usefixtures("few_iterations")
def test_a_second_seed_of_an_evaluation_attacks_no_image_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """In radius 1e-6 all images hold, so all seeds leave the same to FAB, for each of four targets."""
    model, attacked_images = make_tiny_model().eval(), list[int]()
    x = torch.rand(20, 3, 6, 6, generator=draws(1))
    y = model(x).argmax(1)
    attack, threat = discover("attacks").get("autoattack")(), make_threat(epsilon=1e-6)

    def seek(fab: Any, x: Tensor, y: Tensor, **how: Any) -> Tensor:
        attacked_images.append(len(x))
        return _fab.seek(fab, x, y, **how)

    monkeypatch.setattr(_autoattack, "seek", seek)
    _fab_findings.findings.forget()
    for seed in (0, 1, 2):
        right = evaluate(model, cast(Attack, attack), x, y, threat, draws(seed), faster=model).correct
        assert bool(right.all())
        assert attacked_images == [20] * 4


def test_fab_alone_keeps_nothing() -> None:
    """It has one seed."""
    model = make_tiny_model().eval()
    x = torch.rand(20, 3, 6, 6, generator=draws(1))
    y, attack = model(x).argmax(1), cast(Attack, discover("attacks").get("fab-t")())
    _fab_findings.findings.forget()
    evaluate(model, attack, x, y, make_threat(), draws(0), faster=model)
    assert not _fab_findings.findings._found
