"""``harness.tune``: choose each method's settings by equally many trials, and run the methods with what was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api.given import (
    Names,
    Paths,
    attacks_of,
    counts_of,
    names_of,
    paths_of,
    settings_of,
    text_of,
    workplace_of,
)
from harness.api.table import Table
from harness.planning.places import place_arguments

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TuneReport:
    """What ``harness.tune`` chose, and the figures of the methods with it.

    Attributes:
        rows: the figures of the tuned methods as on the leaderboard, one a row; empty after a dry run.
        runs: the numbers of the runs behind them, which are tagged as tuned.
        methods: for each method what its trials came to, in JSON types: ``best``, ``searched``, and ``trials``.
        notes: remarks for the user.
        plan: with ``dry_run``: what the trials cost at most, as ``harness tune --dry-run --json`` prints it; else None.
    """

    rows: Table
    runs: tuple[int, ...] = ()
    methods: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    plan: Mapping[str, Any] | None = None


def tune(
    methods: Names,
    *,
    trials: int,
    dataset: str = "cifar10",
    arch: str = "resnet18",
    seeds: int = 5,
    train_seeds: int = 1,
    epsilon: float | str | None = None,
    norm: str | None = None,
    attacks: Names | None = None,
    epochs: int | None = None,
    precision: str | None = None,
    wrap: Names = (),
    protocol: str | Path | None = None,
    set: Mapping[str, object] | None = None,
    limit: int | None = None,
    checks: bool = True,
    sampler_seed: int = 0,
    dry_run: bool = False,
    device: str | torch.device | None = None,
    workers: int | None = None,
    db: str | Path | None = None,
    runs_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    plugins: Paths = (),
    progress: bool = False,
) -> TuneReport:
    """Choose each method's settings by so many trials, on images held out; then train and attack it with the best.

    It does what ``harness tune`` does. The protocol must hold images out: ``set={"train.validation": 1000}``. The same
    call goes on where it stood.

    Args:
        trials: of each method. The first has the defaults.
        sampler_seed: of the sampler of settings.
        train_seeds: networks to train with the settings that were chosen; no trial is among them.
        dry_run: write nothing; ``plan`` of the report says what the trials cost.

    All else is as in ``harness.run``. A setting that ``set`` names is not searched.

    Raises:
        HarnessError: the request cannot be met, Optuna is not installed, or every trial of a method failed.
    """
    counts = counts_of({"seeds": seeds, "train_seeds": train_seeds, "epochs": epochs, "limit": limit})
    numbers = counts_of({"trials": trials, "sampler_seed": sampler_seed})
    places = place_arguments(db=db, runs_dir=runs_dir, data_dir=data_dir, plugins=paths_of(plugins))
    where: dict[str, Any] = {"devices": None, "per_device": 1, "time_limit": None, "executor": "local"}
    where |= {"ray_address": None, "allow_mixed": False, "workers": workers, "device": device}
    place = workplace_of(db=places.db, runs_dir=places.runs_dir, **where)
    place.check(writing=not dry_run)

    from harness.api.progress import Watch
    from harness.api.ranked import board_table
    from harness.api.trying import run_tuned
    from harness.api.tuning import plan_tuning
    from harness.planning.overrides import refuse_two_values
    from harness.planning.request import SHORT_FORMS, RunRequest
    from harness.runtime.process import as_in_a_new_process

    given: dict[str, Any] = {
        **counts,
        "epsilon": None if epsilon is None else text_of("epsilon", epsilon),
        "norm": norm,
        "protocol": None if protocol is None else str(protocol),
        "precision": precision,
        "device": place.planned_on,
        "attacks": attacks_of(attacks),
    }
    request = RunRequest(
        methods=names_of(methods),
        wrap=names_of(wrap),
        network=arch,
        dataset=dataset,
        values=settings_of(set or {}),
        checks=checks,
        data_dir=places.data_dir,
        db=places.db,
        runs_dir=places.runs_dir,
        plugins=places.plugins,
        **{name: value for name, value in given.items() if value is not None},
    )
    refuse_two_values(vars(request), SHORT_FORMS)
    notes = list(places.notes)
    with as_in_a_new_process(), Watch(quiet=not progress) as watch:
        tuning = plan_tuning(
            request, numbers["trials"] or 0, numbers["sampler_seed"] or 0, count_only=dry_run, note=notes.append
        )
        if dry_run:
            return TuneReport(board_table([]), notes=tuple(notes), plan=tuning.document(place))
        found, done = run_tuned(tuning, place, watch, notes.append)
    chosen = tuple(one.document() for one in found)
    return TuneReport(board_table(done.boards), tuple(done.summary.run_ids), chosen, tuple(notes))
