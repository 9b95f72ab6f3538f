"""The jobs of a request that may have a grid: every combination is checked before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.errors import SettingError
from harness.planning.grid import grid_requests
from harness.planning.request import RunRequest
from harness.planning.run_job import Choice, RunJob, choose, method_label, resolve_run
from harness.plugin.dataset import Dataset


def resolve_grid(
    request: RunRequest, *, count_only: bool = False, choices: Sequence[tuple[RunRequest, Choice]] | None = None
) -> list[RunJob]:
    """The jobs of every combination, method by method; without a grid, those of the request.

    Args:
        count_only: see ``resolve_run``.
        choices: what ``grid_choices`` made of the request; None: it is asked now.
    Raises:
        HarnessError: a combination cannot be met, or two are the same networks; says why in one line.
    """
    images: list[tuple[object, Dataset]] = []  # a combination that changes nothing of the data set shares its images
    jobs: list[RunJob] = []
    for one, choice in grid_choices(request) if choices is None else choices:
        named = choice.source, choice.protocol.train.extra
        known = next((dataset for told, dataset in images if told == named), None)
        made = resolve_run(one, count_only=count_only, choice=choice, dataset=known)
        if known is None:
            images.append((named, made[0].dataset))
            held = next(d for _, d in images if _same_images(d, made[0].dataset))
            made = [replace(job, dataset=held) for job in made]
        jobs += made
    if request.grid:
        _refuse_equal(jobs)
    order = list(dict.fromkeys(request.methods))
    return sorted(jobs, key=lambda job: order.index(job.specs[0].method))


def _same_images(one: Dataset, other: Dataset) -> bool:
    return (one.fingerprint, one.extra_sha256) == (other.fingerprint, other.extra_sha256)


def grid_choices(request: RunRequest) -> list[tuple[RunRequest, Choice]]:
    """Each combination's request, and what can be checked of it without the images."""
    return [(one, choose(one)) for one in grid_requests(request)]


def grid_notes(jobs: Sequence[RunJob]) -> Iterator[str]:
    """What to know of a grid's figures before they are read."""
    boards = len({job.protocol.fingerprint for job in jobs})
    if boards > 1:
        yield f"the grid changes the protocol: its rows stand on {boards} boards, which are never ranked together"
    if len(jobs) > len({job.specs[0].method for job in jobs}):
        yield "the best row of a grid was chosen on the test images, and its figure is too high by the choice"


def _refuse_equal(jobs: Sequence[RunJob]) -> None:
    """Refuse two combinations that train the same networks."""
    seen: dict[str, RunJob] = {}
    for job in jobs:
        first = seen.setdefault(job.specs[0].identity, job)
        if first is job:
            continue
        label = method_label(job.specs[0].method, job.method)
        if first.protocol.fingerprint == job.protocol.fingerprint:
            raise SettingError(f"--grid is refused: two of its values are the same for {label}; leave one out")
        raise SettingError(
            f"--grid is refused: it changes the attacks alone, and trains {label} once; name the attacks in a command"
            " for each protocol"
        )
