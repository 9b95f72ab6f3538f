"""Crafting is given to a step: no method calls a crafter of its own, so a faster one serves them all."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor, nn

import harness
from harness.conformance.probe import probe_model, probe_step
from harness.networks.smallcnn import SmallCNN
from harness.plugin.adversary import Objective, Variant, ascend
from harness.plugin.method import Method, Step
from harness.plugin.reach import WHOLE, Reach
from harness.plugin.threat import Threat
from harness.registry.catalogue import discover
from harness.training.given_networks import give_stand_ins
from harness.training.loop import Trainer
from tests.harness.training.given import dataset, spec
from tests.tiny import make_batch, make_step, make_tiny_model

METHODS = sorted(discover("methods").found)
WITHOUT = {"standard", "free"}  # which train on images that no crafter made


class Counting:
    """``ascend``, and how many variants it was asked for."""

    def __init__(self) -> None:
        self.calls, self.variants = 0, 0

    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        objectives: Sequence[Objective],
        threat: Threat,
        generator: torch.Generator,
        reach: Reach = WHOLE,
    ) -> tuple[Variant, ...]:
        self.calls += 1
        self.variants += len(objectives)
        return ascend(model, x, y, objectives, threat, generator, reach)


def loss_of(name: str, step: Step) -> tuple[Tensor, list[Tensor]]:
    """The loss of a fresh method on a step, and its gradients."""
    method = cast(Method, discover("methods").get(name)())
    give_stand_ins(method, make_tiny_model)
    method.prepare(step.model)
    loss = method.loss(step)
    return loss, list(torch.autograd.grad(loss, list(step.model.parameters())))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_on_what_the_steps_crafter_gives(name: str) -> None:
    """Its variants come from there and nowhere else: no other gradient by the images is taken."""
    plain, given = Counting(), Counting()
    expected, gradients = loss_of(name, replace(probe_step(probe_model()), craft=plain))
    assert (plain.calls > 0) == (name not in WITHOUT)

    def moved(model: nn.Module, x: Tensor, *rest: object) -> tuple[Variant, ...]:
        return tuple(Variant((v.x + 0.05).clamp(0, 1), v.steps_to_flip) for v in given(model, x, *rest))  # type: ignore[arg-type]

    other, _ = loss_of(name, replace(probe_step(probe_model()), craft=moved))
    assert given.calls == plain.calls
    assert torch.equal(other, expected) == (name in WITHOUT)
    again, repeated = loss_of(name, probe_step(probe_model()))  # the plain one is the default
    assert torch.equal(again, expected)
    assert all(torch.equal(a, b) for a, b in zip(gradients, repeated, strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_a_replayed_crafting_is_never_asked_of_the_crafter_again(name: str) -> None:
    counting = Counting()
    model, (x, y) = make_tiny_model(), make_batch()
    step = replace(make_step(model, x, y), craft=counting).replayable()
    first, _ = loss_of(name, step)
    once = counting.calls
    assert torch.equal(loss_of(name, step.rewound())[0], first)
    assert counting.calls == once


def test_a_trainer_gives_its_crafter_to_every_update(tmp_path: Path) -> None:
    counting, data = Counting(), dataset()
    method = cast(Method, discover("methods").get("sat")())
    Trainer(spec(data), 1, method, SmallCNN(width=4), data, tmp_path, craft=counting).fit(lambda _event: None)
    assert counting.calls == 4 * 4  # epochs of 50 images in batches of 16


def test_no_method_and_no_wrapper_names_a_crafter() -> None:
    for folder in ("methods", "wrappers"):
        files = sorted((Path(harness.__file__).parent / folder).glob("*.py"))
        assert files
        for file in files:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
            assert not names & {"ascend", "craft", "worst_of"}, file
