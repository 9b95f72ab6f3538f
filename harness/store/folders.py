"""Where the files of a stored run or model lie: in one folder of the runs' folder, whatever a row says."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from harness.errors import StoreError, quoted
from harness.files import is_plain_name


class InFolder(Protocol):
    """A run, as far as its folder goes."""

    @property
    def id(self) -> int: ...

    @property
    def folder(self) -> str: ...


def run_folder(runs_dir: Path, run: InFolder) -> Path:
    """The folder of a run.

    Raises:
        StoreError: the row names a path, as a row that another program wrote may: nothing is read or written there.
    """
    if not is_plain_name(run.folder):
        raise StoreError(
            f"run {run.id} has the folder {quoted(run.folder)}: it is refused, since a run's folder is one name below"
            f" --runs-dir; `harness rm {run.id}` removes the run"
        )
    return runs_dir / run.folder


def model_folder(runs_dir: Path, sha256: str) -> Path:
    """The folder of a model from elsewhere, which has the log of its evaluations."""
    name = f"model-{sha256[:8]}"
    if not is_plain_name(name):
        raise StoreError(f"a model has the SHA-256 {quoted(sha256)}: it is refused, since it is no such number")
    return runs_dir / name
