"""The passes of training: by hand for each method and wrapper, and counted for a new method."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from harness.networks.smallcnn import SmallCNN
from harness.planning.trials import training_passes
from harness.plugin.adversary import CrossEntropy
from harness.plugin.attack import Passes
from harness.plugin.method import Method, Step
from harness.plugin.network import Shape
from harness.plugin.wrapper import Wrapper
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import discover
from tests.tiny import make_threat

METHODS, WRAPPERS = discover("methods"), discover("wrappers")


def method(name: str, **settings: Any) -> Method:
    return cast(Method, METHODS.get(name).from_mapping(settings))


def test_passes_add_and_multiply() -> None:
    assert Passes(1, 2) + Passes(10, 20) == Passes(11, 22)
    assert Passes(1, 2).times(3) == Passes(3, 6)
    assert Passes(1, 2).total == 3
    assert Passes() == Passes(0, 0)


# Crafting n variants takes n K forward and n K backward passes, and one forward pass where the clean prediction is
# wanted (KL). The update takes one of each for every set of inputs: the images, and each variant.
PASSES: list[tuple[str, dict[str, Any], int, int, int]] = [
    # method, settings, variants, clean predictions, sets of inputs in the update
    ("standard", {}, 0, 0, 1),
    ("sat", {}, 1, 0, 1),
    ("gairat", {}, 1, 0, 1),
    ("trades", {}, 1, 1, 2),
    ("gair-trades", {}, 1, 1, 2),
    ("lrat", {}, 2, 0, 3),
    ("lrat", {"floor": "pgd"}, 2, 0, 2),
    ("lrat", {"floor": "none"}, 2, 0, 2),
    ("lrat", {"attacks": "pgd", "floor": "none"}, 1, 0, 1),
    ("lrat", {"attacks": "cw", "floor": "natural"}, 1, 0, 2),
    ("lrat-trades", {}, 2, 0, 3),
    ("lrat-trades", {"first": "kl"}, 2, 1, 3),
    ("lrat-trades", {"attacks": "cw"}, 1, 0, 2),
    ("mart", {}, 1, 0, 2),
    ("fat", {}, 1, 0, 1),
    ("gair-fat", {}, 1, 0, 1),
    ("fat-trades", {}, 1, 1, 2),
    ("mail", {}, 1, 0, 1),
    ("mail", {"margin": "nat"}, 1, 1, 1),
    ("mail-trades", {"margin": "dif"}, 1, 1, 2),
    ("cfa", {}, 1, 0, 1),
    ("cfa-trades", {}, 1, 1, 2),
    ("alp", {}, 1, 0, 2),
    # the passes of a network that was trained before, or that trains beside, count like those of the main one
    ("ard", {}, 1, 1, 2),
    ("rslad", {}, 1, 1, 2),
    ("hat", {}, 1, 2, 3),
    ("lbgat", {}, 1, 2, 2),
    ("lbgat", {"beta": 6.0}, 1, 1, 3),
    ("dkl", {}, 1, 1, 2),
]


@pytest.mark.parametrize("steps", [10, 3])
@pytest.mark.parametrize(("name", "settings", "variants", "clean", "inputs"), PASSES)
def test_passes_of_a_training_image_by_hand(
    name: str, settings: dict[str, Any], variants: int, clean: int, inputs: int, steps: int
) -> None:
    crafted = variants * steps
    expected = Passes(crafted + clean + inputs, crafted + inputs)
    assert training_passes(method(name, **settings), make_threat(steps=steps)) == expected


ONE_STEP = {  # whatever the protocol's steps are
    "fast": Passes(2, 2),
    "n-fgsm": Passes(2, 2),
    "grad-align": Passes(1 + 3, 1 + 2 * 2 + 1),  # through the two logits that a gradient is taken of it goes twice
    "free": Passes(8, 8),  # all updates of a batch
}


@pytest.mark.parametrize("name", ONE_STEP)
def test_passes_of_methods_that_do_not_read_the_steps(name: str) -> None:
    assert training_passes(method(name), make_threat(steps=10)) == ONE_STEP[name]
    if name == "free":
        assert training_passes(method(name, replays=3), make_threat(), [cast(Wrapper, WRAPPERS.get("awp")())]) == (
            Passes(6, 6)
        )


def test_the_numbers_of_the_papers_protocol() -> None:
    threat = load_protocol("paper").train.threat(8 / 255)
    assert training_passes(method("standard"), threat) == Passes(1, 1)
    assert training_passes(method("sat"), threat) == Passes(11, 11)
    assert training_passes(method("lrat"), threat) == Passes(23, 23)


@dataclass(frozen=True, kw_only=True)
class Uneven(Method):
    """Looks at every image without gradient, crafts from half of them, and learns from the other half twice."""

    def loss(self, step: Step) -> Tensor:
        if step.progress < 0.9:
            raise AssertionError("this is the burn-in, which costs less")
        with torch.no_grad():
            step.model(step.x)
        half = len(step.x) // 2
        dataclasses.replace(step, x=step.x[:half], y=step.y[:half]).perturb(CrossEntropy())
        again = step.x[half:].repeat(2, 1, 1, 1)
        logits: Tensor = step.model(again)
        return logits.sum()


def test_passes_of_a_new_method_are_counted_not_declared() -> None:
    assert training_passes(Uneven(), make_threat(steps=4)) == Passes(1 + 0.5 * 4 + 1, 0.5 * 4 + 1)


@pytest.mark.parametrize(
    ("names", "updates"), [(("awp",), 2), (("ema",), 1), (("awp", "ema"), 2), (("ema", "awp"), 2)], ids=str
)
def test_passes_of_a_wrapped_update_by_hand(names: tuple[str, ...], updates: int) -> None:
    # awp takes the update's passes once more, and crafts no more; ema looks at the weights alone
    wrappers = [cast(Wrapper, WRAPPERS.get(name)()) for name in names]
    sat, trades = (training_passes(method(name), make_threat(steps=4), wrappers) for name in ("sat", "trades"))
    assert sat == Passes(4 + updates, 4 + updates)
    assert trades == Passes(4 + 1 + 2 * updates, 4 + 2 * updates)


def test_passes_are_counted_through_the_network_that_is_trained() -> None:
    shape = Shape(channels=1, height=8, width=8, classes=10)
    assert training_passes(method("trades"), make_threat(steps=4), (), SmallCNN(width=2), shape) == Passes(7, 6)


@dataclass(frozen=True, kw_only=True)
class Inquisitive(Method):
    """Looks into the network, and remembers something of it."""

    def prepare(self, model: nn.Module) -> None:
        self.memory["convolutions"] = sum(isinstance(module, nn.Conv2d) for module in model.modules())

    def loss(self, step: Step) -> Tensor:
        logits: Tensor = step.model(step.x)
        return logits.sum() / int(self.memory["convolutions"])  # three, in smallcnn


def test_a_method_may_look_into_the_network_and_is_left_without_memory_of_the_count() -> None:
    inquisitive, shape = Inquisitive(), Shape(channels=1, height=8, width=8, classes=10)
    assert training_passes(inquisitive, make_threat(), (), SmallCNN(width=2), shape) == Passes(1, 1)
    assert inquisitive.memory == {}


def test_counting_draws_nothing_from_the_global_generator() -> None:
    before = torch.get_rng_state()
    training_passes(method("sat"), make_threat())
    assert torch.equal(torch.get_rng_state(), before)
