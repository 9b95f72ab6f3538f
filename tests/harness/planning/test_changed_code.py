"""A training that was stopped, and whose code was edited: refused with an epoch, said without one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.errors import PluginError
from harness.planning.missing import find_missing
from harness.planning.request import RunRequest
from harness.planning.run_job import resolve_run
from harness.store.records import RunRecord
from harness.store.store import Store
from tests.cli.sources import METHOD, write
from tests.command import exit_code
from tests.harness.planning.carried import add_epochs, jobs, start

CODE = {"method": "0" * 64, "network": "1" * 64}


def stopped(store: Store, *, seed: int = 0, code: dict[str, str] = CODE) -> RunRecord:
    """A run that differs from what ``jobs()`` asks for in its code alone, begun and not done."""
    (job,) = jobs(train_seeds=2)
    return start(store, job, dataclasses.replace(job.specs[seed], code=code))


def test_a_run_without_an_epoch_begins_anew_and_the_plan_says_why(store: Store) -> None:
    assert find_missing(jobs(), store).notes == ()
    run = stopped(store)
    missing = find_missing(jobs(train_seeds=2), store)
    (note,) = missing.notes
    assert note.startswith(
        f"sat-smallcnn-digits-s0 begins anew: run {run.id} has not finished its first epoch, and the"
    )
    assert " the code of its method and network has changed since; put the old code back to go on" in note
    assert [(gap.record, gap.attempt) for gap in missing.to_train] == [(None, 1), (None, 1)]


def test_a_run_with_an_epoch_is_refused(store: Store) -> None:
    stopped(store, seed=1)
    run = stopped(store, code={"method": "0" * 64})
    add_epochs(store, run, 2)
    with pytest.raises(
        PluginError, match=rf"run {run.id} \(sat.*\) was stopped after epoch 2 of 4, and the code of its"
    ):
        find_missing(jobs(train_seeds=2), store)
    assert find_missing(jobs(train_seeds=2), store, fresh=True).notes == ()


def test_nothing_is_said_of_a_run_that_has_ended_or_is_of_another_training(store: Store) -> None:
    done, failed, other = (stopped(store, code={"method": digit * 64}) for digit in "234")
    store.end_run(done.id)
    store.end_run(failed.id, "the loss is not finite")
    (job,) = jobs("epochs=5")
    start(store, job, dataclasses.replace(job.specs[0], code=CODE))
    assert [note.split()[4] for note in find_missing(jobs(), store).notes] == [str(other.id)]


def test_nothing_is_said_once_the_new_run_has_begun(store: Store) -> None:
    stopped(store)
    (job,) = jobs()
    start(store, job, job.specs[0])
    assert find_missing(jobs(), store).notes == ()


@pytest.mark.parametrize("options", ["--dry-run", "--dry-run --json", "--dry-run --quiet"])
def test_the_command_says_so(
    options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plugin = Path(write("mine.py", METHOD, SCALE="1"))
    request = RunRequest(methods=("mine",), network="smallcnn", dataset="digits", device="cpu", plugins=(plugin,))
    (job,) = resolve_run(request)
    with_run = Store.write("board.db")
    start(with_run, job, job.specs[0])
    with_run.close()
    write("mine.py", METHOD, SCALE="2")
    command = f"harness run mine --plugin mine.py --dataset digits --arch smallcnn --device cpu --db board.db {options}"
    assert exit_code(command) == 0
    told = capsys.readouterr()
    lines = [line for line in told.err.splitlines() if "begins anew" in line]
    expected = "mine-smallcnn-digits-s0 begins anew: run 1 has not finished its first epoch, and the code of its method"
    assert [line[: len(expected)] for line in lines] == ([] if "quiet" in options else [expected])
    assert "begins anew" not in told.out
