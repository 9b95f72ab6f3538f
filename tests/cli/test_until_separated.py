"""``harness run --until-separated``: how many seeds it trains, what it says of them, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import harness as interface
from harness.api import running
from harness.errors import SettingError
from harness.execution.conduct import known_of
from harness.execution.summary import Summary
from harness.planning.missing import Missing, find_missing
from harness.planning.request import RunRequest
from harness.planning.run_job import RunJob, resolve_run
from harness.runtime.provenance import looked_at
from harness.statistics.sequential import looks
from harness.store.opening import WantedRun
from harness.store.store import Store
from tests.cli.conftest import Ends, Harness, Refused
from tests.stores import add_checkpoint, add_evaluation, right

VALUES = {"width": 1, "train.steps": 1, "evaluation.steps": 1, "block_size": 50, "checkpoints": "last"}
SET = " ".join(f"--set {key}={value}" for key, value in VALUES.items())
TINY = f"--dataset digits --arch smallcnn --epochs 1 {SET} --seeds 1 --limit 50 --attacks natural,pgd --no-checks"
TINY += " --workers 1 --device cpu --eval-every 0"
TINY_TOO: dict[str, Any] = {
    **{"dataset": "digits", "arch": "smallcnn", "epochs": 1, "set": VALUES, "seeds": 1, "limit": 50},
    **{"attacks": ["natural", "pgd"], "checks": False, "workers": 1, "device": "cpu", "eval_every": 0},
}
REQUEST = RunRequest(
    methods=("standard", "sat"),
    network="smallcnn",
    dataset="digits",
    device="cpu",
    seeds=1,
    limit=50,
    checks=False,
    eval_every=0,
    epochs=1,
    attacks=("natural", "pgd"),
    values=tuple(f"{key}={value}" for key, value in VALUES.items()),
)


def jobs(*methods: str, limit: int) -> list[RunJob]:
    return resolve_run(replace(REQUEST, methods=methods, until_separated=limit))


def keep(store: Store, job: RunJob, seed: int, correct: int) -> None:
    """A network of a job, trained and attacked: of 50 images so many are right under every attack."""
    wanted = WantedRun(spec=job.specs[seed], **known_of(job))
    (run,) = store.start_runs([wanted])
    checkpoint = add_checkpoint(store, run, "last", 1)
    store.end_run(run.id)
    for attack in job.attacks:
        settings = job.attack_settings(attack)
        add_evaluation(store, checkpoint, attack, settings, right(correct, 50), sample=job.images.sample)


def fill(figures: Mapping[str, Sequence[int]], limit: int) -> None:
    """Put networks into the project's store, each with its number of images that are right."""
    found = jobs(*figures, limit=limit)
    with_store = Store.write("leaderboard.db")
    for job in found:
        with_store.see_protocol(job.protocol_record(), job.protocol.training_document)
        for seed, correct in enumerate(figures[job.specs[0].method]):
            keep(with_store, job, seed, correct)
    with_store.close()


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What a command would train, with figures that stand in for it: method and seed."""
    begun: list[tuple[str, int]] = []
    figures = {"standard": [10, 12, 11, 12, 10, 11, 12, 11], "sat": [11, 11, 12, 10, 12, 10, 11, 12]}

    def conduct(missing: Missing, place: Any, listen: Any) -> Summary:
        store, summary = Store.write(place.db), Summary()
        for run in missing.runs:
            if run.record is None:
                store.see_protocol(run.job.protocol_record(), run.job.protocol.training_document)
                keep(store, run.job, run.spec.train_seed, figures[run.spec.method][run.spec.train_seed])
                begun.append((run.spec.method, run.spec.train_seed))
        again = find_missing([*{id(run.job): run.job for run in missing.runs}.values()], store)
        summary.run_ids = [run.record.id for run in again.runs if run.record is not None]
        summary.trained = len(begun)
        store.close()
        return summary

    monkeypatch.setattr(running, "conduct", conduct)
    return begun


def told(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out)["until_separated"]
    return found


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
    own = looks([20.0, 24.0, 22.0, 24.0, 20.0, 22.0], [22.0, 22.0, 24.0, 20.0, 24.0, 20.0], 6)
    assert (pair["p"], pair["difference"]) == (pytest.approx(own[-1].p), pytest.approx(own[-1].found.difference))
    assert own[-1].interval is not None
    assert [pair["interval"][end] for end in ("low", "high")] == pytest.approx(
        [own[-1].interval.low, own[-1].interval.high]
    )


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
    assert report.separated == told(harness(f"run standard sat {TINY} --until-separated 4 --json"))
    plan = interface.run(["standard", "sat"], **TINY_TOO, until_separated=4, dry_run=True).plan
    assert plan == json.loads(harness(f"run standard sat {TINY} --until-separated 4 --dry-run --json"))


def test_compare_tells_of_the_looks(harness: Harness) -> None:
    fill({"standard": [10, 11, 10], "sat": [30, 31, 31]}, 4)
    (note,) = [note for note in json.loads(harness("compare standard sat --json"))["notes"] if "looking" in note]
    assert "--until-separated 4" in note


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


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("run standard sat --until-separated 2", "--until-separated 2 is refused: it is the most training seeds"),
        ("run standard sat --until-separated 101", "3 to 100"),
        ("run standard --until-separated 6", "it separates methods; name two or more"),
        ("run sat sat --until-separated 6", "it separates methods; name two or more"),
        ("run standard sat --until-separated 4 --train-seeds 5", "--train-seeds 5 is more"),
        ("run standard sat --until-separated 6 --fresh", "--fresh is refused beside --until-separated"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    refusal: Refused, elsewhere: Path, command: str, line: str
) -> None:
    assert line in refusal(f"{command} {TINY}")
    assert list(elsewhere.iterdir()) == []


def test_an_experiment_s_file_is_refused(refusal: Refused, elsewhere: Path) -> None:
    (elsewhere / "both.toml").write_text(
        'methods = ["sat", "trades"]\ndatasets = ["digits"]\nnetworks = ["smallcnn"]\n'
    )
    assert "beside an experiment's file" in refusal("run both.toml --until-separated 6")


def test_no_configuration_names_the_limit(refusal: Refused, elsewhere: Path) -> None:
    (elsewhere / "harness.toml").write_text("[run]\nuntil-separated = 6\n")
    assert "it is no default; give --until-separated when you want it" in refusal(f"run sat {TINY}")


def test_another_limit_for_the_same_methods_is_refused(refusal: Refused, harness: Harness) -> None:
    fill({"standard": [10, 12, 11, 12], "sat": [11, 11, 12, 10], "trades": [20, 21, 20]}, 8)
    for command in ("standard sat", "sat standard trades"):
        line = refusal(f"run {command} {TINY} --until-separated 12")
        assert "were looked at with the limit 8" in line
        assert "give --until-separated 8" in line
    # another attack ranks: another question
    plan = harness(f"run standard sat {TINY} --attacks pgd,natural --until-separated 12 --dry-run --json")
    assert len(json.loads(plan)["networks"]) == 10
    with pytest.raises(SettingError, match="with the limit 8"):
        interface.run(["standard", "sat"], **TINY_TOO, until_separated=9)
