"""An answer that depends on chance, or on what was asked before, is flagged, also where attacks alone see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.plugin.threat import Threat
from harness.rigour.check import Outcome
from harness.rigour.forward import global_state, one_answer
from harness.rigour.subject import Subject
from harness.runtime.device import arithmetic
from harness.runtime.isolation import isolated
from tests.tiny import draws, make_batch, make_tiny_model

N, CLASSES = 60, 5
CPU = torch.device("cpu")
THREAT = Threat(epsilon=0.02, steps=5, step_size=0.008, start="uniform")


class Net(nn.Module):
    """Linear logits; what is made of them may count passes, keep answers, and draw from a generator of its own."""

    def __init__(self, change: Callable[[Net, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.change, self.passes, self.kept, self.generator = change, 0, dict[bytes, Tensor](), draws(5)
        self.weight = torch.randn(CLASSES, 108, generator=draws(2))

    def logits(self, x: Tensor) -> Tensor:
        return (x.flatten(1) - 0.5) @ self.weight.T

    def noise(self, like: Tensor) -> Tensor:
        return 0.3 * torch.randn(like.shape, generator=self.generator)

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return self.change(self, x, self.logits(x))


class Drawn(torch.autograd.Function):
    """A gradient that has noise, of logits that have none."""

    @staticmethod
    def forward(_context: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return gradient + gradient.abs().amax() * torch.randn_like(gradient)


class Seeded(Drawn):
    """Seeds the global generator on the way back."""

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        torch.manual_seed(7)
        return gradient


def off_data(x: Tensor) -> bool:
    return not torch.equal(x * 16, (x * 16).round())


def from_kept(net: Net, x: Tensor, z: Tensor) -> Tensor:
    """The first answer to any image of the same rounded pixels, without gradient."""
    if torch.is_grad_enabled():
        return z
    rows = []
    for image, row in zip(x, z, strict=True):
        rows.append(net.kept.setdefault((image * 16).round().numpy().tobytes(), row))
    return torch.stack(rows)


CHANGES: dict[str, tuple[Callable[[Net, Tensor, Tensor], Tensor], str]] = {
    "noise in every pass": (lambda net, _, z: z + net.noise(z), "two equal passes differ by"),
    "noise where gradients are taken": (
        lambda net, _, z: z + net.noise(z) if torch.is_grad_enabled() else z,
        "two equal passes over perturbed images differ by",
    ),
    "noise off the data": (
        lambda net, x, z: z + net.noise(z) if off_data(x) else z,
        "two equal passes over perturbed images differ by",
    ),
    "noise on the way back": (lambda net, x, _: net.logits(Drawn.apply(x)), "two equal passes give other gradients"),
    "answers kept where no gradient is taken": (from_kept, "with gradients, logits of perturbed images differ by"),
    "another answer with gradients": (
        lambda _net, _x, z: 2 * z if torch.is_grad_enabled() else z,
        "with gradients, logits of perturbed images differ by",
    ),
    "the batch's mean, off the data": (
        lambda _net, x, z: z - z[:1] if off_data(x) else z,
        "in other batches logits of perturbed images differ by",
    ),
    "a constant from the 20th pass on": (
        lambda net, _, z: z if net.passes < 20 else 0 * z + torch.arange(5.0),
        "after the checks' attacks logits differ by",
    ),
    "other weights from the 20th pass on": (
        lambda net, _, z: z if net.passes < 20 else z * torch.tensor([1.5, 1, 1, 1, 1]),
        "after the checks' attacks logits differ by",
    ),
}


def images() -> tuple[Tensor, Tensor]:
    """On the grid of sixteenths, which perturbed images leave."""
    x = (torch.rand(N, 3, 6, 6, generator=draws(1)) * 16).round() / 16
    return x, Net(lambda _net, _x, z: z)(x).argmax(1)


def subject_of(model: nn.Module, x: Tensor, y: Tensor, look: Callable[[Subject], Outcome]) -> Outcome:
    with arithmetic(CPU, "float32"), isolated(model, CPU, 0) as isolation:
        return look(Subject(model.eval(), x, y, THREAT, 0, len(x), isolation))


@pytest.mark.parametrize(("change", "told"), CHANGES.values(), ids=list(CHANGES))
def test_what_depends_on_more_than_the_image_is_flagged(
    change: Callable[[Net, Tensor, Tensor], Tensor], told: str
) -> None:
    found = subject_of(Net(change), *images(), one_answer)
    assert found.status == "flagged"
    assert found.reason.startswith(told)


@pytest.mark.parametrize("classes", [2, 5])
def test_sound_networks_have_one_answer(classes: int) -> None:
    x, _ = make_batch(97, classes=classes)
    model = make_tiny_model(classes=classes).eval()
    found = subject_of(model, x, model(x).argmax(1), one_answer)
    assert found.status == "passed"
    assert (found.details["attacked_equal"], found.details["gradients_drawn"], found.details["afterwards"]) == (0, 0, 0)


def test_a_generator_that_is_seeded_on_the_way_back_is_set_and_one_that_is_drawn_from_is_drawn_from() -> None:
    seeds = subject_of(Net(lambda net, x, _: net.logits(Seeded.apply(x))), *images(), global_state)
    assert seeds.reason.startswith("a pass sets torch's generator, which the whole process shares")
    assert seeds.details == {"set": ["torch's generator"], "drawn": []}
    drawn = subject_of(Net(lambda net, x, _: net.logits(Drawn.apply(x))), *images(), global_state)
    assert drawn.details == {"set": [], "drawn": ["torch's generator"]}
    neither = subject_of(Net(lambda _net, _x, z: z), *images(), global_state)
    assert neither.status == "passed"
