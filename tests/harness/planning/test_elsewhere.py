"""Work that machines with CUDA do is planned on one without it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.planning.missing import find_missing
from harness.store.store import Store
from tests.harness.planning.asked import jobs

NETWORK = '''
"""One linear layer."""
from dataclasses import dataclass
from torch import nn
from harness.plugin.network import Network, Shape


@dataclass(frozen=True, kw_only=True)
class Mine(Network):
    """Mine."""

    def build(self, shape: Shape) -> nn.Module:
        size = shape.channels * shape.height * shape.width
        return nn.Sequential(nn.Flatten(), nn.Linear(size, shape.classes))
'''


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_network_of_the_user_is_tried_on_the_processor(
    deterministic: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    (file := tmp_path / "mine.py").write_text(NETWORK)
    asked = {"network": "mine", "plugins": (file,), "device": "cuda", "elsewhere": True, "deterministic": deterministic}
    (job,) = jobs(**asked)
    assert job.device == torch.device("cuda", 0)
    assert job.parameters == 64 * 10 + 10  # images of 8 x 8, ten classes, each with a bias
    store = Store.read(str(tmp_path / "none.db"))
    (gap,) = find_missing([job], store).runs
    store.close()
    assert gap.refusal is None
    assert gap.passes is not None
