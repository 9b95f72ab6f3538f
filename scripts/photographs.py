"""Class folders of photographs for a board: all of them, or a fixed subset with as many of each class.

The photographs come as ``train/CLASS/*`` and ``test/CLASS/*``, in a folder or in an archive that ``tarfile`` reads.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

PARTS = ("train", "test")
CHOICE = ".choice.json"  # in a folder of photographs: which were asked for


def chosen(names: Iterable[str], per_class: Mapping[str, int]) -> list[str]:
    """The names of the photographs to take, sorted.

    Within a class the photographs are ordered by the SHA-256 of their names, since neighbours may be alike. So the
    choice depends on the names alone, and a larger subset contains every smaller one.

    Args:
        names: ``PART/CLASS/FILE`` each; any other name is left out.
        per_class: part -> how many photographs of each class; a part that is not named gives all.
    """
    classes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in names:
        parts = PurePosixPath(name).parts
        if len(parts) == 3 and parts[0] in PARTS and not parts[2].startswith("."):
            classes[parts[0], parts[1]].append(name)
    taken = []
    for (part, label), members in classes.items():
        wanted = per_class.get(part, len(members))
        if wanted > len(members):
            sys.exit(f"{part}/{label} has {len(members)} photographs, fewer than the {wanted} that the board asks for")
        taken += sorted(members, key=_key)[:wanted]
    if not taken:
        sys.exit("there are no photographs in train/CLASS/* and test/CLASS/*")
    return sorted(taken)


def _key(name: str) -> bytes:
    return hashlib.sha256(f"photograph {name}".encode()).digest()


def unpack(source: Path, target: Path, per_class: Mapping[str, int]) -> None:
    """Put the chosen photographs into a folder. A folder that is there is complete, and is left as it is.

    Raises:
        SystemExit: the folder that is there holds another choice of photographs.
    """
    choice = json.dumps([source.name, dict(sorted(per_class.items()))])
    if target.is_dir():
        if not (target / CHOICE).exists() or (target / CHOICE).read_text(encoding="utf-8") != choice:
            sys.exit(f"{target} holds other photographs than the board asks for: move it away, or give another --work")
        return
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a start that was stopped
    part.mkdir(parents=True)
    if source.is_dir():
        names = [path.relative_to(source).as_posix() for path in sorted(source.glob("*/*/*"))]
        for name in chosen(names, per_class):
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, part / name)
    elif source.is_file():
        with tarfile.open(source) as archive:
            members = {PurePosixPath(member.name).as_posix(): member for member in archive if member.isfile()}
            wanted = set(chosen(members, per_class))
            in_order = [member for name, member in members.items() if name in wanted]
            archive.extractall(part, in_order, filter="data")
    else:
        sys.exit(f"there are no photographs at {source}")
    (part / CHOICE).write_text(choice, encoding="utf-8")
    part.rename(target)
