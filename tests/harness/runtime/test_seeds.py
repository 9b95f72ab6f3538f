"""Seeds by purpose: no two agree, and global generators are seeded inside and put back outside."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.runtime.seeds import derive_seed, generator, global_seed


@given(st.lists(st.tuples(st.integers(0, 30), st.lists(st.sampled_from(["a", "b", "ab", "1", 1, 12, 2])))))
def test_seeds_of_different_purposes_are_different(purposes: list[tuple[int, list[str | int]]]) -> None:
    distinct = {(seed, tuple((type(part), part) for part in parts)) for seed, parts in purposes}
    seeds = {derive_seed(seed, *parts) for seed, parts in purposes}
    assert len(seeds) == len(distinct)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_arguments_of_a_seed_stay_apart() -> None:
    confusable: list[tuple[str | int, ...]] = [("a", 12), ("a1", 2), ("a12",), ("a", "12"), (12, "a"), ("a, 12",)]
    assert len({derive_seed(0, *purpose) for purpose in confusable}) == len(confusable)
    assert derive_seed(1, 2) != derive_seed(12)


def test_generators_of_one_purpose_agree_and_of_two_do_not() -> None:
    cpu = torch.device("cpu")
    first, again, other = (
        torch.rand(8, generator=generator(cpu, 3, *purpose))
        for purpose in (("attack", 1), ("attack", 1), ("attack", 2))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    "draw",
    [lambda: torch.rand(()).item(), lambda: float(np.random.rand()), random.random],
    ids=["torch", "numpy", "Python"],
)
def test_the_global_seed_rules_inside_and_is_undone_outside(draw: Callable[[], float]) -> None:
    def states() -> tuple[object, ...]:
        return torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()

    before, draws = states(), []
    for seed in (1, 1, 2):
        with global_seed(torch.device("cpu"), seed):
            draws.append([draw() for _ in range(8)])
    assert draws[0] == draws[1] != draws[2]
    assert states() == before


def test_the_global_seed_gives_torch_the_numbers_that_its_own_seeding_gives() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        expected = torch.rand(8)
    with global_seed(torch.device("cpu"), 7):
        assert torch.equal(torch.rand(8), expected)
