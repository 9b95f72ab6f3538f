"""The command on a run's page, parsed as a command line, resolves to the same run under the same protocol."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from harness.cli.main import app
from harness.planning.request import RunRequest
from harness.planning.run_job import RunJob, resolve_run
from harness.plugin.images import Images
from harness.protocols.run_spec import TRIAL_SEED
from harness.site.commands import reproduction
from harness.store.records import ProtocolRecord, RunRecord
from harness.store.store import Store
from tests.cli.sources import METHOD
from tests.first_board import PUBLISHED
from tests.harness.planning.asked import job
from tests.stores import add_checkpoint, add_evaluation, right


def resolved(command: str) -> RunJob:
    """The job that a command line means."""
    program, name, *words = shlex.split(command)
    assert (program, name) == ("harness", "run")
    group: Any = typer.main.get_command(app)
    given = group.commands["run"].make_context("run", words).params
    names = [field.name for field in dataclasses.fields(RunRequest) if given.get(field.name) not in (None, [])]
    values: dict[str, Any] = {n: tuple(given[n]) if isinstance(given[n], list) else given[n] for n in names}
    (only,) = resolve_run(RunRequest(**values))
    return only


def kept(folder: Path, made: RunJob) -> tuple[RunRecord, list[ProtocolRecord]]:
    """The last run of a job as the store keeps it, attacked with every seed."""
    store = Store.write(str(folder / "kept.db"))
    store.see_protocol(made.protocol_record(), made.protocol.training_document)
    run = store.start_run(
        made.specs[-1],
        made.dataset_record(),
        method_departures=made.method.departures(),
        network_departures=made.network.departures(),
        parameters=made.parameters,
        provenance={"sources": made.sources} if made.sources else {},
    )
    checkpoint = add_checkpoint(store, run)
    for attack in made.attacks:
        for seed in made.attack_seeds(attack):
            verdicts, settings = right(1, made.examples), made.attack_settings(attack)
            add_evaluation(store, checkpoint, attack, settings, verdicts, seed=seed, sample=made.images.sample)
    run, protocols = store.run(run.id), store.protocols()
    store.close()
    return run, protocols


REQUESTS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "plain": ((), {}),
    "another seed": ((), {"train_seeds": 4, "seeds": 2}),
    "settings": (("lrat.floor=pgd", "lrat.attacks=pgd", "width=8"), {"methods": ("lrat",)}),
    "wrappers": (("awp.gamma=1/50",), {"methods": ("trades",), "wrap": ("ema", "awp")}),
    "protocol": (("epsilon=8/255", "train.lr_drops=1/2", "evaluation.steps=4", "cw.kappa=20"), {"epochs": 3}),
    "no drops": (("train.lr_drops=", "train.schedule=one-cycle"), {}),
    "paper": ((), {"protocol": "paper"}),
    "attacks": (("pgd.keep=worst",), {"attacks": ("natural", "pgd")}),
    "own ball": (("evaluation.epsilon=0.1",), {}),
    "recipe": ((), {"protocol": "fastat", "wrap": ("awp",)}),
    "recipe without": (
        ("momentum_low=none", "lr_rise=0.4", "ema.ramp=true", "ema.decay=0.999"),
        {"protocol": "fastat"},
    ),
    "the recipe's wrappers alone": (("label-smoothing.amount=0.4",), {"wrap": ("label-smoothing", "ema")}),
    "limit": ((), {"limit": 30, "precision": "bfloat16"}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_command_makes_the_same_run_under_the_same_protocol(tmp_path: Path, name: str) -> None:
    values, changes = REQUESTS[name]
    made = job(*values, **changes)
    run, protocols = kept(tmp_path, made)
    found = reproduction(run, protocols)
    again = resolved(found.command)
    assert found.remarks == ()
    assert again.specs[-1].identity == run.identity == made.specs[-1].identity
    assert again.protocol.fingerprint == made.protocol.fingerprint
    assert (again.seeds, again.images) == (made.seeds, made.images)


def test_a_protocol_from_a_file_is_written_as_its_differences(tmp_path: Path) -> None:
    made = job("train.epochs=7", "evaluation.attacks=natural,cw")
    made = dataclasses.replace(made, protocol=dataclasses.replace(made.protocol, name="mine"))
    run, protocols = kept(tmp_path, made)
    command = reproduction(run, protocols).command
    assert "--protocol paper" in command
    again = resolved(command)
    assert again.specs[-1].identity == run.identity
    assert again.protocol.fingerprint == made.protocol.fingerprint


def test_a_file_with_the_name_of_a_recipe_but_without_its_wrappers_is_not_written_as_the_recipe(tmp_path: Path) -> None:
    made = job("train.epochs=7")
    made = dataclasses.replace(made, protocol=dataclasses.replace(made.protocol, name="fastat"))
    run, protocols = kept(tmp_path, made)
    command = reproduction(run, protocols).command
    assert "--protocol paper" in command
    assert resolved(command).specs[-1].identity == run.identity


def test_every_published_run_has_a_command_that_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is named to the commands, too: it tells what a teacher's digits mean."""
    monkeypatch.setenv("HARNESS_DB", str(PUBLISHED))
    store = Store.read(str(PUBLISHED))
    runs, protocols = store.runs(), store.protocols()
    store.close()
    newest = {(run.method, run.training_sha256): run for run in runs if run.dataset.name == "digits"}
    assert len(newest) >= 25
    for run in newest.values():
        found = reproduction(run, protocols)
        assert found.remarks == ()
        again = resolved(found.command)
        assert again.specs[run.train_seed].identity == run.identity
        assert again.protocol.fingerprint in {p.fingerprint for p in protocols}
        assert (again.seeds, again.images) == (5, Images(360))


def test_a_plugin_of_the_users_is_named_by_its_file_and_its_code(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(METHOD.replace("SCALE", "2.0"))
    made = job(methods=("mine",), plugins=(file,))
    run, protocols = kept(tmp_path, made)
    found = reproduction(run, protocols)
    assert found.remarks == (f"the method must be the code {run.code['method'][:12]}",)
    assert resolved(found.command).specs[-1].identity == run.identity


def test_a_trial_of_a_tuning_has_no_command(tmp_path: Path) -> None:
    run, protocols = kept(tmp_path, job())
    found = reproduction(dataclasses.replace(run, train_seed=TRIAL_SEED), protocols)
    assert found.command == ""
    assert "a trial of harness tune" in found.remarks[0]


def test_what_a_command_cannot_say_is_said_beside_it(tmp_path: Path) -> None:
    run, protocols = kept(tmp_path, job())
    folder = dataclasses.replace(run, dataset=dataclasses.replace(run.dataset, name="folder:flowers"))
    found = reproduction(folder, protocols)
    assert "--dataset folder:PATH" in found.command
    assert "the folder that was called flowers" in found.remarks[0]
    older = dataclasses.replace(run, code={"method": "version 9"})
    assert reproduction(older, protocols).remarks == ("the method sat was version 9; today's is version 1",)
    gone = dataclasses.replace(run, method="gone", method_departures={})
    assert reproduction(gone, protocols).remarks == ("the method gone was version 1; today's is not here",)
