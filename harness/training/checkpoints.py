"""The files that a training writes: the weights of checkpoints, and the state to resume from."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from harness.errors import HarnessError, one_line
from harness.events import EpochRecord
from harness.files import atomic_write_bytes
from harness.protocols.run_spec import RunSpec
from harness.training.state_file import STATE_BEFORE, STATE_FILE, DamagedState, read_state, write_state

METADATA_KEY = "harness"
log = logging.getLogger("harness.training")


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
        """Write the state; the previous one is kept beside it."""
        buffer = io.BytesIO()
        document = {key: value for key, value in vars(self).items() if key != "records"}
        torch.save(document | {"records": [asdict(record) for record in self.records]}, buffer)
        write_state(directory, buffer.getvalue())

    @classmethod
    def load(cls, directory: Path, identity: str, device: torch.device) -> TrainingState | None:
        """The newest whole state that an earlier start of the same run left; None if there is none.

        Raises:
            HarnessError: the state belongs to another run; or every state that is there is damaged.
        """
        damaged: list[str] = []
        for file in (directory / STATE_FILE, directory / STATE_BEFORE):
            if not file.exists():
                continue
            try:
                state = cls._read(file, device)
            except DamagedState as error:
                damaged.append(f"{file} is damaged: {error}")
                continue
            if state.identity != identity:
                raise HarnessError(
                    f"{file} belongs to another run; move {directory} away, or choose another --runs-dir"
                )
            for problem in damaged:
                log.warning("%s; the training goes on from the state before it, after epoch %d", problem, state.epoch)
            return state
        if damaged:
            raise HarnessError(
                f"{damaged[0]}, and there is no whole state before it; delete the file to train from the beginning, or"
                " put it back from a copy"
            )
        return None

    @classmethod
    def _read(cls, file: Path, device: torch.device) -> TrainingState:
        content = read_state(file)
        try:
            document = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
            records = [EpochRecord.from_document(record) for record in document.pop("records")]
            return cls(**document, records=records)
        except Exception as error:  # an older version's file has no checksum, and torch raises as the bytes have it
            raise DamagedState(one_line(error)) from error
