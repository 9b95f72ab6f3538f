"""What is told of a weights file on standard error, and what is refused before anything is stored."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
import torch

from harness.cli.main import main
from harness.networks.smallcnn import SmallCNN
from harness.plugin.network import Shape

COMMAND = "--dataset digits --attacks fgsm --seeds 1 --limit 8 --no-checks --json --db mine.db --workers 1"


def test_what_a_key_leaves_out_is_refused_then_told(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network = SmallCNN(width=2).build(Shape(1, 8, 8, 10)).state_dict()
    inner = {f"classifier.{name}": tensor for name, tensor in network.items()}
    torch.save({"denoiser.weight": torch.ones(1, 1, 3, 3), **inner, "loss.scale": torch.ones(1)}, "net.pt")
    ends = []
    for said in ("", "--no-normalisation"):
        monkeypatch.setattr(sys, "argv", ["harness", *shlex.split(f"evaluate net.pt:classifier {said} {COMMAND}")])
        with pytest.raises(SystemExit) as ended:
            main()
        ends.append((ended.value.code, *capsys.readouterr(), Path("mine.db").exists()))
    (code, out, err, stored), (then, document, told, _) = ends
    assert (code, out, stored) == (2, "", False)
    assert "net.pt:classifier leaves out denoiser.weight, which may act on the images" in err.splitlines()[-1]
    assert (then, len(json.loads(document)["reports"])) == (0, 1)
    assert "left out of the model, as no part of the network: denoiser.weight, loss.scale" in told.splitlines()
