"""Generated images beside a data set's training images, from a file of the user's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from harness.errors import SettingError, one_line, quoted
from harness.plugin.dataset import Dataset, Split


def with_extra(dataset: Dataset, file: Path) -> Dataset:
    """The data set with the images of a file ``.npz``: ``image``, uint8 ``(n, height, width, channels)``; ``label``.

    This is the format of the images that Wang et al. 2023 publish. Nothing pickled is read.

    Raises:
        SettingError: the file cannot be read, or its images do not fit those of the data set; says why in one line.
    """
    refused, shape = f"train.extra={quoted(str(file))} is refused: ", dataset.shape
    try:
        opened = np.load(file, allow_pickle=False)
        if not isinstance(opened, np.lib.npyio.NpzFile):
            raise SettingError(f"{refused}it is one array; save image and label by numpy.savez")
        with opened as arrays:
            lacking = [name for name in ("image", "label") if name not in arrays.files]
            if lacking:
                has = ", ".join(sorted(arrays.files)) or "nothing"
                raise SettingError(f"{refused}it lacks {' and '.join(lacking)}; it has {has}")
            images, labels = arrays["image"], arrays["label"]
    except SettingError:
        raise
    except MemoryError:
        raise SettingError(f"{refused}its arrays do not fit into the memory") from None
    except OSError as error:
        raise SettingError(f"{refused}it cannot be read ({error.strerror or one_line(error)})") from None
    except Exception as error:  # numpy and zipfile raise all kinds of exceptions for a damaged file
        raise SettingError(f"{refused}it is no .npz of plain arrays ({one_line(error)})") from None
    if not isinstance(images, np.ndarray) or not isinstance(labels, np.ndarray):  # bytes, where it is no array
        raise SettingError(f"{refused}it is no .npz of plain arrays")
    wanted = (shape.height, shape.width, shape.channels)
    if images.dtype != np.uint8 or images.shape[1:] != wanted:
        raise SettingError(
            f"{refused}image is {images.dtype} of shape {images.shape}; {dataset.name} needs uint8 of shape"
            f" (n, {', '.join(map(str, wanted))})"
        )
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise SettingError(
            f"{refused}label is {labels.dtype} of shape {labels.shape}; give a whole number for each of the"
            f" {len(images)} images"
        )
    if not len(images):
        raise SettingError(f"{refused}it has no image")
    if int(labels.min()) < 0 or int(labels.max()) >= shape.classes:
        raise SettingError(
            f"{refused}its labels go from {labels.min()} to {labels.max()}, and {dataset.name} has the classes 0 to"
            f" {shape.classes - 1}"
        )
    if int(images.max()) > dataset.levels:
        raise SettingError(
            f"{refused}a pixel has the value {images.max()}, and {dataset.name} goes from 0 to {dataset.levels}"
        )
    own = torch.from_numpy(images).permute(0, 3, 1, 2)
    return replace(dataset, extra=Split(own, torch.from_numpy(labels.astype(np.int64))))
