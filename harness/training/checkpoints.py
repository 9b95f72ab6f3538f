"""The files that a training writes: the weights of checkpoints, and the state to resume from."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from harness.errors import HarnessError, one_line
from harness.events import EpochRecord
from harness.files import always, atomic_write_bytes
from harness.plugin.method import Method
from harness.plugin.wrapper import Wrapper
from harness.protocols.run_spec import RunSpec
from harness.training.state_file import STATE_BEFORE, STATE_FILE, DamagedState, read_state, write_state
from harness.training.weights_place import weights_file

METADATA_KEY = "harness"
log = logging.getLogger("harness.training")


def save_weights(
    directory: Path,
    checkpoint: str,
    weights: dict[str, Tensor],
    spec: RunSpec,
    epoch: int,
    may_write: Callable[[], None] = always,
) -> str:
    """Write a checkpoint's weights, with the run's settings as metadata, atomically; returns the file's SHA-256.

    Args:
        may_write: called just before the file takes its place; if it raises, nothing has changed.
    """
    # clones, since safetensors refuses tensors that share memory, as the layers of some networks do
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    settings = {"run": spec.document(), "identity": spec.identity, "checkpoint": checkpoint, "epoch": epoch}
    content = safetensors.torch.save(tensors, {METADATA_KEY: json.dumps(settings, sort_keys=True)})
    atomic_write_bytes(weights_file(directory, checkpoint), content, may_write)
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
    """What a training resumes from: its state after an epoch, or within the epoch that follows.

    Attributes:
        epoch: how many epochs are done.
        trained: whether each parameter takes gradients, by its name; a wrapper may freeze layers on the way.
        within: what the next epoch has so far (``EpochSoFar``); None at the end of an epoch, where all random states
            are derived from seeds, so that none is kept.
        best: of a training that holds images out, the epoch so far of the highest robust accuracy on these: ``epoch``,
            ``robust_percent``, and ``weights``, those that a checkpoint would hold. The file of the checkpoint ``best``
            is written at the end: until then a later epoch may take its place.
    """

    identity: str
    epoch: int = 0
    model: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    method: dict[str, Any] = field(default_factory=dict)
    wrappers: list[dict[str, Any]] = field(default_factory=list)
    records: list[EpochRecord] = field(default_factory=list)
    checkpoints: dict[str, tuple[int, str]] = field(default_factory=dict)
    trained: dict[str, bool] = field(default_factory=dict)
    within: dict[str, Any] | None = None
    best: dict[str, Any] | None = None

    @property
    def begun(self) -> bool:
        """Whether there is anything to go on from."""
        return self.epoch > 0 or self.within is not None

    @property
    def place(self) -> str:
        """How far the training is, in words."""
        if not self.begun:
            return "before its first update"
        after = f", update {self.within['updates']} of the next" if self.within is not None else ""
        return f"after epoch {self.epoch}{after}"

    def take(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, method: Method, wrappers: Sequence[Wrapper]
    ) -> None:
        """Hold what these hold now."""
        self.model, self.optimizer = model.state_dict(), optimizer.state_dict()
        self.method, self.wrappers = method.state_dict(), [wrapper.state_dict() for wrapper in wrappers]
        self.trained = {name: parameter.requires_grad for name, parameter in model.named_parameters()}

    def give(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, method: Method, wrappers: Sequence[Wrapper]
    ) -> None:
        """Have these hold what they held when the state was taken."""
        model.load_state_dict(self.model)
        optimizer.load_state_dict(self.optimizer)
        method.load_state_dict(self.method)
        for wrapper, saved in zip(wrappers, self.wrappers, strict=True):
            wrapper.load_state_dict(saved)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(self.trained.get(name, parameter.requires_grad))

    def save(self, directory: Path, may_write: Callable[[], None] = always) -> None:
        """Write the state; the previous one is kept beside it.

        Args:
            may_write: called just before the file takes its place; if it raises, nothing has changed.
        """
        buffer = io.BytesIO()
        document = {key: value for key, value in vars(self).items() if key != "records"}
        torch.save(document | {"records": [asdict(record) for record in self.records]}, buffer)
        write_state(directory, buffer.getvalue(), may_write)

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
                log.warning("%s; the training goes on from the state before it, %s", problem, state.place)
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
