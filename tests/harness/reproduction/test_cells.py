"""The cells of a table: which networks the paper trained, and what narrows them."""

from __future__ import annotations

import csv
import dataclasses
from collections import Counter
from importlib import resources

import pytest

from harness.errors import SettingError, UnknownName
from harness.registry.catalogue import discover
from harness.reproduction.recipes import RECIPES, requests, select
from tests.harness.reproduction.tables import ABLATION, BASE, BY_TABLE, CELLS, DEFAULT, PLAIN, TRADES, asked, trained


def test_each_reported_figure_is_a_cell_once() -> None:
    text = (resources.files("harness.reference") / "reported.csv").read_text(encoding="utf-8")
    printed = [tuple(row.values())[:7] for row in csv.DictReader(text.splitlines())]
    metrics = {"natural": "natural", "pgd": "pgd20", "cw": "cw", "autoattack": "autoattack"}
    for table, number in CELLS.items():
        cells = select(table)
        figures = [cell.figure for cell in cells]
        places = [
            (f.paper_table, f.dataset, f.network, f.method, f.checkpoint, metrics[f.metric], f"{f.median_percent:g}")
            for f in figures
        ]
        assert Counter(places) == Counter(p for p in printed if table in ("all", f"table{p[0]}"))
        assert len(cells) == len(set(cells)) == number
        assert all(cell.at_home for cell in cells)


@pytest.mark.parametrize("table", BY_TABLE)
def test_a_table_trains_the_papers_networks(table: str) -> None:
    networks = asked(select(table))
    assert len(networks) == len(set(networks))
    assert set(networks) == BY_TABLE[table]


def test_a_network_of_two_tables_is_trained_once() -> None:
    networks = asked(select("all"))
    assert set(networks) == set().union(*BY_TABLE.values())
    assert len(networks) == 6 + 6 + 5 + 3 - 1  # Table 1's lrat on ResNet-18 is Table 4's ([N]+P+C)


def test_checkpoints_of_one_network_in_two_tables_are_united() -> None:
    early = select("table1", network="resnet18")[0]
    last = dataclasses.replace(early, figure=dataclasses.replace(early.figure, checkpoint="last"))
    assert asked([last, early]) == [trained("cifar10", "resnet18", "sat", DEFAULT, "early", "last")]


def test_narrowing_keeps_the_cells_of_that_network_and_data() -> None:
    assert {t[1] for t in asked(select("all", network="wrn-32-10"))} == {"wrn-32-10"}
    assert len(select("all", network="wrn-32-10")) == 12 + 24
    assert len(select("all", dataset="svhn")) == 12
    assert select("table5") == select("all", dataset="svhn", network="resnet18")


def test_other_data_takes_the_place_of_all_of_them() -> None:
    cells = select("all", dataset="digits")
    assert len(cells) == 104
    assert {(cell.dataset, cell.network, cell.at_home) for cell in cells} == {("digits", "smallcnn", False)}
    networks = asked(cells)
    expected = {
        *(trained("digits", "smallcnn", m, DEFAULT, "early") for m in PLAIN),
        *(trained("digits", "smallcnn", m, DEFAULT, "early", "last") for m in TRADES),
        *(trained("digits", "smallcnn", "lrat", settings, "early") for settings in ABLATION),
    }
    assert len(networks) == len(set(networks)) == 10
    assert set(networks) == expected


def test_a_folder_takes_the_tables_networks_unless_another_is_named() -> None:
    assert {t[:2] for t in asked(select("table1", dataset="folder:my/images"))} == {
        ("folder:my/images", "resnet18"),
        ("folder:my/images", "wrn-32-10"),
    }
    narrowed = select("table1", dataset="folder:my/images", network="resnet18")
    assert [t[:3] for t in asked(narrowed)] == [("folder:my/images", "resnet18", m) for m in PLAIN]
    replaced = select("table1", network="smallcnn")
    assert [t[:3] for t in asked(replaced)] == [("cifar10", "smallcnn", m) for m in PLAIN]


def test_what_no_table_has_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"unknown table 'table3'.*all, table1, table2, table4, table5"):
        select("table3")
    with pytest.raises(
        SettingError, match="table1 has no cell on svhn; it has cifar10 with resnet18, cifar10 with wrn"
    ):
        select("table1", dataset="svhn")
    with pytest.raises(SettingError, match="table4 has no cell on wrn-32-10; it has cifar10 with resnet18"):
        select("table4", network="wrn-32-10")


@pytest.mark.parametrize("text", ["checkpoints=last", "evaluation.checkpoints=early,last"])
def test_the_tables_decide_checkpoints(text: str) -> None:
    with pytest.raises(SettingError, match=f"--set {text} is refused: the tables decide"):
        requests(select("table4"), dataclasses.replace(BASE, values=(text,)))


def test_every_label_has_a_recipe_that_its_method_takes() -> None:
    assert set(RECIPES) == {cell.figure.method for cell in select("all")}
    methods = discover("methods")
    for recipe in RECIPES.values():
        made = methods.get(recipe.method).from_mapping(dict(recipe.settings))
        assert made.departures() == dict(recipe.settings)  # nothing that is the default: one network, one recipe
