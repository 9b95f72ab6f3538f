"""``--state-every`` and ``--deterministic``: the same run, and its provenance says how a stopped training goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.events import BlockDone
from harness.runtime.stopping import ask_to_stop, take_back_stop
from harness.store.store import Store
from harness.training.loop import Trainer
from tests.cli.conftest import Ends, Harness, Refused

RUN = "run sat --dataset digits --arch smallcnn --set width=1 --set train.steps=1 --epochs 1 --limit 20 --seeds 1"
RUN += " --workers 1 --device cpu --attacks natural --no-checks"
BOARD = "leaderboard --source measured --format csv"


def weights(folder: str) -> bytes:
    (file,) = Path(folder).glob("*/last.safetensors")
    return file.read_bytes()


def stop_after_three_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody asks to stop before the third update."""
    update, made = Trainer._update, []

    def counted(self: Trainer, step: object) -> object:
        made.append(step)
        if len(made) == 3:
            ask_to_stop()
        return update(self, step)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_update", counted)


def test_a_command_that_is_stopped_goes_on_within_the_epoch(
    harness: Harness, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = harness(f"{RUN} --db whole.db --runs-dir whole")
    stop_after_three_updates(monkeypatch)
    code, out, err = ends(f"{RUN} --db parts.db --runs-dir parts")
    take_back_stop()
    assert (code, out) == (143, "")
    assert "was stopped in epoch 1 of 1, after update 3 of " in err
    assert "; the same command goes on from there" in err
    assert harness(f"{RUN} --db parts.db --runs-dir parts --state-every 0 --deterministic") == figures
    assert weights("parts") == weights("whole")
    stores = [Store.read(name) for name in ("whole.db", "parts.db")]
    whole, parts = [run for store in stores for run in store.runs()]
    for store in stores:
        store.close()
    assert whole.identity == parts.identity
    assert [epoch.loss for epoch in parts.epochs] == [epoch.loss for epoch in whole.epochs]
    assert whole.provenance["resume"] == parts.provenance["resume"] == "exact"
    assert "also" not in parts.provenance  # on the CPU the option changes nothing
    assert "resume=exact" in harness("show 1 --db whole.db")


def test_without_fresh_a_command_goes_on_with_the_attempt_that_was_stopped(
    harness: Harness, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the last line says; with it, it would begin a third attempt."""
    harness(RUN)
    board = harness(BOARD)
    with monkeypatch.context() as patch:
        stop_after_three_updates(patch)
        code, out, err = ends(f"{RUN} --fresh")
    take_back_stop()
    assert (code, out) == (143, "")
    assert "after update 3 of " in err
    assert "; the same command without --fresh goes on from there" in err
    assert err.splitlines()[-1].endswith("kept: run the same command without --fresh to go on from there")
    harness(RUN)
    assert harness(BOARD) == board  # of the second attempt now, with the same figures
    store = Store.read("leaderboard.db")
    runs = [(run.attempt, run.status, [epoch.loss for epoch in run.epochs]) for run in store.runs()]
    store.close()
    assert [(attempt, status) for attempt, status, _ in runs] == [(1, "done"), (2, "done")]
    assert runs[0][2] == runs[1][2]


def test_a_stopped_repetition_of_an_attack_is_gone_on_with_without_fresh(
    harness: Harness, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = "--attacks natural --set evaluation.block_size=10"
    harness(f"{RUN} --set evaluation.block_size=10")
    board = harness(BOARD)
    add, done = Store.add_block, []

    def counted(self: Store, block: BlockDone, lease: object = None) -> None:
        done.append(block.start)
        add(self, block, lease)  # type: ignore[arg-type]
        ask_to_stop()

    evaluate = f"evaluate 1 {blocks} --limit 20 --no-checks --workers 1 --device cpu"
    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_block", counted)
        code, out, err = ends(f"{evaluate} --fresh")
    take_back_stop()
    assert (code, out, done) == (143, "", [0])
    assert err.splitlines()[-1].endswith("kept: run the same command without --fresh to go on from there")
    assert harness(BOARD) == board  # the first attempt counts
    assert "every verdict as the store had it" in harness(evaluate)
    store = Store.read("leaderboard.db")
    ((evaluation,),) = [[e for c in run.checkpoints if c.name == "last" for e in c.evaluations] for run in store.runs()]
    assert (evaluation.attempt, evaluation.blocks) == (2, ((0, 10), (10, 10)))
    store.close()


@pytest.mark.parametrize("minutes", ["-1", "nan", "inf"])
def test_minutes_that_are_none_are_refused(minutes: str, refusal: Refused, elsewhere: Path) -> None:
    said = refusal(f"{RUN} --state-every {minutes}")
    assert f"--state-every {minutes} is refused: it must be 0 or more minutes" in said
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("key", ["state-every = 5", "deterministic = true"])
def test_in_an_experiment_they_are_refused_as_what_belongs_to_a_machine(key: str, refusal: Refused) -> None:
    Path("all.toml").write_text(f'methods = ["sat"]\n{key}\n')
    assert "it belongs to a machine; write it in harness.toml, below [run]" in refusal("run all.toml --dry-run")
