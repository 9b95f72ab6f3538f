"""No core is idle while blocks are attacked, and the number of threads changes no verdict."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from harness.evaluator import evaluate
from harness.execution.threads import threads_of, threads_of_models
from harness.plugin.attack import Attack
from harness.registry.catalogue import discover
from tests.tiny import draws, make_batch, make_threat, make_tiny_model


@pytest.mark.parametrize(
    ("items", "cores", "expected"),
    [
        (1, 2, [2]),
        (2, 2, [1, 1]),
        (5, 2, [1, 1, 1, 1, 2]),
        (3, 16, [5, 5, 5]),
        (18, 16, [1] * 16 + [8, 8]),
        (9, 16, [1] * 9),
        (4, 1, [1] * 4),
        (0, 2, []),
    ],
)
def test_the_last_items_share_the_cores(
    items: int, cores: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads_of(items, cores) == expected


def test_examinations_come_before_all_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three models with an examination and a block each on four cores: the last two of six items share them."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    models: list[Any] = [SimpleNamespace(examine=True, blocks=1, items=2) for _ in range(3)]
    assert threads_of_models(models, 4) == [(1, 1), (1, 2), (1, 2)]
    models[1] = SimpleNamespace(examine=False, blocks=3, items=3)
    assert threads_of_models(models, 6) == [(1, 1), (1, 1, 1), (1, 6)]  # the last one of seven
    assert threads_of_models(models, 4, each=7) == [(7, 7), (7, 7, 7), (7, 7)]


def test_the_users_own_limit_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3,1")
    assert threads_of(1, 16) == [3]


@pytest.mark.parametrize("name", ["pgd", "square"])
def test_threads_change_no_verdict(name: str) -> None:
    attack = cast(Attack, discover("attacks").get(name).from_mapping({}))
    x, y = make_batch(30)
    model, before, found = make_tiny_model().requires_grad_(False), torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            found.append(evaluate(model, attack, x, y, make_threat(), draws(), faster=model))
        finally:
            torch.set_num_threads(before)
    assert torch.equal(found[0].correct, found[1].correct)
    assert torch.allclose(found[0].margins, found[1].margins, atol=1e-5)
