"""Broken plugins on the command line: one line, standard output clean, and the others go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.store.store import Store
from tests.cli.conftest import Ends, Harness
from tests.cli.sources import ATTACK, METHOD, NETWORK, SHORT

RUN = f"--arch smallcnn --set width=2 {SHORT}"
GOOD = "return SCALE * F.cross_entropy(step.model(step.x), step.y)"
LATE = f"if len(step.y) > 2 and step.progress > 0.5: raise ValueError('later')\n        {GOOD}"  # not while planning


def write(name: str, loss: str, head: str = "") -> str:
    Path(name).write_text(head + METHOD.replace(GOOD, loss.replace("SCALE", "1")))
    return name


def test_a_method_that_is_broken_is_refused_before_anything_is_written(fails: Ends) -> None:
    write("bad.py", "return F.cross_entropy(step.model(step.x), step.y, reduction='none')")
    before = set(Path().iterdir())
    code, out, err = fails(f"run bad --plugin bad.py {RUN}")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert f"method 'bad' ({Path('bad.py').resolve()}): its loss has shape (2,)" in err
    assert "`harness check method bad --plugin" in err
    assert set(Path().iterdir()) == before


def test_one_that_is_broken_among_several_is_recorded_and_the_others_go_on(fails: Ends) -> None:
    write("bad.py", "return 1.0")
    code, out, err = fails(f"run bad standard --plugin bad.py {RUN}")
    assert code == 1
    assert "standard" in out
    assert "run 1 failed: method 'bad'" in err
    runs = {run.method: run for run in Store.read("board.db").runs()}
    assert (runs["bad"].status, runs["standard"].status) == ("failed", "done")
    assert "its loss is a float" in str(runs["bad"].failure)
    assert len(runs["standard"].checkpoints[-1].evaluations) == 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_one_that_breaks_late_ends_its_own_run_alone(workers: int, fails: Ends) -> None:
    write("late.py", LATE)
    command = f"run late standard --plugin late.py {RUN}".replace("--workers 1", f"--workers {workers}")
    code, _, err = fails(command)
    assert code == 1
    assert err.count("ValueError") == 2  # when it happens, and at the end
    assert "late.py, line 10): it raised ValueError: later; `harness check method late" in err
    runs = {run.method: run for run in Store.read("board.db").runs()}
    assert (runs["late"].status, runs["standard"].status) == ("failed", "done")
    file = Path("runs") / runs["late"].folder / "log.txt"
    assert f"(log: {file})\n" in err
    log = file.read_text()
    assert log.count("Traceback") == 1
    assert "ValueError: later" in log


@pytest.mark.parametrize("wrong", ["1 / 0", "raise SystemExit(0)", "step.model(step.x.double())"])
@pytest.mark.parametrize("others", ["", " standard"])
def test_one_that_raises_while_it_is_counted_is_told_in_one_line(wrong: str, others: str, fails: Ends) -> None:
    write("bad.py", f"{wrong}\n        {GOOD}")
    before = set(Path().iterdir())
    code, _, err = fails(f"run bad{others} --plugin bad.py {RUN}")
    (line,) = [line for line in err.splitlines() if "bad" in line]
    assert "bad.py, line 10): it raised" in line
    if not others:
        assert (code, err) == (2, line + "\n")
        assert set(Path().iterdir()) == before
    else:
        assert code == 1
        (failed,) = [run for run in Store.read("board.db").runs() if run.method == "bad"]
        file = Path("runs") / failed.folder / "log.txt"
        assert line.endswith(f"(log: {file})")
        assert file.read_text().count("Traceback") == 1  # the plugin's own, with its line
        assert 'bad.py", line 10, in loss' in file.read_text()


def test_what_plugins_print_never_reaches_standard_output(harness: Harness) -> None:
    write("loud.py", f"print('loss')\n        {GOOD}", "print('import')\n")
    Path("tiny.py").write_text(
        NETWORK.replace("        return", "        print('build')\n        return").replace("ACT", "ReLU")
    )
    run = f"run loud --plugin loud.py --plugin tiny.py --arch tiny {SHORT}"
    assert json.loads(harness(f"{run} --json"))["method"] == "loud"
    (run_record,) = Store.read("board.db").runs()
    log = (Path("runs") / run_record.folder / "log.txt").read_text()
    assert log.count("printed: loss") == 23  # one for each batch
    assert json.loads(harness(f"{run} --json --dry-run"))["evaluations_done"] == 1


def test_that_a_plugin_prints_is_told_once(fails: Ends) -> None:
    write("loud.py", f"print('loss')\n        {GOOD}")
    _, _, err = fails(f"run loud --plugin loud.py {RUN}")
    assert err.count("method 'loud' prints; it goes to ") == 1


def test_a_private_file_that_is_named_is_refused(fails: Ends) -> None:
    write("_mine.py", GOOD)
    code, _, err = fails(f"run standard --plugin _mine.py {RUN}")
    assert code == 2
    assert "the plugin file _mine.py cannot be used: a name that begins with _" in err


def test_a_broken_network_is_named(fails: Ends) -> None:
    Path("tiny.py").write_text(NETWORK.replace("nn.Linear(64, 8)", "nn.Linear(63, 8)").replace("ACT", "ReLU"))
    code, _, err = fails(f"run gairat --plugin tiny.py --arch tiny {SHORT}")
    assert code == 2
    assert "network 'tiny' (" in err
    assert "shapes cannot be multiplied" in err


def test_an_attack_that_raises_is_named(fails: Ends) -> None:
    Path("push.py").write_text(ATTACK.replace("PUSHED", "x[:, 5:6] / len([][0])"))
    command = f"run standard --plugin push.py {RUN}".replace("attacks=natural", "attacks=natural,push")
    code, _, err = fails(command)
    assert code == 2
    assert "attack 'push' (" in err
    assert "it raised IndexError" in err
    (run,) = Store.read("board.db").runs()
    assert run.status == "done"  # what was done is kept
