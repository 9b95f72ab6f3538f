"""``--plain`` computes with the network's own layers: another path to the same result, which the store tells apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import Tensor

from harness.fast.chain import Chain
from harness.store.records import RunRecord
from harness.store.store import Store
from tests.cli.conftest import Harness

WHERE = "--dataset digits --arch smallcnn --set width=2 --epochs 1 --limit 40 --seeds 1 --workers 1"
RUN = f"run sat {WHERE} --attacks natural,pgd --json"


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one whenever images go through a faster layer."""
    seen: list[int] = []
    own = Chain.forward

    def forward(self: Chain, x: Tensor) -> Tensor:
        seen.append(len(x))
        return own(self, x)

    monkeypatch.setattr(Chain, "forward", forward)
    return seen


def _run(db: str) -> RunRecord:
    store = Store.read(db)
    (run,) = store.runs()
    store.close()
    return run


def _paths(run: RunRecord) -> set[str]:
    """The paths that the store names for the training and for each evaluation."""
    evaluations = [e for checkpoint in run.checkpoints for e in checkpoint.evaluations]
    assert evaluations
    return {each["path"] for each in (run.provenance, *(e.provenance for e in evaluations))}


@pytest.mark.slow
def test_plain_takes_no_faster_layer_and_is_the_same_run(harness: Harness, passes: list[int]) -> None:
    fast = json.loads(harness(f"{RUN} --db fast.db --runs-dir fast"))["metrics"]
    assert passes
    passes.clear()
    plain = json.loads(harness(f"{RUN} --db plain.db --runs-dir plain --plain"))["metrics"]
    assert passes == []
    runs = _run("fast.db"), _run("plain.db")
    assert [_paths(run) for run in runs] == [{"fast"}, {"plain"}]
    assert runs[0].identity == runs[1].identity
    for attack in ("natural", "pgd"):
        assert fast[attack]["median"] == pytest.approx(plain[attack]["median"], abs=5)  # two of 40 images


def test_what_is_stored_by_one_path_is_not_repeated_by_the_other(harness: Harness, passes: list[int]) -> None:
    first = harness(f"{RUN} --db board.db")
    passes.clear()
    assert harness(f"{RUN} --db board.db --plain") == first
    assert passes == []
    assert _paths(_run("board.db")) == {"fast"}


def test_a_model_of_somebody_elses_code_is_attacked_as_it_is(harness: Harness, passes: list[int]) -> None:
    Path("model.py").write_text(
        "import torch\nfrom torch import nn\n\n\ndef build():\n    torch.manual_seed(0)\n    return nn.Sequential("
        "nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))\n"
    )
    harness("evaluate model.py:build --dataset digits --attacks pgd --limit 20 --seeds 1 --workers 1 --db board.db")
    assert passes == []


def test_a_weights_file_of_a_known_network_is_attacked_with_faster_layers(harness: Harness, passes: list[int]) -> None:
    harness(f"{RUN} --db first.db")
    (weights,) = Path("runs").glob("*/last.safetensors")
    weights.rename("mine.safetensors")
    passes.clear()
    where = "--dataset digits --arch smallcnn --limit 20 --seeds 1 --workers 1"
    harness(f"evaluate mine.safetensors {where} --attacks pgd --no-checks --db other.db")
    assert passes
