"""Decode the images of a folder once, and keep the pixels in a cache that may be deleted at any time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
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
MOST_PIXELS = 8192 * 8192  # of one image: as RGB they take 200 MB; a file of some kilobytes can ask for any number
LOOKED_AT = 256  # headers that are read together
PROGRAMS = ("EPS", "WMF")  # formats whose images another program would draw, by running the file


def decode(parts: Mapping[str, Sequence[Path]], image_size: int, channels: int) -> dict[str, Tensor]:
    """Decode each part's files to ``(n, channels, height, width)`` uint8.

    Raises:
        DataError: a file is not an 8-bit image, or has too many pixels; images differ in size, or do not fit into the
            memory together.
    """
    first = next(files[0] for files in parts.values() if files)
    with _bounded(), ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes without the interpreter's lock
        shape = _read_image(first, image_size, channels).shape
        return {part: _decode_part(pool, files, image_size, first, shape) for part, files in parts.items()}


def own_channels(files: Sequence[Path]) -> int:
    """How many channels images have of their own: 1 if every one is grey, else 3. Their pixels are not decoded.

    A file that is no image counts for neither: whoever decodes it is told.
    """
    with _bounded(), ThreadPoolExecutor(os.cpu_count()) as pool:
        if not all(map(_may_be_grey, files[:1])):  # mostly the first image has colours, and no other is looked at
            return 3
        starts = range(1, len(files), LOOKED_AT)
        grey = all(all(pool.map(_may_be_grey, files[start : start + LOOKED_AT])) for start in starts)
    return 1 if grey else 3


def _may_be_grey(path: Path) -> bool:
    try:
        with Image.open(path) as image:  # reads the header alone
            return image.mode in ("1", "L", "LA", "La") or image.mode.startswith(("I", "F"))
    except Exception:  # Pillow raises all kinds of exceptions for a damaged file
        return True


def contents(files: Sequence[Path]) -> list[str]:
    """The SHA-256 of each file's bytes."""

    def read(file: Path) -> str:
        try:
            with file.open("rb") as opened:
                return hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"cannot read {file}: {error.strerror}; make it readable or remove it") from error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(read, files))


def _decode_part(
    pool: ThreadPoolExecutor, files: Sequence[Path], image_size: int, first: Path, shape: tuple[int, ...]
) -> Tensor:
    try:
        images = np.empty((len(files), *shape), np.uint8)
    except (MemoryError, ValueError):  # ValueError: more bytes than an array can have
        raise DataError(
            f"{len(files)} images of {_size(shape)} do not fit into the memory; make them smaller, with --image-size N"
        ) from None

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
        with Image.open(path) as image:  # reads the header alone
            if image.width * image.height > MOST_PIXELS:
                raise _too_large(path)
            if image.format in PROGRAMS:
                raise DataError(f"{path} is a program ({image.format}), and none is run; convert it to PNG")
            if image.mode.startswith(("I", "F")):  # Pillow would clip their values to 255, white
                raise DataError(f"{path} has more than 8 bits a pixel (mode {image.mode}); convert it to 8 bits")
            plain = image.convert(MODES[channels])
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # in the header, or of an image inside it
        raise _too_large(path) from None
    except Exception as error:  # Pillow raises all kinds of exceptions for a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"cannot read the image {path}: {reason}; repair it or remove it") from error
    pixels = np.asarray(_central_square(plain, image_size) if image_size else plain)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _too_large(path: Path) -> DataError:
    return DataError(
        f"the image {path} is refused: it has more than {MOST_PIXELS:,} pixels (8192x8192), the most that is decoded;"
        " make it smaller"
    )


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Have Pillow refuse an image of too many pixels, also one inside another, such as an icon; and not warn else."""
    most = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd palettes and tags, which change no pixel that is taken
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = MOST_PIXELS
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = most


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
