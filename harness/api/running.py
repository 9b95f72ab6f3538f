"""What ``harness run`` does, without options and without output: plans the work, does it, and gathers the figures."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from harness.api.origin import origin
from harness.api.progress_text import duration
from harness.api.separating import Separated, Separating
from harness.api.workplace import Note, Workplace
from harness.errors import SettingError
from harness.events import Noted, Report
from harness.execution.conduct import Conductor
from harness.execution.summary import Summary
from harness.leaderboard.board import Board, Selection
from harness.leaderboard.ranking import boards
from harness.planning.cost import estimate
from harness.planning.experiment import Experiment
from harness.planning.experiment_jobs import resolve_experiment
from harness.planning.grid_jobs import grid_notes, resolve_grid
from harness.planning.missing import Missing, find_missing
from harness.planning.request import RunRequest
from harness.planning.run_job import RunJob
from harness.planning.seed_outlook import SeedOutlook, seed_outlook
from harness.plugin.dataset import Dataset
from harness.store.records import EvaluationRecord
from harness.store.store import Store
from harness.targets.target import quiet


@dataclass(frozen=True)
class PlannedRuns:
    """The runs of a request, and what the store lacks of them.

    Attributes:
        separating: where seeds are added by looking. ``jobs`` and ``missing`` are then those before the next look.
    """

    jobs: Sequence[RunJob]
    missing: Missing
    started: float = field(default_factory=time.perf_counter)
    separating: Separating | None = None


@dataclass(frozen=True)
class Conducted:
    """What was done, and the rows of these runs: under their protocol, and on their test images."""

    boards: Sequence[Board]
    summary: Summary
    origin: str | None  # which figures come from the store; None if all were measured now
    total_s: float
    separated: Separated | None = None  # where seeds were added by looking


def plan_runs(request: RunRequest, place: Workplace, *, fresh: bool, count_only: bool, note: Note) -> PlannedRuns:
    """Check a request, and find what the store lacks. Nothing is written.

    Args:
        place: checked already (``Workplace.check``).
        fresh: whether everything begins again, as if nothing were stored.
        count_only: whether the work is only to be costed; then no data set is downloaded.
    Raises:
        HarnessError: the request cannot be met, or none of its networks can be trained; says why in one line.
    """
    started = time.perf_counter()
    request = replace(request, db=place.db, runs_dir=place.runs_dir)
    if not count_only:
        place.begin_workers()
    with quiet():
        jobs = resolve_grid(request, count_only=count_only)
    for text in grid_notes(jobs) if request.grid else ():
        note(text)
    if request.until_separated is None:
        return _planned(jobs, place, started, note, fresh=fresh)
    if fresh:
        raise SettingError("--fresh is refused beside --until-separated: stored seeds count as looked at; leave it out")
    separating = Separating(jobs, request.train_seeds)
    separating.walk(lambda jobs: missing_of(jobs, place, fresh=False))
    return replace(_planned(separating.jobs, place, started, note, fresh=False), separating=separating)


def plan_experiment(
    experiment: Experiment, base: RunRequest, place: Workplace, *, fresh: bool, count_only: bool, note: Note
) -> PlannedRuns:
    """Check all parts of an experiment, and find what the store lacks of all together. Nothing is written.

    Args:
        base: what else is wanted of each part; for the rest see ``plan_runs``.
    Raises:
        HarnessError: a part cannot be met, or no network of any part can be trained; says why in one line.
    """
    started = time.perf_counter()
    base = replace(base, db=place.db, runs_dir=place.runs_dir)
    if base.until_separated is not None:
        raise SettingError("--until-separated is refused beside an experiment's file: name the methods in its place")
    if not count_only:
        place.begin_workers()
    with quiet():
        jobs = resolve_experiment(experiment, base, count_only=count_only)
    return _planned(jobs, place, started, note, fresh=fresh)


def _planned(jobs: Sequence[RunJob], place: Workplace, started: float, note: Note, *, fresh: bool) -> PlannedRuns:
    for dataset in {job.dataset.fingerprint: job.dataset for job in jobs}.values():
        note_dataset(dataset, note)
    missing = missing_of(jobs, place, fresh=fresh)
    for text in missing.notes:
        note(text)
    if missing.refused and len(missing.refused) == len(missing.runs):  # no run can go on
        raise missing.refused[0].refusal or AssertionError("a refusal has a reason")
    trained = sum(run.trained and bool(run.job.eval_every) for run in missing.runs)
    if trained:
        note(f"--eval-every records nothing of {trained} network(s) trained already; --fresh trains them again")
    return PlannedRuns(jobs, missing, started)


def conduct_runs(planned: PlannedRuns, place: Workplace, listen: Report) -> Conducted:
    """Do the work, and gather the rows of its runs.

    Raises:
        HarnessError: a plugin, a data set, or weights cannot be used; what was done before is kept. A failed training
            raises nothing: the summary names it.
    """
    summary, separating = conduct(planned.missing, place, listen), planned.separating
    if separating is not None:
        _separate(separating, summary, place, listen)
    jobs = planned.jobs if separating is None else separating.jobs
    store = Store.read(place.db)
    chosen = list(_boards_of(jobs, summary.run_ids, store))
    rows = (row for board in chosen for row in board.rows)
    separated = None if separating is None else separating.with_collapsed(rows)
    source = origin(_evaluations(chosen, summary.run_ids, store), summary.attacked)
    store.close()
    return Conducted(chosen, summary, source, time.perf_counter() - planned.started, separated)


def _separate(separating: Separating, summary: Summary, place: Workplace, listen: Report) -> None:
    """Look after each seed, and add the next, until all is decided; what is done joins the summary.

    Where work was given up, there is no further look: the same command does that work first.
    """
    while not summary.undone:
        for line in separating.look(missing_of(separating.jobs, place, fresh=False)):
            listen(Noted(line))
        if separating.decided:
            break
        missing = missing_of(separating.jobs, place, fresh=False)
        if missing.idle:
            summary.run_ids = [run.record.id for run in missing.runs if run.record is not None]
        else:
            summary.add(conduct(missing, place, listen))


def boards_of(jobs: Sequence[RunJob], runs: Sequence[int], place: Workplace) -> list[Board]:
    """The boards of some jobs as they stand now, each with the rows of these runs."""
    store = Store.read(place.db)
    found = list(_boards_of(jobs, runs, store))
    store.close()
    return found


def _boards_of(jobs: Sequence[RunJob], runs: Sequence[int], store: Store) -> Iterator[Board]:
    """The boards of some jobs, each with the rows of these runs: of their protocol, data set, and test images."""
    for fingerprint in dict.fromkeys(job.protocol.fingerprint for job in jobs):
        own = [(job.dataset.fingerprint, job.images) for job in jobs if job.protocol.fingerprint == fingerprint]
        for board in boards(store, Selection(protocol=fingerprint, runs=frozenset(runs))):
            if (board.dataset_fingerprint, board.images) in own:
                yield board


def missing_of(jobs: Sequence[RunJob], place: Workplace, *, fresh: bool) -> Missing:
    """What the store lacks of some jobs."""
    store = Store.read(place.db)
    missing = find_missing(jobs, store, fresh=fresh)
    store.close()
    return missing


def missing_at_the_limit(planned: PlannedRuns, place: Workplace) -> Missing | None:
    """What is missing if no pair is separated before the limit; None where no seeds are added by looking."""
    return None if planned.separating is None else missing_of(planned.separating.at_the_limit, place, fresh=False)


def outlook_of(planned: PlannedRuns, place: Workplace) -> list[SeedOutlook]:
    """What the training seeds of a plan can tell, as the stored rows vary."""
    store = Store.read(place.db)
    found = seed_outlook(planned.separating.at_the_limit if planned.separating else planned.jobs, store)
    store.close()
    return found


def conduct(missing: Missing, place: Workplace, listen: Report) -> Summary:
    """Train and attack what is missing."""
    where = place.placement(missing.runs[0].job)
    where.together(missing.runs[0].job.devices)  # what cannot be is refused before a database is made
    store = Store.write(place.db)
    try:
        return Conductor(missing, store, place.runs_dir, listen, where).conduct()
    finally:
        store.close()


def note_cpu(missing: Missing, place: Workplace, device: str | None, note: Note) -> None:
    """Say that the CPU is used, and for how long, if the user did not choose it.

    Args:
        device: the one that the user chose; None: the best that there is was taken.
    """
    job, network = missing.runs[0].job, missing.runs[0].spec.network
    if job.device.type == "cpu" and device is None and not missing.idle:
        seconds = estimate(missing).wall_s(place.placement(job).workers)
        known = f"not timed yet on this machine: {network}" if seconds is None else f"about {duration(seconds)}"
        note(f"no CUDA device: working on the CPU ({known})")


def note_dataset(dataset: Dataset, note: Note) -> None:
    """Pass on the data set's notes for the user."""
    for text in dataset.notes:
        note(f"{dataset.name}: {text}")


def note_times(summary: Summary, total_s: float, note: Note) -> None:
    """Say how many checkpoints could not be examined, and where the time went."""
    if summary.unexamined:
        note(
            f"{summary.unexamined} checkpoint(s) could not be examined by the newest checks, since their weights are"
            " not here; what earlier checks found is shown"
        )
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in times_of(summary, total_s).items())
    note(f"time: {parts}; {total_s:.1f} s in all")


def times_of(summary: Summary, total_s: float) -> dict[str, float]:
    """Wall seconds of the training, of each attack, of the checks, and of the rest; together ``total_s``."""
    shares = {name: seconds for name, seconds in summary.shares().items() if seconds > 0}
    return shares | {"the rest": total_s - sum(shares.values())}


def _evaluations(chosen: Iterable[Board], runs: Collection[int], store: Store) -> Iterator[EvaluationRecord]:
    """The evaluations behind the figures of some runs."""
    held = {e.id: e for number in runs for c in store.run(number).checkpoints for e in c.evaluations}
    for board in chosen:
        for network in (network for row in board.rows for network in row.networks if network.number in runs):
            for attack in board.attacks:
                yield from (held[e.id] for e in board.column(attack).evaluations(network)[attack])
