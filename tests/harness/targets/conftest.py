"""Opening targets in an empty folder: 8x8 images of one channel, ten classes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.errors import HarnessError
from harness.networks.smallcnn import SmallCNN
from harness.plugin.network import Shape
from harness.targets.open import open_target
from harness.targets.target import Opened
from tests.tiny import draws

DIGITS = Shape(channels=1, height=8, width=8, classes=10)
RGB = Shape(3, 8, 8, 10)

Opens = Callable[..., Opened]
Refusal = Callable[..., str]
WriteModule = Callable[[str], str]
_numbers = itertools.count()


def pixels(shape: Shape = DIGITS, n: int = 6) -> Tensor:
    return torch.rand(n, *shape[:3], generator=draws(1))


def trained(width: int = 4, shape: Shape = DIGITS, seed: int = 0) -> nn.Module:
    """A small network whose batch statistics are not the initial ones, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SmallCNN(width=width).build(shape)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean = torch.randn(module.num_features) * 0.1
                module.running_var = torch.rand(module.num_features) + 0.5
    return model.eval()


def logits(opened: Opened, images: Tensor, shape: Shape = DIGITS) -> Tensor:
    """What the model gives once it is built again from the target."""
    with torch.no_grad():
        result: Tensor = opened.target.verified(shape, (), opened.sha256)(images)
    return result


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HARNESS_PLUGINS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def opens(tmp_path: Path) -> Opens:
    """Opens a target of the digits' shape, unless told otherwise."""

    def call(text: str, **changes: Any) -> Opened:
        shape = changes.pop("shape", DIGITS)
        given: dict[str, Any] = {"dataset": "digits", "images": pixels(shape), "data_dir": tmp_path / "data"}
        return open_target(text, shape=shape, **(given | changes))

    return call


@pytest.fixture
def refusal(opens: Opens) -> Refusal:
    """Opens a target that must be refused; gives the line."""

    def call(text: str, **changes: Any) -> str:
        with pytest.raises(HarnessError) as refused:
            opens(text, **changes)
        line = str(refused.value)
        assert "\n" not in line
        assert len(line) < 700
        return line

    return call


@pytest.fixture
def module(elsewhere: Path) -> WriteModule:
    """Writes a module into the working directory, under a name that no other test has; gives the name."""

    def write(text: str) -> str:
        name = f"users_network_{next(_numbers)}"
        (elsewhere / f"{name}.py").write_text(f"import torch\nfrom torch import nn\n\n\n{text}\n")
        return name

    return write
