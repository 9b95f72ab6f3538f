"""What the settings of networks refuse, and weights that do not tell a setting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import SettingError
from harness.networks._vision_transformer import HEAD
from harness.networks.vit_tiny import ViTTiny
from harness.plugin.network import Shape
from harness.registry.catalogue import discover, make
from tests.harness.networks.filled import fill
from tests.slim import slim


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("wrn", {"size": "28-10"}, "that network has a name; write --arch wrn-28-10"),
        ("wrn", {"size": "17-4"}, "write DEPTH-WIDTH, such as 16-4; the depth is 10, 16, 22, 28, ..."),
        ("wrn", {"size": "16x4"}, "write DEPTH-WIDTH"),
        ("wrn", {"size": "4-1"}, "write DEPTH-WIDTH"),
        ("wrn-28-10", {"activation": "gelu"}, "'relu' or 'silu'"),
        ("preact-resnet18", {"activation": "silu", "shortcut": "input"}, "are refused with activation=silu"),
        ("preact-resnet18", {"activation": "silu", "final_norm": False}, "are refused with activation=silu"),
    ],
)
def test_settings_that_are_refused(name: str, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError) as refusal:
        make(discover("networks").get(name), name, settings)
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("side", "patch"), [(8, 1), (16, 2), (28, 4), (32, 4), (64, 8), (96, 12)])
def test_a_vision_transformer_takes_the_smallest_patch_of_at_most_64(side: int, patch: int) -> None:
    with torch.device("meta"):
        state = ViTTiny().build(Shape(3, side, side, 10)).state_dict()
    assert state["patch_embed.proj.weight"].shape == (192, 3, patch, patch)
    assert state["pos_embed"].shape == (1, 1 + (side // patch) ** 2, 192)


@pytest.mark.parametrize(
    ("patch", "shape", "told"),
    [
        (5, Shape(3, 32, 32, 10), "patch=5 does not divide 32x32; give --set patch=N, N one of 1, 2, 4, 8, 16, 32"),
        (0, Shape(3, 17, 30, 10), "17x30 has no 64 or fewer of one size; give --set patch=N, N one of 1, or choose"),
    ],
)
def test_a_patch_that_does_not_divide_the_images_is_refused(patch: int, shape: Shape, told: str) -> None:
    with pytest.raises(SettingError) as refusal:
        ViTTiny(patch=patch).build(shape)
    assert told in str(refusal.value)


def by_hand(state: dict[str, Tensor], image: Tensor, patch: int) -> Tensor:
    """The logits of a vision transformer for one image ``(channels, h, w)``, patch by patch and head by head."""

    def norm(name: str, tokens: Tensor) -> Tensor:
        centred = tokens - tokens.mean(1, keepdim=True)
        spread = (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        return centred / spread * state[f"{name}.weight"] + state[f"{name}.bias"]

    def linear(name: str, tokens: Tensor) -> Tensor:
        return tokens @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    kernel = state["patch_embed.proj.weight"].flatten(1)
    tokens = [state["cls_token"][0, 0]]
    for top in range(0, image.shape[1], patch):
        for left in range(0, image.shape[2], patch):
            pixels = image[:, top : top + patch, left : left + patch].flatten()
            tokens.append(kernel @ pixels + state["patch_embed.proj.bias"])
    x = torch.stack(tokens) + state["pos_embed"][0]
    for number in range(12):
        block = f"blocks.{number}"
        query, key, value = linear(f"{block}.attn.qkv", norm(f"{block}.norm1", x)).chunk(3, 1)
        heads = []
        for first in range(0, query.shape[1], HEAD):
            q, k, v = (part[:, first : first + HEAD] for part in (query, key, value))
            scores = torch.exp(q @ k.T / 8)  # the root of 64
            heads.append(scores / scores.sum(1, keepdim=True) @ v)
        x = x + linear(f"{block}.attn.proj", torch.cat(heads, 1))
        hidden = linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", x))
        x = x + linear(f"{block}.mlp.fc2", hidden * (1 + torch.erf(hidden / 2**0.5)) / 2)
    return linear("head", norm("norm", x))[0]


def test_a_vision_transformer_is_the_formula() -> None:
    random = np.random.RandomState(0)
    model = slim(ViTTiny()).build(Shape(3, 16, 24, 7)).double().eval()
    fill(model, random)
    x = torch.from_numpy(random.uniform(0, 1, size=(2, 3, 16, 24)))
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        logits = model(x)
    for own, image in zip(logits, x, strict=True):
        assert torch.allclose(own, by_hand(state, image, 4), rtol=1e-9)
    assert float((logits[0] - logits[1]).abs().max()) > 1e-3
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(x), torch.tensor([0, 3])), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), x)  # methods that regularise gradients need it
    assert bool(second.isfinite().all())


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # 12 blocks of 12 d d + 13 d; positions, class token, patches, last norm, head, for d channels and 4x4 patches
        ("vit-tiny", 12 * (12 * 192**2 + 13 * 192) + 192 * (65 + 1 + 49 + 2) + 10 * 193),
        ("vit-small", 12 * (12 * 384**2 + 13 * 384) + 384 * (65 + 1 + 49 + 2) + 10 * 385),
    ],
)
def test_parameter_count_of_the_vision_transformers(name: str, count: int) -> None:
    with torch.device("meta"):
        model = make(discover("networks").get(name), name, {}).build(Shape(3, 32, 32, 10))  # type: ignore[attr-defined]
    assert sum(parameter.numel() for parameter in model.parameters()) == count
