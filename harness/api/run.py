"""``harness.run``: train networks with some methods, attack them, and report their figures."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api.given import (
    Names,
    Paths,
    attacks_of,
    counts_of,
    grid_of,
    names_of,
    number_of,
    paths_of,
    settings_of,
    text_of,
    workplace_of,
)
from harness.api.table import Table
from harness.errors import HarnessError
from harness.planning.places import place_arguments
from harness.trackers.named import Trackers, trackers_of

if TYPE_CHECKING:
    import torch


class RunFailed(UserWarning):
    """A training of ``harness.run`` failed; the report has the reason."""


@dataclass(frozen=True)
class RunReport:
    """What ``harness.run`` did, and the figures of its runs.

    Attributes:
        rows: the figures of these runs as on the leaderboard, one a row, with the ranks of the whole board.
        runs: the numbers of the runs, trained now or before.
        failures: number of a run whose training failed -> the reason. It stands in no row of ``rows``.
        given_up: work that was given up, since it took too long or its worker process ended again and again; one line
            each. The same call goes on with it.
        trained: how many networks were trained now.
        attacked: how many evaluations got verdicts now.
        times_s: wall seconds of the training, of each attack, of the checks, and of the rest.
        notes: remarks for the user: on the data set, and which figures come from the store.
        separated: with ``until_separated``: what the looks came to, as ``harness run --json`` prints it; else None.
        plan: with ``dry_run``: the work to do, as ``harness run --dry-run --json`` prints it; else None.
    """

    rows: Table
    runs: tuple[int, ...] = ()
    failures: Mapping[int, str] = field(default_factory=dict)
    given_up: tuple[str, ...] = ()
    trained: int = 0
    attacked: int = 0
    times_s: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    plan: Mapping[str, Any] | None = None
    separated: Mapping[str, Any] | None = None

    def check(self) -> None:
        """Raise HarnessError if a training failed, or work was given up."""
        if self._shortfalls:
            raise HarnessError("; ".join(self._shortfalls))

    @property
    def _shortfalls(self) -> list[str]:
        return [*(f"run {number} failed: {reason}" for number, reason in self.failures.items()), *self.given_up]

    @property
    def _looks(self) -> list[str]:
        if self.separated is None:
            return []
        count, total = self.separated["separated"], len(self.separated["pairs"])
        fallen = [
            f"{method} seed {seed['train_seed']} collapsed, and counts in the looks"
            for method, seeds in self.separated["collapsed"].items()
            for seed in seeds
        ]
        return [f"{count} of {total} pairs are separated under {self.separated['attack']}", *fallen]

    def __repr__(self) -> str:
        if self.plan is not None:
            return f"plan: {len(self.plan['networks'])} networks, {len(self.plan['evaluations'])} evaluations to do"
        seconds = sum(self.times_s.values())
        head = f"runs {', '.join(map(str, self.runs))}: {self.trained} trained, {self.attacked} evaluations attacked"
        return "\n".join([f"{head}, {seconds:.1f} s", *self._shortfalls, *self.notes, *self._looks, repr(self.rows)])

    def _repr_html_(self) -> str:
        return self.rows._repr_html_()


def run(
    methods: Names,
    *,
    dataset: str = "cifar10",
    arch: str = "resnet18",
    seeds: int = 5,
    train_seeds: int = 1,
    until_separated: int | None = None,
    epsilon: float | str | None = None,
    norm: str | None = None,
    attacks: Names | None = None,
    epochs: int | None = None,
    precision: str | None = None,
    wrap: Names = (),
    protocol: str | Path | None = None,
    set: Mapping[str, object] | None = None,
    grid: Mapping[str, Sequence[object]] | None = None,
    limit: int | None = None,
    checks: bool = True,
    eval_every: int | None = None,
    state_every: float = 10.0,
    deterministic: bool = False,
    devices_per_run: int = 1,
    fresh: bool = False,
    dry_run: bool = False,
    image_size: int | None = None,
    class_order: str | None = None,
    channels: int | None = None,
    device: str | torch.device | None = None,
    devices: Names | None = None,
    per_device: int = 1,
    workers: int | None = None,
    time_limit: float | None = None,
    executor: str = "local",
    ray_address: str | None = None,
    allow_mixed: bool = False,
    plain: bool = False,
    db: str | Path | None = None,
    runs_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    plugins: Paths = (),
    progress: bool = False,
    trackers: Trackers = (),
    **settings: object,
) -> RunReport:
    """Train a network with each method, attack it, and report its accuracies. Stored work is not repeated.

    It does what ``harness run`` does, with the same identities: a result of the one is a stored result of the other.

    Args:
        methods: a method, or several.
        dataset: a name, or ``folder:PATH``, which ``image_size``, ``class_order``, and ``channels`` are for.
        arch: the network.
        seeds: attack seeds of each attack that draws random numbers.
        train_seeds: networks to train with each method, from different seeds.
        until_separated: train more seeds, so many a method at most, until every two methods differ significantly; p
            counts every look. ``train_seeds`` of them are trained before the first look, and 3 at the least.
        epsilon: radius of the ball in training and under attack, such as 8 / 255 or "8/255"; None: the protocol's.
        norm: of that ball, ``Linf`` or ``L2``; None: the protocol's.
        attacks: the attacks; None: the protocol's. The leaderboard ranks by the last.
        epochs, precision: of the training; None: the protocol's.
        wrap: wrappers of every training update, such as ``awp``.
        protocol: a name, or a TOML file; None: the data set's.
        set: settings by their names, also those with a dot: ``{"train.lr": 0.1, "pgd.steps": 50}``.
        grid: settings with several values each: ``{"alpha_pgd": [1, 2, 4], "minimum": [0.05, 0.1]}`` trains every
            combination, as runs of their own.
        limit: attack only so many test images, balanced over the classes.
        checks: whether to look for signs that a robust accuracy is too high.
        eval_every: record accuracies on 128 test and 128 training images after every so many epochs; 0: never. None:
            ten times in the training of a small network.
        state_every: minutes; within a long epoch, the state that a stopped training goes on from is written so often.
        deterministic: train with torch's deterministic algorithms, so that a stopped training goes on to the last bit
            on a CUDA device, too. On the CPU it does so anyway.
        devices_per_run: train each network on so many devices together, from ``device`` on; on the CPU, with so many
            processes.
        fresh: begin again, as if nothing were stored; stored results are kept.
        dry_run: write nothing; ``plan`` of the report is the work to do.
        device: None: CUDA if there is one, else the CPU.
        devices: the CUDA devices to work on side by side; None: ``device``, or all that there are if that is None, too.
        per_device: networks that share a CUDA device, side by side.
        workers: processes that work side by side, at most; None: one per core, and ``per_device`` on a CUDA device.
        time_limit: minutes; a training or a block of images that takes longer is given up, and the rest goes on.
        executor: ``"local"``: in processes of this machine; ``"ray"``: on the machines of a Ray cluster.
        ray_address: ``HOST:PORT`` of the cluster's head, or ``"auto"``; None: what ``RAY_ADDRESS`` names, else this
            machine's cluster, else a new one, which ends with this process.
        allow_mixed: take workers of a cluster that have other versions of torch, and record them beside each result.
        plain: compute each network with its own layers alone.
        db: the database; None: as ``harness.open``.
        runs_dir, data_dir: where weights and logs, and downloaded data sets, are kept; None: what ``HARNESS_RUNS_DIR``
            and ``HARNESS_DATA_DIR``, else the project's configuration name, else ``runs`` and ``data``.
        plugins: plugin files, and folders of them, besides those of the project's configuration.
        progress: show on standard error what the command line shows.
        trackers: what follows the runs: names such as ``"tensorboard"`` or ``"wandb:PROJECT"``, or a ``Tracker`` of
            yours. One that fails is told on standard error and in ``notes``, and fails no run.
        settings: more settings, as in ``set``: ``floor="pgd"``.
    Returns:
        The report. A failed training does not raise: the other networks have figures, which are stored. It is in
        ``failures``, gives a ``RunFailed`` warning, and ``check`` of the report raises.
    Raises:
        HarnessError: the request cannot be met, or none of its networks can be trained.
    """
    counts = counts_of({"seeds": seeds, "train_seeds": train_seeds, "epochs": epochs, "limit": limit})
    counts |= counts_of({"eval_every": eval_every, "image_size": image_size, "channels": channels})
    counts |= counts_of({"devices_per_run": devices_per_run, "until_separated": until_separated})
    places = place_arguments(db=db, runs_dir=runs_dir, data_dir=data_dir, plugins=paths_of(plugins))
    place = workplace_of(
        db=places.db,
        runs_dir=places.runs_dir,
        workers=workers,
        device=device,
        devices=devices,
        per_device=per_device,
        time_limit=time_limit,
        executor=executor,
        ray_address=ray_address,
        allow_mixed=allow_mixed,
    )
    place.check(writing=not dry_run)
    following = trackers_of(trackers, place.runs_dir)

    from harness.api import running
    from harness.api.progress import Watch
    from harness.api.ranked import board_table
    from harness.api.tracked import tracked
    from harness.planning.cost import estimate
    from harness.planning.overrides import refuse_two_values
    from harness.planning.plan_document import plan_document
    from harness.planning.request import SHORT_FORMS, RunRequest
    from harness.runtime.process import as_in_a_new_process

    given: dict[str, Any] = {
        **counts,
        "epsilon": None if epsilon is None else text_of("epsilon", epsilon),
        "norm": norm,
        "protocol": None if protocol is None else str(protocol),
        "precision": precision,
        "device": place.planned_on,
        "elsewhere": place.elsewhere,
        "db": places.db,
        "attacks": attacks_of(attacks),
        "class_order": class_order,
    }
    request = RunRequest(
        methods=names_of(methods),
        wrap=names_of(wrap),
        network=arch,
        dataset=dataset,
        values=settings_of(set or {}, settings),
        grid=grid_of(grid or {}),
        checks=checks,
        state_every=number_of("state_every", state_every),
        deterministic=deterministic,
        plain=plain,
        data_dir=places.data_dir,
        runs_dir=places.runs_dir,
        plugins=places.plugins,
        **{name: value for name, value in given.items() if value is not None},
    )
    refuse_two_values(vars(request), SHORT_FORMS)
    notes = list(places.notes)
    with as_in_a_new_process(), Watch(quiet=not progress) as watch:
        planned = running.plan_runs(request, place, fresh=fresh, count_only=dry_run, note=notes.append)
        if dry_run:
            workers, outlook = place.placement(planned.jobs[0]).workers, running.outlook_of(planned, place)
            at_the_limit = running.missing_at_the_limit(planned, place)
            cost = estimate(planned.missing)
            plan = plan_document(planned.missing, cost, workers, outlook=outlook, at_the_limit=at_the_limit)
            return RunReport(board_table([]), notes=tuple(notes), plan=plan)
        running.note_cpu(planned.missing, place, request.device, watch.note)
        with tracked(watch, following, notes.append) as listen:
            done = running.conduct_runs(planned, place, listen)
    notes += [done.origin] if done.origin is not None else []
    for number, reason in done.summary.failures.items():
        warnings.warn(f"run {number} failed: {reason}", RunFailed, stacklevel=2)
    given_up = tuple(done.summary.shortfalls()[len(done.summary.failures) :])
    for line in given_up:
        warnings.warn(line, RunFailed, stacklevel=2)
    return RunReport(
        rows=board_table(done.boards),
        runs=tuple(done.summary.run_ids),
        failures=done.summary.failures,
        given_up=given_up,
        trained=done.summary.trained,
        attacked=len(done.summary.attacked),
        times_s=running.times_of(done.summary, done.total_s),
        notes=tuple(notes),
        separated=None if done.separated is None else done.separated.document(),
    )
