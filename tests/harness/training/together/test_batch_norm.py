"""Batch-norm over shares against torch's own over the whole batch: values, gradients, running statistics."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.training.together.exchange import gathered, summed, taken, whole_rows
from harness.training.together.peers import Peers
from harness.training.together.whole_batch import WholeBatch
from tests.harness.training.together.group import FOUR, Group
from tests.tiny import draws

SHAPES = [(16, 3, 4, 4), (5, 3, 2, 2), (2, 3, 4, 4), (1, 3, 4, 4), (3, 3, 1, 1), (7, 3), (6, 3, 5)]


def given(shape: tuple[int, ...], dtype: torch.dtype) -> dict[str, Tensor]:
    generator = draws(len(shape) + shape[0])
    around = torch.randn(shape, generator=generator, dtype=torch.float64) * 2 + 30  # far from zero: sums would cancel
    others = {name: torch.rand(3, generator=generator).to(dtype) for name in ("weight", "bias")}
    return others | {"x": around.to(dtype), "upper": torch.randn(shape, generator=generator).to(dtype)}


def outcome(peers: Peers, shape: tuple[int, ...], dtype: torch.dtype, affine: bool) -> dict[str, Tensor]:
    """What one batch-norm gives: in one process by torch, in several by the shares."""
    held = given(shape, dtype)
    x = held["x"].requires_grad_()
    weight, bias = (held[name].requires_grad_() if affine else None for name in ("weight", "bias"))
    mean, variance = torch.full((3,), 0.5, dtype=dtype), torch.full((3,), 2.0, dtype=dtype)

    def normalised(rows: Tensor) -> Tensor:
        return F.batch_norm(rows, mean, variance, weight, bias, training=True, momentum=0.3, eps=1e-4)

    if peers.alone:
        y = normalised(x)
    else:
        share = peers.share(shape[0])
        with WholeBatch(share, peers):
            y = gathered(normalised(taken(x, share, peers)), share, peers)
    inputs = [tensor for tensor in (x, weight, bias) if tensor is not None]
    of_x, *of_weights = torch.autograd.grad((y * held["upper"]).sum(), inputs)
    if not peers.alone:
        of_weights = [each for each in summed(of_weights, peers) if each is not None]
    found = {"y": y.detach(), "x": of_x, "mean": mean, "variance": variance}
    return found | dict(zip(("weight", "bias"), of_weights, strict=False))


def every_outcome(peers: Peers, *how: Any) -> list[dict[str, Tensor]]:
    return [outcome(peers, shape, *how) for shape in SHAPES]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-4)])
@pytest.mark.parametrize("number", ["pair", FOUR])
def test_shares_give_what_torch_gives_of_the_whole_batch(
    number: str, dtype: torch.dtype, tolerance: float, affine: bool, request: pytest.FixtureRequest
) -> None:
    group: Group = request.getfixturevalue(number)
    expected = every_outcome(Peers(), dtype, affine)
    for found in group.call(every_outcome, dtype, affine):
        for shape, one, other in zip(SHAPES, expected, found, strict=True):
            assert one.keys() == other.keys()
            for name, tensor in one.items():
                scale = 1 + float(tensor.abs().max())
                assert float((tensor - other[name]).abs().max()) <= tolerance * scale, (shape, name)


def test_one_value_a_channel_is_refused_as_torch_refuses_it(pair: Group) -> None:
    assert all("Expected more than 1 value per channel" in text for text in pair.call(_refusal_of_one_value))


def _refusal_of_one_value(peers: Peers) -> str:
    with WholeBatch(peers.share(1), peers), pytest.raises(ValueError, match="Expected") as caught:
        F.batch_norm(torch.ones(1, 3), None, None, training=True)
    return str(caught.value)


def test_rows_of_every_type_are_gathered_in_their_order(four: Group) -> None:
    for found in four.call(_gathered_rows):
        for whole, tensor in found:
            assert tensor.dtype == whole.dtype
            assert torch.equal(tensor, whole)


def _gathered_rows(peers: Peers) -> list[tuple[Tensor, Tensor]]:
    found = []
    for rows in (2, 4, 7):
        for dtype in (torch.float32, torch.bfloat16, torch.int64, torch.bool):
            whole = torch.arange(rows * 3).view(rows, 3).remainder(2 if dtype == torch.bool else 100).to(dtype)
            share = peers.share(rows)
            found.append((whole, whole_rows(whole[share.start : share.stop], share, peers)))
    return found
