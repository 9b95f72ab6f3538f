"""Reads a weights file: only tensors, never code."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from harness.errors import did_you_mean, near_misses, one_line
from harness.files import why_no_file
from harness.targets.target import TargetError
from harness.training.checkpoints import METADATA_KEY

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar")
_GLOBAL = re.compile(r"(?:GLOBAL|global:?|class) ([A-Za-z_][\w.]*\.[\w.]+)")
_SAVE = "save the state dict alone, torch.save(model.state_dict(), FILE)"


@dataclass(frozen=True)
class WeightsFile:
    """What a weights file holds."""

    content: Any  # tensors by name, or mappings that hold them
    sha256: str  # of the file
    run: dict[str, Any] = field(
        default_factory=dict
    )  # that trained it, as harness wrote it; empty in a stranger's file
    notes: dict[str, str] = field(default_factory=dict)  # a safetensors file's texts besides its tensors


def read_weights_file(path: Path) -> WeightsFile:
    """Read a safetensors file, or what ``torch.save`` wrote; the content decides, not the name.

    ``torch.load`` reads with ``weights_only=True``: an unpickler that knows tensors and plain containers, and calls
    nothing else.

    Raises:
        TargetError: the file is missing, empty, damaged, without weights, or a pickle of other things than tensors.
    """
    refuse_missing(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TargetError(f"the weights file {path} cannot be read: {error.strerror}; make it readable") from None
    if not content:
        raise TargetError(f"the weights file {path} is empty; copy it again")
    sha256 = hashlib.sha256(content).hexdigest()
    if _is_safetensors(content):
        return _read_safetensors(path, content, sha256)
    if path.suffix == ".safetensors":
        raise TargetError(f"the weights file {path} is not a safetensors file, or it is damaged; copy it again")
    if content[257:262] == b"ustar":
        raise TargetError(
            f"the weights file {path} is a tar archive, and it cannot be read without running code from it;"
            f" unpack it, or {_SAVE}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        raise TargetError(_refusal(path, content, error)) from error
    return WeightsFile(loaded, sha256)


def refuse_missing(path: Path) -> None:
    """Refuse a path at which there is no file."""
    if path.is_dir():
        raise TargetError(directory_refusal(path))
    if not path.exists():
        folder = "" if path.parent.is_dir() else f": there is no folder {path.parent}"
        hint = did_you_mean(similar_files(path)) or "check the path"
        raise TargetError(f"there is no weights file {path}{folder}; {hint}")
    reason = why_no_file(path)
    if reason is not None:
        raise TargetError(f"the weights file {path} {reason}; name a weights file")


def directory_refusal(path: Path) -> str:
    """The refusal of a directory, with the first of the weights files in it."""
    inside = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    hint = f"such as {inside[0]}" if inside else f"one that ends in {', '.join(SUFFIXES)}"
    return f"{path} is a directory; name a weights file, {hint}"


def similar_files(path: Path) -> list[str]:
    """The weights files in the same folder with nearly the same name."""
    names = [file.name for file in path.parent.iterdir() if file.suffix in SUFFIXES] if path.parent.is_dir() else []
    return [str(path.parent / name) for name in near_misses(path.name, names)]


def _is_safetensors(content: bytes) -> bool:
    """Eight bytes of length, then a JSON object of that length."""
    return len(content) > 9 and content[8:9] == b"{" and int.from_bytes(content[:8], "little") + 8 <= len(content)


def _read_safetensors(path: Path, content: bytes, sha256: str) -> WeightsFile:
    try:
        tensors = safetensors.torch.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        notes = dict(header.get("__metadata__", {}))
        run = json.loads(notes.pop(METADATA_KEY, "{}"))
    except (safetensors.SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise TargetError(f"the weights file {path} is damaged ({one_line(error)}); copy it again") from error
    return WeightsFile(tensors, sha256, run if isinstance(run, dict) else {}, notes)


def asked_for(error: Exception) -> str | None:
    """What a pickle asks for that is no tensor, if ``torch.load`` refused it for that: the name of code."""
    wanted = _GLOBAL.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
    return wanted[1] if wanted is not None else None


def _refusal(path: Path, content: bytes, error: Exception) -> str:
    text = str(error)
    if "TorchScript" in text:
        return f"the weights file {path} is a TorchScript program, which is code and is not run; {_SAVE}"
    wanted = asked_for(error)
    if wanted is not None:
        return (
            f"the weights file {path} is refused: its pickle asks for {wanted}, which is not a tensor, and no code"
            f" from a file is ever run; {_SAVE}, or name the code yourself as module:factory"
        )
    if content[:1] == b"\x80" and ("Unsupported operand" in text or "magic number" in text):
        return (
            f"the weights file {path} is refused: it is a plain pickle, not what torch.save writes, and no code from a"
            f" file is ever run; {_SAVE}"
        )
    short = text.split("WeightsUnpickler error:")[-1].split("Please file")[0].split("Check the documentation")[0]
    reason = " ".join(short.split())[:160]
    return (
        f"the weights file {path} cannot be read as weights ({type(error).__name__}: {reason}); it is damaged,"
        f" truncated, or no state dict: copy it again, or {_SAVE}"
    )
