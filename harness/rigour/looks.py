"""Passes as attacks make them: at perturbed images, with gradients, and back to the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Looks:
    """Several passes over the same perturbed images.

    Attributes:
        without: ``(n, classes)`` logits of a pass without gradients.
        logits: of two equal passes with gradients.
        gradients: ``(n, numbers)`` of the cross-entropy by each image, of those two.
        reordered: logits of a pass with gradients in reversed order and other batches, order put back.
        streams: the model's streams before the two equal passes, between them, and after them.
    """

    without: Tensor
    logits: tuple[Tensor, Tensor]
    gradients: tuple[Tensor, Tensor]
    reordered: Tensor
    streams: tuple[Mapping[str, object], Mapping[str, object], Mapping[str, object]]
