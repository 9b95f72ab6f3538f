"""An experiment resolved: every part is checked before anything is downloaded, trained, or written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.errors import HarnessError, SettingError
from harness.planning.experiment import Experiment, Part
from harness.planning.grid_jobs import grid_choices, resolve_grid
from harness.planning.request import RunRequest
from harness.planning.run_job import RunJob
from harness.plugin.dataset import Dataset


def resolve_experiment(experiment: Experiment, base: RunRequest, *, count_only: bool = False) -> list[RunJob]:
    """The jobs of an experiment: data set by data set, network by network, the methods in the file's order.

    Args:
        base: see ``Experiment.parts``.
        count_only: whether the jobs are only to be costed; see ``resolve_run``.
    Raises:
        HarnessError: a part cannot be met, or two parts are the same runs. One line that names the file and the part.
    """
    parts = list(experiment.parts(base))
    choices = []
    for part in parts:
        with _naming(experiment.file, part):
            choices.append(grid_choices(part.request))  # all names and settings, before the first data set is read
    images: dict[tuple[str, str], Dataset] = {}  # by their content: parts share one copy
    cells: dict[str, dict[int, list[RunJob]]] = {}
    for part, choice in zip(parts, choices, strict=True):
        with _naming(experiment.file, part):
            jobs = resolve_grid(part.request, count_only=count_only, choices=choice)
        places = dict(zip(part.request.methods, part.places, strict=True))
        for job in jobs:
            dataset = images.setdefault((job.dataset.fingerprint, job.dataset.extra_sha256), job.dataset)
            cell = cells.setdefault(part.title, {}).setdefault(places[job.specs[0].method], [])
            cell.append(replace(job, dataset=dataset))
    _refuse_twins(experiment, cells)
    return [job for cell in cells.values() for _, jobs in sorted(cell.items()) for job in jobs]


@contextlib.contextmanager
def _naming(file: Path, part: Part) -> Iterator[None]:
    """A refusal inside names the file and the part."""
    try:
        yield
    except HarnessError as error:
        error.args = (f"{file}, {part.title}: {error}", *error.args[1:])
        raise


def _refuse_twins(experiment: Experiment, cells: dict[str, dict[int, list[RunJob]]]) -> None:
    """Refuse two entries that are the same runs: a default was written out, or a folder was copied."""
    seen: dict[str, str] = {}
    for title, cell in cells.items():
        for place, job in ((place, job) for place, jobs in cell.items() for job in jobs):
            method = experiment.methods[place]
            label = f"{' '.join((method.name, *method.settings))} on {title}"
            first = seen.setdefault(job.specs[0].identity, label)
            if first != label:
                raise SettingError(f"{experiment.file}: {first} and {label} are the same runs; leave one out")
