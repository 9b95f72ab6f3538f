"""The own steps of Square and FAB give the images of the authors' package, in every bit."""

from __future__ import annotations

from functools import partial
from typing import Any

import pyautoattack
import pytest
import torch
from pyautoattack.fab_projections import projection_linf
from torch import Tensor

from harness.attacks._autoattack import PARTS, Package
from harness.attacks._fab import project, seek
from harness.attacks._square import search
from harness.registry.catalogue import discover
from tests.attacks.package import EPSILON, Apart, Net, block
from tests.tiny import draws, make_threat

CASES = {  # shape, classes, radius, images
    "grey": ((1, 8, 8), 10, 0.05, 12),
    "colour": ((3, 8, 8), 10, 0.05, 8),
    "wide": ((3, 5, 9), 10, 0.1, 8),
    "narrow": ((2, 9, 5), 10, 0.1, 8),
    "two classes": ((1, 8, 8), 2, 0.05, 8),
    "three classes": ((1, 8, 8), 3, 0.05, 8),
    "all break at once": ((1, 8, 8), 10, 1.0, 8),
    "none breaks": ((1, 8, 8), 10, 1e-5, 8),
    "one image": ((1, 8, 8), 10, 0.1, 1),
    "two images": ((1, 8, 8), 10, 0.08, 2),
}


def images(case: str, seed: int) -> tuple[Apart, Tensor, Tensor, float]:
    """Images with pixels of seventeen levels, as digits have, so that many are equal."""
    shape, classes, epsilon, n = CASES[case]
    model = Apart(shape, classes, seed)
    x = (torch.rand(n, *shape, generator=draws(seed)) * 16).round() / 16
    return model, x, model(x).argmax(1), epsilon


def both(part: str, case: str, seed: int, queries: int = 700, iterations: int = 12) -> list[tuple[Tensor, Tensor, int]]:
    """The images, the state of the generator afterwards, and the images queried: of the package, and with own steps."""
    found = []
    for own in (False, True):
        model, x, y, epsilon = images(case, seed)
        model._batches.clear()
        with torch.random.fork_rng(devices=[]):
            package = pyautoattack.AutoAttack(model, norm="Linf", eps=epsilon, seed=seed)
            package.attacks_to_run, package.square.n_queries, package.fab.n_iter = [part], queries, iterations
            package.fab.n_target_classes = min(9, CASES[case][1] - 1)
            if own:
                package.fab.attack_single_run = partial(seek, package.fab)
                package.square.attack_single_run = partial(search, package.square)
            x_adv = package.run_standard_evaluation(x, y, batch_size=len(x))[0]
            found.append((x_adv, torch.get_rng_state(), model.images))
    return found


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("part", ["fab-t", "square"])
def test_images_and_draws_are_the_packages(part: str, case: str, seed: int) -> None:
    (theirs, their_state, their_queries), (ours, our_state, our_queries) = both(part, case, seed)
    assert torch.equal(ours, theirs)
    assert torch.equal(our_state, their_state)
    assert our_queries <= their_queries


def test_the_cases_are_what_their_names_say() -> None:
    for case, share in (("all break at once", 1.0), ("none breaks", 0.0)):
        model, _, y, _ = images(case, 0)
        broken = (model(both("square", case, 0)[1][0]).argmax(1) != y).float().mean()
        assert float(broken) == share
    model, _, y, _ = images("grey", 1)
    assert 0 < float((model(both("square", "grey", 1)[1][0]).argmax(1) != y).float().mean()) < 1


def test_square_leaves_out_the_queries_whose_answers_it_knows() -> None:
    """Of 700 queries of eight images that hold, few are new: there are 49, 36, 25, ... places and two signs."""
    (_, _, theirs), (_, _, ours) = both("square", "none breaks", 0)
    assert theirs > 8 * 700
    assert ours < theirs / 2


def test_square_counts_the_queries_that_the_package_makes() -> None:
    counts = []
    for own in (False, True):
        model, x, y, epsilon = images("grey", 1)
        with torch.random.fork_rng(devices=[]):
            square = pyautoattack.AutoAttack(model, norm="Linf", eps=epsilon, seed=1).square
            square.n_queries = 300
            square.init_hyperparam(x)
            torch.manual_seed(1)
            counts.append((search(square, x, y) if own else square.attack_single_run(x, y))[0])
    assert torch.equal(*counts)
    assert 1 == int(counts[0].min()) < int(counts[0].median()) <= int(counts[0].max()) == 301


class Undefined(Apart):
    """Its logits are not finite for some images that are darker than the clean ones."""

    value = float("nan")

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        logits[x.flatten(1).mean(1) < 0.49] *= self.value
        return logits


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["fab-t", "square"])
def test_where_logits_are_not_finite_the_package_itself_runs(
    part: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Undefined, "value", value)
    monkeypatch.setattr("tests.attacks.test_own_steps.Apart", Undefined)
    (theirs, their_state, _), (ours, our_state, _) = both(part, "grey", 0, queries=200)
    assert torch.equal(ours.nan_to_num(7.0), theirs.nan_to_num(7.0))
    assert torch.equal(our_state, their_state)


@pytest.mark.parametrize("levels", [0, 4, 16])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])  # of the normal's entries that are zero
def test_the_projection_is_the_packages(levels: int, share: float) -> None:
    generator = draws(3)
    for d in (1, 2, 3, 16, 17, 64, 100):
        points = torch.rand(40, d, generator=generator)
        points = (points * levels).round() / levels if levels else points
        normal = torch.randn(40, d, generator=generator)
        normal *= torch.rand(40, d, generator=generator) >= share
        for reach in (0.5, 1.0, 3.0):  # beyond 1 the box does not meet some hyperplanes
            offset = (normal * (reach * torch.rand(40, d, generator=generator))).sum(1)
            assert torch.equal(project(points, normal, offset), projection_linf(points, normal, offset))


def test_the_projection_reaches_the_hyperplane_by_the_shortest_way() -> None:
    """By another road: the least lambda, by bisection of the gain, at which the point is on the hyperplane."""
    generator = draws(4)
    points, normal = torch.rand(30, 20, generator=generator), torch.randn(30, 20, generator=generator)
    offset = (normal * torch.rand(30, 20, generator=generator)).sum(1)
    moves = project(points, normal, offset)
    moved = points + moves
    assert float(moved.min()) >= -1e-6
    assert float(moved.max()) <= 1 + 1e-6
    torch.testing.assert_close((normal * moved).sum(1), offset, rtol=0, atol=1e-4)
    value = (normal * points).sum(1) - offset
    direction = -normal.sign() * value.sign()[:, None]
    low, high = torch.zeros(30), torch.ones(30)
    for _ in range(40):
        middle = (low + high) / 2
        there = (points + middle[:, None] * direction).clamp(0, 1)
        beyond = ((normal * there).sum(1) - offset) * value.sign() <= 0
        low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
    torch.testing.assert_close(moves.abs().amax(1), high, rtol=0, atol=1e-4)


@pytest.mark.usefixtures("few_iterations")
@pytest.mark.parametrize("name", [*PARTS, "autoattack"])
def test_a_pure_model_gets_the_images_that_any_model_gets(name: str) -> None:
    attack: Any = discover("attacks").get(name)()
    assert isinstance(attack, Package)
    model = Net().eval()
    x, y = block(model)
    y[:3] = (y[:3] + 1) % 10
    given = [f(model, x, y, make_threat(epsilon=EPSILON), draws(5)) for f in (attack.perturb, attack.perturb_pure)]
    assert torch.equal(*given)
    assert not torch.equal(given[0], x)
