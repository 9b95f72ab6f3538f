"""Tiny ImageNet, from the folder that its archive unpacks to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from harness.data._decoding import DECODER, decode, read_cache, write_cache
from harness.data._listing import stamp
from harness.errors import DataError
from harness.identity import digest
from harness.plugin.dataset import Augmentation, Dataset, DataSource, Split
from harness.plugin.network import Shape

FOLDER = "tiny-imagenet-200"
URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
ENDINGS = (".jpeg", ".jpg", ".png")
IMAGES = {"train": 100_000, "test": 10_000}  # that are published

Listed = Mapping[str, Sequence[Path]]  # WordNet's number of a class -> its files, sorted by name


@dataclass(frozen=True, kw_only=True)
class TinyImageNet(DataSource):
    """110,000 colour 64x64 photographs of 200 kinds of things (Le & Yang, CS231N, Stanford 2015).

    100,000 to train; the published validation images, 10,000, to test, since the test images have no published labels.
    Classes are sorted by WordNet's number, as ImageFolder sorts them, and named by the first word of ``words.txt``.
    Augmentation: random crop after padding by 4, random flip. Nothing is downloaded: unpack the archive into the data
    directory. Decoded pixels are kept in ``folder-cache`` there, as those of folders are.
    """

    outline: ClassVar[tuple[Shape, int, int] | None] = (Shape(3, 64, 64, 200), IMAGES["train"], IMAGES["test"])

    def here(self, data_dir: Path) -> bool:
        return (data_dir / FOLDER / "train").is_dir()

    def load(self, data_dir: Path) -> Dataset:
        root = data_dir / FOLDER
        if not self.here(data_dir):
            raise DataError(
                f"there is no folder {root} with Tiny ImageNet: get {URL}, unpack it into {data_dir}, or use --dataset"
                " digits, which needs no download"
            )
        try:
            folders = [folder for folder in sorted((root / "train").iterdir()) if not folder.name.startswith(".")]
            train = {folder.name: _images(folder / "images") for folder in folders}
            parts = {"train": train, "test": _annotated(root / "val", train)}
            classes = _names(root / "words.txt", list(train))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not in UTF-8"
            file = error.filename if isinstance(error, OSError) else root
            raise DataError(f"cannot read {file}: {reason}; unpack {URL} into {data_dir} again") from error
        counts = {part: sum(map(len, listed.values())) for part, listed in parts.items()}
        if counts != IMAGES:
            raise DataError(
                f"{root} has {counts['train']} and {counts['test']} images to train and to test, not the published"
                f" {IMAGES['train']} and {IMAGES['test']}; unpack {URL} into {data_dir} again"
            )
        key = digest(["tiny-imagenet", DECODER, str(root), stamp(parts)])
        cache = data_dir / "folder-cache" / f"{key}.safetensors"
        images = read_cache(cache, list(parts))
        if images is None:
            images = decode(
                {part: [f for files in listed.values() for f in files] for part, listed in parts.items()}, 0, 3
            )
            write_cache(cache, images)
        made = {part: Split(images[part], _labels(listed)) for part, listed in parts.items()}
        augmentation = Augmentation(crop_padding=4, flip=True)
        return Dataset("tiny-imagenet", made["train"], made["test"], classes, augmentation=augmentation)


def _images(folder: Path) -> list[Path]:
    shown = (file for file in folder.iterdir() if not file.name.startswith("."))
    found = sorted(file for file in shown if file.suffix.lower() in ENDINGS)
    if not found:
        raise DataError(f"there are no images in {folder}; unpack {URL} again")
    return found


def _annotated(folder: Path, known: Listed) -> Listed:
    """The files of each class, from lines ``FILE<tab>CLASS<tab>box``."""
    annotations = folder / "val_annotations.txt"
    listed: dict[str, list[Path]] = {number: [] for number in known}
    for line in annotations.read_text(encoding="utf-8").splitlines():
        name, number = [*line.split("\t"), ""][:2]
        if number not in listed or Path(name).name != name:
            raise DataError(f"cannot read {annotations}: {line[:60]!r} names no image and class; unpack {URL} again")
        listed[number].append(folder / "images" / name)
    return {number: sorted(files) for number, files in listed.items()}


def _names(words: Path, numbers: Sequence[str]) -> tuple[str, ...]:
    """The first word of each class, with its number where two classes share it; the number where there is no word."""
    lines = (line.split("\t", 1) for line in words.read_text(encoding="utf-8").splitlines())
    first = {number: (rest[0] if rest else "").split(",")[0].strip() for number, *rest in lines}
    counts = Counter(first.get(number, "") for number in numbers)
    named = {number: first.get(number, "") for number in numbers}
    return tuple(
        number if not word else word if counts[word] == 1 else f"{word} ({number})" for number, word in named.items()
    )


def _labels(listed: Listed) -> torch.Tensor:
    counts = torch.tensor([len(files) for files in listed.values()])
    return torch.repeat_interleave(torch.arange(len(counts)), counts)
