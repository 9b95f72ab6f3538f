"""The built-in networks, against RobustBench 1.1.1 and the checkpoint that ships with AutoAttack's package.

``tests/assets/robustbench_*.json`` map the names of RobustBench's state dicts to their shapes.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.errors import SettingError
from harness.networks.resnet18 import ResNet18
from harness.networks.smallcnn import SmallCNN
from harness.networks.wrn_32_10 import WRN32x10
from harness.plugin.network import Network, Shape
from harness.registry.catalogue import discover
from harness.runtime.seeds import global_seed
from tests.harness.networks.filled import fill
from tests.slim import slim

ASSETS = Path(__file__).parents[2] / "assets"
CIFAR = Shape(channels=3, height=32, width=32, classes=10)
DIGITS = Shape(channels=1, height=8, width=8, classes=10)
CPU = torch.device("cpu")

NETWORKS = {name: cast(type[Network], found.cls) for name, found in discover("networks").found.items()}
SIZES = dict.fromkeys(NETWORKS, (16, 96)) | {"smallcnn": (8, 32)}  # smallest and largest side
SIZES |= {name: (8, 96) for name in NETWORKS if name.startswith("vit-")}


def skeleton(network: Network, shape: Shape) -> nn.Module:
    """The model without memory behind its parameters: enough for names, shapes, and counts."""
    with torch.device("meta"):
        return network.build(shape)


def test_the_networks_that_ship() -> None:
    wide = {"wrn", "wrn-28-10", "wrn-32-10", "wrn-34-10", "wrn-34-20", "wrn-70-16"}
    assert set(NETWORKS) == {"smallcnn", "resnet18", "resnet50", "preact-resnet18", "vit-tiny", "vit-small"} | wide


@pytest.mark.parametrize(
    ("network", "shape", "count"),
    [
        pytest.param(SmallCNN(), DIGITS, (144 + 4_608 + 9_216) + 2 * (16 + 32 + 32) + (320 + 10), id="smallcnn"),
        pytest.param(ResNet18(), CIFAR, 11_173_962, id="resnet18"),
        pytest.param(WRN32x10(), CIFAR, 46_160_474, id="wrn-32-10"),
    ],
)
def test_parameter_count(network: Network, shape: Shape, count: int) -> None:
    assert sum(parameter.numel() for parameter in skeleton(network, shape).parameters()) == count


def test_smallcnn_parameter_count_by_hand_at_another_width() -> None:
    # two channels, width 3, four classes: convolutions 9 (2*3 + 3*6 + 6*6), batch-norms 2 (3 + 6 + 6), linear 6*4 + 4
    model = skeleton(SmallCNN(width=3), Shape(channels=2, height=8, width=8, classes=4))
    assert sum(parameter.numel() for parameter in model.parameters()) == 540 + 30 + 28


@pytest.mark.parametrize(
    ("network", "asset"),
    [
        pytest.param(ResNet18(), "robustbench_resnet18.json", id="resnet18"),
        pytest.param(WRN32x10(), "robustbench_wrn_34_10.json", id="wrn-32-10"),
    ],
)
def test_state_dict_has_the_names_and_shapes_of_robustbench(network: Network, asset: str) -> None:
    ours = {name: list(tensor.shape) for name, tensor in skeleton(network, CIFAR).state_dict().items()}
    assert ours == json.loads((ASSETS / asset).read_text())


@pytest.mark.parametrize("name", NETWORKS)
def test_gives_one_row_of_logits_an_image_up_to_the_limits_of_size(name: str) -> None:
    smallest, largest = SIZES[name]
    sizes = [(smallest, smallest), (28, 28), (largest, largest), (smallest, largest), (17, 30)]
    several = zip(sizes, (1, 3, 3, 1, 3), (10, 100, 10, 100, 10), strict=True)
    for (height, width), channels, classes in several:
        if name.startswith("vit-") and (height, width) == (17, 30):
            continue  # it has no whole patches, but for 1x1
        model = skeleton(slim(NETWORKS[name]()), Shape(channels, height, width, classes))
        logits = model(torch.empty(5, channels, height, width, device="meta"))
        assert logits.shape == (5, classes)


@pytest.mark.parametrize("name", NETWORKS)
def test_refuses_images_outside_the_limits_of_size(name: str) -> None:
    smallest, largest = SIZES[name]
    for height, width in [(smallest - 1, smallest - 1), (smallest - 1, 20), (20, largest + 1), (224, 224)]:
        with pytest.raises(SettingError) as refusal:
            skeleton(NETWORKS[name](), Shape(3, height, width, 10))
        message = str(refusal.value)
        assert message.startswith(
            f"{name} takes images of {smallest}x{smallest} to {largest}x{largest}, not {height}x{width}"
        )
        assert "choose another --arch" in message
        advised = re.search(r"such as (\w+)", message)
        assert (advised is None) is (max(height, width) > 96 or min(height, width) < 8)
        if advised:
            skeleton(NETWORKS[advised[1]](), Shape(3, height, width, 10))  # takes them
        assert "\n" not in message


@pytest.mark.parametrize("name", NETWORKS)
def test_the_global_seed_decides_every_initial_value(name: str) -> None:
    def build(seed: int) -> dict[str, Tensor]:
        with global_seed(CPU, seed):
            return dict(slim(NETWORKS[name]()).build(Shape(3, 16, 16, 10)).state_dict())

    first, again, other = build(1), build(1), build(2)
    assert all(torch.equal(first[key], again[key]) for key in first)
    drawn = [key for key, tensor in first.items() if tensor.ndim > 1]  # weights of convolutions and linear layers
    assert drawn
    assert not any(torch.equal(first[key], other[key]) for key in drawn)


def test_wrn_32_10_starts_as_the_released_code_does() -> None:
    with global_seed(CPU, 0):
        model = WRN32x10().build(CIFAR)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            deviation = math.sqrt(2 / (module.kernel_size[0] * module.kernel_size[1] * module.out_channels))
            few = 5 / math.sqrt(2 * module.weight.numel())  # five standard errors of a sample standard deviation
            assert module.weight.std().item() == pytest.approx(deviation, rel=few)
            assert abs(module.weight.mean().item()) < 5 * deviation / math.sqrt(module.weight.numel())
        elif isinstance(module, nn.BatchNorm2d):
            assert bool((module.weight == 1).all())
            assert bool((module.bias == 0).all())
        elif isinstance(module, nn.Linear):
            assert bool((module.bias == 0).all())


def test_wrn_32_10_computes_what_robustbench_does() -> None:
    # RobustBench's WideResNet(depth=34, widen_factor=10), filled in the same way, in float64
    expected = [524.62, 953.44, 141.31, 48.48, 1260.67, 524.54, 221.31, -1324.55, 716.38, -709.50]
    random = np.random.RandomState(0)
    model = WRN32x10().build(CIFAR).eval()
    fill(model, random)
    x = torch.from_numpy(random.uniform(0, 1, size=(1, *CIFAR[:3]))).float()
    with torch.no_grad():
        logits = model(x)
    torch.testing.assert_close(logits, torch.tensor([expected]), rtol=1e-4, atol=0.05)  # float32 errs by 0.001


def autoattack_examples() -> Path:
    """The package's folder of examples, found without running its code."""
    package = importlib.util.find_spec("pyautoattack")
    assert package is not None
    assert package.submodule_search_locations
    return Path(package.submodule_search_locations[0]) / "examples"


def import_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"{path.stem}_by_path", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_resnet18_loads_the_checkpoint_of_autoattack_and_gives_its_logits() -> None:
    examples = autoattack_examples()
    checkpoint = torch.load(examples / "model_test.pt", map_location="cpu", weights_only=True)
    theirs = import_file(examples / "resnet.py").ResNet18()
    ours = ResNet18().build(CIFAR)
    for model in (theirs, ours):
        model.load_state_dict(checkpoint, strict=True)
        model.eval()
    x = torch.rand(16, *CIFAR[:3], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs(x)
        torch.testing.assert_close(ours(x), expected)
    assert len(expected.argmax(dim=1).unique()) > 1  # the images are told apart: the comparison says something


def test_resnet18_trains_its_statistics_as_the_reference_does() -> None:
    theirs = import_file(autoattack_examples() / "resnet.py").ResNet18()
    ours = ResNet18().build(CIFAR)
    ours.load_state_dict(theirs.state_dict())
    x = torch.rand(4, *CIFAR[:3], generator=torch.Generator().manual_seed(0))
    for model in (theirs, ours):
        model.train()
        model(x).logsumexp(dim=1).sum().backward()
    torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()))
    gradients = [{name: p.grad for name, p in model.named_parameters()} for model in (ours, theirs)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-5)
