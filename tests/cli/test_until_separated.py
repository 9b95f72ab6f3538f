"""``harness run --until-separated``: how many seeds it trains, and what it says of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import harness as interface
from harness.api import running
from harness.execution.conduct import known_of
from harness.execution.summary import Summary
from harness.planning.missing import Missing, find_missing
from harness.planning.run_job import resolve_run
from harness.runtime.provenance import looked_at
from harness.statistics.sequential import looks
from harness.store.opening import WantedRun
from harness.store.store import Store
from tests.cli.conftest import Ends, Harness
from tests.cli.seeds_kept import REQUEST, STAND_IN, TINY, TINY_TOO, fill, jobs, keep, of_the_stand_in, told


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What a command would train, with figures that stand in for it: method and seed."""
    begun: list[tuple[str, int]] = []

    def conduct(missing: Missing, place: Any, listen: Any) -> Summary:
        store, summary = Store.write(place.db), Summary()
        for run in missing.runs:
            if run.record is None:
                store.see_protocol(run.job.protocol_record(), run.job.protocol.training_document)
                keep(store, run.job, run.spec.train_seed, STAND_IN[run.spec.method][run.spec.train_seed])
                begun.append((run.spec.method, run.spec.train_seed))
        again = find_missing([*{id(run.job): run.job for run in missing.runs}.values()], store)
        summary.run_ids = [run.record.id for run in again.runs if run.record is not None]
        summary.trained = len(begun)
        store.close()
        return summary

    monkeypatch.setattr(running, "conduct", conduct)
    return begun


def test_methods_that_differ_are_separated_before_the_limit_and_the_store_tells_it(ends: Ends) -> None:
    """Trained and attacked in earnest: one is attacked in training, the other is not, and neither learns much."""
    command = f"run standard sat {TINY} --set lr=0.05 --until-separated 5 --json"
    code, out, err = ends(command)
    assert code == 0, err
    found = told(out)
    (pair,) = found["pairs"]
    assert (pair["first"], pair["second"], found["attack"], found["limit"]) == ("standard", "sat", "pgd", 5)
    rows = {row["method"]: row["runs"] for row in json.loads(out)["rows"]}
    assert len(rows["sat"]) == len(rows["standard"]) == found["seeds"]
    assert err.count("of at most 5 training seeds") == found["seeds"] - 2  # a line for each look
    with interface.open() as results:
        by_seed: dict[str, dict[int, float]] = {"standard": {}, "sat": {}}
        for e in results.evaluations(attack="pgd"):
            by_seed[e["method"]][e["train_seed"]] = e["accuracy_percent"]
    sides = [[by_seed[name][seed] for seed in range(found["seeds"])] for name in ("standard", "sat")]
    own = looks(sides[0], sides[1], 5)
    assert pair["p"] == pytest.approx(own[-1].p)
    assert pair["separated"] == (own[-1].p < 0.05) == (found["seeds"] < 5 or pair["p_holm"] < 0.05)
    store = Store.read("leaderboard.db")
    kept = [looked_at(held) for held in store.provenances(range(1, 11)).values()]
    store.close()
    assert {(one.limit, one.methods, one.attack) for one in kept if one} == {(5, frozenset({"sat", "standard"}), "pgd")}
    code, again, err = ends(command)
    assert (code, again) == (0, out)  # all is stored: the same, and nothing is trained
    assert "of at most" not in err


def test_equal_methods_reach_the_limit(harness: Harness, trained: list[tuple[str, int]]) -> None:
    found = told(harness(f"run standard sat {TINY} --until-separated 6 --json"))
    assert trained[:6] == [(name, seed) for name in ("standard", "sat") for seed in range(3)]
    assert trained[6:] == [(name, seed) for seed in range(3, 6) for name in ("standard", "sat")]
    (pair,) = found["pairs"]
    assert (found["seeds"], pair["n"], pair["separated"]) == (6, 6, False)
    own = looks(*of_the_stand_in(6), 6)
    assert (pair["p"], pair["difference"]) == (pytest.approx(own[-1].p), pytest.approx(own[-1].found.difference))
    assert own[-1].interval is not None
    assert [pair["interval"][end] for end in ("low", "high")] == pytest.approx(
        [own[-1].interval.low, own[-1].interval.high]
    )


def test_a_stopped_command_goes_on_where_it_stood(
    ends: Ends, harness: Harness, trained: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    command, conduct = f"run standard sat {TINY} --until-separated 6 --json", running.conduct

    def stopped(missing: Missing, place: Any, listen: Any) -> Summary:
        if len(trained) == 8:
            raise KeyboardInterrupt
        return conduct(missing, place, listen)

    with monkeypatch.context() as patched:
        patched.setattr(running, "conduct", stopped)
        assert ends(command)[0] == 130
    assert len(trained) == 8
    found = told(harness(command))
    assert trained == [(name, seed) for name in ("standard", "sat") for seed in range(3)] + [
        (name, seed) for seed in range(3, 6) for name in ("standard", "sat")
    ]
    assert found["pairs"][0]["p"] == pytest.approx(looks(*of_the_stand_in(6), 6)[-1].p)


def test_work_that_was_given_up_is_done_before_the_next_look(
    ends: Ends, trained: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    conduct = running.conduct

    def gives_up(missing: Missing, place: Any, listen: Any) -> Summary:
        summary = conduct(missing, place, listen)
        summary.undone = {"run 1": "it took too long"}
        return summary

    with monkeypatch.context() as patched:
        patched.setattr(running, "conduct", gives_up)
        code, out, err = ends(f"run standard sat {TINY} --until-separated 6 --json")
    assert (code, told(out)["seeds"], len(trained)) == (1, 0, 6)
    assert "it took too long" in err


def test_train_seeds_are_trained_before_the_first_look(harness: Harness, trained: list[tuple[str, int]]) -> None:
    found = told(harness(f"run standard sat {TINY} --train-seeds 5 --until-separated 6 --json"))
    assert trained[:10] == [(name, seed) for name in ("standard", "sat") for seed in range(5)]
    assert (len(trained), found["seeds"]) == (12, 6)


def test_a_method_that_is_apart_gets_no_more_seeds(harness: Harness, trained: list[tuple[str, int]]) -> None:
    fill({"standard": [], "trades": [40, 41, 40, 41]}, 7)
    found = told(harness(f"run standard sat trades {TINY} --until-separated 7 --json"))
    separated = {(pair["first"], pair["second"]): pair["separated"] for pair in found["pairs"]}
    assert separated == {("standard", "sat"): False, ("standard", "trades"): True, ("sat", "trades"): True}
    assert max(seed for _, seed in trained) == 6
    assert {name for name, _ in trained} == {"standard", "sat"}


def test_stored_seeds_are_looked_at_in_order_and_no_more_than_are_needed(
    harness: Harness, trained: list[tuple[str, int]]
) -> None:
    fill({"standard": [10, 11, 10, 11, 40, 10], "sat": [30, 31, 31, 30, 10, 40]}, 6)
    text = harness(f"run standard sat {TINY} --until-separated 6")
    assert "1 of 1 pairs of methods are separated, pgd, last, after 3 of at most 6 training seeds" in text
    assert "these seeds were added by looking" in text
    assert trained == []
    (row,) = [line.split() for line in text.splitlines() if line.split()[:2] == ["standard", "sat"]]
    assert (row[2], row[3], row[-1]) == ("3", "-40.67", "yes")


def test_the_interface_says_the_same(harness: Harness, trained: list[tuple[str, int]]) -> None:
    fill({"standard": [10, 11, 10], "sat": [30, 31, 31]}, 4)
    report = interface.run(["standard", "sat"], **TINY_TOO, until_separated=4)
    assert "1 of 1 pairs are separated under pgd" in repr(report)
    assert report.separated == told(harness(f"run standard sat {TINY} --until-separated 4 --json"))
    plan = interface.run(["standard", "sat"], **TINY_TOO, until_separated=4, dry_run=True).plan
    assert plan == json.loads(harness(f"run standard sat {TINY} --until-separated 4 --dry-run --json"))


def test_compare_tells_of_the_looks(harness: Harness) -> None:
    fill({"standard": [10, 11, 10], "sat": [30, 31, 31]}, 4)
    (note,) = [note for note in json.loads(harness("compare standard sat --json"))["notes"] if "looking" in note]
    assert "--until-separated 4" in note
    (board,) = json.loads(harness("compare --all --json"))["boards"]
    assert note in board["notes"]
    assert "training seeds were added by looking" in " ".join(harness("compare --all").split())


def test_compare_says_nothing_of_seeds_that_were_named_in_advance(harness: Harness) -> None:
    store = Store.write("leaderboard.db")
    for job in resolve_run(replace(REQUEST, train_seeds=3)):
        store.see_protocol(job.protocol_record(), job.protocol.training_document)
        for seed in range(3):
            keep(store, job, seed, 10 + seed * (1 + (job.specs[0].method == "sat")))
    store.close()
    assert not [note for note in json.loads(harness("compare standard sat --json"))["notes"] if "looking" in note]


def test_the_plan_has_the_next_look_and_the_limit(harness: Harness, elsewhere: Path) -> None:
    plan = json.loads(harness(f"run standard sat {TINY} --until-separated 8 --dry-run --json"))
    assert (len(plan["networks"]), len(plan["at_the_limit"]["networks"])) == (6, 16)
    assert list(elsewhere.iterdir()) == []
    fill({"standard": [10, 12, 11, 12], "sat": [11, 11, 12, 10]}, 8)
    plan = json.loads(harness(f"run standard sat {TINY} --until-separated 8 --dry-run --json"))
    assert len(plan["networks"]) == 10  # the fifth seed of both
    text = harness(f"run standard sat {TINY} --until-separated 8 --dry-run")
    assert text.count("networks: 2 to train, 8 trained already") == 1
    assert text.count("networks: 8 to train, 8 trained already") == 1


def test_a_failed_network_is_left_out_and_the_command_says_so(ends: Ends, trained: list[tuple[str, int]]) -> None:
    found = jobs("standard", "sat", limit=5)
    fill({"standard": [10, 12], "sat": [11]}, 5)
    store = Store.write("leaderboard.db")
    (run,) = store.start_runs([WantedRun(spec=found[1].specs[1], **known_of(found[1]))])
    store.end_run(run.id, "the loss is not finite")
    store.close()
    code, out, err = ends(f"run standard sat {TINY} --until-separated 5 --json")
    assert code == 0, err  # the stand-in's summary names no failure
    (pair,) = told(out)["pairs"]
    assert (pair["n"], told(out)["seeds"], told(out)["without_figure"]) == (4, 5, {"sat": 1})
    assert ("sat", 1) not in trained


def test_a_network_at_chance_counts_and_is_named(harness: Harness, trained: list[tuple[str, int]]) -> None:
    """Of 50 images 2 are right with seed 1, and 30 with its siblings: at chance."""
    fill({"standard": [45, 46, 45, 46, 45], "sat": [30, 2, 31, 30, 2]}, 5)
    command = f"run standard sat {TINY} --until-separated 5"
    found = told(harness(f"{command} --json"))
    assert [seed["train_seed"] for seed in found["collapsed"]["sat"]] == [1, 4]
    assert "standard" not in found["collapsed"]
    text = " ".join(harness(command).split())
    assert "sat: seed 1 collapsed (4.00 % right on natural images, not above chance (10 %)); seed 4" in text
    assert "a mean difference that takes it in describes no network" in text
    report = interface.run(["standard", "sat"], **TINY_TOO, until_separated=5)
    assert "sat seed 1 collapsed, and counts in the looks" in repr(report)


def test_seeds_that_were_trained_without_a_limit_are_named(harness: Harness, trained: list[tuple[str, int]]) -> None:
    """A fourth seed of theirs was asked for, and no look took it in."""
    fill({"standard": [10, 11, 10, 11], "sat": [30, 31, 31, 30]}, 4, announced=False)
    command = f"run standard sat {TINY} --until-separated 4 --train-seeds 4"
    found = told(harness(f"{command} --json"))
    assert (found["seeds"], found["trained_before"]) == (3, {"standard": [0, 1, 2], "sat": [0, 1, 2]})
    assert "sat: seeds 0, 1, 2 were trained without --until-separated" in " ".join(harness(command).split())


def test_seeds_that_were_trained_for_the_limit_are_not(harness: Harness, trained: list[tuple[str, int]]) -> None:
    fill({"standard": [10, 11, 10], "sat": [30, 31, 31]}, 4)
    command = f"run standard sat {TINY} --until-separated 4"
    assert told(harness(f"{command} --json"))["trained_before"] == {}
    assert "were trained without" not in harness(command)


def test_a_collapse_that_no_look_took_in_is_not_named(harness: Harness, trained: list[tuple[str, int]]) -> None:
    fill({"standard": [10, 11, 10, 11, 10], "sat": [30, 31, 31, 30, 2]}, 5)
    for more in ("", " --train-seeds 5"):
        found = told(harness(f"run standard sat {TINY} --until-separated 5{more} --json"))
        assert (found["seeds"], found["collapsed"]) == (3, {})
