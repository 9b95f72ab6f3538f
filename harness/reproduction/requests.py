"""The requests that measure the paper's tables with ordinary runs; each network is trained once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.errors import SettingError
from harness.reproduction.recipes import Cell, Recipe

if TYPE_CHECKING:  # these import torch
    from harness.planning.request import RunRequest
    from harness.planning.run_job import RunJob


Ground = tuple[str, str]  # data set and network, as options name them


def requests(cells: Sequence[Cell], base: RunRequest) -> dict[RunRequest, list[Recipe]]:
    """The requests that measure some cells, and the recipes that each request trains.

    A network that stands in several tables is trained once.

    Args:
        base: the user's options; the cells set methods, data set, network, and checkpoints.
    Raises:
        SettingError: the user's options choose checkpoints.
    """
    for text in base.values:
        if text.partition("=")[0].rpartition(".")[2] == "checkpoints":
            raise SettingError(f"--set {text} is refused: the tables decide which checkpoints are evaluated")
    wanted: dict[tuple[Ground, Recipe], set[str]] = {}
    for cell in cells:
        wanted.setdefault(((cell.dataset, cell.network), cell.recipe), set()).add(cell.figure.checkpoint)
    alike: dict[RunRequest, list[Recipe]] = {}
    for ((dataset, network), recipe), checkpoints in wanted.items():
        own = [f"{recipe.method}.{key}={value}" for key, value in recipe.settings]
        values = (*base.values, *own, f"evaluation.checkpoints={','.join(sorted(checkpoints))}")
        shared = replace(base, methods=(), dataset=dataset, network=network, values=values)
        alike.setdefault(shared, []).append(recipe)
    return {replace(shared, methods=tuple(r.method for r in recipes)): recipes for shared, recipes in alike.items()}


def parts(cells: Sequence[Cell], base: RunRequest, *, count_only: bool = False) -> dict[Ground, list[RunJob]]:
    """The jobs that measure some cells, by data set and network. Writes nothing.

    Args:
        count_only: the jobs are only for estimating costs; see ``resolve_run``.
    Raises:
        HarnessError: a job cannot be done; says why in one line.
    """
    from harness.planning.run_job import resolve_run

    together: dict[Ground, list[RunJob]] = {}
    images: dict[str, Any] = {}  # fingerprint -> data set: requests share one copy
    for request, recipes in requests(cells, base).items():
        for job, recipe in zip(resolve_run(request, count_only=count_only), recipes, strict=True):
            if job.method != type(job.method).from_mapping(dict(recipe.settings)):
                raise SettingError(f"--set must not change {recipe.method}: the tables decide it; use `harness run`")
            dataset = images.setdefault(job.dataset.fingerprint, job.dataset)
            together.setdefault((request.dataset, request.network), []).append(replace(job, dataset=dataset))
    return together
