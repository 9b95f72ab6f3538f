"""Vision transformers for small images, with a patch that follows the size of the images."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Interval
from torch import Tensor, nn
from typing_extensions import Doc

from harness.errors import SettingError
from harness.networks._size import require_size
from harness.plugin.network import Network, Shape

SIDES = (8, 96)
PATCHES = 64  # the most that an image has if no patch size is given: 8x8
LAYERS = 12
HEAD = 64  # channels of an attention head
DEVIATION = 0.02  # of the initial weights and positions


class Attention(nn.Module):
    """Self-attention of several heads, written out: it has second derivatives, and the same arithmetic in both modes.

    Args:
        width: channels of a token, a multiple of ``HEAD``.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``(batch, tokens, width)`` to the same shape."""
        batch, tokens, width = x.shape
        query, key, value = self.qkv(x).reshape(batch, tokens, 3, self.heads, HEAD).permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-2, -1) * HEAD**-0.5).softmax(dim=-1)
        mixed: Tensor = self.proj((weights @ value).transpose(1, 2).reshape(batch, tokens, width))
        return mixed


class TransformerBlock(nn.Module):
    """Attention, then two linear layers with GELU between them; a layer-norm before and a shortcut around each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            OrderedDict(fc1=nn.Linear(width, 4 * width), act=nn.GELU(), fc2=nn.Linear(4 * width, width))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``(batch, tokens, width)`` to the same shape."""
        x = x + self.attn(self.norm1(x))
        added: Tensor = x + self.mlp(self.norm2(x))
        return added


class PatchTransformer(nn.Module):
    """Patches and a class token, with learnt positions, through the blocks; the class token gives the logits."""

    def __init__(self, shape: Shape, width: int, patch: int) -> None:
        super().__init__()
        tokens = 1 + (shape.height // patch) * (shape.width // patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, tokens, width))
        projection = nn.Conv2d(shape.channels, width, kernel_size=patch, stride=patch)
        self.patch_embed = nn.Sequential(OrderedDict(proj=projection))
        self.blocks = nn.Sequential(*(TransformerBlock(width) for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, shape.classes)
        nn.init.trunc_normal_(self.pos_embed, std=DEVIATION)
        nn.init.normal_(self.cls_token, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=DEVIATION)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(batch, channels, height, width)`` in [0, 1] to logits ``(batch, classes)``."""
        patches = self.patch_embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), patches], dim=1) + self.pos_embed
        logits: Tensor = self.head(self.norm(self.blocks(tokens))[:, 0])
        return logits


@dataclass(frozen=True, kw_only=True)
class VisionTransformer(Network):
    """Base of the vision transformers: twelve blocks, heads of 64 channels.

    Parameters are named as in timm's ``VisionTransformer``, so checkpoints of the same patch and image size load either
    way. Weights of one image size do not load for another.
    Source: Dosovitskiy et al., arXiv:2010.11929, section 3.1; the widths are those of Touvron et al. (DeiT),
        arXiv:2012.12877, table 1; initial weights as timm's, models/vision_transformer.py.
    Departs: from the paper: a patch of 4x4 at 32x32 in place of 16x16 at 224x224, as papers on CIFAR-10 use it; trained
        from the beginning, and the head is one linear layer. No dropout and no stochastic depth.
    """

    tokens_width: ClassVar[int]

    patch: Annotated[
        int,
        Interval(ge=0, le=32),
        Doc("side of a patch; 0: the smallest that gives at most 64 patches: 4 at 28x28 and 32x32, 8 at 64x64"),
    ] = 0

    def build(self, shape: Shape) -> nn.Module:
        require_size(self.name, shape, SIDES)
        common = math.gcd(shape.height, shape.width)
        fitting = [side for side in range(1, common + 1) if common % side == 0]
        small = [side for side in fitting if shape.height * shape.width <= PATCHES * side**2]
        patch = self.patch or next(iter(small), 0)
        if patch not in fitting:
            size = f"{shape.height}x{shape.width}"
            told = f"patch={patch} does not divide {size}" if patch else f"{size} has no {PATCHES} or fewer of one size"
            raise SettingError(
                f"{self.name} cuts images into whole square patches, and {told}; "
                f"give --set patch=N, N one of {', '.join(map(str, fitting))}, or choose another --arch"
            )
        return PatchTransformer(shape, self.tokens_width, patch)
