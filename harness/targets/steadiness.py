"""Checks that a model from elsewhere still answers as it did before the attacks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.rigour.forward import SAME, other_passes_differ
from harness.runtime.device import arithmetic
from harness.runtime.isolation import isolated
from harness.runtime.untouched import Untouched
from harness.targets.target import TargetError


class Steadiness:
    """A model's first answers to some images, to compare later ones with.

    If equal passes differ and change no tensor, the model's answers are random. This is not refused here; the checks of
    rigour flag it.

    Args:
        model: on the images' device, in evaluation mode; it gives logits.
        label: the model's name in messages.
        images: ``(n, channels, height, width)`` in [0, 1].
    """

    def __init__(self, model: nn.Module, label: str, images: Tensor) -> None:
        self._model, self._label, self._images = model, label, images
        self._first = self._answers()

    def check(self) -> None:
        """Compare the answers of now with the first.

        Raises:
            TargetError: the answers have changed, and stay changed, or a pass changes the model's tensors.
        """
        now = self._answers()
        if other_passes_differ(self._first, now) <= SAME:
            return
        before = Untouched(self._model)
        if other_passes_differ(now, self._answers()) <= SAME or before.changed(self._model):
            raise TargetError(
                f"{self._label} answers otherwise than before it was attacked: it changes as it is used, so that no"
                " figure is of one model; give a factory that returns the network frozen, without what it counts,"
                " keeps, or adapts"
            )

    def _answers(self) -> Tensor:
        device = self._images.device
        with torch.no_grad(), arithmetic(device, "float32"), isolated(self._model, device, 0):
            answers: Tensor = self._model(self._images.clone())
        return answers
