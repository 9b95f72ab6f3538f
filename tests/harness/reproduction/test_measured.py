"""Reported beside measured: differences and verdicts by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from harness.planning.assessment import with_attacks
from harness.reference import ReportedFigure
from harness.registry.catalogue import discover
from harness.reproduction.measured import compare_cells, conditions
from harness.reproduction.recipes import RECIPES, Cell, select
from harness.statistics.figures import Figure
from harness.store.store import Store
from tests.harness.reproduction.tables import ATTACKS, BASE, CIFAR, IMAGES, PAPER, close, put, row
from tests.stores import add_evaluation, right, see_protocol


def test_a_model_from_elsewhere_on_the_board_is_no_cell(store: Store) -> None:
    put(store, "sat", {"natural": [830], "pgd": [510] * 5})
    alone = row(store, "sat")
    fields: dict[str, Any] = {"network": "resnet18", "network_settings": {}, "network_departures": {}}
    model = store.see_model("sat", CIFAR, sha256="d" * 64, parameters=1, provenance={}, **fields)
    add_evaluation(store, model.checkpoint, "pgd", {"attack": "pgd"}, right(IMAGES, IMAGES))
    assert row(store, "sat") == alone


def test_difference_and_verdict_by_hand(store: Store) -> None:
    # reported: natural 82.88; PGD 51.16 ± 0.13; CW 49.74 ± 0.17; AutoAttack 48.57 ± 0.11
    counts = {"pgd": [510, 512, 511, 513, 514], "cw": [480] * 5, "autoattack": [484, 485, 486]}
    put(store, "sat", {"natural": [830], **counts})
    sat = row(store, "sat")
    assert {metric: c.verdict for metric, c in sat.items()} == {
        "natural": "no reported spread",
        "pgd": "within",
        "cw": "outside",
        "autoattack": "incomplete",  # three seeds of five
    }
    pgd, cw = sat["pgd"], sat["cw"]
    assert pgd.measured == Figure(close(51.2), close(math.sqrt(0.025)), 5)
    assert pgd.difference == close(0.04)
    assert pgd.bound == close(2 * math.sqrt(0.13**2 + 0.025))
    assert (cw.difference, cw.spread, cw.bound) == (close(-1.74), 0.0, close(0.34))
    assert (sat["natural"].difference, sat["natural"].bound) == (close(0.12), None)
    assert sat["autoattack"].difference == close(48.5 - 48.57)
    others = [c for c in compare_cells(select("all"), BASE, store) if c not in sat.values()]
    assert len(others) == 100
    assert {(c.verdict, c.measured, c.difference, c.bound, c.networks) for c in others} == {
        ("not measured", None, None, None, 0)
    }


@pytest.mark.parametrize(("count", "verdict"), [(516, "within"), (517, "outside"), (510, "within"), (509, "outside")])
def test_the_bound_itself(store: Store, count: int, verdict: str) -> None:
    # five equal seeds: only the reported 0.17 is left, so 51.30 ± 0.17 takes 50.96 to 51.64
    put(store, "sat", {"pgd": [count] * 5})
    figure = ReportedFigure("p", "1", "cifar10", "resnet18", "sat", "early", "pgd", 51.30, 0.17, "")
    (comparison,) = compare_cells([Cell(figure, RECIPES["sat"], "cifar10", "resnet18")], BASE, store)
    assert comparison.verdict == verdict


def test_several_networks_spread_over_training_seeds(store: Store) -> None:
    put(store, "sat", {"pgd": [510, 512, 511, 513, 514]})
    put(store, "sat", {"pgd": [500] * 5}, train_seed=1)
    pgd = row(store, "sat")["pgd"]
    assert pgd.networks == 2
    assert pgd.measured is not None
    assert pgd.measured.median == close((51.2 + 50.0) / 2)
    assert pgd.spread == close(1.2 / math.sqrt(2))  # of two values: half their distance times the root of 2
    assert pgd.bound == close(2 * math.sqrt(0.13**2 + 0.72))
    assert pgd.verdict == "within"
    assert row(store, "sat", dataclasses.replace(BASE, train_seeds=3))["pgd"].verdict == "incomplete"


def test_a_collapsed_seed_widens_no_bound(store: Store) -> None:
    """Its deviation, 27.9 points, would take in any figure."""
    for seed, count in enumerate((511, 505, 25)):
        put(store, "sat", {"pgd": [count] * 5}, train_seed=seed)
    pgd = row(store, "sat")["pgd"]
    assert (pgd.verdict, pgd.networks, pgd.spread, pgd.bound) == ("a seed collapsed", 3, None, None)
    assert pgd.difference == close(50.5 - 51.16)


def test_one_seed_has_no_spread(store: Store) -> None:
    put(store, "sat", {"pgd": [511]})
    assert row(store, "sat")["pgd"].verdict == "incomplete"
    pgd = row(store, "sat", dataclasses.replace(BASE, seeds=1))["pgd"]
    assert (pgd.verdict, pgd.difference, pgd.bound) == ("no measured spread", close(-0.06), None)


def test_what_is_no_measurement_of_the_cell(store: Store) -> None:
    complete = {"natural": [830], **{attack: [500] * 5 for attack in ATTACKS[1:]}}
    put(store, "sat", complete, checkpoint="last")
    put(store, "gairat", complete, done=False)
    put(store, "lrat", complete, settings={"floor": "natural"})
    put(
        store,
        "trades",
        {"natural": [150], **{attack: [100] * 5 for attack in ATTACKS[1:]}},
        examples=200,
        sample="balanced",
    )
    everything = compare_cells(select("all"), BASE, store)
    assert {c.verdict for c in everything} == {"not measured"}
    some = row(store, "trades", dataclasses.replace(BASE, limit=200), table="table2")
    assert {c.verdict for c in some.values()} == {"other protocol"}
    assert some["pgd"].difference == close(50.0 - 53.26)


def test_another_protocol_gets_a_difference_and_no_verdict(store: Store) -> None:
    base = dataclasses.replace(BASE, values=("block_size=250",))
    (other,) = conditions(select("table5"), base).values()
    put(store, "sat", {"natural": [830], "pgd": [511] * 5}, protocol=other.protocol.fingerprint)
    assert {c.verdict for c in row(store, "sat").values()} == {"not measured"}
    sat = row(store, "sat", base)
    assert {m: c.verdict for m, c in sat.items()} == {
        **dict.fromkeys(("natural", "pgd"), "other protocol"),
        **dict.fromkeys(("cw", "autoattack"), "not measured"),
    }
    assert sat["pgd"].difference == close(-0.06)
    fewer = dataclasses.replace(BASE, values=("evaluation.attacks=natural,pgd",))
    assert [c.verdict for c in row(store, "sat", fewer).values()][2:] == ["not in the protocol"] * 2


def test_what_was_measured_before_the_protocol_got_an_attack_still_counts(store: Store) -> None:
    """Figures under single attacks are the same."""
    before, _ = with_attacks(PAPER.with_values({"evaluation.attacks": ATTACKS}), discover("attacks"))
    assert before.fingerprint != PAPER.fingerprint
    put(store, "sat", {"natural": [830], "pgd": [511] * 5}, protocol=before.fingerprint)
    sat = row(store, "sat")
    assert (sat["pgd"].verdict, sat["pgd"].difference) == ("within", close(-0.06))
    assert sat["cw"].verdict == "not measured"


def test_figures_under_two_protocols_of_different_attacks_all_count(store: Store) -> None:
    """Two networks under one of natural and PGD, a third under one of natural and CW, which the store got later."""
    for seed, attacks in ((0, ("natural", "pgd")), (1, ("natural", "pgd")), (2, ("natural", "cw"))):
        fewer, _ = with_attacks(PAPER.with_values({"evaluation.attacks": attacks}), discover("attacks"))
        of_attacks = {attack: {"attack": attack} for attack in attacks}
        see_protocol(store, of_attacks, PAPER.training_document, fingerprint=fewer.fingerprint, name="paper")
        counts = {"natural": [830 + seed], attacks[1]: [500 + seed] * 5}
        put(store, "sat", counts, train_seed=seed, protocol=fewer.fingerprint)
    sat = row(store, "sat")
    assert {metric: c.networks for metric, c in sat.items()} == {"natural": 3, "pgd": 2, "cw": 1, "autoattack": 0}
    medians = {metric: c.measured.median for metric, c in sat.items() if c.measured}
    assert medians == {"natural": close(83.1), "pgd": close(50.05), "cw": close(50.2)}


def test_a_protocol_of_fewer_attacks_that_differs_in_a_setting_is_another(store: Store) -> None:
    other, _ = with_attacks(PAPER.with_values({"evaluation.attacks": ATTACKS, "cw.kappa": 0.0}), discover("attacks"))
    put(store, "sat", {"natural": [830], "pgd": [511] * 5}, protocol=other.fingerprint)
    assert {c.verdict for c in row(store, "sat").values()} == {"not measured"}


def test_a_cell_of_two_tables_has_one_measurement(store: Store) -> None:
    put(store, "lrat", {"natural": [820], "cw": [505] * 5})
    put(store, "lrat", {"natural": [800], "cw": [400] * 5}, settings={"floor": "pgd"})
    first, fourth = row(store, "lrat"), row(store, "lrat[N+P+C]", table="table4")
    assert first["cw"].measured == fourth["cw"].measured == Figure(close(50.5), 0.0, 5)
    assert (first["cw"].verdict, fourth["cw"].verdict) == ("within", "within")  # 50.49 ± 0.16
    floor = row(store, "lrat[P,P+C]", table="table4")
    assert floor["natural"].measured == Figure(close(80.0), None, 1)
    assert row(store, "lrat[P+C]", table="table4")["natural"].verdict == "not measured"


def test_a_newer_attempt_counts(store: Store) -> None:
    put(store, "sat", {"natural": [100]})
    put(store, "sat", {"natural": [830]}, attempt=2)
    natural = row(store, "sat")["natural"].measured
    assert natural is not None
    assert natural.median == close(83.0)
