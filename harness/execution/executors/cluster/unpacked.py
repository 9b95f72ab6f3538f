"""Unpacks a parcel on the worker's machine: the item as this process can perform it, in a folder of its own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from harness.errors import HarnessError
from harness.execution.executors.cluster.parcel import Parcel, SentFile
from harness.execution.executors.shared_images import dataset_with
from harness.execution.loaded import forget_dataset, forget_model
from harness.execution.work import BlockWork, ExamineWork, TrainWork, Work
from harness.files import atomic_write_bytes
from harness.planning.assessment import GivenImages
from harness.plugin.dataset import Dataset
from harness.registry.catalogue import PLUGIN_FOLDER_VARIABLE
from harness.registry.importing import forget as forget_modules
from harness.runtime.provenance import host
from harness.targets.model import ElsewhereWeights, RunWeights, Weights
from harness.targets.weights import FileTarget
from harness.training.state_file import STATE_FILE
from harness.unfinished import unfinished_folder

_KEPT = 2  # files of weights that a worker keeps; blocks of one model follow each other
_kept: dict[str, Dataset] = {}
_open = contextlib.ExitStack()  # ends with the process


@contextlib.contextmanager
def unpacked(parcel: Parcel, fetch: Any) -> Iterator[Work]:
    """The item to perform: it works in a new folder, which is removed at the end, on what travelled with it.

    Args:
        fetch: gives the value of a reference.
    Raises:
        HarnessError: this machine has no such device.
    """
    os.environ.pop(PLUGIN_FOLDER_VARIABLE, None)  # the command's plugins count, not this machine's
    with (
        contextlib.ExitStack() as stack,
        tempfile.TemporaryDirectory(dir=_place() / "items", ignore_cleanup_errors=True) as name,
    ):
        folder, work = Path(name), parcel.work
        plugins: tuple[Path, ...] = ()
        if parcel.code is not None:
            root = _written_code(*parcel.code, fetch)
            plugins = tuple(_below(root, path) for path in parcel.plugins)
            directory = _below(root, parcel.directory)  # a plugin may read a file that is named from there
            directory.mkdir(parents=True, exist_ok=True)
            stack.enter_context(contextlib.chdir(directory))
        place = GivenImages(**(vars(work.place) | {"dataset": _dataset(*parcel.dataset, fetch)}))
        common: dict[str, Any] = {
            "folder": folder,
            "plugins": plugins,
            "place": place,
            "device": _device(work.device),
        }
        if isinstance(work, TrainWork):
            common["trained"] = _trained(work, folder, parcel.files, fetch)
            for file in parcel.files:
                if file.path.parent == parcel.directory / work.folder:
                    (folder / STATE_FILE).write_bytes(_content(file, fetch))
        else:
            assert isinstance(work, (BlockWork, ExamineWork))
            common["weights"] = _weights(work.weights, parcel.files, fetch)
        yield replace(work, **common)


def forget_command() -> None:
    """Keep nothing of the command before: what its plugins read on import may be another thing for the next one."""
    _kept.clear()
    forget_dataset()
    forget_model()
    forget_modules()


@cache
def _place() -> Path:
    """The folder of this process, on the machine's own disk; what dead processes left is removed."""
    base = Path(tempfile.gettempdir()) / f"harness-workers-{os.getuid()}"
    with contextlib.suppress(FileExistsError):  # perhaps as a file
        base.mkdir(mode=0o700)
    found = base.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise HarnessError(f"{base} on {host()} is not this user's folder: remove it there")
    place = _open.enter_context(unfinished_folder(base / "worker"))
    for name in ("items", "weights", "code"):
        (place / name).mkdir()
    return place


def _dataset(key: str, reference: Any, fetch: Any) -> Dataset:
    if key not in _kept:
        _kept.clear()
        _kept[key] = dataset_with(*fetch(reference))
    return _kept[key]


def _content(file: SentFile, fetch: Any) -> bytes:
    """The bytes of a file: from where the command has it, if this machine sees the same there; else as sent."""
    with contextlib.suppress(OSError):
        content = file.path.read_bytes()
        if hashlib.sha256(content).hexdigest() == file.sha256:
            return content
    content = fetch(file.content)
    return bytes(content)


def _weights(weights: Weights, files: tuple[SentFile, ...], fetch: Any) -> Weights:
    """The weights, in a file of this machine. A model of the user's own code is sought where the command has it."""
    for file in files:
        kept = _place() / "weights"
        here = kept / f"{file.sha256}{file.path.suffix}"
        if not here.exists():
            for old in sorted(kept.iterdir(), key=lambda path: path.stat().st_mtime_ns)[: 1 - _KEPT]:
                old.unlink()
            atomic_write_bytes(here, _content(file, fetch))
        if isinstance(weights, RunWeights):
            return replace(weights, file=here)
        if isinstance(weights, ElsewhereWeights) and isinstance(weights.target, FileTarget):
            return replace(weights, target=replace(weights.target, file=here))
    return weights


def _trained(work: TrainWork, folder: Path, files: tuple[SentFile, ...], fetch: Any) -> tuple[RunWeights, ...]:
    """The networks that the training's settings name, in files of the item's folder, which are no files of the run."""
    here = {file.sha256: folder / f"named-{file.sha256}{file.path.suffix}" for file in files}
    for file in files:
        if any(weights.sha256 == file.sha256 for weights in work.trained):
            here[file.sha256].write_bytes(_content(file, fetch))
    return tuple(replace(weights, file=here[weights.sha256]) for weights in work.trained)


def _written_code(key: str, reference: Any, fetch: Any) -> Path:
    """The folder below which the user's files lie as they lie below the root of the command's machine."""
    root = _place() / "code" / key
    if not root.exists():
        with unfinished_folder(root) as made:
            for path, content in fetch(reference).items():
                file = _below(made, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, Path):
                    file.symlink_to(_below(root, content))
                else:
                    file.write_bytes(content)
            made.rename(root)
    return root


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to(path.anchor)


def _device(planned: torch.device) -> torch.device:
    """The device of this process: the one that Ray gave it, if it is of CUDA."""
    if planned.type != "cuda":
        return planned
    if not torch.cuda.is_available():
        raise HarnessError(
            f"the worker on {host()} was given a CUDA device, and its torch {torch.__version__} finds none: install a"
            " driver and a torch that fit each other there, or take the node out of the cluster"
        )
    return torch.device("cuda", 0)
