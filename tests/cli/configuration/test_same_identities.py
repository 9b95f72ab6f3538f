"""One experiment in three ways: a long command, ``harness.toml``, an experiment's file. All runs are the same.

Nothing is trained: the commands go as far as their jobs. ``harness.api.running`` is watched for these.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.api import running
from harness.errors import HarnessError
from harness.planning.run_job import RunJob
from tests.command import exit_code


@dataclass(frozen=True)
class Wanted:
    """What is wanted, in neutral words."""

    methods: tuple[str, ...]
    width: int | None
    wrap: tuple[str, ...]
    protocol: str | None
    changes: Mapping[str, Any]  # of the protocol, by the key of --set
    counts: Mapping[str, int]
    checks: bool


CHANGES = {
    "epsilon": st.sampled_from(["1/10", 0.125, "0.2"]),
    "train.epochs": st.integers(1, 3),
    "train.lr": st.sampled_from([0.1, 0.05, "1/3"]),
    "train.lr_drops": st.sampled_from([[], [0.5], [0.25, "3/4"]]),
    "train.precision": st.sampled_from(["float32", "bfloat16"]),
    "evaluation.steps": st.integers(1, 5),
    "evaluation.attacks": st.sampled_from([["natural", "cw"], ["natural", "pgd", "cw"]]),
    "evaluation.checkpoints": st.sampled_from([["last"], ["early", "last"]]),
    "cw.kappa": st.sampled_from([1, 2.5]),
}
COUNTS = {
    "seeds": st.integers(1, 4),
    "train-seeds": st.integers(1, 3),
    "limit": st.integers(1, 360),
    "eval-every": st.integers(0, 3),
}
WANTED = st.builds(
    Wanted,
    methods=st.lists(st.sampled_from(["sat", "lrat", "trades"]), min_size=1, max_size=2, unique=True).map(tuple),
    width=st.sampled_from([None, 4, 8]),
    wrap=st.sampled_from([(), ("ema",), ("awp", "ema")]),
    protocol=st.sampled_from([None, "digits", "paper"]),
    changes=st.fixed_dictionaries({}, optional=CHANGES),
    counts=st.fixed_dictionaries({}, optional=COUNTS),
    checks=st.booleans(),
)
SHORT = {
    **{"epsilon": "epsilon", "train.epochs": "epochs"},
    **{"train.precision": "precision", "evaluation.attacks": "attacks"},
}


def text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def options(wanted: Wanted, *, short: bool) -> dict[str, Any]:
    """The options of ``harness run``, by name; ``short``: with the short forms of ``--set``."""
    forms = SHORT if short else {}
    values = [f"{key}={text(value)}" for key, value in wanted.changes.items() if key not in forms]
    values += [] if wanted.width is None else [f"width={wanted.width}"]
    return {
        **{"dataset": "digits", "arch": "smallcnn", "device": "cpu", **wanted.counts},
        **({} if wanted.protocol is None else {"protocol": wanted.protocol}),
        **{
            forms[key]: text(value) if isinstance(value, list) else value
            for key, value in wanted.changes.items()
            if key in forms
        },
        **({"set": values} if values else {}),
        **({"wrap": list(wanted.wrap)} if wanted.wrap else {}),
        **({} if wanted.checks else {"checks": False}),
    }


def command_line(given_options: Mapping[str, Any]) -> str:
    words = []
    for name, value in given_options.items():
        if value is False:
            words.append(f"--no-{name}")
        else:
            words += [f"--{name} {shlex.quote(str(part))}" for part in (value if isinstance(value, list) else [value])]
    return " ".join(words)


def experiment(wanted: Wanted) -> str:
    """The file of an experiment; JSON of these values is TOML, too."""
    network = "smallcnn" if wanted.width is None else f"smallcnn width={wanted.width}"
    top = {"methods": list(wanted.methods), "networks": [network], "datasets": ["digits"], **wanted.counts}
    top |= ({"wrap": list(wanted.wrap)} if wanted.wrap else {}) | ({} if wanted.checks else {"checks": False})
    tables: dict[str, dict[str, Any]] = {"protocol": {} if wanted.protocol is None else {"base": wanted.protocol}}
    for key, value in wanted.changes.items():
        table, _, leaf = key.rpartition(".")
        place = {"": "protocol", "cw": "protocol.attacks.cw"}.get(table, f"protocol.{table}")
        tables.setdefault(place, {})[leaf] = value
    return "\n".join(
        [f"{key} = {json.dumps(value)}" for key, value in top.items()]
        + [
            line
            for name, table in tables.items()
            for line in (f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()))
        ]
    )


Seen = list[list[RunJob]]


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    """The jobs of each command, which then ends."""
    found: Seen = []

    def stop(jobs: list[RunJob], *_: Any, **__: Any) -> Any:
        found.append(jobs)
        raise HarnessError("seen")

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("HARNESS_")]:
            patch.delenv(name)
        patch.setattr(running, "missing_of", stop)
        patch.setattr(importlib.metadata, "entry_points", lambda **_: ())  # looking for these takes most of the time
        yield found


def identity(jobs: list[RunJob]) -> list[tuple[Any, ...]]:
    """All that the store keeps results by, and all that is wanted of each run."""
    return [
        (
            [spec.identity for spec in job.specs],
            job.protocol.fingerprint,
            {attack: (job.attack_settings(attack), job.attack_seeds(attack)) for attack in job.chosen},
            job.protocol.evaluation.checkpoints,
            job.images,
            job.checks,
            job.eval_every,
        )
        for job in jobs
    ]


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=WANTED)
def test_three_ways_give_the_same_runs(wanted: Wanted, seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    methods = " ".join(wanted.methods)
    long, short = options(wanted, short=False), options(wanted, short=True)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.chdir(folder)
        commands = {f"harness run {methods} {command_line(each)}": "" for each in (long, short)}
        commands |= {
            f"harness run {methods}": "[run]\n"
            + "\n".join(f"{key} = {json.dumps(value)}" for key, value in short.items()),
            "harness run e.toml --device cpu": "",
        }
        Path("e.toml").write_text(experiment(wanted))
        found = []
        for command, configuration in commands.items():
            Path("harness.toml").write_text(configuration)
            seen.clear()
            assert exit_code(command) == 2
            assert seen, (command, capsys.readouterr().err)
            found.append(identity(seen[0]))
    assert found[1:] == found[:1] * (len(found) - 1)
