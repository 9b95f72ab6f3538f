"""``--devices-per-run``: the same run in several processes, told in its provenance; stopped, killed, and gone on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from harness.store.records import RunRecord
from harness.store.store import Store
from tests.cli.conftest import Harness, Refused
from tests.dying.started import starter, until

RUN = (
    "run gairat --dataset digits --arch smallcnn --set width=2 --set train.steps=1 --wrap awp --limit 20 --seeds 1"
    " --device cpu --attacks natural --no-checks --eval-every 0"
)


def only_run(file: Path | str) -> RunRecord:
    store = Store.read(str(file))
    (run,) = store.runs()
    store.close()
    return run


def losses(run: RunRecord) -> list[float]:
    return [epoch.loss for epoch in run.epochs]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("0", "--devices-per-run 0 is refused: it must be 1 or more"),
        ("65", "--devices-per-run 65 is refused: each device has a share of a batch, and a batch has 64 images"),
    ],
)
def test_a_number_that_fits_no_batch_is_refused(number: str, said: str, refusal: Refused, elsewhere: Path) -> None:
    assert said in refusal(f"{RUN} --devices-per-run {number}")
    assert list(elsewhere.iterdir()) == []


def test_more_devices_than_there_are_are_refused(
    refusal: Refused, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    said = refusal(f"{RUN.replace('--device cpu', '--device cuda')} --devices-per-run 4")
    assert "--devices-per-run 4 is refused: this machine has 2 CUDA device(s); ask for as many, or for fewer" in said
    assert list(elsewhere.iterdir()) == []


@pytest.mark.slow
def test_it_is_the_same_run_and_says_how_many_devices_it_had(harness: Harness) -> None:
    figures = harness(f"{RUN} --epochs 2 --db one.db --runs-dir one")
    harness(f"{RUN} --epochs 2 --db two.db --runs-dir two --devices-per-run 2")
    one, two = only_run("one.db"), only_run("two.db")
    assert one.identity == two.identity
    assert losses(two) == pytest.approx(losses(one), abs=1e-5)
    assert (one.provenance["devices"], two.provenance["devices"]) == (1, 2)
    assert "devices=2" in harness("show 1 --db two.db")
    again = harness(f"{RUN} --epochs 2 --db one.db --runs-dir one --devices-per-run 2")  # nothing is missing
    assert again == figures


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_ends_on_the_way_goes_on_with_one_process(
    number: signal.Signals, tmp_path: Path, harness: Harness
) -> None:
    """A signal to the command, which all its processes heed; or the death of one of them, which ends the command."""
    command = f"{RUN} --epochs 8 --state-every 0 --db parts.db --runs-dir parts"
    with starter(tmp_path, fresh=True) as commands:
        started = commands.start(tmp_path, *command.split(), "--devices-per-run", "2")
        until(lambda: list(tmp_path.glob("parts/*/state-before.pt")))
        workers = started.workers()
        os.kill(started.pid if number == signal.SIGTERM else workers[-1], number)
        assert started.wait() == (143 if number == signal.SIGTERM else 2)
        said = started.err
    assert "was stopped in epoch" in said if number == signal.SIGTERM else "together ended with exit code -9" in said
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    harness(command)
    harness(f"{RUN} --epochs 8 --db whole.db --runs-dir whole")
    parts, whole = only_run("parts.db"), only_run("whole.db")
    assert parts.status == "done"
    assert [parts.provenance["devices"], *(part["devices"] for part in parts.provenance["also"])] == [2, 1]
    assert [epoch.images for epoch in parts.epochs] == [epoch.images for epoch in whole.epochs]
    assert losses(parts)[0] == pytest.approx(losses(whole)[0], abs=1e-4)  # later ones magnify the rounding
