"""Randomness is judged by each image's margin, so that nothing large hides it; rounding is not randomness."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.rigour.check import Outcome
from harness.rigour.forward import SAME, random_forward
from harness.rigour.subject import Subject
from harness.runtime.device import arithmetic
from harness.runtime.isolation import isolated
from tests.tiny import draws, make_threat, make_tiny_model

N, CLASSES = 90, 10
CPU = torch.device("cpu")
MASK = torch.arange(CLASSES) == CLASSES - 1
Change = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of logits, noise, and which images are marked, ``(n, 1)`` bool."""


class Net(nn.Module):
    """Linear logits of order 1, and what is made of them and of noise from a generator of its own."""

    def __init__(self, change: Change, noise: float) -> None:
        super().__init__()
        self.change, self.noise, self.generator = change, noise, draws(5)
        self.weight = torch.randn(CLASSES, 16, generator=draws(2))

    def forward(self, x: Tensor) -> Tensor:
        noise = self.noise * torch.randn(len(x), CLASSES, generator=self.generator)
        return self.change((x.flatten(1) - 0.5) @ self.weight.T, noise, x[:, 0, 0, :1] == 0)


def looked_at(model: nn.Module, x: Tensor) -> Outcome:
    with arithmetic(CPU, "float32"), isolated(model, CPU, 0) as isolation:
        y = torch.zeros(len(x), dtype=torch.int64)
        return random_forward(Subject(model.eval(), x, y, make_threat(), 0, len(x), isolation))


def images(n: int = N, marked: int = 3) -> Tensor:
    x = torch.rand(n, 1, 4, 4, generator=draws(1))
    x[:marked, 0, 0, 0] = 0
    return x


HIDDEN: dict[str, Change] = {
    "nothing": lambda z, e, _: z + e,
    "a class masked with -1e9": lambda z, e, _: (z + e).masked_fill(MASK, -1e9),
    "a class masked with -inf": lambda z, e, _: (z + e).masked_fill(MASK, -torch.inf),
    "all classes but two masked": lambda z, e, _: (z + e).masked_fill(torch.arange(CLASSES) > 1, -1e9),
    "a few images' huge logits": lambda z, e, marked: torch.where(marked, 1e9 * (z + e), z + e),
    "a number added to all": lambda z, e, _: z + e + 1e6,
    "a larger number added to all": lambda z, e, _: z + e + 1e7,
    "margins of 1e6 of most images": lambda z, e, marked: torch.where(marked, z, 1e6 * z) + e,
    "a scale of 1e4": lambda z, e, _: 1e4 * (z + e),
    "a scale of 1e-6": lambda z, e, _: 1e-6 * (z + e),
    "the others' steadiness": lambda z, e, marked: torch.where(marked, z + e, z),
    "the other classes' steadiness": lambda z, e, _: z + e * (torch.arange(CLASSES) == 0),
}


@pytest.mark.parametrize("hides", HIDDEN.values(), ids=list(HIDDEN))
def test_noise_is_seen_beside_whatever_is_large_and_rounding_is_not(hides: Change) -> None:
    noisy, same = looked_at(Net(hides, 0.3), images()), looked_at(Net(hides, 0.0), images())
    assert noisy.status == "flagged"
    assert "two equal passes differ by" in noisy.reason
    assert same.status == "passed"
    assert same.details["equal_passes"] == 0


@pytest.mark.parametrize(("noise", "status"), [(0.9, "passed"), (1.1, "flagged")])
@pytest.mark.parametrize("margin", [1.0, 1e4])
def test_the_threshold_is_a_share_of_the_image_s_own_margin(margin: float, noise: float, status: str) -> None:
    passes = iter(range(9))

    def change(z: Tensor, _e: Tensor, marked: Tensor) -> Tensor:
        logits = torch.zeros(len(z), CLASSES, dtype=torch.float64)
        logits[:, 3], logits[:, 4], logits[:, 5] = margin, 0.0, -1e9
        logits[:, 6] = -1.0 - (noise * SAME * margin if next(passes) == 1 else 0.0)
        logits[~marked[:, 0], 3] *= 1e3  # whose margins play no part
        return logits

    found = looked_at(Net(change, 0.0), images(4, marked=1))
    assert found.status == status
    assert found.value == pytest.approx(noise * SAME, rel=1e-6)


def test_a_tie_that_rounding_may_break_is_no_randomness() -> None:
    def change(z: Tensor, _e: Tensor, _marked: Tensor) -> Tensor:
        tie = 5.0 + (1e-6 if len(z) == N else 0.0)  # as where sums are taken in the order that a batch's size decides
        return torch.tensor([5.0, tie, -20.0, -40.0]).expand(len(z), -1).clone()

    found = looked_at(Net(change, 0.0), images())
    assert found.details["other_batches"] > 0  # so that there is something to excuse
    assert found.status == "passed"


@pytest.mark.parametrize("classes", [2, 5])
def test_a_convolution_on_batches_of_any_size_is_not_accused(classes: int) -> None:
    x = torch.rand(97, 3, 6, 6, generator=draws(3))
    assert looked_at(make_tiny_model(classes=classes), x).status == "passed"


def test_an_answer_that_depends_on_the_batch_is_told_apart_from_noise() -> None:
    class Centred(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            score = x.flatten(1).mean(1) - x[0].mean()
            return torch.stack([score, -score, torch.full_like(score, -1e9)], 1)

    found = looked_at(Centred(), images())
    assert found.status == "flagged"
    assert found.details["equal_passes"] == 0
    assert found.reason.endswith("an image's answer depends on the other images of its batch")


def test_an_output_that_is_finite_at_times_is_random() -> None:
    found = looked_at(Net(lambda z, e, _: z.masked_fill(e > 0.5, -torch.inf), 0.3), images())
    assert (found.status, found.value) == ("flagged", 1.0)
