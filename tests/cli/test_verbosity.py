"""``--quiet`` leaves results and errors alone; ``--verbose`` adds logs and tracebacks; neither changes a result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.api.progress import Watch
from harness.cli.options import Output
from harness.events import EpochDone, EpochRecord, Logged, Noted
from tests.cli.sources import METHOD
from tests.command import exit_code

WHERE = "--dataset digits --arch smallcnn --set width=2 --epochs 1 --limit 20 --attacks natural --db board.db"
RUN = f"run standard {WHERE} --no-checks"
GOOD = "return SCALE * F.cross_entropy(step.model(step.x), step.y)"
LATE = "if len(step.y) > 2 and step.progress > 0.5: raise ValueError('later')\n        return step.model(step.x).sum()"


Said = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Runs a command here; gives its exit code and what it printed."""
    return lambda command: (exit_code(f"harness {command}"), *capsys.readouterr())


def test_quiet_is_silent_but_for_results(said: Said) -> None:
    code, out, err = said(f"{RUN} --workers 1 --quiet")
    assert (code, err) == (0, "")
    assert "standard" in out
    code, again, err = said(f"{RUN} --workers 1")  # all is done: the same table, with notes beside
    assert (code, again) == (0, out)
    assert "from the store" in err
    assert "time: " in err
    assert said(f"{RUN} --workers 1 --verbose")[:2] == (0, out)
    assert said("evaluate 1 --attacks natural --limit 20 --no-checks --db board.db --json --quiet")[2] == ""


@pytest.mark.parametrize("workers", [1, 2])
def test_verbose_prints_what_goes_to_the_logs(said: Said, workers: int) -> None:
    code, _, err = said(f"{RUN} --workers {workers} --train-seeds 2 --verbose")
    assert code == 0
    logs = [line for file in Path("runs").glob("*/log.txt") for line in file.read_text().splitlines()]
    assert len([line for line in logs if "INFO epoch 1: loss" in line]) == 2
    assert len([line for line in logs if "INFO natural on last" in line]) == 2
    assert set(logs) <= set(err.splitlines())


def test_verbose_prints_the_traceback_of_a_plugin_that_fails(said: Said) -> None:
    Path("bad.py").write_text(METHOD.replace(GOOD, LATE))
    command = f"run bad --plugin bad.py {WHERE} --no-checks --workers 1"
    code, _, err = said(f"{command} --quiet")
    assert code == 1
    (line,) = err.splitlines()  # an error is printed, however quiet the command
    assert line.startswith("harness: run 1 failed: method 'bad'")
    code, _, err = said(f"{command} --fresh --verbose")
    assert code == 1
    assert "Traceback (most recent call last)" in err
    assert "ValueError: later" in err
    assert err.splitlines()[-1].startswith("harness: run 2 failed: method 'bad'")


def test_a_refusal_is_one_line_and_verbose_puts_its_traceback_before_it(said: Said, elsewhere: Path) -> None:
    code, out, plain = said("run standard --dataset digits --arch smallcnn --seeds 0")
    assert (code, out) == (2, "")
    assert plain.count("\n") == 1
    code, out, err = said("run standard --dataset digits --arch smallcnn --seeds 0 --verbose")
    assert (code, out) == (2, "")
    assert err.startswith("Traceback")
    assert err.endswith(plain)
    assert said("run standard --seeds 0 --quiet") == (2, "", plain)
    assert "exclude each other" in said("runs --json")[2] + said("run standard --quiet --verbose")[2]
    assert list(elsewhere.iterdir()) == []


RECORD = EpochRecord(epoch=2, loss=0.5, lr=0.1, images=300, duration_s=3.0)
DONE = EpochDone(run_id=1, label="a", epochs=2, record=RECORD)


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        (Output(), ["harness: b", "0:00 a: trained to epoch 2, loss 0.5, 100 images/s"]),
        (Output(quiet=True), []),
        (Output(verbose=True), ["c", "harness: b", "0:00 a: trained to epoch 2, loss 0.5, 100 images/s"]),
    ],
    ids=["plain", "quiet", "verbose"],
)
def test_what_of_the_events_is_printed(output: Output, lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with Watch(quiet=output.quiet, verbose=output.verbose) as watch:
        for event in (Logged("c"), Noted("b"), DONE):
            watch(event)
    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == ("", lines)
