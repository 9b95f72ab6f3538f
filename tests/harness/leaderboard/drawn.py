"""Small stores that are drawn at random: runs and models, some of them evaluated, repeated, and examined."""

from __future__ import annotations

import functools
import random
from typing import Any, cast

from harness.events import Finding
from harness.statistics.attack_gaps import CHECK
from harness.store.scope import EXAMINATION_KINDS, Scope
from harness.store.store import Store
from tests import stores
from tests.tiny import PROTOCOL_DOCUMENT

ATTACKS: dict[str, dict[str, Any]] = {"natural": {}, "pgd": {"epsilon": 0.2, "block_size": 4}, "cw": {"block_size": 4}}
OTHER = ATTACKS | {"cw": {"block_size": 4, "kappa": 1.0}}
EXAMPLES = 11


def drawn(number: int) -> Store:
    """The store of a number: a copy, made in a moment, of one that is filled once."""
    return copied(_filled(number))


@functools.cache
def _filled(number: int) -> Store:
    return filled(random.Random(number))


def copied(store: Store) -> Store:
    """A copy in memory of a store in memory."""
    copy = Store.in_memory()
    source, target = (cast(Any, each._engine.raw_connection().driver_connection) for each in (store, copy))
    source.backup(target)
    return copy


def filled(draws: random.Random) -> Store:
    """Some runs and models, some of them evaluated, repeated, and examined, each in one of a few ways."""
    store = Store.in_memory()
    trainings: list[dict[str, Any]] = [{"epochs": 2}, {"epochs": 3}]
    for number, (attacks, training) in enumerate([(ATTACKS, trainings[0]), (OTHER, trainings[1]), (OTHER, {})]):
        stores.see_protocol(store, attacks, training, fingerprint=f"{number}" * 64, name=f"protocol-{number}")
    for _ in range(draws.randrange(1, 7)):
        alpha = {"alpha": draws.randrange(2)}
        of: dict[str, Any] = {
            "method": draws.choice(("sat", "lrat")),
            "method_settings": alpha,
            "train_seed": draws.randrange(3),
        }
        of |= {"network": draws.choice(("smallcnn", "resnet18")), "training": draws.choice(trainings)}
        attempt = draws.randrange(1, 3)
        run = stores.start(store, stores.make_spec(**of), attempt=attempt, method_departures=alpha)
        for epoch, name in enumerate(draws.choice((["last"], ["early", "last"], []))):
            if run.checkpoint(name) is None:
                attacked(store, draws, stores.add_checkpoint(store, run, name, epoch))
        if draws.random() < 0.9:
            store.end_run(run.id)
    for name in ("theirs", "it's")[: draws.randrange(3)]:
        facts: dict[str, Any] = {"network_settings": {}, "network_departures": {}, "parameters": 1, "provenance": {}}
        model = store.see_model(name, stores.DIGITS, sha256=name, network="resnet18", **facts)
        attacked(store, draws, model.checkpoint)
    return store


def attacked(store: Store, draws: random.Random, checkpoint: Any) -> None:
    """Evaluate a checkpoint in some ways, and examine it in some."""
    share, attacks = draws.random(), draws.choice((ATTACKS, OTHER))
    for attack in draws.sample(list(ATTACKS), draws.randrange(1, 4)):
        for seed in range(1 if attack == "natural" else draws.randrange(1, 4)):
            for attempt in range(1, draws.choice((2, 2, 2, 3))):
                done = draws.choice((EXAMPLES, EXAMPLES, EXAMPLES, EXAMPLES - 4))
                verdicts = [int(draws.random() < share) for _ in range(done)]
                known: dict[str, Any] = {"block": draws.choice((3, 8, EXAMPLES)), "examples": EXAMPLES, "seed": seed}
                known["sample"] = draws.choice(("first", "first", "balanced"))
                stores.add_evaluation(store, checkpoint, attack, attacks[attack], verdicts, attempt=attempt, **known)
    for sample in ("first", "balanced"):
        scope = Scope.of_document(PROTOCOL_DOCUMENT, attacks_of(store, attacks), EXAMPLES, sample)
        for kind in EXAMINATION_KINDS:
            for edition in range(draws.randrange(3)):
                checks = draws.sample(("masking", "loss", "transfer", CHECK), draws.randrange(5))
                found = [finding(check, draws.random() < 0.4, gap(draws)) for check in checks]
                store.add_examination(checkpoint.id, scope.settings(kind) | {"edition": edition}, found, 1.0, {})


def attacks_of(store: Store, attacks: dict[str, Any]) -> dict[str, str]:
    """As a protocol with these attacks keeps them."""
    return next(p.attacks for p in store.protocols() if (p.fingerprint[0] == "0") == (attacks is ATTACKS))


def finding(check: str, flagged: bool, details: dict[str, Any]) -> Finding:
    status, mark = ("flagged", check[0]) if flagged else ("passed", "")
    reason = f"{check} breaks an image"
    return Finding(check, cast(Any, status), mark, 1.0, 2.0, reason, details if check == CHECK else {})


def gap(draws: random.Random) -> dict[str, Any]:
    """What a check keeps of the gap between two attacks: a small one, a large one, none, or one that was damaged."""
    left = draws.choice((60, 200))
    broken = draws.choice((left // 10, left // 2))
    kept: dict[str, Any] = {"share": broken / left, "points": broken / 4, "broken": broken, "left": left}
    return draws.choice(({"pgd": kept}, {"pgd": kept}, {"pgd": kept}, {}, {"pgd": {"share": "much"}}))
