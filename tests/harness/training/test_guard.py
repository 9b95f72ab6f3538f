"""The engine holds methods to their contract while they train: each break stops the run with a reason."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F

from harness.errors import PluginFault
from harness.plugin.method import Method, Step
from harness.registry.catalogue import discover
from harness.training.guard import guarded
from tests.harness.training import losses
from tests.harness.training.losses import Odd, and_plain, plain
from tests.tiny import make_batch, make_step, make_tiny_model


def no_gradient_mode(_step: Step) -> None:
    torch.set_grad_enabled(False)


ODD: dict[str, tuple[Callable[[Step], Any], str]] = {
    "a vector": (lambda s: F.cross_entropy(s.model(s.x), s.y, reduction="none"), r"its loss has shape \(12,\)"),
    "a number": (lambda s: plain(s).item(), "its loss is a float"),
    "nothing": (lambda s: None, "its loss is a NoneType"),
    "no gradient": (lambda s: plain(s).detach(), "its loss carries no gradient"),
    "an integer": (lambda s: s.model(s.x).argmax(1).sum(), "its loss is of type torch.int64"),
    "logs a float": (and_plain(lambda s: s.log("gap", 0.5)), "it logs gap as float"),  # type: ignore[arg-type]
    "logs a vector": (and_plain(lambda s: s.log("each", s.x.flatten(1).mean(1))), r"it logs each as shape \(12,\)"),
    "logs a complex number": (and_plain(lambda s: s.log("phase", s.x.mean() * 1j)), "it logs phase as torch.complex64"),
    "logs a text": (and_plain(lambda s: s.log("gap", "wide")), "it logs gap as str"),  # type: ignore[arg-type]
    "logs a vector of one": (and_plain(lambda s: s.log("gap", s.x.mean()[None])), r"it logs gap as shape \(1,\)"),
    "logs without a name": (and_plain(lambda s: s.log(3, s.x.mean())), "under the name 3"),  # type: ignore[arg-type]
    "evaluation mode": (and_plain(lambda s: s.model.eval()), "in another mode or without gradient"),
    "one module in evaluation mode": (and_plain(lambda s: s.model[1].eval()), "module 1 in another mode"),  # type: ignore[index]
    "frozen": (and_plain(lambda s: s.model.requires_grad_(False)), "carries no gradient|parameter 0.weight"),
    "gradients switched off": (and_plain(no_gradient_mode), "its loss left torch's gradient mode at False"),
    "another default type": (
        and_plain(lambda s: torch.set_default_dtype(torch.float64)),
        "its loss left torch's default dtype at torch.float64",
    ),
    "an end of the program": (and_plain(lambda s: sys.exit(3)), "it raised SystemExit: 3"),
    "an error of its own": (and_plain(lambda s: 1 / 0), "line .* it raised ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize(("does", "problem"), ODD.values(), ids=ODD)
def test_a_broken_contract_names_the_plugin_its_file_and_what_says_more(
    does: Callable[[Step], Any], problem: str
) -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    with pytest.raises(PluginFault, match=problem) as caught:
        guarded(Odd(does=does), None)(make_step(model, x, y))
    text = str(caught.value)
    assert text.startswith(f"method 'odd' ({Path(losses.__file__).resolve()}")
    assert "`harness check method odd --plugin" in text
    assert "\n" not in text
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32


def test_a_sound_loss_is_the_methods_own_and_a_frozen_layer_may_stay_frozen() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    step = make_step(model, x, y)
    model[1].eval()  # a network that keeps its batch-norm frozen does so before and after
    model[1].requires_grad_(False)
    assert torch.equal(guarded(Odd(), None)(step), plain(step))


def test_a_bug_of_what_ships_is_no_plugins_fault() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    step = make_step(model, x, y)
    object.__setattr__(step, "y", None)
    with pytest.raises(AttributeError, match="repeat"):
        guarded(cast(Method, discover("methods").get("sat")()), None)(step)
