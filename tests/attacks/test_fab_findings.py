"""FAB draws nothing: an image that it attacked with one seed gets the same images again, and is not attacked again."""

from __future__ import annotations

import gc
import random
from functools import partial
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from harness.attacks import _autoattack, _fab, _fab_findings
from harness.attacks._fab_findings import COMPANY, Findings
from harness.evaluator import evaluate
from harness.plugin.attack import Attack
from harness.registry.catalogue import discover
from tests.attacks.fab import CLASSES, SHAPE, N, Settable, anew, at_hand, attacked, fab_of
from tests.tiny import draws, make_threat, make_tiny_model


def test_images_are_the_packages_whichever_others_were_attacked_before() -> None:
    model, x, y = at_hand()
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


def test_findings_go_with_their_network() -> None:
    _, x, y = at_hand()
    model, found = Settable(SHAPE, CLASSES, 1), Findings()
    attacked(found, model, x, y)
    assert found._found
    del model
    gc.collect()
    assert not found._found


def test_an_image_on_the_edge_of_the_ball_counts_as_the_package_counts_it() -> None:
    """8/255 is a little more in float32, in which the package compares distances."""
    model, x, _ = at_hand()
    x, epsilon = torch.zeros_like(x), 8 / 255
    y, fab = model(x).argmax(1), fab_of(model, epsilon=epsilon)
    fab.target_class = 2
    edge = torch.full_like(x, epsilon)
    assert float(edge.max()) > epsilon
    assert not bool((edge > epsilon).any())
    assert torch.equal(Findings().run(lambda x, _y, **_how: edge[: len(x)], fab, x, y, is_targeted=True), edge)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_findings_are_kept_on_the_processor_alone(device: str) -> None:
    model, x, y = at_hand()
    found, fab = Findings(), fab_of(model)
    fab.target_class = 2
    x, y = x.to(device), y.to(device)
    found.run(fab.attack_single_run if device == "cpu" else lambda x, _y, **_how: x, fab, x, y, is_targeted=True)
    assert bool(found._found) == (device == "cpu")


def test_what_is_kept_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, y = at_hand()
    limit = 30 * _fab_findings._ENTRY_BYTES + x[0].nbytes
    monkeypatch.setattr(_fab_findings, "_MOST_BYTES", limit)
    found = Findings()
    for places in (slice(0, 32), slice(6, N)):
        assert torch.equal(attacked(found, model, x[places], y[places])[0], anew(model, x[places], y[places]))
        kept = found._found.values()
        assert 20 < len(kept) <= 30
        assert found._bytes == sum(one.bytes for one in kept) <= limit


def test_logits_of_fewer_bits_are_looked_at_by_their_bytes() -> None:
    class Halved(Settable):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).bfloat16()

    x = torch.rand(4, *SHAPE, generator=draws(1))
    model = Halved(SHAPE, CLASSES, 1)
    looks = _fab_findings._bits(model, x, model(x).argmax(1))
    assert looks is not None
    assert len(set(looks)) == 4


@pytest.mark.parametrize("border", [0, 3, 18, 25, 29, 33, 100])
def test_images_are_the_packages_where_the_last_bit_depends_on_the_size_of_the_batch(border: int) -> None:
    """Some images break with each target class, so the batch gets smaller, and passes the border at any time."""
    model, x, y = at_hand()
    model.border, found, draw = border, Findings(), random.Random(border)
    for size in (N, 30, 20, 34, 26, 18, N, 5):
        places = draw.sample(range(N), size)
        expected = anew(model, x[places], y[places])
        assert torch.equal(attacked(found, model, x[places], y[places])[0], expected)


def test_what_few_images_say_of_the_routines_is_not_believed() -> None:
    model, x, y = at_hand()
    found, few = Findings(), slice(0, COMPANY - 1)
    _, first = attacked(found, model, x[few], y[few])
    assert attacked(found, model, x[few], y[few])[1] >= first


def test_random_starts_and_logits_that_are_not_finite_are_the_packages() -> None:
    model, x, y = at_hand()
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
