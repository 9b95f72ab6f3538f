"""The networks compute what RobustBench 1.1.1 computes, and weights load either way.

The expected values are of RobustBench's classes, without the package: names and shapes of their state dicts as a digest
of the lines ``name [shape]`` in order, and their logits in float64 for weights and an image of NumPy's legacy stream.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from harness.networks.wrn import WRN
from harness.plugin.network import Network, Shape
from harness.registry.catalogue import discover
from tests.harness.networks.filled import fill

CIFAR = Shape(channels=3, height=32, width=32, classes=10)


def network(name: str, **settings: Any) -> Network:
    return cast(Network, discover("networks").get(name).from_mapping(settings))


def skeleton(made: Network, shape: Shape = CIFAR) -> nn.Module:
    with torch.device("meta"):
        return made.build(shape)


def wide_resnet_parameters(depth: int, width: int) -> int:
    """Convolutions, batch-norms, the linear layer: three channels, ten classes."""
    count, channels = 9 * 3 * 16, 16
    for number in range(3):
        outputs = 16 * 2**number * width
        for _ in range((depth - 4) // 6):
            count += 2 * channels + 9 * channels * outputs + 2 * outputs + 9 * outputs**2
            count += channels * outputs if channels != outputs else 0
            channels = outputs
    return count + 2 * channels + 10 * channels + 10


@pytest.mark.parametrize(
    ("name", "settings", "digest", "count"),
    [
        ("preact-resnet18", {}, "f0748df7b91d356f", 11_172_170),
        ("preact-resnet18", {"shortcut": "input", "final_norm": False}, "c06cf1e3bd39d6c1", 11_171_146),
        # 3x3 shortcuts in place of 1x1: eight more numbers for each pair of channels
        (
            *("preact-resnet18", {"activation": "silu"}, "4b65f277fa44f1c8"),
            11_172_170 + 8 * (64 * 128 + 128 * 256 + 256 * 512),
        ),
        ("resnet50", {}, "f66388b4af5f622d", 23_520_842),
        ("wrn", {"size": "16-2"}, "e9828db4ba8b8d01", wide_resnet_parameters(16, 2)),
        ("wrn", {"size": "16-2", "activation": "silu"}, "d0cee909a7b23cc4", wide_resnet_parameters(16, 2)),
        ("wrn-28-10", {}, "bce54618b15fe64e", 36_479_194),
        ("wrn-28-10", {"activation": "silu"}, "3110da9f490192ef", 36_479_194),
        ("wrn-34-10", {}, "8dbaf585b81a7f13", 46_160_474),
        ("wrn-34-10", {"activation": "silu"}, "e74bcb41aaeec3d4", 46_160_474),
        ("wrn-34-20", {}, "037ef1f8c0b9b03c", wide_resnet_parameters(34, 20)),
        ("wrn-34-20", {"activation": "silu"}, "879ec1914a43c1a9", wide_resnet_parameters(34, 20)),
        ("wrn-70-16", {}, "872d887988a62881", wide_resnet_parameters(70, 16)),
        ("wrn-70-16", {"activation": "silu"}, "726b74ae3b758334", wide_resnet_parameters(70, 16)),
    ],
)
def test_names_shapes_and_number_of_parameters(name: str, settings: dict[str, Any], digest: str, count: int) -> None:
    model = skeleton(network(name, **settings))
    lines = [f"{key} {list(tensor.shape)}" for key, tensor in model.state_dict().items()]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == digest
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_the_names_with_depth_and_width_are_the_network_of_that_size() -> None:
    small = {key: tensor.shape for key, tensor in skeleton(WRN(size="28-2")).state_dict().items()}
    named = skeleton(network("wrn-28-10")).state_dict()
    assert small.keys() == named.keys()
    assert (wide_resnet_parameters(28, 10), wide_resnet_parameters(34, 10)) == (36_479_194, 46_160_474)


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        (
            *("preact-resnet18", {}),
            [21.03, 33.55, -22.52, -9.02, 28.41, -7.61, -38.93, 6.56, -11.87, -21.03],
        ),
        (
            *("preact-resnet18", {"shortcut": "input"}),
            [39.47, 69.73, -27.34, 11.99, 34.03, -30.22, -23.93, 9.14, -32.99, -31.76],
        ),
        (
            *("preact-resnet18", {"shortcut": "input", "final_norm": "false"}),
            [-1.6, 58.78, 49.88, -21.74, 31.53, -36.81, -17.09, -24.24, 44.9, -6.31],
        ),
        (
            *("preact-resnet18", {"activation": "silu"}),
            [24.84, 35.91, -16.19, -21.1, -52.36, 28.56, 29.69, 24.79, 6.2, 42.84],
        ),
        (
            *("resnet50", {}),
            [5409.63, -9845.08, -10689.81, 4105.98, -11487.93, -6587.92, -10873.57, 523.44, 5947.61, 11036.04],
        ),
        ("wrn", {"size": "16-2"}, [0.52, -9.03, 5.04, 11.91, -12.38, -13.67, -5.38, -7.62, 40.18, 30.24]),
        (
            *("wrn", {"size": "16-2", "activation": "silu"}),
            [-0.64, -5.75, 1.69, 10.76, -11.12, -13.91, -4.71, -10.17, 35.86, 24.03],
        ),
    ],
)
def test_logits(name: str, settings: dict[str, Any], expected: list[float]) -> None:
    random = np.random.RandomState(0)
    model = network(name, **settings).build(CIFAR).eval()
    fill(model, random)
    x = torch.from_numpy(random.uniform(0, 1, size=(1, *CIFAR[:3]))).float()
    with torch.no_grad():
        logits = model(x)
    scale = max(map(abs, expected))
    torch.testing.assert_close(logits, torch.tensor([expected]), rtol=0, atol=max(0.01, 1e-4 * scale))


def test_silu_wide_resnet_pads_an_odd_number_of_pixels_as_same_does() -> None:
    """An odd side n gives (n + 1) / 2 pixels, as the shortcut without padding does."""
    model = skeleton(WRN(size="10-1", activation="silu"), CIFAR._replace(height=17, width=30))
    features = nn.Sequential(*list(model.children())[:2])  # up to the stages
    assert features(torch.empty(2, 3, 17, 30, device="meta")).shape == (2, 64, math.ceil(17 / 4), math.ceil(30 / 4))
