"""Images and labels that the caller holds, checked and made a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.errors import SettingError
from harness.planning.assessment import GivenImages
from harness.plugin.dataset import Dataset, Split

NAME = "given"  # the data set's name, followed by the beginning of its fingerprint


def checked_images(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Images and labels as tensors on the CPU; copies, so that a later change of the caller's changes nothing.

    Args:
        x: ``(n, channels, height, width)`` floating point in [0, 1], a tensor or an array.
        y: ``(n,)`` integers from 0.
    Raises:
        SettingError: they are anything else; says what in one line.
    """
    images, labels = _tensor("x", x), _tensor("y", y)
    if not images.is_floating_point():
        advice = "; divide it by 255" if images.dtype == torch.uint8 else ""
        raise SettingError(f"x is {_name(images)} and must be floating point, pixels in [0, 1]{advice}")
    if images.ndim != 4:
        raise SettingError(f"x has the shape {tuple(images.shape)}; give (n, channels, height, width)")
    if not len(images):
        raise SettingError("x is empty; give at least one image")
    if images.shape[1] > 4 and images.shape[3] <= 4:
        raise SettingError(f"x has the shape {tuple(images.shape)}, channels last; give (n, channels, height, width)")
    if not bool(images.isfinite().all()):
        raise SettingError("x has NaN or infinity in it; pixels must be numbers in [0, 1]")
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        advice = "normalise inside the model, or give mean and std"
        if low >= 0 and 2 < high <= 255:
            advice = "divide by 255"
        elif low > -0.1 and high < 1.1:  # as interpolation leaves them; divided by 255 they would be black
            advice = "clip them, x.clip(0, 1)"
        raise SettingError(f"x reaches from {low:.4g} to {high:.4g} and must lie in [0, 1]; {advice}")
    _check_labels(labels, len(images))
    return images.to("cpu", torch.float32, copy=True), labels.to("cpu", torch.int64, copy=True)


def _check_labels(labels: Tensor, count: int) -> None:
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise SettingError(f"y is {_name(labels)} and must be integers, the number of each image's class from 0")
    if labels.ndim != 1:
        hint = "; for one-hot labels give y.argmax(1)" if labels.ndim == 2 else ""
        raise SettingError(f"y has the shape {tuple(labels.shape)} and must be (n,){hint}")
    if len(labels) != count:
        raise SettingError(f"x has {count} images and y has {len(labels)} labels; give one label for each image")
    if int(labels.min()) < 0:
        raise SettingError(f"y has the label {int(labels.min())}; labels count from 0")


def given_images(images: Tensor, labels: Tensor, classes: int) -> GivenImages:
    """Checked images and labels as the place of a data set of that many classes.

    Raises:
        SettingError: a label is too large.
    """
    highest = int(labels.max())
    if highest >= classes:
        raise SettingError(f"y has the label {highest}, and the model has {classes} classes, from 0 to {classes - 1}")
    none = Split(images[:0], labels[:0])
    dataset = Dataset(NAME, none, Split(images, labels), tuple(map(str, range(classes))), levels=1)
    named = Dataset(f"{NAME} {dataset.fingerprint[:8]}", none, dataset.test, dataset.classes, levels=1)
    return GivenImages(NAME, {}, Path(), dataset=named)


def _tensor(name: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor) and not hasattr(value, "__array__"):
        raise SettingError(f"{name} is a {type(value).__name__}; give a tensor of torch or an array of numpy")
    try:
        return torch.as_tensor(value).detach()
    except (TypeError, ValueError, RuntimeError) as error:  # an array of objects, or of texts
        raise SettingError(f"{name} is no array of numbers ({error})") from None


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
