"""The paper's networks, and measured figures that are put beside its tables."""

from __future__ import annotations

from typing import Any

import pytest

from harness.planning.assessment import with_attacks
from harness.planning.request import RunRequest
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import discover
from harness.reproduction.measured import ComparedCell, compare_cells
from harness.reproduction.recipes import Cell, requests, select
from harness.store.records import DatasetRecord, RunRecord
from harness.store.store import Store
from tests.stores import add_checkpoint, add_evaluation, make_spec, right, see_protocol, start

BASE = RunRequest(methods=(), device="cpu")
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


def asked(cells: list[Cell], base: RunRequest = BASE) -> list[Trained]:
    """Every network that the requests train, once for each time it is asked for."""
    found = []
    for request, recipes in requests(cells, base).items():
        assert request.methods == tuple(recipe.method for recipe in recipes)
        values = dict(text.split("=") for text in request.values)
        checkpoints = values.pop("evaluation.checkpoints").split(",")
        for method in request.methods:
            settings = {key.removeprefix(f"{method}."): value for key, value in values.items()}
            found.append(trained(request.dataset, request.network, method, settings, *checkpoints))
    return found


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
    of_attacks = {attack: {"attack": attack} for attack in ATTACKS}
    see_protocol(store, of_attacks, PAPER.training_document, fingerprint=protocol, name="paper")
    made = discover("methods").get(method).from_mapping(settings)
    spec = make_spec(
        CIFAR,
        method=method,
        method_settings=made.resolved(),
        network="resnet18",
        training=PAPER.training_document,
        train_seed=train_seed,
    )
    run = start(store, spec, CIFAR, method_departures=made.departures(), attempt=attempt)
    kept = add_checkpoint(store, run, checkpoint, 60, "c" * 64)
    for attack, counts in correct.items():
        for seed, count in enumerate(counts):
            verdicts = right(count, examples)
            add_evaluation(store, kept, attack, of_attacks[attack], verdicts, seed=seed, sample=sample)
    if done:
        store.end_run(run.id)
    return run


def row(
    store: Store, method: str, base: RunRequest = BASE, table: str = "table1", **where: Any
) -> dict[str, ComparedCell]:
    """A table's row on ResNet-18: metric -> reported and measured."""
    compared = compare_cells(select(table, network="resnet18"), base, store)
    wanted = {"method": method, "checkpoint": "early", **where}
    chosen = [c for c in compared if {key: getattr(c.cell.figure, key) for key in wanted} == wanted]
    assert [c.cell.figure.metric for c in chosen] == list(ATTACKS)
    return {c.cell.figure.metric: c for c in chosen}


def close(value: float) -> Any:
    return pytest.approx(value, abs=1e-12)
