"""A model from elsewhere, built again in the process that attacks it: the one that was opened, or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from harness.errors import HarnessError
from harness.networks.smallcnn import SmallCNN
from harness.plugin.network import Shape
from harness.runtime.seeds import global_seed
from harness.targets.model import ElsewhereWeights
from harness.targets.open import open_target

SHAPE = Shape(1, 8, 8, 10)


def opened(folder: Path, scale: float = 1.0) -> ElsewhereWeights:
    """The weights of a small network in a file, opened."""
    with global_seed(torch.device("cpu"), 0):
        model = SmallCNN(width=2).build(SHAPE)
    file = folder / "theirs.safetensors"
    save_file({name: tensor * scale for name, tensor in model.state_dict().items()}, file)
    found = open_target(str(file), dataset="digits", shape=SHAPE, images=torch.rand(2, 1, 8, 8), data_dir=folder)
    return ElsewhereWeights(label="theirs", checkpoint="given", sha256=found.sha256, target=found.target)


def test_it_is_the_one_that_was_opened(tmp_path: Path) -> None:
    weights = opened(tmp_path)
    assert weights.target.fingerprint(weights.model(SHAPE, ())) == weights.sha256  # type: ignore[arg-type]


def test_another_one_is_refused(tmp_path: Path) -> None:
    weights = opened(tmp_path)
    with pytest.raises(HarnessError, match="gave another model than when it was opened"):
        replace(weights, sha256="0" * 64).model(SHAPE, ())
    opened(tmp_path, scale=2.0)
    with pytest.raises(HarnessError, match="changed since it was opened"):
        weights.model(SHAPE, ())
