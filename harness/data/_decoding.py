"""Decode the images of a folder once, and keep the pixels in a cache that may be deleted at any time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from harness.errors import DataError
from harness.files import atomic_write_bytes, writable_directory

DECODER = 1  # part of a cache's name: raise it when images are decoded differently
MODES = {3: "RGB", 1: "L"}


def decode(parts: Mapping[str, Sequence[Path]], image_size: int, channels: int) -> dict[str, Tensor]:
    """Decode each part's files to ``(n, channels, height, width)`` uint8.

    Raises:
        DataError: a file is not an 8-bit image, or images differ in size.
    """
    first = next(files[0] for files in parts.values() if files)
    shape = _read_image(first, image_size, channels).shape
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes without the interpreter's lock
        return {part: _decode_part(pool, files, image_size, first, shape) for part, files in parts.items()}


def contents(files: Sequence[Path]) -> list[str]:
    """The SHA-256 of each file's bytes."""

    def read(file: Path) -> str:
        try:
            return hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError as error:
            raise DataError(f"cannot read {file}: {error.strerror}; make it readable or remove it") from error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(read, files))


def _decode_part(
    pool: ThreadPoolExecutor, files: Sequence[Path], image_size: int, first: Path, shape: tuple[int, ...]
) -> Tensor:
    images = np.empty((len(files), *shape), np.uint8)

    def fill(index: int) -> None:
        image = _read_image(files[index], image_size, shape[0])
        if image.shape != shape:
            raise DataError(
                f"images differ in size: {first} is {_size(shape)}, {files[index]} is {_size(image.shape)}; "
                "resize all to N x N with --image-size N"
            )
        images[index] = image

    for _ in pool.map(fill, range(len(files))):  # the first error, in the order of the files, cancels the rest
        pass
    return torch.from_numpy(images)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[2]}x{shape[1]}"  # width first, as is usual


def _read_image(path: Path, image_size: int, channels: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Read one image as ``(channels, height, width)`` uint8."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):  # Pillow would clip their values to 255, white
                raise DataError(f"{path} has more than 8 bits a pixel (mode {image.mode}); convert it to 8 bits")
            plain = image.convert(MODES[channels])
    except DataError:
        raise
    except Exception as error:  # Pillow raises all kinds of exceptions for a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"cannot read the image {path}: {reason}; repair it or remove it") from error
    pixels = np.asarray(_central_square(plain, image_size) if image_size else plain)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _central_square(image: Image.Image, size: int) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))  # ImageOps.fit would blend in pixels from outside it
    return square.resize((size, size), Image.Resampling.BICUBIC)


def _checksum(images: Mapping[str, Tensor]) -> str:
    sha = hashlib.sha256()
    for part in sorted(images, reverse=True):  # train before test
        sha.update(repr((tuple(images[part].shape), str(images[part].dtype))).encode())
        sha.update(images[part].numpy().data)
    return sha.hexdigest()


def read_cache(path: Path, parts: Sequence[str]) -> dict[str, Tensor] | None:
    """The images in a cache; None if there is no cache or it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            images = {part: file.get_tensor(part) for part in parts}
            return images if (file.metadata() or {}).get("sha256") == _checksum(images) else None
    except (OSError, SafetensorError):
        return None


def write_cache(path: Path, images: dict[str, Tensor]) -> None:
    """Write decoded images to a cache; DataError if the data directory cannot be written."""
    from safetensors.torch import save

    try:
        with writable_directory(path.parent):
            atomic_write_bytes(path, save(images, {"sha256": _checksum(images)}))
    except OSError as error:
        raise DataError(
            f"cannot write to {path.parent}: {error.strerror}; name a data directory that can be written"
        ) from error
