"""The text of a Python file that loads a run's weights, for everything that harness writes about one run."""

from __future__ import annotations

import os
from pathlib import Path

from harness.files import resolved
from harness.store.records import CheckpointRecord, RunRecord
from harness.training.weights_place import checked_checkpoint_name

HEADER = '"""Load run {run}, checkpoint {checkpoint}; written by `{command}`."""'


def loader(
    run: RunRecord, checkpoint: CheckpointRecord, weights: Path, folder: Path | None = None, *, command: str
) -> str:
    """The text of a Python file that loads a checkpoint's weights into its network, whatever the working directory.

    Args:
        folder: where the file will be: it names the weights by their path from there, so that both can be moved
            together, and no path of this machine is published. None: it names the absolute path.
        command: the command that writes the file; it has no quotes.
    Raises:
        HarnessError: the checkpoint's name is no name of a file.
    """
    place = f"Path({str(resolved(weights))!r})"
    if folder is not None:
        file = resolved(weights.parent) / weights.name  # as it will be: a link of that name here is another file
        place = f"Path(__file__).resolve().parent / {os.path.relpath(file, resolved(folder))!r}"
    data = run.dataset
    shape = tuple(map(int, (data.channels, data.height, data.width, data.classes)))  # nothing else may become code
    name = checked_checkpoint_name(checkpoint.name)
    size = "x".join(str(extent) for extent in shape[:3])
    return f'''{HEADER.format(run=int(run.id), checkpoint=name, command=command)}

import hashlib
from pathlib import Path

import safetensors.torch
from torch import nn

from harness.plugin.network import Shape
from harness.registry.catalogue import discover
from harness.registry.shipped import code_of

WEIGHTS = {place}
SHA256 = {checkpoint.sha256!r}


def load_model(weights: Path = WEIGHTS) -> nn.Module:
    """Images {size} in [0, 1] to logits of {shape[3]} classes, in evaluation mode."""
    content = Path(weights).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(f"{{weights}} is not the checkpoint of this entry")
    network = discover("networks").get({run.network!r})
    if code_of(network) != {run.code.get("network", "")!r}:
        raise ValueError("the network's code changed since the training")
    model = network.from_mapping({run.network_settings!r}).build(Shape{shape!r})
    model.load_state_dict(safetensors.torch.load(content))
    return model.eval()
'''
