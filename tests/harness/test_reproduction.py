"""The paper's tables as runs, against lists written from the paper; reported beside measured, computed by hand."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.assessment import with_attacks
from harness.data.cifar10 import CIFAR10
from harness.data.svhn import SVHN
from harness.dataset import Dataset, DataSource, Split
from harness.errors import SettingError, UnknownName
from harness.evaluation.statistics import Figure
from harness.events import BlockDone
from harness.identity import digest
from harness.job import Request, resolve
from harness.plugins import discover
from harness.protocol import load_protocol
from harness.reference import ReportedFigure
from harness.reference.recipes import RECIPES, Cell, select
from harness.reproduction import Comparison, compare, orderings, parts, requests, standards
from harness.spec import RunSpec
from harness.store.records import DatasetRecord, ProtocolRecord, RunRecord
from harness.store.store import Store
from tests.tiny import PROTOCOL_DOCUMENT

BASE = Request(methods=(), device="cpu")

DEFAULT: dict[str, str] = {}
TRADES = ("trades", "gair-trades", "lrat-trades")
PLAIN = ("sat", "gairat", "lrat")
ABLATION = (
    {"attacks": "pgd", "floor": "none"},
    {"attacks": "cw", "floor": "none"},
    {"floor": "none"},
    DEFAULT,  # ([N]+P+C): the paper's LRAT
    {"floor": "pgd"},
)
Trained = tuple[str, str, str, tuple[tuple[str, str], ...], tuple[str, ...]]


def trained(dataset: str, arch: str, method: str, settings: dict[str, str], *checkpoints: str) -> Trained:
    return dataset, arch, method, tuple(sorted(settings.items())), checkpoints


BY_TABLE: dict[str, set[Trained]] = {
    "table1": {trained("cifar10", a, m, DEFAULT, "early") for a in ("resnet18", "wrn-32-10") for m in PLAIN},
    "table2": {trained("cifar10", a, m, DEFAULT, "early", "last") for a in ("resnet18", "wrn-32-10") for m in TRADES},
    "table4": {trained("cifar10", "resnet18", "lrat", settings, "early") for settings in ABLATION},
    "table5": {trained("svhn", "resnet18", m, DEFAULT, "early") for m in PLAIN},
}
CELLS = {"table1": 24, "table2": 48, "table4": 20, "table5": 12, "all": 104}


def asked(cells: list[Cell], base: Request = BASE) -> list[Trained]:
    """Every network that the requests train, once for each time it is asked for."""
    found = []
    for request, recipes in requests(cells, base).items():
        assert request.methods == tuple(recipe.method for recipe in recipes)
        values = dict(text.split("=") for text in request.values)
        checkpoints = values.pop("evaluation.checkpoints").split(",")
        for method in request.methods:
            settings = {key.removeprefix(f"{method}."): value for key, value in values.items()}
            found.append(trained(request.dataset, request.arch, method, settings, *checkpoints))
    return found


# ---- the cells


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
    early = select("table1", arch="resnet18")[0]
    last = dataclasses.replace(early, figure=dataclasses.replace(early.figure, checkpoint="last"))
    assert asked([last, early]) == [trained("cifar10", "resnet18", "sat", DEFAULT, "early", "last")]


def test_narrowing_keeps_the_cells_of_that_network_and_data() -> None:
    assert {t[1] for t in asked(select("all", arch="wrn-32-10"))} == {"wrn-32-10"}
    assert len(select("all", arch="wrn-32-10")) == 12 + 24
    assert len(select("all", dataset="svhn")) == 12
    assert select("table5") == select("all", dataset="svhn", arch="resnet18")


def test_other_data_takes_the_place_of_all_of_them() -> None:
    cells = select("all", dataset="digits")
    assert len(cells) == 104
    assert {(cell.dataset, cell.arch, cell.at_home) for cell in cells} == {("digits", "smallcnn", False)}
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
    narrowed = select("table1", dataset="folder:my/images", arch="resnet18")
    assert [t[:3] for t in asked(narrowed)] == [("folder:my/images", "resnet18", m) for m in PLAIN]
    replaced = select("table1", arch="smallcnn")
    assert [t[:3] for t in asked(replaced)] == [("cifar10", "smallcnn", m) for m in PLAIN]


def test_what_no_table_has_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"unknown table 'table3'.*all, table1, table2, table4, table5"):
        select("table3")
    with pytest.raises(
        SettingError, match="table1 has no cell on svhn; it has cifar10 with resnet18, cifar10 with wrn"
    ):
        select("table1", dataset="svhn")
    with pytest.raises(SettingError, match="table4 has no cell on wrn-32-10; it has cifar10 with resnet18"):
        select("table4", arch="wrn-32-10")


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


# ---- the jobs


def test_runs_on_digits_are_those_of_harness_run() -> None:
    base = dataclasses.replace(BASE, train_seeds=2, values=("width=4", "steps=3"), epochs=1, limit=9, seeds=3)
    with pytest.raises(SettingError, match="steps could be"):
        parts(select("table4", dataset="digits"), base)
    base = dataclasses.replace(base, values=("width=4", "train.steps=3"))
    (jobs,) = parts(select("all", dataset="digits"), base).values()
    identities = [spec.identity for job in jobs for spec in job.specs]
    assert len(identities) == len(set(identities)) == 2 * 10
    plain = dataclasses.replace(base, dataset="digits", arch="smallcnn")
    by_hand = [
        *resolve(dataclasses.replace(plain, methods=(*PLAIN, *TRADES))),
        *resolve(dataclasses.replace(plain, methods=("lrat",), values=(*base.values, "floor=pgd"))),
        *resolve(dataclasses.replace(plain, methods=("lrat",), values=(*base.values, "floor=none"))),
        *resolve(dataclasses.replace(plain, methods=("lrat",), values=(*base.values, "floor=none", "lrat.attacks=cw"))),
        *resolve(
            dataclasses.replace(plain, methods=("lrat",), values=(*base.values, "floor=none", "lrat.attacks=pgd"))
        ),
    ]
    assert set(identities) == {spec.identity for job in by_hand for spec in job.specs}
    assert {job.protocol.fingerprint for job in jobs} == {by_hand[0].protocol.fingerprint}
    for job in jobs:
        both = ("early", "last") if job.specs[0].method in TRADES else ("early",)
        assert job.protocol.evaluation.checkpoints == both
        assert (job.seeds, job.examples) == (3, 9)
        assert job.dataset is jobs[0].dataset


@pytest.mark.parametrize("text", ["lrat.minimum=0.2", "minimum=0.2", "lrat.floor=natural"])
def test_a_methods_own_settings_are_the_tables(text: str) -> None:
    with pytest.raises(SettingError, match="--set must not change lrat: the tables decide it"):
        parts(select("table4", dataset="digits"), dataclasses.replace(BASE, values=(text,)))


def noise(self: DataSource, data_dir: Path) -> Dataset:
    """A few images of noise in place of what would be downloaded."""
    images = torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    split = Split(images, torch.arange(20) % 10)
    return Dataset(type(self).name, split, Split(images[:8], split.labels[:8]), tuple("0123456789"))


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in (CIFAR10, SVHN):
        monkeypatch.setattr(source, "load", noise)


@pytest.mark.usefixtures("images")
def test_the_papers_runs_are_under_its_protocol() -> None:
    found = parts(select("all"), BASE)
    assert {place: len(jobs) for place, jobs in found.items()} == {
        ("cifar10", "resnet18"): 3 + 3 + 5 - 1,
        ("cifar10", "wrn-32-10"): 3 + 3,
        ("svhn", "resnet18"): 3,
    }
    jobs = [job for part in found.values() for job in part]
    assert {job.protocol.fingerprint for job in jobs} == {PAPER.fingerprint}
    assert {(job.seeds, len(job.specs)) for job in jobs} == {(5, 1)}
    assert all((job.place.source, job.specs[0].network) == place for place, part in found.items() for job in part)


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"epochs": 7},
        {"values": ("cw.kappa=40", "train.lr=1/8", "block_size=10")},
        {"protocol": "digits"},
        {"protocol": "digits", "epochs": 3, "values": ("evaluation.attacks=natural,pgd",)},
    ],
    ids=str,
)
def test_a_report_knows_the_protocol_without_the_images(changes: dict[str, Any]) -> None:
    base = dataclasses.replace(BASE, **changes)
    cells = select("all")
    jobs = parts(cells, base)
    told = standards(cells, base)
    assert set(told) == set(jobs)
    for place, standard in told.items():
        assert standard.protocol.fingerprint == jobs[place][0].protocol.fingerprint
        assert standard.network == jobs[place][0].network
        assert (standard.dataset, standard.fingerprint) == (place[0], None)
        assert standard.of_the_paper == (not changes)
    limited = standards(cells, dataclasses.replace(base, limit=5))
    assert not any(standard.of_the_paper for standard in limited.values())


def test_a_report_on_other_data_knows_the_images() -> None:
    base = dataclasses.replace(BASE, epochs=2, values=("width=4",))
    (told,) = standards(select("table1", dataset="digits"), base).values()
    (job,) = resolve(dataclasses.replace(base, methods=("sat",), dataset="digits", arch="smallcnn"))
    assert (told.dataset, told.fingerprint) == ("digits", job.dataset.fingerprint)
    assert told.protocol.fingerprint == job.protocol.fingerprint
    assert told.network.resolved() == {"width": 4}
    assert not told.of_the_paper


# ---- reported beside measured

IMAGES = 1000
CIFAR = DatasetRecord("cifar10", "f" * 64, 50, IMAGES, 3, 32, 32, 10)
PAPER, _ = with_attacks(load_protocol("paper"), discover("attacks"))
ATTACKS = ("natural", "pgd", "cw", "autoattack")


def put(
    store: Store,
    method: str,
    correct: dict[str, list[int]],
    *,
    settings: dict[str, str] = DEFAULT,
    checkpoint: str = "early",
    examples: int = IMAGES,
    sample: str = "first",
    train_seed: int = 0,
    attempt: int = 1,
    protocol: str = PAPER.fingerprint,
    done: bool = True,
) -> RunRecord:
    """A run on CIFAR-10 with ResNet-18, and how many images it had right, for each attack and seed."""
    digests = {attack: digest({"attack": attack}) for attack in ATTACKS}
    training = PAPER.training_document
    store.see_protocol(ProtocolRecord(protocol, "paper", digest(training), digests, PROTOCOL_DOCUMENT), training)
    made = discover("methods").get(method).from_mapping(settings)
    spec = RunSpec(
        method=method,
        method_settings=made.resolved(),
        network="resnet18",
        network_settings={},
        dataset="cifar10",
        dataset_fingerprint=CIFAR.fingerprint,
        training=training,
        train_seed=train_seed,
    )
    departures: dict[str, Any] = {"method_departures": made.departures(), "network_departures": {}}
    run = store.start_run(spec, CIFAR, **departures, parameters=1, provenance={}, attempt=attempt)
    store.add_checkpoint(run.id, checkpoint, 60, "c" * 64)
    (kept,) = store.run(run.id).checkpoints
    for attack, counts in correct.items():
        for seed, count in enumerate(counts):
            number = store.open_evaluation(kept.id, attack, {"attack": attack}, seed, examples, {}, sample=sample)
            store.add_block(BlockDone(number, 0, bytes([1] * count + [0] * (examples - count)), 1.0, ()))
    if done:
        store.end_run(run.id)
    return run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.write(str(tmp_path / "results.db"))


def row(store: Store, method: str, base: Request = BASE, table: str = "table1", **where: Any) -> dict[str, Comparison]:
    """A table's row on ResNet-18: metric -> reported and measured."""
    compared = compare(select(table, arch="resnet18"), base, store)
    wanted = {"method": method, "checkpoint": "early", **where}
    chosen = [c for c in compared if {key: getattr(c.cell.figure, key) for key in wanted} == wanted]
    assert [c.cell.figure.metric for c in chosen] == list(ATTACKS)
    return {c.cell.figure.metric: c for c in chosen}


def close(value: float) -> Any:
    return pytest.approx(value, abs=1e-12)


def test_a_model_from_elsewhere_on_the_board_is_no_cell(store: Store) -> None:
    put(store, "sat", {"natural": [830], "pgd": [510] * 5})
    alone = row(store, "sat")
    fields: dict[str, Any] = {"network": "resnet18", "network_settings": {}, "network_departures": {}}
    model = store.see_model("sat", CIFAR, sha256="d" * 64, parameters=1, provenance={}, **fields)
    number = store.open_evaluation(model.checkpoint.id, "pgd", {"attack": "pgd"}, 0, IMAGES, {})
    store.add_block(BlockDone(number, 0, bytes([1] * IMAGES), 1.0, ()))
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
    others = [c for c in compare(select("all"), BASE, store) if c not in sat.values()]
    assert len(others) == 100
    assert {(c.verdict, c.measured, c.difference, c.bound, c.networks) for c in others} == {
        ("not measured", None, None, None, 0)
    }


@pytest.mark.parametrize(("count", "verdict"), [(516, "within"), (517, "outside"), (510, "within"), (509, "outside")])
def test_the_bound_itself(store: Store, count: int, verdict: str) -> None:
    # five equal seeds: only the reported 0.17 is left, so 51.30 ± 0.17 takes 50.96 to 51.64
    put(store, "sat", {"pgd": [count] * 5})
    figure = ReportedFigure("p", "1", "cifar10", "resnet18", "sat", "early", "pgd", 51.30, 0.17, "")
    (comparison,) = compare([Cell(figure, RECIPES["sat"], "cifar10", "resnet18")], BASE, store)
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
    everything = compare(select("all"), BASE, store)
    assert {c.verdict for c in everything} == {"not measured"}
    some = row(store, "trades", dataclasses.replace(BASE, limit=200), table="table2")
    assert {c.verdict for c in some.values()} == {"other protocol"}
    assert some["pgd"].difference == close(50.0 - 53.26)


def test_another_protocol_gets_a_difference_and_no_verdict(store: Store) -> None:
    base = dataclasses.replace(BASE, values=("block_size=250",))
    (other,) = standards(select("table5"), base).values()
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


# ---- orders


def column(measured: dict[str, float | None], reported: dict[str, float], **changes: Any) -> list[Comparison]:
    """Comparisons of one column of a table."""
    made = []
    for method, median in reported.items():
        figure = ReportedFigure("p", "4", "cifar10", "resnet18", method, "early", "pgd", median, 0.1, "")
        value = measured[method]
        known = None if value is None else Figure(value, 0.1, 5)
        made.append(Comparison(Cell(figure, RECIPES["sat"], "digits", "smallcnn"), known, "order only"))
    return [dataclasses.replace(c, **changes) for c in made]


REPORTED = {"P": 52.66, "C": 50.57, "P+C": 53.52, "N": 53.01, "PP": 53.33}


def test_kendalls_tau_by_hand() -> None:
    # of ten pairs four agree (P C, C P+C, C N, P+C PP), five do not, and one (P+C N) is tied: -1 / sqrt(10 * 9)
    measured: dict[str, float | None] = {"P": 60.0, "C": 50.0, "P+C": 55.0, "N": 55.0, "PP": 40.0}
    (order,) = orderings(column(measured, REPORTED))
    assert order.panel == ("4", "cifar10", "resnet18", "early")
    assert (order.metric, order.n, order.missing) == ("pgd", 5, 0)
    assert order.reported == [["P+C"], ["PP"], ["N"], ["P"], ["C"]]
    assert order.measured == [["P"], ["P+C", "N"], ["C"], ["PP"]]
    assert order.tau == close(-1 / math.sqrt(90))


def test_equal_and_opposite_orders() -> None:
    same: dict[str, float | None] = {method: median - 40 for method, median in REPORTED.items()}
    opposite: dict[str, float | None] = {method: 100 - median for method, median in REPORTED.items()}
    assert orderings(column(same, REPORTED))[0].tau == close(1.0)
    assert orderings(column(opposite, REPORTED))[0].tau == close(-1.0)
    (flat,) = orderings(column(dict.fromkeys(REPORTED, 50.0), REPORTED))
    assert (flat.tau, flat.measured, flat.missing) == (None, [list(REPORTED)], 0)


def test_no_claim_where_cells_are_missing() -> None:
    (order,) = orderings(column({**REPORTED, "N": None, "C": None}, REPORTED))
    assert (order.measured, order.tau, order.n, order.missing) == (None, None, 5, 2)
    (order,) = orderings(column({**REPORTED}, REPORTED, verdict="incomplete"))
    assert (order.measured, order.tau, order.missing) == (None, None, 5)


def test_columns_of_the_tables(store: Store) -> None:
    found = orderings(compare(select("all"), BASE, store))
    assert len(found) == 4 * (2 + 4 + 1 + 1)  # attacks x (networks, networks and checkpoints, one, one)
    assert {order.n for order in found if order.panel[0] != "4"} == {3}
    by_column = {(order.panel, order.metric): order.reported for order in found}
    assert by_column[("5", "svhn", "resnet18", "early"), "cw"] == [["lrat"], ["sat"], ["gairat"]]
    assert by_column[("1", "cifar10", "wrn-32-10", "early"), "pgd"] == [["gairat"], ["lrat"], ["sat"]]
