"""A vision transformer for small images: DeiT's tiny width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.networks._vision_transformer import VisionTransformer


@dataclass(frozen=True, kw_only=True)
class ViTTiny(VisionTransformer):
    """Vision transformer, 192 channels and three heads (Dosovitskiy et al., ICLR 2021; DeiT's tiny width).

    5,362,762 parameters on 3x32x32 images and ten classes.
    Source, Departs: as its base says.
    """

    tokens_width: ClassVar[int] = 192
