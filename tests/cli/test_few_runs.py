"""Commands about a few runs read these alone, however many there are; and they say the same as if they read all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cli.meanings import known_words
from harness.leaderboard.contestants import contestants, newest
from harness.planning.missing import find_missing
from harness.store.store import Store
from tests.cli.conftest import Ends, Harness, Refused
from tests.harness.planning.carried import jobs
from tests.stores import make_spec, start
from tests.varied import varied_store

SMALL = [
    *("show 2", "show 2 --json", "show theirs", "show lrat", "show 'weakly attacked' --json", "show short"),
    *("show lrat+awp --as row --json", "compare sat mart --dataset toy", "compare 2 4", "compare lrat+awp sat --json"),
    *("note 2 seen", "tag 2 theirs --add seen", "rm 2 --yes", "rm theirs --yes", "runs --json"),
]


@pytest.fixture
def board(elsewhere: Path) -> Path:
    varied_store(elsewhere / "leaderboard.db").close()
    return elsewhere / "leaderboard.db"


@pytest.fixture
def no_list(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever asks for the whole records of all runs is refused."""

    def refuse(_store: Store, *_: Any) -> None:
        raise AssertionError("this command reads every run")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "runs", refuse)
        yield


@pytest.mark.usefixtures("no_list")
@pytest.mark.parametrize("command", SMALL)
def test_no_command_about_a_few_runs_reads_all(command: str, board: Path, fails: Ends) -> None:
    fails(command)  # some are refused for what the rows say; a bug is none of these


@pytest.mark.usefixtures("no_list")
def test_no_plan_reads_all_runs(board: Path) -> None:
    store = Store.read(str(board))
    assert len(find_missing(jobs(train_seeds=2), store).to_train) == 2
    store.close()


def test_what_a_word_can_mean_is_what_the_records_say(board: Path) -> None:
    store = Store.write(str(board))
    store.end_run(start(store, make_spec(method="gairat")).id)  # it has no weights, and so no row
    known, runs = known_words(store, ()), store.runs()
    assert known["run"] == {str(run.id) for run in runs}
    assert known["model"] == {model.name for model in store.models()} == {"theirs", "unattacked", "weakly attacked"}
    assert known["row"] == {network.label for network in contestants(newest(runs))}
    assert {"sat", "lrat+awp", "trades", "mart"} <= known["row"]
    assert "gairat" not in known["row"]
    store.close()


def test_a_row_has_the_runs_that_the_records_say(harness: Harness, board: Path) -> None:
    store = Store.read(str(board))
    expected = sorted(run.id for run in newest(store.runs()) if run.method == "sat" and run.checkpoints)
    store.close()
    assert json.loads(harness("show sat --as row --json"))["runs"] == expected == [2, 4, 6]


def test_a_damaged_run_stops_the_command_about_it_and_no_other(harness: Harness, refusal: Refused, board: Path) -> None:
    store = Store.write(str(board))
    with store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE runs SET provenance = '[1]' WHERE id = 4")
    store.close()
    assert "provenance of the table runs, row id 4," in refusal("show 4")
    assert "sat" in harness("show 2")


def test_an_unknown_name_is_answered_with_some_of_the_known_ones(refusal: Refused, board: Path) -> None:
    store = Store.write(str(board))
    for number in range(150):
        facts: dict[str, Any] = {"network": "x", "network_settings": {}, "network_departures": {}, "parameters": 1}
        sha256 = f"{number:064}"
        store.see_model(f"model-{number:03}", store.run(1).dataset, sha256=sha256, provenance={}, **facts)
    store.close()
    told = refusal("rm model-1500")
    assert "did you mean 'model-150' or" not in told
    assert "model-098, model-099 and 53 more" in told
    assert "model-100" not in told.partition("known:")[2]
