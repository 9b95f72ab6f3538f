"""A last batch of one image joins the batch before it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from torch import nn

from harness.methods.sat import SAT
from harness.plugin.network import Network, Shape
from harness.training.batches import batch_code, batch_sizes, epoch_batches
from harness.training.loop import Trainer
from tests.harness.training.given import dataset, spec


@pytest.mark.parametrize(
    ("images", "size", "expected"),
    [
        (50, 16, [16, 16, 16, 2]),
        (49, 16, [16, 16, 17]),
        (48, 16, [16] * 3),
        (17, 16, [17]),
        (1, 16, [1]),
        (5, 2, [2, 3]),
    ],
)
def test_a_last_batch_of_one_joins_the_one_before_it(images: int, size: int, expected: list[int]) -> None:
    assert batch_sizes(images, size) == expected
    batches = [len(y) for _, y in epoch_batches(dataset(images), size, 0, 1)]
    assert batches == expected
    joined = images > size and images % size == 1
    assert batch_code(images, size) == ({"last batch": "joined"} if joined else {})


def test_batch_norm_on_vectors_trains_where_one_image_is_left_over(tmp_path: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Normed(Network):
        name = "normed"

        def build(self, shape: Shape) -> nn.Module:
            return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, shape.classes))

    data = dataset(33)
    Trainer(spec(data, 1), 1, SAT(), Normed(), data, tmp_path).fit(lambda event: None)
