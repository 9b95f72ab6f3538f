"""Write a site into a folder: the whole of it or nothing, and never over files that harness did not write."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from harness.errors import HarnessError, listed
from harness.files import require_writable, resolved, writable_directory
from harness.unfinished import clear_dead, dead_in, locked, name_aside, unfinished_folder

MARK = "harness-site.json"  # lists the files that harness wrote, so that the next site replaces these and no others


def write_site(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files into a folder, in place of an older site.

    The site is written beside the folder, and takes its place when it is complete. Files that harness did not write
    into an older site, such as a host's settings, are carried over.

    Raises:
        HarnessError: the folder cannot be written, or it has files and is no site of harness. Nothing was changed.
    """
    folder = resolved(folder)  # a link stays a link to the folder
    try:
        _finish_dead(folder)
        old = check_place(folder)
        with writable_directory(folder.parent), unfinished_folder(folder) as new:
            _fill(new, files)
            _swap(folder, new, old)
    except OSError as error:
        raise HarnessError(f"--out {folder} cannot be written: {error.strerror}; choose another place") from None


def check_place(folder: Path) -> list[str]:
    """The files of the older site that a folder holds.

    Raises:
        HarnessError: the folder cannot take a site.
    """
    folder = resolved(folder)
    if folder == resolved(Path.cwd()):
        raise HarnessError(f"--out {folder} is refused: it is the working directory; name a folder for the site alone")
    if folder.exists() and not folder.is_dir():
        raise HarnessError(f"--out {folder} is refused: it is a file; name a folder for the site")
    try:
        require_writable(folder.parent)
        held = sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []
        if not held:
            return []
        return _listed(folder)
    except FileNotFoundError:
        raise HarnessError(
            f"--out {folder} is refused: it has {listed(held)}, which harness did not write; name an empty folder"
        ) from None
    except OSError as error:
        raise HarnessError(f"--out {folder} cannot be written: {error}; choose another place") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise HarnessError(f"--out {folder} is refused: its {MARK} is damaged; name an empty folder") from None


def _listed(folder: Path) -> list[str]:
    """The files of a site, as its mark lists them."""
    old = json.loads((folder / MARK).read_text(encoding="utf-8"))["files"]
    return [name for name in old if isinstance(name, str) and _inside(folder, name)]


def _inside(folder: Path, name: str) -> bool:
    return resolved(folder / name).is_relative_to(folder)


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    listing = json.dumps({"files": sorted([*files, MARK])}, indent=1).encode()
    for name, content in {**files, MARK: listing}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _swap(folder: Path, new: Path, old: list[str]) -> None:
    if not folder.exists():
        new.rename(folder)
        return
    aside = name_aside(folder)
    with locked(folder):
        folder.rename(aside)
        try:
            new.rename(folder)
        except OSError:
            aside.rename(folder)
            raise
        _carry_over(aside, folder, old)


def _finish_dead(folder: Path) -> None:
    """Finish the swap of a process that died before, or after, its new site had taken the place of the old one."""
    clear_dead(folder.parent)
    for aside, place in dead_in(folder.parent):
        if place == folder and aside.is_dir():
            try:
                old = _listed(aside)
            except (OSError, ValueError, KeyError, TypeError, RecursionError):  # the mark goes last, or is damaged
                old = []
            _carry_over(aside, folder, old)


def _carry_over(aside: Path, folder: Path, old: list[str]) -> None:
    """Remove an old site, and move what harness did not write into the new one."""
    _remove(aside, [name for name in old if name != MARK])
    for path in sorted(aside.rglob("*")) if aside.exists() else []:
        target = folder / path.relative_to(aside)
        if not target.exists():
            path.rename(target)
    _remove(aside, [MARK])  # last: as long as it is there, what harness wrote is known


def _remove(folder: Path, names: list[str]) -> None:
    """Remove the named files, and the folders that are empty then."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for place, _, _ in os.walk(folder, topdown=False):
        if not any(Path(place).iterdir()):
            Path(place).rmdir()
