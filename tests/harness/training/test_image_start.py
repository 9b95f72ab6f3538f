"""Crafting from the image itself is refused where what is ascended has no gradient there: KL from the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch

from harness.errors import SettingError
from harness.plugin.adversary import KL, CrossEntropy, Margin, kl_divergence
from harness.plugin.method import Method
from harness.registry.catalogue import discover
from harness.training.given_networks import give_stand_ins
from harness.training.guard import guarded
from tests.command import exit_code
from tests.tiny import make_batch, make_step, make_threat, make_tiny_model

METHODS = discover("methods")
ASCEND_KL = {
    "trades",
    "gair-trades",
    "mail-trades",
    "fat-trades",
    "cfa-trades",
    "hat",
    "lbgat",
    "dkl",
}  # docs/methods.md
CASES: list[tuple[str, dict[str, Any], bool]] = [
    *((name, {}, name in ASCEND_KL) for name in sorted(METHODS.found)),
    ("lrat-trades", {"first": "kl"}, True),
    ("lrat-trades", {"first": "kl", "attacks": "cw"}, False),
]


def update(name: str, settings: dict[str, Any], start: str) -> torch.Tensor:
    made, model, (x, y) = cast(Method, METHODS.get(name).from_mapping(settings)), make_tiny_model(), make_batch()
    give_stand_ins(made, make_tiny_model)
    made.prepare(model)
    return guarded(made, None)(make_step(model, x, y, threat=make_threat(start=start)))


def test_the_gradient_of_kl_at_the_image_is_rounding_and_only_there() -> None:
    model, (x, _) = make_tiny_model().eval(), make_batch()
    sizes = []
    for offset in (0.0, 0.05):
        moved = (x + offset).requires_grad_()
        (gradient,) = torch.autograd.grad(kl_divergence(model(x).detach(), model(moved)).sum(), moved)
        sizes.append(float(gradient.norm()))
    assert sizes[0] < 1e-4 * sizes[1]
    other = x.flip(0)
    assert [KL(x).flat_at(x), KL(x.clone()).flat_at(x), KL(other).flat_at(x)] == [True, True, False]
    assert [CrossEntropy().flat_at(x), Margin().flat_at(x)] == [False, False]


@pytest.mark.parametrize(("name", "settings", "refused"), CASES)
def test_a_method_that_ascends_kl_needs_a_random_start(name: str, settings: dict[str, Any], refused: bool) -> None:
    for start in ("uniform", "gaussian"):
        assert bool(update(name, settings, start).isfinite())
    if not refused:
        assert bool(update(name, settings, "none").isfinite())
        return
    with pytest.raises(SettingError, match=f"^train.start=none is refused for {name}: ") as caught:
        update(name, settings, "none")
    assert str(caught.value).endswith("choose train.start=uniform or gaussian")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("more", ["--dry-run", ""])
def test_the_command_says_so_before_any_work(more: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = f"--db {tmp_path / 'kept.db'} --runs-dir {tmp_path / 'runs'}"
    asked = f"harness run trades --dataset digits --arch smallcnn --set train.start=none {places} {more}"
    assert exit_code(asked) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("harness: train.start=none is refused for trades: ")
    assert told.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
