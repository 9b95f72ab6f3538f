"""AutoAttack block by block: a block's verdicts depend on its seed and its images, not on when or where it is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import harness.planning.gaps
from harness.protocols.protocol import load_protocol
from harness.runtime.seeds import generator
from harness.store.store import Store
from tests.attacks.package import CPU, Net, block, plain, verdicts
from tests.command import exit_code

ROOT = Path(__file__).parents[2]
STARTS = (0, 8, 16)

pytestmark = pytest.mark.usefixtures("few_iterations")


@pytest.mark.parametrize("seed", [0, 1])
def test_the_evaluators_verdicts_on_a_block_are_those_of_a_plain_call(seed: int) -> None:
    model = Net().eval()
    x, y = block(model)
    found = []
    for start in STARTS:
        chosen = slice(start, start + 8)
        with torch.random.fork_rng(devices=[]):
            package = plain(model, x[chosen], y[chosen], generator(CPU, seed, "evaluation", "autoattack", start))
            x_adv, _ = package.run_standard_evaluation(x[chosen], y[chosen], batch_size=8)
        expected = (model(x_adv).argmax(1) == y[chosen]).tolist()
        assert verdicts(start, 8, seed) == expected
        found += expected
    assert 0 < sum(found) < len(found)


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["autoattack", "square"])
def test_blocks_in_another_order_and_in_another_process_get_the_same_verdicts(attack: str) -> None:
    in_order = [verdicts(start, 8, attack=attack) for start in STARTS]
    assert [verdicts(start, 8, attack=attack) for start in reversed(STARTS)] == in_order[::-1]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.attacks.package", attack, str(STARTS[-1])]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == in_order[-1]
    assert len({tuple(found) for found in in_order}) > 1


def run(folder: Path) -> int:
    """The command on the digits with Square and AutoAttack in blocks of ten; gives its exit code."""
    document = load_protocol("digits").with_values(
        {"evaluation.attacks": "square,autoattack", "evaluation.block_size": 10, "epsilon": 0.14}
    )
    lines = [f"epsilon = {document.epsilon}", 'summary = "for this test"']
    for name, table in (("train", document.train), ("evaluation", document.evaluation)):
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.resolved().items())]
    (folder / "mine.toml").write_text("\n".join(lines))
    command = (
        "harness run sat --dataset digits --arch smallcnn --set width=4 --epochs 1 --seeds 2 --limit 35"
        f" --workers 1 --protocol {folder}/mine.toml --db {folder}/leaderboard.db --runs-dir {folder}/runs"
        f" --data-dir {folder}/data"
    )
    return exit_code(command)


def stored(folder: Path) -> dict[tuple[str, int], tuple[list[tuple[int, int]], bytes | None]]:
    """For each attack and seed the blocks that are done, and the verdicts where all are."""
    store = Store.read(str(folder / "leaderboard.db"))
    (record,) = store.runs()
    found = {
        (e.attack, e.seed): ([*e.blocks], store.verdicts(e.id) if e.complete else None)
        for checkpoint in record.checkpoints
        for e in checkpoint.evaluations
    }
    store.close()
    return found


@pytest.mark.slow
def test_an_evaluation_that_is_interrupted_goes_on_to_the_verdicts_of_one_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for folder in (whole, stopped):
        folder.mkdir()
    assert run(whole) == 0

    add_block, missing_blocks, calls = Store.add_block, harness.planning.gaps.missing_blocks, []

    def interrupted(store: Store, event: Any, lease: Any) -> None:
        add_block(store, event, lease)
        calls.append(event.start)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_block", interrupted)
        patch.setattr(
            harness.planning.gaps, "missing_blocks", lambda *a: iter([*missing_blocks(*a)][::-1])
        )  # from the end
        assert run(stopped) == 130
    assert "what was done is kept" in capsys.readouterr().err
    assert calls == [30, 30]  # one process attacks the same images with each seed
    assert [stored(stopped)["square", seed] for seed in (0, 1)] == [([(30, 5)], None)] * 2

    assert run(stopped) == 0
    assert stored(stopped) == stored(whole)
    (_, first), (_, second) = (stored(whole)["square", seed] for seed in (0, 1))
    assert first != second  # so that a block run with another's random numbers would show
    assert all(bits is not None and 0 < sum(bits) < 35 for _, bits in stored(whole).values())
