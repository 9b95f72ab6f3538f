"""A model is pure if the logits of an image depend on that image alone, and a pass leaves no trace in the process."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.evaluator import Verdicts, evaluate
from harness.fast.pure import is_pure
from harness.plugin.attack import Attack, Passes
from harness.plugin.threat import Threat
from harness.registry.catalogue import discover
from harness.runtime.process import Process
from tests.tiny import draws, make_batch, make_threat, make_tiny_model


class Around(nn.Module):
    """A sound network, and what a subclass does besides."""

    def __init__(self) -> None:
        super().__init__()
        self.network, self.count = make_tiny_model().eval(), 0

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return self.besides(logits)

    def besides(self, logits: Tensor) -> Tensor:
        return logits


class CentresTheBatch(Around):
    def besides(self, logits: Tensor) -> Tensor:
        return logits - 0.1 * logits.mean(0)


class LooksAtTheFirst(Around):
    def besides(self, logits: Tensor) -> Tensor:
        return logits + 0.1 * logits[:1]


class CentresSmallLogits(Around):
    def besides(self, logits: Tensor) -> Tensor:
        return 1e-5 * (logits - 0.1 * logits.mean(0))


class CentresFarFromZero(Around):
    def besides(self, logits: Tensor) -> Tensor:
        return logits - 0.1 * logits.mean(0) + 1e4


class DrawsUnderAttackAlone(Around):
    def besides(self, logits: Tensor) -> Tensor:
        return logits + (random.random() if torch.is_grad_enabled() else 0.0)


class DrawsFromTorch(Around):
    def besides(self, logits: Tensor) -> Tensor:
        return logits + 1e-9 * torch.rand(())


class DrawsFromNumpy(Around):
    def besides(self, logits: Tensor) -> Tensor:
        return logits + 0.0 * float(np.random.rand())


class DrawsFromPython(Around):
    def besides(self, logits: Tensor) -> Tensor:
        return logits + 0.0 * random.random()


class Seeds(Around):
    def besides(self, logits: Tensor) -> Tensor:
        torch.manual_seed(5)
        return logits


class Counts(Around):
    def besides(self, logits: Tensor) -> Tensor:
        self.count += 1
        return logits + 0.01 * self.count


class ChangesAMode(Around):
    def besides(self, logits: Tensor) -> Tensor:
        torch.set_default_dtype(torch.float64)
        return logits


class NotFinite(Around):
    def besides(self, logits: Tensor) -> Tensor:
        return logits / 0.0


class Raises(Around):
    def besides(self, logits: Tensor) -> Tensor:
        raise ValueError("no")


KINDS = Around.__subclasses__()


@pytest.mark.parametrize("n", [1, 2, 4, 9])
def test_a_network_that_only_computes_is_pure(n: int) -> None:
    state = torch.get_rng_state()
    assert is_pure(make_tiny_model(), make_batch(n=n)[0])
    assert is_pure(Around(), make_batch(n=n)[0])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", KINDS)
def test_any_other_model_is_not(kind: type[Around]) -> None:
    state, kept = torch.get_rng_state(), torch.get_default_dtype()
    assert not is_pure(kind(), make_batch(n=6)[0])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() == kept


def test_batch_norm_without_running_statistics_mixes_the_images() -> None:
    layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU(), nn.Flatten()
    assert not is_pure(nn.Sequential(*layers), make_batch(n=6)[0])


def test_the_mode_of_the_network_stays() -> None:
    model = make_tiny_model().train()
    is_pure(model, make_batch()[0])
    assert model.training


def passes_isolated(model: nn.Module, name: str, faster: nn.Module | None, monkeypatch: Any) -> tuple[int, Verdicts]:
    """How many passes of an evaluation were isolated, and its verdicts."""
    seen: list[int] = []
    now = Process.now

    def counted(*, backward: bool = False) -> Any:
        seen.append(1)
        return now(backward=backward)

    x, y = make_batch(n=12)
    attack = cast(Attack, discover("attacks").get(name).from_mapping({}))
    with monkeypatch.context() as patch:
        patch.setattr(Process, "now", counted)
        found = evaluate(model, attack, x, y, make_threat(epsilon=0.1, steps=10), draws(), faster=faster)
    return len(seen), found


@pytest.mark.parametrize("name", ["pgd", "square"])
def test_passes_of_a_pure_model_alone_are_not_isolated(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_tiny_model().eval()
    isolated, plain = passes_isolated(model, name, None, monkeypatch)
    few, fast = passes_isolated(model, name, model, monkeypatch)
    assert few < 10 < isolated  # the pass that judges is, and the state is kept around some trials
    assert torch.equal(fast.correct, plain.correct)
    drawing = DrawsFromTorch().eval()
    assert passes_isolated(drawing, name, drawing.network, monkeypatch)[0] > 10


@dataclass(frozen=True, kw_only=True)
class OfAUser(Attack):
    """An attack that does not ship."""

    called: ClassVar[list[str]] = []

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        self.called.append("perturb")
        return x

    def perturb_pure(
        self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator
    ) -> Tensor:
        self.called.append("perturb_pure")
        return x

    def passes(self, threat: Threat) -> Passes:
        return Passes(100, 100)


def test_an_attack_of_a_user_is_called_as_ever() -> None:
    model, (x, y) = make_tiny_model().eval(), make_batch()
    evaluate(model, OfAUser(), x, y, make_threat(), draws(), faster=model)
    assert OfAUser.called == ["perturb"]
