"""Any images on the disk, in a folder of class folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Interval
from torch import Tensor
from typing_extensions import Doc

from harness.data._decoding import DECODER, MODES, contents, decode, own_channels, read_cache, write_cache
from harness.data._listing import AUTO, PARTS, Listing, list_parts, order_note, parts_in, stamp
from harness.errors import SettingError, normal
from harness.files import expanded, resolved
from harness.identity import digest
from harness.plugin.dataset import Augmentation, Dataset, DataSource, Split
from harness.plugin.images import evaluation_set
from harness.plugin.settings import LATER


@dataclass(frozen=True, kw_only=True)
class Folder(DataSource):
    """Your own images in ``train/CLASS/*`` and ``test/CLASS/*`` (the layout of torchvision's ImageFolder).

    Takes any 8-bit format that Pillow reads, and converts it to RGB, or to grey if every image is grey (one image in
    colour makes all RGB): transparency is dropped, only the first frame of an animation taken, EXIF rotation ignored.
    An image of more than 67,108,864 pixels (8192x8192) is refused before it is decoded, and so is one that is a program
    (EPS, WMF). Every file must be an ordinary one, or a link to one. Names that begin with a dot are skipped. Examples
    are sorted by class, then by file name. Decoded pixels are kept in ``folder-cache`` below the data directory, and
    used again as long as path, names, sizes, and times of all files stay the same. The cache may be deleted at any
    time.

    To evaluate a model from elsewhere, only ``test`` is read, and only as many images as the limit are decoded. Such a
    data set is identified by the bytes of its test files, or by all pixels if these were decoded before.

    Departs: ImageFolder sorts classes by letters; here class folders whose names are all numbers are sorted by number.
    """

    argument: ClassVar[str | None] = "path"

    path: Annotated[str, Doc("folder that holds train/CLASS/* and test/CLASS/*")]
    image_size: Annotated[
        int,
        Ge(0),
        Doc("0: the images' own size, which must be equal; N: the central square of each, resized to N x N"),
    ] = 0
    class_order: Annotated[
        str,
        LATER,
        Doc("auto (numbers by number, other names by letters), names, numbers, A,B,C, or a file with one class a line"),
    ] = AUTO
    channels: Annotated[
        int, LATER, Interval(ge=0, le=3), Doc("3: RGB; 1: grey; 0: grey if every image of the folder is, else RGB")
    ] = 0

    def check(self) -> None:
        if self.channels not in (0, *MODES):
            raise SettingError(
                f"channels={self.channels} is refused: write 3 for RGB, 1 for grey, or 0 for what the images are"
            )

    def load(self, data_dir: Path) -> Dataset:
        listings = list_parts(self._root, PARTS, self.class_order)
        cache = self._cache(data_dir, listings)
        images = read_cache(cache, PARTS)
        if images is None:
            images = decode({part: _files(listings[part]) for part in PARTS}, self.image_size, self._read_as(listings))
            write_cache(cache, images)
        train, test = (Split(images[part], _labels(listings[part])) for part in PARTS)
        return self._dataset(train, test, tuple(listings["train"]))

    def load_for_evaluation(self, data_dir: Path, limit: int | None) -> Dataset:
        """Read the test images, or a balanced sample of them; both parts if the cache has both, or without a limit."""
        parts = parts_in(self._root)
        listings = list_parts(self._root, parts or PARTS, self.class_order)
        if parts == list(PARTS) and (limit is None or self._cache(data_dir, listings).is_file()):
            return self.load(data_dir)
        files, labels = _files(listings["test"]), _labels(listings["test"])
        images = evaluation_set(None if limit is None else min(limit, len(files)), len(files))
        places = images.places(labels.tolist())
        decisive = {"test": listings["test"]} if self.channels else listings
        cache = self._cache(data_dir, decisive, images.count)
        pixels = read_cache(cache, ["test"])
        if pixels is None:
            chosen = {"test": [files[place] for place in places]}
            pixels = decode(chosen, self.image_size, self._read_as(listings))
            write_cache(cache, pixels)
        test = Split(pixels["test"], labels[places])
        nothing = Split(pixels["test"][:0], labels[:0])
        whole = self._dataset(nothing, test, tuple(listings["test"]))
        return replace(
            whole,
            sampled_from=len(files) if images.count < len(files) else None,
            identified_by=self._named_by_files(listings["test"], channels=test.images.shape[1]),
        )

    @property
    def _root(self) -> Path:
        return resolved(expanded(self.path))

    def _read_as(self, listings: Mapping[str, Listing]) -> int:
        """How many channels the images are read as."""
        parts = sorted(listings)  # test first: an evaluation mostly reads no other
        return self.channels or own_channels([file for part in parts for file in _files(listings[part])])

    def _dataset(self, train: Split, test: Split, classes: tuple[str, ...]) -> Dataset:
        return Dataset(
            name=f"folder:{normal(self._root.name)}",
            train=train,
            test=test,
            classes=classes,
            augmentation=Augmentation(crop_padding=4, flip=True),
            notes=(order_note(classes, self.class_order), *self._grey_note(test)),
        )

    def _grey_note(self, test: Split) -> tuple[str, ...]:
        told = "its images are grey and read as such; --channels 3 repeats each as RGB, as earlier versions did"
        return (told,) if self.channels == 0 and test.images.shape[1] == 1 else ()

    def _cache(self, data_dir: Path, listings: Mapping[str, Listing], *more: int) -> Path:
        read_as = {0: ["as they are"], 1: ["grey"], 3: []}[self.channels]
        key = digest([DECODER, str(self._root), self.image_size, stamp(listings), *read_as, *more])
        return data_dir / "folder-cache" / f"{key}.safetensors"

    def _named_by_files(self, listing: Listing, channels: int) -> str:
        """SHA-256 over the classes, and over the name and the bytes of every test file, decoded or not."""
        files = _files(listing)
        named: list[Any] = [[file.name, sha256] for file, sha256 in zip(files, contents(files), strict=True)]
        counts = [len(group) for group in listing.values()]
        return digest(["test files", DECODER, self.image_size, channels, list(listing), counts, named])


def _files(listing: Listing) -> list[Path]:
    return [file for group in listing.values() for file in group]


def _labels(listing: Mapping[str, Sequence[Path]]) -> Tensor:
    counts = torch.tensor([len(files) for files in listing.values()])
    return torch.repeat_interleave(torch.arange(len(counts)), counts)
