"""Any images on the disk, in a folder of class folders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from annotated_types import Ge
from PIL import Image
from torch import Tensor
from typing_extensions import Doc

from harness.dataset import Augmentation, Dataset, DataSource, Split
from harness.errors import DataError
from harness.files import atomic_write_bytes, writable_directory
from harness.identity import digest

PARTS = ("train", "test")
DECODER = 1  # part of a cache's name: raise it when images are decoded differently

Listing = Mapping[str, Sequence[Path]]
"""Class name -> its image files, both sorted by name."""


@dataclass(frozen=True, kw_only=True)
class Folder(DataSource):
    """Your own images in ``train/CLASS/*`` and ``test/CLASS/*`` (the layout of torchvision's ImageFolder).

    Any 8-bit format that Pillow reads; everything becomes RGB (grey is repeated, transparency dropped, of an animation
    the first frame taken, EXIF rotation ignored). Names that begin with a dot are skipped. Examples are sorted by
    class, then by file name. Decoded once: the pixels are kept in ``folder-cache`` below the data directory and used
    again while path, names, sizes, and times of all files are the same. A cache may be deleted at any time.
    """

    argument: ClassVar[str | None] = "path"

    path: Annotated[str, Doc("folder that holds train/CLASS/* and test/CLASS/*")]
    image_size: Annotated[
        int,
        Ge(0),
        Doc("0: the images' own size, one and the same for all; N: the central square of each, resized to N x N"),
    ] = 0

    def load(self, data_dir: Path) -> Dataset:
        root = Path(self.path).expanduser().resolve()
        listings, stamp = _list(root)
        cache = data_dir / "folder-cache" / f"{digest([DECODER, str(root), self.image_size, stamp])}.safetensors"
        images = _read_cache(cache)
        if images is None:
            images = _decode(listings, self.image_size)
            _write_cache(cache, images)
        train, test = (Split(images[part], _labels(listings[part])) for part in PARTS)
        return Dataset(
            name=f"folder:{root.name}",
            train=train,
            test=test,
            classes=tuple(listings["train"]),
            augmentation=Augmentation(crop_padding=4, flip=True),
        )


def _list(root: Path) -> tuple[dict[str, Listing], list[Any]]:
    """Both parts' files, and what tells that one of them changed."""
    try:
        if not root.is_dir():
            raise DataError(f"there is no folder {root}; give one that holds train/CLASS/* and test/CLASS/*")
        listings = {part: _list_part(root, part) for part in PARTS}
        _check_same_classes(root, listings)
        stamp = [
            [part, name, file.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns]  # ctime: tar resets mtime
            for part, listing in listings.items()
            for name, files in listing.items()
            for file in files
            for status in [file.stat()]
        ]
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}; make it readable or remove it") from error
    return listings, stamp


def _list_part(root: Path, part: str) -> Listing:
    if not (root / part).is_dir():
        raise DataError(f"{root} has no folder {part}/; images go into train/CLASS/* and test/CLASS/*")
    listing = {folder.name: _visible(folder) for folder in _visible(root / part) if folder.is_dir()}
    if len(listing) < 2:
        found = f"only the class {next(iter(listing))!r}" if listing else "no class folder"
        raise DataError(f"{root / part} has {found}; a data set needs at least 2, as {part}/CLASS/*")
    for name, files in listing.items():
        if not files:
            raise DataError(f"{root / part / name} has no images; put some there or remove it from both parts")
    return listing


def _visible(folder: Path) -> list[Path]:
    return sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _check_same_classes(root: Path, listings: Mapping[str, Listing]) -> None:
    train, test = (set(listings[part]) for part in PARTS)
    if train != test:
        lonely = (("train", train - test), ("test", test - train))
        extra = [f"only {part}/ has {_some(names)}" for part, names in lonely if names]
        raise DataError(f"the classes of train/ and test/ in {root} differ: {', '.join(extra)}; both need the same")


def _some(names: set[str], most: int = 3) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in sorted(names)[:most]) + rest


def _labels(listing: Listing) -> Tensor:
    counts = torch.tensor([len(files) for files in listing.values()])
    return torch.repeat_interleave(torch.arange(len(counts)), counts)


def _decode(listings: Mapping[str, Listing], image_size: int) -> dict[str, Tensor]:
    """Each part as ``(n, 3, height, width)`` uint8."""
    first = next(iter(listings["train"].values()))[0]
    shape = _read_image(first, image_size).shape
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes without the interpreter's lock
        return {part: _decode_part(pool, listing, image_size, first, shape) for part, listing in listings.items()}


def _decode_part(
    pool: ThreadPoolExecutor, listing: Listing, image_size: int, first: Path, shape: tuple[int, ...]
) -> Tensor:
    files = [file for group in listing.values() for file in group]
    images = np.empty((len(files), *shape), np.uint8)

    def fill(index: int) -> None:
        image = _read_image(files[index], image_size)
        if image.shape != shape:
            raise DataError(
                f"images differ in size: {first} is {_size(shape)}, {files[index]} is {_size(image.shape)}; "
                "resize all to N x N with --image-size N"
            )
        images[index] = image

    for _ in pool.map(fill, range(len(files))):  # the first error in this order ends it and cancels the rest
        pass
    return torch.from_numpy(images)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[2]}x{shape[1]}"  # width first, as people say it


def _read_image(path: Path, image_size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """``(3, height, width)`` uint8."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):  # Pillow would clip these to 255: white
                raise DataError(f"{path} has more than 8 bits a pixel (mode {image.mode}); convert it to 8 bits")
            rgb = image.convert("RGB")
    except DataError:
        raise
    except Exception as error:  # Pillow's readers raise anything on a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"cannot read the image {path}: {reason}; repair it or remove it") from error
    return np.asarray(_central_square(rgb, image_size) if image_size else rgb).transpose(2, 0, 1)


def _central_square(image: Image.Image, size: int) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))  # ImageOps.fit would blend in pixels from outside it
    return square.resize((size, size), Image.Resampling.BICUBIC)


def _checksum(images: Mapping[str, Tensor]) -> str:
    sha = hashlib.sha256()
    for part in PARTS:
        sha.update(repr((tuple(images[part].shape), str(images[part].dtype))).encode())
        sha.update(images[part].numpy().data)
    return sha.hexdigest()


def _read_cache(path: Path) -> dict[str, Tensor] | None:
    """What was decoded before, or None where there is nothing or it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            images = {part: file.get_tensor(part) for part in PARTS}
            return images if (file.metadata() or {}).get("sha256") == _checksum(images) else None
    except (OSError, SafetensorError):
        return None


def _write_cache(path: Path, images: dict[str, Tensor]) -> None:
    from safetensors.torch import save

    try:
        with writable_directory(path.parent):
            atomic_write_bytes(path, save(images, {"sha256": _checksum(images)}))
    except OSError as error:
        raise DataError(
            f"cannot write to {path.parent}: {error.strerror}; name a data directory that can be written"
        ) from error
