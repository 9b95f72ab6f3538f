"""A model cannot disturb an attack by the generators and modes that both share, and one that draws goes on drawing."""

from __future__ import annotations

import copy
import logging
import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from harness.evaluator import Verdicts, evaluate
from harness.plugin.attack import Attack, Passes
from harness.plugin.threat import Threat
from harness.registry.catalogue import discover
from harness.runtime.isolation import isolated
from harness.targets.target import seeded
from tests.harness.runtime.networks import Net
from tests.tiny import draws, make_threat

CPU = torch.device("cpu")
DRAWS: dict[str, Callable[[], float]] = {
    "torch": lambda: float(torch.rand(())),
    "numpy": lambda: float(np.random.rand()),
    "Python": random.random,
}
SEEDS: dict[str, Callable[[], object]] = {
    "torch": lambda: torch.manual_seed(0),
    "numpy": lambda: np.random.seed(0),
    "Python": lambda: random.seed(0),
}
everywhere = pytest.mark.parametrize("library", list(DRAWS))


@dataclass(frozen=True, kw_only=True)
class FromGlobals(Attack):
    """Draws from the global generators by mistake, before, between, and after passes forward and backward."""

    drawn: ClassVar[list[float]] = []

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        for _ in range(3):
            self.drawn.extend(draw() for draw in DRAWS.values())
            leaf = x.clone().requires_grad_()
            both = model(leaf).sum() + model(leaf * 0.5).square().sum()
            self.drawn.extend(draw() for draw in DRAWS.values())
            torch.autograd.grad(both, leaf)
        self.drawn.extend(draw() for draw in DRAWS.values())
        return x

    def passes(self, threat: Threat) -> Passes:
        return Passes(6, 6)


def attacked(model: nn.Module, seed: int = 0, attack: Attack | None = None) -> Verdicts:
    x = torch.rand(6, 1, 3, 3, generator=draws(1))
    return evaluate(model, attack or FromGlobals(), x, torch.zeros(6, dtype=torch.int64), make_threat(), draws(seed))


def drawn_by_the_attack(model: nn.Module, seed: int = 0) -> list[float]:
    FromGlobals.drawn.clear()
    attacked(model, seed)
    return list(FromGlobals.drawn)


@pytest.fixture(autouse=True)
def generators_are_put_back() -> Iterator[None]:
    def states() -> tuple[object, ...]:
        return torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()

    before = states()
    yield
    assert states() == before


@everywhere
@pytest.mark.parametrize("where", ["act", "backward"])
@pytest.mark.parametrize("acts", [SEEDS, DRAWS], ids=["seeds", "draws"])
def test_an_attack_draws_the_same_numbers_whatever_the_model_does(
    library: str, where: str, acts: dict[str, Callable[[], object]]
) -> None:
    quiet = drawn_by_the_attack(Net())
    assert drawn_by_the_attack(Net(**{where: acts[library]})) == quiet
    assert len(set(quiet)) == len(quiet)  # nor is it frozen
    assert drawn_by_the_attack(Net(), seed=1) != quiet


@everywhere
def test_a_model_that_draws_goes_on_drawing_and_draws_the_same_in_any_order(library: str) -> None:
    first, again, other = Net(DRAWS[library]), Net(DRAWS[library]), Net(DRAWS[library])
    attacked(first)
    attacked(other, seed=1)
    attacked(again)
    assert len(set(first.seen)) == len(first.seen) == 7
    assert again.seen == first.seen
    assert not {*other.seen} & {*first.seen}


def test_model_and_attack_have_other_numbers() -> None:
    model = Net(DRAWS["torch"])
    assert not {*drawn_by_the_attack(model)} & {*model.seen}


def test_noise_of_a_recomputed_part_stays_apart_too() -> None:
    class Recomputing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = checkpoint(lambda z: z + 0.1 * torch.rand_like(z), x, use_reentrant=False, preserve_rng_state=False)
            score = y.flatten(1).mean(1) - 0.5
            return torch.stack([-score, score], 1)

    assert drawn_by_the_attack(Recomputing()) == drawn_by_the_attack(Net())


def test_a_pass_that_fails_is_put_back_after() -> None:
    def fail() -> None:
        torch.manual_seed(0)
        raise RuntimeError("no")

    before = torch.get_rng_state()
    model = Net(fail)
    with isolated(model, CPU, 0) as isolation:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="no"):
                model(torch.rand(1, 1, 2, 2, generator=draws()))
            assert torch.equal(torch.get_rng_state(), before)
    assert isolation.changed == set()


def test_a_copy_that_an_attack_makes_is_isolated_too() -> None:
    model = Net(SEEDS["torch"])
    with isolated(model, CPU, 0):
        before = torch.get_rng_state()
        copy.deepcopy(model)(torch.rand(1, 1, 2, 2, generator=draws()))
        assert torch.equal(torch.get_rng_state(), before)


def test_modes_of_torch_are_put_back_and_named() -> None:
    def change() -> None:
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)

    model = Net(change)
    with isolated(model, CPU, 0) as isolation, torch.enable_grad():
        model(torch.rand(1, 1, 2, 2, generator=draws()))
        assert torch.is_grad_enabled()
        assert torch.get_default_dtype() == torch.float32
    assert isolation.changed == {"torch's gradient mode", "torch's default dtype"}


def test_what_a_stranger_s_module_sets_when_it_is_opened_does_not_stay() -> None:
    filters = [*warnings.filters]
    with seeded():
        first = [draw() for draw in DRAWS.values()]
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert [*warnings.filters] == filters
    assert logging.root.manager.disable == logging.NOTSET
    with seeded():
        assert [draw() for draw in DRAWS.values()] == first


def test_a_model_cannot_silence_what_an_attack_warns_of() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Warner(FromGlobals):
        def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
            model(x)
            warnings.warn("beware", stacklevel=1)
            assert logging.getLogger("harness.attack").isEnabledFor(logging.WARNING)
            return x

    def silence() -> None:
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)

    assert attacked(Net(silence), attack=Warner()).warnings == ("beware",)


@pytest.mark.slow
def test_square_breaks_as_much_of_a_network_that_seeds_as_of_the_same_function_that_does_not() -> None:
    """Square seeds torch's generator itself; a network that seeds it too would have it try one square for ever."""

    class Noisy(nn.Module):
        def __init__(self, seeding: bool) -> None:
            super().__init__()
            self.seeding = seeding
            self.weight = torch.randn(4, 48, generator=draws(3))

        def forward(self, x: Tensor) -> Tensor:
            if self.seeding:
                torch.manual_seed(0)
                noise = torch.randn(x[:1].shape)
            else:
                noise = torch.randn(x[:1].shape, generator=draws(0))
            return (x + 0.05 * noise).flatten(1) @ self.weight.T

    x = torch.rand(16, 3, 4, 4, generator=draws(1))
    y = Noisy(False)(x).argmax(1)
    square: Any = discover("attacks").get("square")()
    found = [
        evaluate(Noisy(seeding), square, x, y, make_threat(epsilon=0.1), draws()).correct for seeding in (False, True)
    ]
    assert torch.equal(*found)
    assert not bool(found[0].all())
