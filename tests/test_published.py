"""What is published: leaderboard.db at the newest schema, and pages that say what it holds."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.events import VALIDATION_ROBUST
from harness.identity import digest
from harness.leaderboard.board import MEASURED, REPORTED
from harness.leaderboard.ranking import boards
from harness.planning.request import RunRequest
from harness.planning.run_job import resolve_run
from harness.reference import reported_figures
from harness.registry.catalogue import discover
from harness.store import database
from harness.store.store import Store
from scripts.publish_tables import PAGES, ROOT, between_markers

PUBLISHED = ROOT / "leaderboard.db"


@pytest.fixture
def copy(tmp_path: Path) -> str:
    """A copy: nothing but `make leaderboard` may touch the published file."""
    return str(shutil.copy(PUBLISHED, tmp_path / "leaderboard.db"))


def test_the_published_database_is_at_the_newest_schema() -> None:
    before = PUBLISHED.read_bytes()
    database.open_for_reading(database.locate(str(PUBLISHED))).dispose()  # refuses any other schema
    assert PUBLISHED.read_bytes() == before


def test_it_holds_reported_rows_and_rows_of_real_runs_alone(copy: str) -> None:
    store = Store.read(copy)
    assert store.reported() == list(reported_figures())
    assert {run.status for run in store.runs()} == {"done"}
    assert {run.provenance["host"] for run in store.runs()} == {"published"}  # no machine's name
    assert not any(run.provenance.get("dirty") for run in store.runs())
    evaluations = [e for run in store.runs() for c in run.checkpoints for e in c.evaluations]
    assert all(e.complete for e in evaluations)
    assert all(e.duration_s > 0 for e in evaluations)
    assert {board.source for board in boards(store)} == {MEASURED, REPORTED}
    store.close()


FIRST = ("standard", "sat", "gairat", "lrat", "trades", "gair-trades", "lrat-trades")
LATER = (
    *("mail", "mail-trades", "fat", "fat-trades", "gair-fat", "fast", "n-fgsm", "grad-align", "free", "cfa"),
    *("cfa-trades", "mart", "alp", "lbgat", "dkl", "hat", "ard", "rslad"),
)
TEACHERS = {"hat.helper": "standard", "ard.teacher": "sat", "rslad.teacher": "sat"}
HELD_OUT = ROOT / "scripts" / "boards" / "held-out.toml"
TUNED = ("sat", "gairat", "lrat", "trades", "mail", "fat")
TRIAL_SEED = 10000


def last_weights(store: Store, method: str) -> str:
    """SHA-256 of the published network of training seed 0."""
    runs = [run for run in store.runs() if run.dataset.name == "digits" and not run.training.get("validation")]
    (run,) = (run for run in runs if (run.method, run.train_seed) == (method, 0))
    return next(point.sha256 for point in run.checkpoints if point.name == "last")


def test_the_same_commands_today_ask_for_what_is_stored(copy: str, tmp_path: Path) -> None:
    store = Store.read(copy)
    teachers = tuple(f"{key}={last_weights(store, method)}" for key, method in TEACHERS.items())
    asked = RunRequest(dataset="digits", network="smallcnn", train_seeds=5, data_dir=tmp_path, db=copy, methods=FIRST)
    jobs = [*resolve_run(asked), *resolve_run(replace(asked, methods=LATER, values=teachers))]
    (protocol,) = {job.protocol.fingerprint for job in jobs}
    assert protocol in [one.fingerprint for one in store.protocols()]
    training = jobs[0].specs[0].training
    runs = {run.identity: run for run in store.runs() if run.dataset.name == "digits" and run.training == training}
    store.close()
    assert {spec.identity for job in jobs for spec in job.specs} == set(runs)
    assert len(runs) == 5 * len(FIRST + LATER) == 125
    wanted = {(name, digest(jobs[0].attack_settings(name)), seed) for name in jobs[0].chosen for seed in range(5)}
    for run in runs.values():
        (last,) = (checkpoint for checkpoint in run.checkpoints if checkpoint.name == "last")
        known = {(e.attack, e.settings_sha256, e.seed) for e in last.evaluations if e.examples == 360}
        assert {(a, s, n) for a, s, n in wanted if n < 1 or a != "natural"} <= known


def test_every_method_that_ships_is_on_the_board_of_the_digits() -> None:
    assert set(FIRST + LATER) == set(discover("methods").found)


@pytest.mark.parametrize("method", TUNED)
def test_a_tuned_row_has_the_settings_of_its_best_trial(method: str, copy: str) -> None:
    """The best on the images held out, after the last epoch; of equal ones the earliest."""
    store = Store.read(copy)
    runs = [run for run in store.runs() if run.training.get("validation") == 300 and run.method == method]
    store.close()
    trials = [run for run in runs if run.train_seed == TRIAL_SEED]
    chosen = [run for run in runs if run.train_seed != TRIAL_SEED]
    assert len({str(trial.method_settings) for trial in trials}) == len(trials)
    reached = [(trial.epochs[-1].diagnostics[VALIDATION_ROBUST], -trial.id) for trial in trials]
    best = trials[reached.index(max(reached))]
    assert trials[0].method_departures == {}  # the defaults are tried, too
    assert [run.method_settings for run in chosen] == [best.method_settings] * 5
    assert sorted(run.train_seed for run in chosen) == list(range(5))
    assert {run.tags for run in trials} == {("trial",)}
    assert {run.tags for run in chosen} == {() if method == "sat" else ("tuned-trials-20",)}


def test_every_evaluation_has_its_margins(copy: str) -> None:
    """So that the most vulnerable images of two rows can be compared."""
    store = Store.read(copy)
    evaluations = [e for run in store.runs() for c in run.checkpoints for e in c.evaluations]
    assert [e.id for e in evaluations if len(store.margins(e.id) or ()) != e.examples] == []
    store.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_what_the_database_holds(page: Path) -> None:
    _, body, _ = between_markers(page.read_text())
    assert body == PAGES[page]()


def test_natural_training_falls_to_about_zero_or_the_attack_is_broken(copy: str) -> None:
    store = Store.read(copy)
    measured = [board for board in boards(store) if board.source == MEASURED]
    store.close()
    assert "digits" in {board.dataset for board in measured}
    for board in measured:
        if board.protocol == HELD_OUT.stem:  # it has the tuned methods alone
            continue
        (row,) = [row for row in board.rows if row.method == "standard"]
        natural, *attacked = (row.metrics[column] for column in board.columns)
        assert natural is not None
        assert natural.median > (95 if board.dataset == "digits" else 40)
        assert all(figure is not None and figure.median < natural.median / 20 for figure in attacked)
