"""The figure of methods side by side: its numbers by hand from the verdicts, and its marks from its numbers."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from scipy import stats

from harness.figures.marks import number
from harness.figures.methods import METHODS
from harness.figures.plot import Plot
from harness.figures.trade_off import TRADE_OFF
from harness.store.store import Store
from tests import stores
from tests.harness.figures import made


def percents(known: made.Known, method: str, attack: str) -> list[float]:
    """For each training seed the accuracy: the median over attack seeds, or right under every attack and seed."""
    found = []
    for seed in made.SEEDS:
        of_network = {key[2:]: held for key, held in known.items() if key[:2] == (method, seed)}
        if attack == "worst case":
            right = sum(all(column) for column in zip(*of_network.values(), strict=True))
            found.append(100 * right / made.IMAGES)
        else:
            shares = [100 * sum(held) / made.IMAGES for (name, _), held in of_network.items() if name == attack]
            found.append(statistics.median(shares))
    return found


def test_means_intervals_and_networks_are_those_of_the_verdicts(board: tuple[Store, made.Known]) -> None:
    store, known = board
    marks = METHODS.data(made.material(store))
    assert marks.distinct("attack") == ["natural", "pgd", "cw", "worst case"]
    for method in made.SHARES:
        for attack in ("natural", "pgd", "cw", "worst case"):
            expected = percents(known, method, attack)
            (mean,) = marks.where(mark="mean", row=method, attack=attack)
            networks = marks.where(mark="network", row=method, attack=attack)
            assert [row["train_seed"] for row in networks] == list(made.SEEDS)
            assert [row["value"] for row in networks] == pytest.approx(expected)
            assert mean["value"] == pytest.approx(statistics.fmean(expected))
            half = stats.t.ppf(0.975, 2) * statistics.stdev(expected) / math.sqrt(3)
            assert mean["high"] == pytest.approx(statistics.fmean(expected) + half)
            assert mean["low"] == pytest.approx(statistics.fmean(expected) - half)
            assert (mean["over"], mean["n"]) == ("training seeds", 3)
    assert len(marks.rows) == 3 * 4 * (1 + 3)
    assert (marks.only("images"), marks.only("epsilon"), marks.only("protocol")) == (40, 0.2, "tiny [11111111]")


def test_rows_stand_in_the_order_of_their_ranks(board: tuple[Store, made.Known]) -> None:
    store, known = board
    medians = {m: statistics.median(percents(known, m, "pgd")) for m in made.SHARES}
    marks = METHODS.data(made.material(store, sort="pgd"))
    assert marks.distinct("row") == sorted(medians, key=lambda m: -medians[m])


def test_one_network_a_row_has_wilsons_interval_and_no_dots(store: Store) -> None:
    known = made.fill(store, seeds=[0])
    marks = METHODS.data(made.material(store))
    assert marks.distinct("mark") == ["mean"]
    (mark,) = marks.where(row="trades", attack="cw")
    share = percents_of_one(known)
    interval = stats.binomtest(round(share * 40), 40).proportion_ci(method="wilson") if share * 40 % 1 == 0 else None
    assert mark["value"] == pytest.approx(100 * share)
    assert (mark["over"], mark["n"]) == ("test images", 40)
    if interval is not None:
        assert (mark["low"], mark["high"]) == pytest.approx((100 * interval.low, 100 * interval.high))


def percents_of_one(known: made.Known) -> float:
    return statistics.median(sum(known["trades", 0, "cw", seed]) / 40 for seed in (0, 1))


def test_each_mark_is_drawn_where_its_row_says(board: tuple[Store, made.Known]) -> None:
    marks = METHODS.data(made.material(board[0]))
    rows = marks.distinct("row")
    with made.drawn(METHODS, marks) as canvas:
        panels = [axes for axes in canvas.axes if axes.get_title(loc="left")]
        assert [axes.get_title(loc="left") for axes in panels] == marks.distinct("attack")
        for axes in panels:
            attack = axes.get_title(loc="left")
            low, _ = axes.get_xlim()
            here = [row for row in marks.where(attack=attack) if number(row, "value") >= low]
            expected = [(row["value"], rows.index(row["row"]) + 0.3 * (row["mark"] == "network")) for row in here]
            assert sorted(made.points(axes)) == sorted(made.rounded(expected))
            means = [row for row in here if row["mark"] == "mean"]
            ends = [(max(number(row, "low"), low), min(number(row, "high"), axes.get_xlim()[1])) for row in means]
            assert sorted(made.across(axes)) == sorted(made.rounded(ends))
            written = [text.get_text() for text in axes.texts]
            outside = [row for row in marks.where(attack=attack, mark="mean") if row not in here]
            assert written == [f"◂ {number(row, 'value'):.1f}" for row in outside]
        assert [text.get_text() for text in panels[0].get_yticklabels()] == rows


def test_a_figure_that_is_missing_has_a_dash(store: Store) -> None:
    made.fill(store, methods=["sat"], seeds=[0])
    run = stores.start(store, stores.make_spec(method="mart", training=made.TRAINING))
    kept = stores.add_checkpoint(store, run, epoch=3)
    store.end_run(run.id)
    stores.add_evaluation(store, kept, "pgd", made.SETTINGS["pgd"], stores.right(10, 40))
    marks = METHODS.data(made.material(store))
    with made.drawn(METHODS, marks) as canvas:
        written = {axes.get_title(loc="left"): [text.get_text() for text in axes.texts] for axes in canvas.axes}
    assert written == {"natural": ["-"], "pgd": [], "cw": ["-"], "worst case": ["-"]}


def test_a_method_far_below_is_written_at_the_end_of_the_axis(board: tuple[Store, made.Known]) -> None:
    marks = METHODS.data(made.material(board[0]))
    with made.drawn(METHODS, marks) as canvas:
        (pgd,) = [axes for axes in canvas.axes if axes.get_title(loc="left") == "pgd"]
        (mean,) = marks.where(row="standard", attack="pgd", mark="mean")
        assert [text.get_text() for text in pgd.texts] == [f"◂ {mean['value']:.1f}"]
        assert pgd.get_xlim()[0] > number(mean, "value")


def test_a_network_far_below_its_row_is_written_at_the_end_of_the_axis(store: Store) -> None:
    """Of five networks one collapsed: it lies below Student's interval, which the axis holds, and has no dot."""
    stores.see_protocol(store, {"pgd": made.SETTINGS["pgd"]}, made.TRAINING)
    counts = {"sat": [36, 36, 36, 36, 8], "trades": [36, 35, 36, 35, 36], "standard": [0, 0, 0, 0, 0]}
    for method, of_networks in counts.items():
        for seed, count in enumerate(of_networks):
            run = stores.start(store, stores.make_spec(method=method, training=made.TRAINING, train_seed=seed))
            kept = stores.add_checkpoint(store, run, epoch=3)
            store.end_run(run.id)
            stores.add_evaluation(store, kept, "pgd", made.SETTINGS["pgd"], stores.right(count, 40))
    marks = METHODS.data(made.material(store))
    with made.drawn(METHODS, marks) as canvas:
        panel = canvas.axes[0]
        assert panel.get_xlim()[0] > 20
        assert sorted(text.get_text() for text in panel.texts) == ["◂ 0.0", "◂ 20.0"]


@pytest.mark.parametrize("plot", [METHODS, TRADE_OFF], ids=lambda plot: plot.name)
def test_worst_cases_of_more_evaluations_are_told_from_others(store: Store, plot: Plot) -> None:
    """One network of three has a PGD seed more: its worst case is of 7 evaluations, and that of the others of 6."""
    known = made.fill(store, methods=["sat", "trades"])
    for seeds, said in (((), ""), ((3,), "worst cases of 6-7 evaluations a network, and they fall with more")):
        for seed in seeds:
            kept = store.run(1).checkpoint("last")
            assert kept is not None
            stores.add_evaluation(store, kept, "pgd", made.SETTINGS["pgd"], known["sat", 0, "pgd", 0], seed=seed)
        marks = plot.data(made.material(store, sort="worst_case"))
        with made.drawn(plot, marks) as canvas:
            caption = canvas.get_supxlabel().replace("\n", " ")
        assert caption.endswith(said)
        assert ("worst cases" in caption) == bool(said)


def test_the_sign_of_a_model_from_elsewhere_is_explained(store: Store) -> None:
    made.fill(store, methods=["sat"], seeds=[0])
    alone = METHODS.data(made.material(store))
    facts: dict[str, Any] = {key: {} for key in ("network_settings", "network_departures", "provenance")}
    model = store.see_model("theirs", stores.DIGITS, sha256="e" * 64, network="smallcnn", parameters=9, **facts)
    stores.add_evaluation(store, model.checkpoint, "pgd", made.SETTINGS["pgd"], stores.right(10, 40))
    for marks, said in ((alone, False), (METHODS.data(made.material(store)), True)):
        with made.drawn(METHODS, marks) as canvas:
            caption = canvas.get_supxlabel().replace("\n", " ")
        assert ("† not trained under the protocol: a model from elsewhere" in caption) == said


def test_places_without_an_attack_are_empty(store: Store) -> None:
    attacks = {f"attack-{number}": {"steps": number} for number in range(1, 6)}  # and the worst case: six panels
    stores.see_protocol(store, attacks, made.TRAINING)
    run = stores.start(store, stores.make_spec(method="sat", training=made.TRAINING))
    kept = stores.add_checkpoint(store, run, epoch=3)
    store.end_run(run.id)
    for name, settings in attacks.items():
        stores.add_evaluation(store, kept, name, settings, stores.right(20, 40))
    with made.drawn(METHODS, METHODS.data(made.material(store))) as canvas:
        assert [axes.axison for axes in canvas.axes] == [True] * 6 + [False] * 4
