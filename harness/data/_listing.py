"""The class folders of a data set on the disk: their files, and the order of the classes."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError, SettingError, listed, normal, quoted, visible
from harness.files import why_no_file

PARTS = ("train", "test")
AUTO = "auto"
_CONTROLS = ("Cc", "Zl", "Zp", "Cf")  # Unicode's categories; of the last, words of some languages need the joiners
_JOINERS = "\u200c\u200d"
_NUMBER = re.compile(r"-?[0-9]+")

Listing = Mapping[str, Sequence[Path]]
"""Class name (in Unicode's form NFC) -> its image files, sorted by name; in the order of the classes."""


def list_parts(root: Path, parts: Sequence[str], class_order: str) -> dict[str, Listing]:
    """List the files of some parts, such as train and test; all parts must have the same classes.

    Args:
        class_order: see ``ordered``.
    Raises:
        DataError: the folder does not exist, has no classes, or the parts have different classes.
        SettingError: the class order does not fit the classes.
    """
    _refuse_controls(root)
    try:
        if not root.is_dir():
            raise DataError(f"there is no folder {root}; give one that holds train/CLASS/* and test/CLASS/*")
        found = {part: _list_part(root, part) for part in parts}
        _check_same_classes(root, found)
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}; make it readable or remove it") from error
    classes = ordered(next(iter(found.values())), class_order)
    return {part: {name: listing[name] for name in classes} for part, listing in found.items()}


def parts_in(root: Path) -> list[str]:
    """Which of the parts a folder has; DataError if that cannot be told."""
    try:
        return [part for part in PARTS if (root / part).is_dir()]
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}; name another folder") from error


def stamp(listings: Mapping[str, Listing]) -> list[Any]:
    """Names, sizes, and times of all files: the stamp differs if a file was added, removed, or changed.

    Raises:
        DataError: one is no ordinary file and no link to one, or cannot be read.
    """
    try:
        return [
            [part, name, file.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns]  # ctime: tar resets mtime
            for part, listing in listings.items()
            for name, files in listing.items()
            for file in files
            for status in [_status(file)]
        ]
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}; make it readable or remove it") from error


def _status(file: Path) -> os.stat_result:
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, and a device read, for ever
        raise DataError(f"cannot read {file}: it {why_no_file(file)}; an image is an ordinary file: remove it")
    return status


def ordered(names: Iterable[str], class_order: str) -> list[str]:
    """The classes in the order of a network's outputs.

    Args:
        class_order: ``names``: by letters, as torchvision's ImageFolder sorts; ``numbers``: by number; all names,
            separated by commas; a text file with one name on each line; ``auto``: by number if all names are numbers,
            else by letters.
    Raises:
        SettingError: for ``numbers``, a name is not a number, or two are the same number; for a list, the names are not
            those of the classes.
    """
    known = sorted(names)
    asked = normal(class_order)
    if asked == "names":
        return known
    if asked == "numbers" or (asked == AUTO and all(_NUMBER.fullmatch(name) for name in known)):
        return _by_number(known)
    return known if asked == AUTO else _as_listed(known, asked, class_order)


def _by_number(known: Sequence[str]) -> list[str]:
    words = [name for name in known if not _NUMBER.fullmatch(name)]
    if words:
        raise SettingError(f"--class-order numbers is refused: {words[0]!r} is not a number; write names, or list them")
    if len({int(name) for name in known}) < len(known):
        raise SettingError(
            "two class folders have the same number, such as 1 and 01: give --class-order names, or list the classes"
        )
    return sorted(known, key=int)


def _as_listed(known: Sequence[str], asked: str, class_order: str) -> list[str]:
    listed = [name.strip() for name in asked.split(",")]
    if sorted(listed) != list(known):
        listed = _lines_of(class_order) or listed
    if sorted(listed) != list(known):
        wrong = sorted(set(listed) ^ set(known)) or [name for name in listed if listed.count(name) > 1]
        raise SettingError(
            f"--class-order {visible(class_order)} is refused: it must name each class once, but differs in"
            f" {some(wrong)}; write names, numbers, all names with commas, or a file with one name a line"
        )
    return listed


def _lines_of(file: str) -> list[str]:
    """The lines of a file, one name each; an empty list if there is no such file."""
    try:
        text = Path(file).read_text(encoding="utf-8-sig") if Path(file).is_file() else ""
    except UnicodeDecodeError:
        raise SettingError(f"--class-order {visible(file)} is refused: save the file as a text in UTF-8") from None
    except OSError:  # the text is a list of classes, longer than a file name may be
        return []
    return [line.strip() for line in normal(text).splitlines() if line.strip()]


def order_note(classes: Sequence[str], class_order: str) -> str:
    """The order of the classes, for the user; where another order is plausible, with the option that sets it."""
    shown = ", ".join(classes) if len(classes) <= 6 else f"{', '.join(classes[:3])}, ..., {classes[-1]}"
    by_letters, natural = sorted(classes), sorted(classes, key=_natural)
    hint = ""
    if class_order == AUTO and list(classes) != by_letters:
        hint = "; by number, but ImageFolder sorts by letters: for a model trained with it, give --class-order names"
    elif class_order == AUTO and by_letters != natural:
        hint = "; by letters, as ImageFolder sorts; for another order, list the classes in --class-order"
    return f"{len(classes)} classes, in this order: {shown}{hint}"


def _natural(name: str) -> list[Any]:
    """Sort key in which digits count as numbers: class2 comes before class10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"([0-9]+)", name)]


def _list_part(root: Path, part: str) -> Listing:
    if not (root / part).is_dir():
        raise DataError(f"{root} has no folder {part}/; images go into train/CLASS/* and test/CLASS/*")
    listing: dict[str, Sequence[Path]] = {}
    for folder in (folder for folder in _visible(root / part) if folder.is_dir()):
        _refuse_controls(folder)
        name = normal(folder.name)  # systems encode the same name with different bytes
        if name in listing:
            raise DataError(f"{root / part} has two folders with the same Unicode name {name!r}; join them")
        listing[name] = _visible(folder)
    if len(listing) < 2:
        found = f"only the class {next(iter(listing))!r}" if listing else "no class folder"
        raise DataError(f"{root / part} has {found}; a data set needs at least 2, as {part}/CLASS/*")
    for name, files in listing.items():
        if not files:
            raise DataError(f"{root / part / name} has no images; put some there or remove it from both parts")
    return listing


def _refuse_controls(folder: Path) -> None:
    """A name of one line, in which each character is seen, is what tables and files with one class a line can hold."""
    inked = "".join(character for character in folder.name if character.isprintable())
    controls = {unicodedata.category(character) for character in folder.name if character not in _JOINERS}
    if not controls.isdisjoint(_CONTROLS) or visible(inked) != inked:
        raise DataError(
            f"the folder {quoted(folder.name)} in {visible(str(folder.parent))} is refused: a control character, a line"
            " break, or an invisible character is in its name; rename it"
        )


def _visible(folder: Path) -> list[Path]:
    return sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _check_same_classes(root: Path, listings: Mapping[str, Listing]) -> None:
    sets = {part: set(listing) for part, listing in listings.items()}
    if len(sets) == len(PARTS) and sets["train"] != sets["test"]:
        lonely = (("train", sets["train"] - sets["test"]), ("test", sets["test"] - sets["train"]))
        extra = [f"only {part}/ has {some(names)}" for part, names in lonely if names]
        raise DataError(f"the classes of train/ and test/ in {root} differ: {', '.join(extra)}; both need the same")


def some(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    return listed([repr(name) for name in sorted(names)])
