"""A file with a model that does what a test says in its passes, the command that evaluates it, and what that leaves."""

from __future__ import annotations

from pathlib import Path

from harness.store.store import Store

# two blocks of 7 images; PGD of 3 steps
OPTIONS = (
    "--dataset digits --limit 14 --set evaluation.block_size=7 --set evaluation.steps=3 --attacks pgd --seeds 1"
    " --db board.db --runs-dir runs"
)
MODEL = """
import os, sys
import torch
from torch import nn

class Identity(torch.autograd.Function):
    @staticmethod
    def forward(context, x, model):
        context.model = model
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient):
        context.model.backward_passes += 1
        context.model.in_backward()
        return gradient, None

def spoilt(x, now):
    powers = x.exp()
    total = powers.sum()
    if now:
        with torch.no_grad():
            powers.zero_()
    return total

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.passes, self.backward_passes = nn.Linear(64, 10), 0, 0
    def in_forward(self, x):
        FORWARD
    def in_backward(self):
        BACKWARD
    def forward(self, x):
        self.passes += 1
        self.in_forward(x)
        logits = self.layer(Identity.apply(x, self).flatten(1))
        return RETURNED
"""


def write(forward: str = "pass", backward: str = "pass", returned: str = "logits") -> None:
    text = MODEL.replace("FORWARD", forward).replace("BACKWARD", backward).replace("RETURNED", returned)
    Path("net.py").write_text(text)


def evaluation(options: str = "--no-checks --workers 1") -> str:
    """The command that evaluates the model."""
    return f"evaluate net.py:Net {OPTIONS} {options}"


def kept() -> dict[str, int]:
    """How many blocks of each attack the store has."""
    store = Store.read("board.db")
    (model,) = store.models()
    store.close()
    return {e.attack: len(e.blocks) for e in model.checkpoint.evaluations}


def log() -> str:
    (file,) = Path("runs").glob("*/log.txt")
    return file.read_text()
