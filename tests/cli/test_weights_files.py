"""What is told of a weights file on standard error, and what is refused before anything is stored."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from harness.networks.smallcnn import SmallCNN
from harness.plugin.network import Shape
from tests.cli.conftest import Ends

COMMAND = "--dataset digits --attacks fgsm --seeds 1 --limit 8 --no-checks --json --db mine.db --workers 1"


def test_what_a_key_leaves_out_is_refused_then_told(elsewhere: Path, ends: Ends) -> None:
    network = SmallCNN(width=2).build(Shape(1, 8, 8, 10)).state_dict()
    inner = {f"classifier.{name}": tensor for name, tensor in network.items()}
    torch.save({"denoiser.weight": torch.ones(1, 1, 3, 3), **inner, "loss.scale": torch.ones(1)}, "net.pt")
    results = []
    for said in ("", "--no-normalisation"):
        results.append((*ends(f"evaluate net.pt:classifier {said} {COMMAND}"), Path("mine.db").exists()))
    (code, out, err, stored), (then, document, told, _) = results
    assert (code, out, stored) == (2, "", False)
    assert "net.pt:classifier leaves out denoiser.weight, which may act on the images" in err.splitlines()[-1]
    assert (then, len(json.loads(document)["reports"])) == (0, 1)
    assert "left out of the model, as no part of the network: denoiser.weight, loss.scale" in told.splitlines()
