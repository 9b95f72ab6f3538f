"""What travels to the worker of a cluster that performs an item: plain data, and references to what is shared.

Nothing of it is a secret: the database's address stays with the command, which alone writes there.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.execution.executors.cluster.software import software
from harness.execution.executors.shared_images import arrays_of
from harness.execution.loaded import dataset_of, forget_dataset
from harness.execution.work import BlockWork, ExamineWork, TrainWork, Work
from harness.files import resolved, why_no_file
from harness.identity import digest
from harness.registry.catalogue import PLUGIN_FOLDER_VARIABLE
from harness.registry.source import closure
from harness.targets.model import ElsewhereWeights, RunWeights
from harness.targets.weights import FileTarget
from harness.training.state_file import STATE_BEFORE, STATE_FILE, DamagedState, read_state

_KEPT = 4  # files of weights that stay in the cluster's memory after an item, since the next may attack them, too

Put = Callable[[Any], Any]
"""Puts a value into the cluster's memory, and gives the reference to it."""


@dataclass(frozen=True)
class SentFile:
    """A file that an item reads.

    Attributes:
        path: where the command has it; a worker that sees the same file there reads it there.
        content: the reference to its bytes.
    """

    path: Path
    sha256: str
    content: Any


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """An item with all that its worker needs.

    Attributes:
        command, sign: the name of the command, and the reference that ``follow`` waits for.
        work: as the command has it: its paths are those of the command's machine.
        software, mixed: see ``refuse_other_software``.
        dataset: names the data set, with the reference to it as ``arrays_of`` gives it.
        files: those that the item reads.
        code: names the user's plugin files, with the reference to them: absolute path -> content, or what a link leads
            to. None: there are none.
        plugins: the plugin files and folders, absolute.
        directory: the folder in which the command works.
    """

    command: str
    sign: Any
    work: Work
    software: dict[str, str]
    mixed: bool
    dataset: tuple[str, Any]
    files: tuple[SentFile, ...]
    code: tuple[str, Any] | None
    plugins: tuple[Path, ...]
    directory: Path


class Packer:
    """Packs the items of a command; what several need is put into the cluster's memory once."""

    def __init__(self, command: str, sign: Any, put: Put, *, mixed: bool) -> None:
        self._command, self._sign, self._put, self._mixed = command, sign, put, mixed
        self._datasets: dict[str, Any] = {}
        self._files: OrderedDict[str, Any] = OrderedDict()
        self._code: dict[tuple[Path, ...], tuple[str, Any] | None] = {}

    def parcel(self, work: Work) -> Parcel:
        """Pack an item as it is now: a training with its newest whole state."""
        folder = os.environ.get(PLUGIN_FOLDER_VARIABLE)
        places = [Path(folder)] if folder and Path(folder).is_dir() else []
        plugins = tuple(map(_named, [*places, *work.plugins]))
        own = work.folder if isinstance(work, TrainWork) else None  # its state is of no other item
        return Parcel(
            command=self._command,
            sign=self._sign,
            work=_bare(work),
            software=software(),
            mixed=self._mixed,
            dataset=self._dataset(work),
            files=tuple(self._file(path, shared=path.parent != own) for path in _read_by(work)),
            code=self._plugin_files(plugins),
            plugins=plugins,
            directory=Path.cwd(),
        )

    def _dataset(self, work: Work) -> tuple[str, Any]:
        place = work.place
        key = digest([work.dataset_fingerprint, place.evaluation_only, place.limit, str(place.extra or "")])
        if key not in self._datasets:
            self._datasets[key] = self._put(arrays_of(dataset_of(place, work.plugins)))
            forget_dataset()  # the cluster has it
        return key, self._datasets[key]

    def _file(self, path: Path, *, shared: bool) -> SentFile:
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        if not shared:
            return SentFile(path.absolute(), sha256, self._put(content))
        if sha256 not in self._files:
            self._files[sha256] = self._put(content)
            if len(self._files) > _KEPT:
                self._files.popitem(last=False)
        self._files.move_to_end(sha256)
        return SentFile(path.absolute(), sha256, self._files[sha256])

    def _plugin_files(self, plugins: tuple[Path, ...]) -> tuple[str, Any] | None:
        if plugins not in self._code:
            named = [file for path in plugins for file in (sorted(path.glob("*.py")) if path.is_dir() else [path])]
            files = [file for file in named if why_no_file(file) is None]  # a folder may have links to nothing
            contents: dict[Path, bytes | Path] = {file: file.read_bytes() for file in closure(files).files}
            contents |= {file: resolved(file) for file in files if file.is_symlink()}
            key = digest({str(file): _version(content) for file, content in contents.items()})
            self._code[plugins] = (key, self._put(contents)) if contents else None
        return self._code[plugins]


def _named(path: Path) -> Path:
    """A plugin's whole path; only a file's last part may be a link, since the name of the link is the plugin's."""
    return resolved(path) if path.is_dir() else resolved(path.parent) / path.name


def _version(content: bytes | Path) -> str:
    return str(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()


def _bare(work: Work) -> Work:
    """The item without its guard, which knows the database's address."""
    return replace(work, guard=None) if isinstance(work, TrainWork) else work


def _read_by(work: Work) -> list[Path]:
    """The files of the command's machine that an item reads, besides the data set and the plugins."""
    if isinstance(work, TrainWork):
        return [*_newest_state(work.folder), *(weights.file for weights in work.trained)]
    assert isinstance(work, (BlockWork, ExamineWork))
    if isinstance(work.weights, RunWeights):
        return [work.weights.file]
    target = work.weights.target if isinstance(work.weights, ElsewhereWeights) else None
    return [target.file] if isinstance(target, FileTarget) else []


def _newest_state(folder: Path) -> list[Path]:
    """The newest whole state of a training; a damaged one if there is no other, so that the training refuses it."""
    there = [file for file in (folder / STATE_FILE, folder / STATE_BEFORE) if file.exists()]
    for file in there:
        try:
            read_state(file)
        except DamagedState:
            continue
        return [file]
    return there[:1]
