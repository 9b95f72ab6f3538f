"""A good command, to which a bad input is added, and what its folder holds."""

from __future__ import annotations

from pathlib import Path

RUN = "run sat --dataset digits --arch smallcnn"  # what a bad input is added to: alone, it would train


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}
