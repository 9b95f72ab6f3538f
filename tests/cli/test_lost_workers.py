"""A worker process that dies or hangs costs its item, and no other; the same command takes the item up."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.store.store import Store
from tests.cli.conftest import Ends, Harness

RUN = "--dataset digits --arch smallcnn --epochs 2 --seeds 1 --limit 20 --attacks natural --no-checks --db board.db"
METHOD = '''
"""A method that ends its process in the second epoch, as long as a file is there."""
import multiprocessing, os, signal, time
from dataclasses import dataclass
from pathlib import Path
from torch import Tensor
from torch.nn import functional as F
from harness.plugin.method import Method, Step


@dataclass(frozen=True)
class Deadly(Method):
    """Deadly."""

    def loss(self, step: Step) -> Tensor:
        if step.progress > 0.5 and Path("dead" + "ly").exists() and multiprocessing.parent_process():
            with open("dea" + "ths", "a") as deaths:  # a file that it names would be part of its code
                deaths.write("x")
            END
        return F.cross_entropy(step.model(step.x), step.y)
'''


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "option", "deaths", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "", 3, "ended with exit code -9 (often: out of memory); so did 2"),
        ("time.sleep(600)", " --time-limit 0.8", 1, "it took more than 0.8 minutes, and was ended"),
    ],
)
def test_the_rest_is_done_and_the_same_command_goes_on(
    end: str, option: str, deaths: int, reason: str, ends: Ends, harness: Harness
) -> None:
    Path("deadly.py").write_text(METHOD.replace("END", end))
    Path("deadly").touch()
    command = f"run deadly standard --plugin deadly.py {RUN} --workers 2{option}"
    code, _, err = ends(command)
    assert code == 1, err
    assert "harness: training of run 1 was given up: " in err
    assert reason in err
    assert Path("deaths").read_text() == "x" * deaths
    store = Store.read("board.db")
    first, second = store.runs()
    states = store.states([first, second])
    assert (states[first.id].state, states[second.id].state) == ("lost", "done")
    assert reason.split(";")[0] in str(states[first.id].reason)
    assert len(first.epochs) == 1
    assert len(second.checkpoints[-1].evaluations) == 1
    store.close()
    assert reason.split(";")[0] in harness("show 1 --db board.db")
    Path("deadly").unlink()
    harness(command)
    store = Store.read("board.db")
    (again, _), whole = store.runs(), harness(f"run deadly --plugin deadly.py {RUN.replace('board', 'other')} --json")
    store.close()
    assert again.status == "done"
    assert again.checkpoints[-1].sha256 in harness("show 1 --json --db other.db"), whole
