"""harness runs: its figure is that of the leaderboard; it filters, sorts, and fits 80 columns."""

from __future__ import annotations

import json
import re
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest

from harness.cli.runs_text import print_runs
from harness.leaderboard.board import MEASURED
from harness.leaderboard.ranking import boards
from harness.store.store import Store
from tests.cli.conftest import Harness, Refused
from tests.first_board import FIRST_BOARD
from tests.harness.store.holders import FAR, dead
from tests.stores import add_checkpoint, add_evaluation, make_spec, right, see_protocol, start
from tests.tiny import PROTOCOL_DOCUMENT

ATTACKS: dict[str, dict[str, Any]] = {"natural": {}, "pgd": {"steps": 20}}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs of two methods, of which one failed; and a model."""
    file = tmp_path_factory.mktemp("board") / "original.db"
    store = Store.write(str(file))
    see_protocol(store, ATTACKS, {"epochs": 2})
    for method, seed, correct in (("sat", 0, (200, 250, 240)), ("trades", 0, (300,)), ("trades", 1, ())):
        run = start(store, make_spec(method=method, train_seed=seed, training={"epochs": 2}))
        for attack_seed, count in enumerate(correct):
            checkpoint = store.run(run.id).checkpoint("last") or add_checkpoint(store, run)
            add_evaluation(store, checkpoint, "pgd", ATTACKS["pgd"], right(count, 360), seed=attack_seed)
        store.end_run(run.id, failure=None if correct else "the loss is not finite")
    facts: dict[str, Any] = {"network": "a-network-of-somebody-else", "network_settings": {}, "network_departures": {}}
    theirs = store.see_model("theirs", run.dataset, sha256="d" * 64, parameters=9, provenance={}, **facts)
    add_evaluation(store, theirs.checkpoint, "pgd", ATTACKS["pgd"], right(18, 20), sample="balanced")
    store.change_tags([store.run(2), theirs], ["paper"], [])
    store.annotate(store.run(1), "the first of all")
    store.close()
    return file


@pytest.fixture
def board(original: Path, elsewhere: Path) -> Path:
    """A copy, which a test may change."""
    return Path(shutil.copy(original, "mine.db"))


def listed(harness: Harness, options: str = "") -> tuple[list[int], list[str]]:
    document = json.loads(harness(f"runs {options} --json --db mine.db"))
    return [run["run"] for run in document["runs"]], [model["model"] for model in document["models"]]


def test_the_figure_by_hand(harness: Harness, board: Path) -> None:
    document = json.loads(harness("runs --json --db mine.db"))
    figures = [each["figure"] for each in (*document["runs"], *document["models"])]
    common = {"attack": "pgd", "examples": 360, "of": 360, "sample": "first", "checkpoint": "last"}
    common |= {"protocol": "tiny", "fingerprint": "1" * 64, "epsilon": 0.2, "norm": "Linf"}
    assert figures[0] == common | {"median": pytest.approx(100 * 240 / 360), "n": 3}
    assert figures[1] == common | {"median": pytest.approx(100 * 300 / 360), "n": 1}
    assert figures[2] is None
    few = {"examples": 20, "sample": "balanced", "checkpoint": "given"}
    assert figures[3] == common | few | {"median": pytest.approx(90.0), "n": 1}


def test_the_figures_of_the_published_runs_are_those_of_its_board(harness: Harness, elsewhere: Path) -> None:
    shutil.copy(FIRST_BOARD, "mine.db")
    store = Store.read("mine.db")
    expected = {}
    for board in [b for b in boards(store) if b.source == MEASURED]:
        column = board.column("autoattack")
        for row in board.rows:
            for network in row.networks:
                expected[network.number] = statistics.median(
                    e.percent for e in column.evaluations(network)["autoattack"]
                )
            assert statistics.median(expected[run] for run in row.runs) == pytest.approx(row.value("autoattack"))
    store.close()
    found = {d["run"]: d["figure"]["median"] for d in json.loads(harness("runs --json --db mine.db"))["runs"]}
    assert found == pytest.approx(expected)
    lines = harness("runs --db mine.db --dataset digits --sort figure").splitlines()
    assert "autoattack: % of test images" in "".join(lines)
    shown = [float(line.split()[6]) for line in lines if " done " in line]
    assert shown == sorted(shown, reverse=True)
    assert len(shown) == 35


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", ([1, 2, 3], ["theirs"])),
        ("--method trades", ([2, 3], [])),
        ("--method theirs", ([], ["theirs"])),
        ("--state done", ([1, 2], [])),
        ("--state failed --method trades", ([3], [])),
        ("--tag paper", ([2], ["theirs"])),
        ("--arch smallcnn", ([1, 2, 3], [])),
        ("--dataset svhn", ([], [])),
        ("--protocol tiny", ([1, 2, 3], ["theirs"])),
        ("--protocol 111", ([1, 2, 3], ["theirs"])),
        ("--protocol paper", ([], [])),
        ("--since 2020-01-01", ([1, 2, 3], ["theirs"])),
        ("--since 2999-01-01", ([], [])),
        ("--sort figure", ([2, 1, 3], ["theirs"])),
        ("--sort state", ([1, 2, 3], ["theirs"])),
        ("--sort date", ([3, 2, 1], ["theirs"])),
    ],
)
def test_filters_and_orders(harness: Harness, board: Path, options: str, expected: tuple[list[int], list[str]]) -> None:
    assert listed(harness, options) == expected


def test_eighty_columns(harness: Harness, board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = harness("runs --db mine.db")
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    (trades,) = [line.split() for line in text.splitlines() if " 83.33 " in line]
    assert trades[:7] == ["2", "trades", "smallcnn", "digits", "0", "done", "83.33"]
    assert trades[-1] == "paper"
    head, some = (next(line.split() for line in text.splitlines() if word in line) for word in ("model ", " 90.00 "))
    assert head[head.index("pgd") :][:2] == ["pgd", "images"]
    assert some[some.index("90.00") :][:2] == ["90.00", "20"]  # on 20 of the test images
    assert "run 1: the first of all" in text


def test_what_all_rows_share_stands_above_a_table_that_is_too_wide(
    harness: Harness, board: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shared, _, head, _, *rows = harness("runs --method trades --db mine.db").splitlines()
    assert re.fullmatch(r"network smallcnn; dataset digits; date \d{4}-\d\d-\d\d", shared)
    assert head.split() == ["run", "method", "seed", "state", "pgd", "tags"]
    assert [row.split() for row in rows[:2]] == [
        ["2", "trades", "0", "done", "83.33", "paper"],
        ["3", "trades", "1", "failed", "0/2"],
    ]
    monkeypatch.setenv("COLUMNS", "120")
    assert "network smallcnn" not in harness("runs --method trades --db mine.db")
    monkeypatch.setenv("COLUMNS", "50")
    assert "network smallcnn" not in harness("runs --method sat --db mine.db")  # one row shares nothing


def test_figures_of_several_attacks_name_them(
    harness: Harness, board: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    one, other, *_ = json.loads(harness("runs --db mine.db --json"))["runs"]
    other["figure"]["attack"] = "cw"
    print_runs([one, other], [one, other], {})
    lines = capsys.readouterr().out.splitlines()
    assert any("figure" in line and " seed " in line for line in lines)
    assert any(f"{one['figure']['median']:.2f} pgd" in line for line in lines)
    assert any(f"{other['figure']['median']:.2f} cw" in line for line in lines)


@pytest.fixture
def mixed(original: Path, elsewhere: Path) -> Path:
    """Runs of two protocols, which differ in the radius, in images, and in the network's settings; one is wrapped."""
    file = Path(shutil.copy(original, "mine.db"))
    store = Store.write(str(file))
    attacks: dict[str, dict[str, Any]] = {"natural": {}, "pgd": {"steps": 20, "epsilon": 0.1}}
    document = {**PROTOCOL_DOCUMENT, "evaluation": {**PROTOCOL_DOCUMENT["evaluation"], "epsilon": 0.1}}
    see_protocol(store, attacks, {"epochs": 3}, fingerprint="2" * 64, document=document)
    ema = {"name": "ema", "settings": {"decay": 0.9}, "departures": {"decay": 0.9}}
    spec = make_spec(network_settings={"width": 8}, training={"epochs": 3}, wrappers=(ema,))
    run = start(store, spec, network_departures={"width": 8})
    add_evaluation(store, add_checkpoint(store, run), "pgd", attacks["pgd"], right(19, 20), sample="first")
    store.end_run(run.id)
    store.close()
    return file


def test_figures_of_several_protocols_are_told_apart(harness: Harness, mixed: Path) -> None:
    """A figure at half the radius is no better than one at the whole radius."""
    lines = harness("runs --db mine.db --sort figure").splitlines()
    assert "tiny [11111111]: epsilon 0.2; tiny [22222222]: epsilon 0.1" in lines
    assert "figures of different protocols do not compare; harness leaderboard ranks those that do" in lines
    shown = [line.split() for line in lines if " done " in line]
    protocols = [(line[0], next(word for word in line if word.startswith("["))) for line in shown]
    assert protocols == [("2", "[11111111]"), ("1", "[11111111]"), ("4", "[22222222]")]
    assert shown[-1][1:4] == ["sat+ema", "decay=0.9", "smallcnn"]
    assert "width=8" in shown[-1]
    assert "first" in shown[-1]  # 20 images: not the balanced ones that 20 would be otherwise


def test_json_tells_them_apart(harness: Harness, mixed: Path) -> None:
    *_, last = json.loads(harness("runs --json --db mine.db"))["runs"]
    assert (last["label"], last["wrappers"]) == ("sat+ema decay=0.9", ["ema decay=0.9"])
    assert (last["method"], last["network"], last["network_label"]) == ("sat", "smallcnn", "smallcnn width=8")
    figure = last["figure"]
    assert (figure["epsilon"], figure["fingerprint"], figure["sample"]) == (0.1, "2" * 64, "first")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--dataset digit", "No run matches --dataset digit; did you mean --dataset digits?"),
        ("--tag x", "No run matches --tag x; there are paper"),
        ("--arch smallcn", "did you mean --arch smallcnn?"),
        ("--protocol zzz", "No run matches --protocol zzz; there are tiny"),
        ("--method sat --state failed", "None of 4 runs and models matches all these options; leave one out"),
    ],
)
def test_no_match(harness: Harness, board: Path, options: str, said: str) -> None:
    assert said in harness(f"runs {options} --db mine.db")


def test_bad_options(refusal: Refused, board: Path) -> None:
    assert "unknown order 'datte'; did you mean 'date'" in refusal("runs --sort datte --db mine.db")
    assert "--since yesterday is refused: it is a day" in refusal("runs --since yesterday --db mine.db")
    assert "--state" in refusal("runs --state gone --db mine.db")


def many(runs: int, models: int) -> None:
    """Add runs, and models, to the three runs and the model that are there; each newer than the one before."""
    store = Store.write("mine.db")
    for number in range(runs):
        store.end_run(start(store, make_spec(method="mart", train_seed=number)).id)
    facts: dict[str, Any] = {"network": "x", "network_settings": {}, "network_departures": {}, "parameters": 1}
    for number in range(models):
        record = store.run(1).dataset
        store.see_model(f"theirs-{number}", record, sha256=f"{number:064}", provenance={}, **facts)
    store.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--limit 1", ([3], ["theirs"])),
        ("--limit 2", ([2, 3], ["theirs"])),
        ("--limit 3", ([1, 2, 3], ["theirs"])),
        ("--limit 900", ([1, 2, 3], ["theirs"])),
        ("--limit 1 --sort figure", ([2], ["theirs"])),
        ("--limit 2 --sort date", ([3, 2], ["theirs"])),
        ("--limit 1 --method trades", ([3], [])),
        ("--limit 1 --state done", ([2], [])),
    ],
)
def test_a_limit_keeps_the_newest_or_the_first_of_another_order(
    harness: Harness, board: Path, options: str, expected: tuple[list[int], list[str]]
) -> None:
    assert listed(harness, options) == expected


def test_a_limit_counts_runs_and_models_apart_and_says_what_is_left_out(harness: Harness, board: Path) -> None:
    many(4, 3)
    assert listed(harness, "--limit 2") == ([6, 7], ["theirs-1", "theirs-2"])
    text = harness("runs --limit 2 --db mine.db")
    assert text.splitlines()[-1] == "4 of 11 are listed; --limit 11 lists all"
    assert [word for word in ("theirs-0", "theirs-1", "theirs-2") if word in text] == ["theirs-1", "theirs-2"]
    assert sum(" mart " in line for line in text.splitlines()) == 2
    assert "are listed" not in harness("runs --limit 11 --db mine.db")


def test_without_a_limit_fifty_are_printed_and_all_are_in_json(harness: Harness, board: Path) -> None:
    many(60, 0)
    lines = harness("runs --db mine.db").splitlines()
    assert sum(" mart " in line for line in lines) == 50
    assert lines[-1] == "51 of 64 are listed; --limit 64 lists all"  # and the model
    assert len(listed(harness)[0]) == 63


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_refused(refusal: Refused, board: Path, limit: int) -> None:
    assert f"--limit {limit} is refused: it must be 1 or more" in refusal(f"runs --limit {limit} --db mine.db")


@pytest.mark.parametrize("backend", ["file", "server"])
def test_who_is_at_work_on_what_is_told(
    backend: str, harness: Harness, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "server":
        monkeypatch.setenv("HARNESS_DB", request.getfixturevalue("server_url"))
    store = Store.write()
    run = start(store, make_spec())
    for item in ("command 1", "training of run 1", "a", "b", "c"):
        store.take(item, FAR, 60, run.id if "run" in item else None)
    store.take("of a dead process", dead(), 60)
    store.close()
    line = harness("runs").splitlines()[-1]
    assert re.fullmatch(
        r"at work: process 17 on elsewhere \(ann\), since \d\d:\d\d UTC: training of run 1, a, b and 1 more", line
    )
    found = json.loads(harness("runs --json"))["at_work"]
    assert [one["item"] for one in found] == ["training of run 1", "a", "b", "c"]
    assert {(one["host"], one["process"], one["user"]) for one in found} == {("elsewhere", "17", "ann")}
