"""A model from elsewhere that changes while it is attacked gets no figure."""

from __future__ import annotations

from pathlib import Path

from harness.store.store import Store
from tests.cli.conftest import Ends

COUNTS = """
from torch import nn

class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.passes = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), 0

    def forward(self, x):
        self.passes += 1
        return self.net(x) * (1 if self.passes < 15 else -1)
"""
COMMAND = (
    "evaluate counts.py:Counts --dataset digits --attacks pgd --seeds 1 --limit 8 --no-checks --db b.db --workers 1"
)


def test_attacks_on_it_end_in_one_line(ends: Ends) -> None:
    Path("counts.py").write_text(COUNTS)
    code, out, err = ends(f"{COMMAND} --workers 1")
    assert (code, out) == (2, "")
    last = err.strip().splitlines()[-1]
    assert last.startswith("harness: counts.py:Counts answers otherwise than before it was attacked: ")
    store = Store.read("b.db")
    (model,) = store.models()
    # the pass that scores the natural images is its second, and right; the 20 steps of PGD go beyond the 15th
    assert [e.attack for e in model.checkpoint.evaluations if e.complete] == ["natural"]
    store.close()
