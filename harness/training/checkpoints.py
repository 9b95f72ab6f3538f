"""The files that a training writes: the weights of checkpoints, and the state to resume from."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from harness.errors import HarnessError
from harness.events import EpochRecord
from harness.files import atomic_write_bytes
from harness.protocols.run_spec import RunSpec

METADATA_KEY = "harness"
STATE_FILE = "state.pt"


def weights_file(directory: Path, checkpoint: str) -> Path:
    """The file with the weights of a checkpoint, in the run's directory."""
    return directory / f"{checkpoint}.safetensors"


def save_weights(directory: Path, checkpoint: str, weights: dict[str, Tensor], spec: RunSpec, epoch: int) -> str:
    """Write a checkpoint's weights, with the run's settings as metadata, atomically; returns the file's SHA-256."""
    # clones, since safetensors refuses tensors that share memory, as the layers of some networks do
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    settings = {"run": spec.document(), "identity": spec.identity, "checkpoint": checkpoint, "epoch": epoch}
    content = safetensors.torch.save(tensors, {METADATA_KEY: json.dumps(settings, sort_keys=True)})
    atomic_write_bytes(weights_file(directory, checkpoint), content)
    return hashlib.sha256(content).hexdigest()


def load_weights(file: Path, sha256: str) -> dict[str, Tensor]:
    """Read a checkpoint's weights.

    Raises:
        HarnessError: the file cannot be read, or is not the file that the store recorded.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise HarnessError(
            f"the weights {file} cannot be read ({error.strerror}); give the --runs-dir that holds them,"
            " or train again with --fresh"
        ) from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise HarnessError(f"the weights {file} are not those that the store recorded; train again with --fresh")
    return safetensors.torch.load(content)


@dataclass
class TrainingState:
    """What a training resumes from: its state after an epoch. Random states are derived from seeds, so none is kept."""

    identity: str
    epoch: int
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    method: dict[str, Any]
    wrappers: list[dict[str, Any]] = field(default_factory=list)
    records: list[EpochRecord] = field(default_factory=list)
    checkpoints: dict[str, tuple[int, str]] = field(default_factory=dict)

    def save(self, directory: Path) -> None:
        """Write the state atomically: after a crash the file holds this state or the previous one."""
        buffer = io.BytesIO()
        document = {key: value for key, value in vars(self).items() if key != "records"}
        torch.save(document | {"records": [asdict(record) for record in self.records]}, buffer)
        atomic_write_bytes(directory / STATE_FILE, buffer.getvalue())

    @classmethod
    def load(cls, directory: Path, identity: str, device: torch.device) -> TrainingState | None:
        """The state that an earlier start of the same run left; None if there is none."""
        file = directory / STATE_FILE
        if not file.exists():
            return None
        document = torch.load(file, map_location=device, weights_only=True)
        if document["identity"] != identity:
            raise HarnessError(f"{file} belongs to another run; move {directory} away, or choose another --runs-dir")
        records = [EpochRecord.from_document(record) for record in document.pop("records")]
        return cls(**document, records=records)
