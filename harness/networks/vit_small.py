"""A vision transformer for small images: DeiT's small width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.networks._vision_transformer import VisionTransformer


@dataclass(frozen=True, kw_only=True)
class ViTSmall(VisionTransformer):
    """Vision transformer, 384 channels and six heads (Dosovitskiy et al., ICLR 2021; DeiT's small width).

    21,342,346 parameters on 3x32x32 images and ten classes.
    Source, Departs: as its base says.
    """

    tokens_width: ClassVar[int] = 384
