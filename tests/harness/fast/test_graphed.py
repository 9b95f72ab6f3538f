"""Steps that are recorded and replayed read everything anew: batch, start, labels, weights, and statistics.

On the CPU the recorder of these tests keeps the function, and runs it again on the same memory, as a CUDA graph does.
The tests in ``tests/test_cuda.py`` record real graphs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.fast.crafting import EVERY, FastCrafter
from harness.plugin.adversary import KL, CrossEntropy, Margin, Objective, ascend
from harness.plugin.reach import WHOLE, Reach
from tests.harness.fast.recording import Recorder, Replay
from tests.tiny import draws, make_batch, make_threat, make_tiny_model

THREAT = make_threat(steps=5)


def objectives(kind: str, x: Tensor) -> list[Objective]:
    return {"pgd": [CrossEntropy()], "both": [CrossEntropy(), Margin()], "kl": [KL(x)]}[kind]  # type: ignore[return-value]


def same(craft: FastCrafter, model: nn.Module, seed: int, kind: str, count: int = 12, reach: Reach = WHOLE) -> bool:
    """Whether the crafter gives what ``ascend`` gives on a batch, but for a sign of a gradient near zero."""
    x, y = make_batch(count, seed)
    given = craft(model, x, y, objectives(kind, x), THREAT, draws(seed), reach)
    expected = ascend(model, x, y, objectives(kind, x), THREAT, draws(seed), reach)
    return all(float((a.x == b.x).float().mean()) > 0.995 for a, b in zip(given, expected, strict=True)) and all(
        torch.equal(a.steps_to_flip, b.steps_to_flip) for a, b in zip(given, expected, strict=True)
    )


@pytest.mark.parametrize("kind", ["pgd", "both", "kl"])
def test_a_replay_reads_batch_start_weights_and_statistics_anew(kind: str) -> None:
    record = Recorder()
    craft, model = FastCrafter(record), make_tiny_model().train()
    calls = EVERY + 4  # for the last ones, no comparison refreshes the faster layers
    for seed in range(calls):
        assert same(craft, model, seed, kind)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=draws(seed)))
            model(make_batch(seed=seed)[0])  # moves the running statistics
    assert record.recorded == 1
    assert record.replayed == calls  # the first one to compare


def test_examples_that_stop_and_radii_are_read_anew_and_recorded_apart() -> None:
    record = Recorder()
    craft, model = FastCrafter(record), make_tiny_model().train()
    for seed in range(3):
        radii = 2 * torch.rand(12, generator=draws(seed))
        asked = [Reach(stop_after=0), Reach(stop_after=2), Reach(radii=radii), Reach(0, radii)]
        assert all(same(craft, model, seed, "both", reach=reach) for reach in asked)
    assert record.recorded == 4
    assert record.replayed == 3 * 4


def test_variants_are_not_overwritten_by_the_next_batch() -> None:
    craft, model = FastCrafter(Recorder()), make_tiny_model().train()
    assert same(craft, model, 0, "pgd")
    x, y = make_batch(seed=1)
    (kept,) = craft(model, x, y, [CrossEntropy()], THREAT, draws(1))
    before = copy.deepcopy(kept)
    assert same(craft, model, 2, "pgd")
    assert torch.equal(kept.x, before.x)
    assert torch.equal(kept.steps_to_flip, before.steps_to_flip)


def test_another_shape_another_objective_and_another_place_of_the_weights_are_recorded_anew() -> None:
    record = Recorder()
    craft, model = FastCrafter(record), make_tiny_model().train()
    assert same(craft, model, 0, "pgd")
    assert same(craft, model, 0, "pgd", count=7)
    assert same(craft, model, 0, "both")
    assert record.recorded == 3
    linear = model[4]
    assert isinstance(linear, nn.Linear)
    linear.weight.data = 1.5 * linear.weight.data  # new memory
    assert same(craft, model, 1, "pgd")
    assert record.recorded == 4
    linear.weight.data.mul_(0.5)  # the same memory
    assert same(craft, model, 2, "pgd")
    assert record.recorded == 4


def _nothing(_run: Replay) -> Replay:
    return lambda: None


def _broken(_run: Replay) -> Replay:
    def replay() -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    return replay


@pytest.mark.parametrize("spoil", [_nothing, _broken])
def test_a_recording_that_gives_something_else_is_not_used(spoil: Callable[[Replay], Replay]) -> None:
    record = Recorder(spoil)
    craft, model = FastCrafter(record), make_tiny_model().train()
    for seed in range(3):
        assert same(craft, model, seed, "pgd")
    assert (record.recorded, record.replayed) == (1, 1)
