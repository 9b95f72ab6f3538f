"""Make a database of thousands of runs, as a group may have after some years: by SQL, from the rows of leaderboard.db.

A run of the full shape has 20 epochs, 2 checkpoints, and 14 evaluations in 14 blocks; one of the light shape has 1
epoch, 1 checkpoint, and 4 evaluations. Each checkpoint has the two examinations of rigour. Five runs differ in the
training seed alone, and so share a row of the board.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from harness.identity import digest
from harness.store.store import Store

TEMPLATE = Path(__file__).parents[1] / "leaderboard.db"
SEEDS = 5  # training seeds a row
PROTOCOLS = 2  # of the template; the training part of each is another
METHODS = ("sat", "trades", "gairat", "lrat", "mart", "lrat-trades", "gair-trades", "standard")
NETWORKS = ("smallcnn", "resnet18")
SETS = (("digits", 360, 360, "first"), ("svhn", 26_032, 1_000, "balanced"), ("cifar10", 10_000, 10_000, "first"))
SHARES = (5, 3, 2)  # of the runs, for each of SETS, in tenths


@dataclass(frozen=True)
class Shape:
    """What a run has.

    Attributes:
        checkpoints: name -> epoch.
        attacks: attack -> its attack seeds; natural accuracy has one.
    """

    epochs: int
    checkpoints: dict[str, int]
    attacks: dict[str, int]


FULL = Shape(20, {"early": 12, "last": 20}, {"natural": 1, "pgd": 3, "cw": 2, "autoattack": 1})
LIGHT = Shape(1, {"last": 1}, {"natural": 1, "pgd": 1, "cw": 1, "autoattack": 1})
Rows = dict[str, list[dict[str, Any]]]


@dataclass
class Template:
    """What is taken from the template as it is."""

    protocols: list[dict[str, Any]]
    settings: dict[str, str]  # attack -> as JSON
    examinations: list[tuple[dict[str, Any], list[dict[str, Any]]]]  # settings, findings
    provenance: str
    draws: random.Random = field(default_factory=lambda: random.Random(0))

    @classmethod
    def read(cls) -> Template:
        """Read the template."""
        there = sqlite3.connect(f"file:{TEMPLATE}?mode=ro", uri=True)
        there.row_factory = sqlite3.Row
        protocols = [dict(row) for row in there.execute("SELECT * FROM protocols ORDER BY id LIMIT ?", (PROTOCOLS,))]
        known = "SELECT settings FROM evaluations WHERE attack = ? AND settings_sha256 = ? LIMIT 1"
        keys = json.loads(protocols[0]["attacks"])
        settings = {name: there.execute(known, (name, keys[name])).fetchone()[0] for name in FULL.attacks}
        examined = there.execute("SELECT id, settings FROM examinations WHERE checkpoint_id = 3 ORDER BY id")
        newest = {settings["kind"]: (e, settings) for e, text in examined for settings in [json.loads(text)]}
        found = "SELECT * FROM findings WHERE examination_id = ? ORDER BY position"
        examinations = [(settings, list(map(dict, there.execute(found, (e,))))) for e, settings in newest.values()]
        (provenance,) = there.execute("SELECT provenance FROM runs LIMIT 1").fetchone()
        there.close()
        for protocol in protocols:  # the attacks of the first, so that each evaluation counts on its run's board
            protocol["attacks"] = json.dumps({name: keys[name] for name in FULL.attacks})
        return cls(protocols, settings, examinations, provenance)


def make_store(path: Path, runs: int, shape: Shape = FULL) -> None:
    """Write a database of so many runs; a file that is there is replaced. Ten thousand take about half a minute."""
    path.unlink(missing_ok=True)
    Store.write(str(path)).close()
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("BEGIN")
    template = Template.read()
    _insert(database, "protocols", template.protocols)
    _insert(database, "datasets", [_dataset(number, *SETS[number][:2]) for number in range(len(SETS))])
    for number in range(runs):
        for table, rows in _run(number, template, shape).items():
            _insert(database, table, rows)
    database.execute("COMMIT")
    database.close()


def _insert(database: sqlite3.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    names = ", ".join(f'"{name}"' for name in rows[0])
    places = ", ".join("?" for _ in rows[0])
    database.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", [tuple(row.values()) for row in rows])


def _dataset(number: int, name: str, test_examples: int) -> dict[str, Any]:
    sizes = {"train_examples": 1000, "test_examples": test_examples, "channels": 1, "height": 8, "width": 8}
    return {"id": number + 1, "fingerprint": digest(name), "name": name, **sizes, "classes": 10}


def _run(number: int, template: Template, shape: Shape) -> Rows:
    """The rows of a run, by table; a row of the board is a contest of method, setting, network, data, and protocol."""
    draws, (row, seed) = template.draws, divmod(number, SEEDS)
    place = row % 10
    data = next(kind for kind in range(len(SETS)) if place < sum(SHARES[: kind + 1]))
    protocol = template.protocols[row // 10 % PROTOCOLS]
    method, network = METHODS[row // 20 % len(METHODS)], NETWORKS[row % 2]
    settings = json.dumps({"alpha": row / 8, "assignment": "tanh"})
    began = datetime(2026, 1, 1) + timedelta(minutes=number)
    run = {
        "id": number + 1,
        "identity": f"{draws.getrandbits(256):064x}",
        "attempt": 1,
        "method": method,
        "method_settings": settings,
        "method_departures": json.dumps({"alpha": row / 8}),
        "wrappers": "[]",
        "network": network,
        "network_settings": "{}",
        "network_departures": "{}",
        "dataset_id": data + 1,
        "training": protocol["training"],
        "training_sha256": protocol["training_sha256"],
        "train_seed": seed,
        "status": "done",
        "folder": f"{method}-{network}-{number}",
        "parameters": 14_458,
        "created_utc": began.isoformat(" ", "microseconds"),
        "finished_utc": (began + timedelta(hours=1)).isoformat(" ", "microseconds"),
        "provenance": template.provenance,
        "tags": json.dumps(["paper"] if row % 7 == 0 else []),
    }
    epochs = [
        {"run_id": run["id"], "epoch": n, "loss": draws.random(), "lr": 0.1, "images": 1437, "duration_s": 2.0}
        | {"diagnostics": json.dumps({"steps_to_flip": draws.random(), "weight_mean": draws.random()})}
        for n in range(1, shape.epochs + 1)
    ]
    rows: Rows = {"runs": [run], "epochs": epochs}
    skill = 0.8 * random.Random(row // 4).random()  # of a row; four rows are about as good
    for which, (name, epoch) in enumerate(shape.checkpoints.items()):
        checkpoint = len(shape.checkpoints) * number + which + 1
        known = {"id": checkpoint, "run_id": run["id"], "name": name, "epoch": epoch}
        rows.setdefault("checkpoints", []).append(known | {"sha256": f"{draws.getrandbits(256):064x}"})
        made = _results(checkpoint, data, skill, protocol, template, run["created_utc"], shape.attacks)
        for table, parts in made.items():
            rows.setdefault(table, []).extend(parts)
    return rows


def _results(
    checkpoint: int,
    data: int,
    skill: float,
    protocol: dict[str, Any],
    template: Template,
    when: str,
    attacks: dict[str, int],
) -> Rows:
    """Evaluations with their blocks, and examinations with their findings."""
    _, _, images, sample = SETS[data]
    rows: Rows = {"evaluations": [], "blocks": [], "examinations": [], "findings": []}
    keys, first = json.loads(protocol["attacks"]), sum(attacks.values()) * (checkpoint - 1) + 1
    for place, (attack, seed, verdicts) in enumerate(_attacked(images, skill, template.draws, attacks)):
        rows["evaluations"].append(
            {"id": first + place, "checkpoint_id": checkpoint, "attack": attack, "settings": template.settings[attack]}
            | {"settings_sha256": keys[attack], "seed": seed, "examples": images, "created_utc": when}
            | {"provenance": template.provenance, "sample": sample}
        )
        packed = (verdicts << (-images % 8)).to_bytes((images + 7) // 8, "big")
        rows["blocks"].append(
            {"evaluation_id": first + place, "start": 0, "examples": images, "correct": verdicts.bit_count()}
            | {"verdicts": packed, "duration_s": 3.0, "warnings": "[]"}
        )
    for kind, (settings, findings) in enumerate(template.examinations):
        own = settings | {"examples": images} | ({"sample": sample} if sample != "first" else {})
        own |= {"attacks": keys} if own["kind"] == "verdicts" else {}
        number = 2 * checkpoint - 1 + kind
        rows["examinations"].append(
            {"id": number, "checkpoint_id": checkpoint, "settings": json.dumps(own), "settings_sha256": digest(own)}
            | {"created_utc": when, "duration_s": 3.0, "provenance": template.provenance}
        )
        rows["findings"] += [finding | {"examination_id": number} for finding in findings]
        if template.draws.random() < 0.05:
            rows["findings"][-1] |= {"status": "flagged", "mark": "m"}
    return rows


def _attacked(
    images: int, skill: float, draws: random.Random, attacks: dict[str, int]
) -> Iterator[tuple[str, int, int]]:
    """Attack, attack seed, and a bit an image; a stronger attack leaves fewer right, and its seeds differ a little."""
    right = (1 << images) - 1
    for depth, (attack, seeds) in enumerate(attacks.items()):
        right &= ~_some(images, 0.05 + 0.2 * (1 - skill) * depth, draws)
        for seed in range(seeds):
            yield attack, seed, right & ~_some(images, 0.01, draws)


def _some(images: int, share: float, draws: random.Random) -> int:
    """Random bits, of which about that share is set: to 1/64, so that six words of random bits are enough."""
    wanted, bits = round(64 * share), 0
    for place in range(6):
        one = draws.getrandbits(images)
        bits = (bits | one) if wanted >> place & 1 else (bits & one)
    return bits
