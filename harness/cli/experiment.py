"""An experiment's file on the command line: what is said beside it holds, and the project's defaults do not count."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from harness.cli.config_file import Given
from harness.planning.experiment import Experiment, read_experiment
from harness.planning.request import FATE, RunRequest

OF_THE_MACHINE = (
    *("device", "devices", "per_device", "devices_per_run", "workers", "time_limit"),
    *("executor", "ray_address", "allow_mixed"),
    *("plain", "state_every", "deterministic", "trackers"),
    *("as_json", "verbose", "quiet"),
)
"""Parameters whose defaults count beside an experiment, too: they change no result."""


def chosen_experiment(file: Path, asked: RunRequest, source: Given) -> tuple[Experiment, RunRequest]:
    """The experiment, and what else is wanted of each of its parts.

    The command line holds over the file. What the project's configuration says of ``run`` does not count, except for
    the machine: the same file is the same experiment in any project.

    Args:
        asked: the request as all options make it.
    Raises:
        SettingError: the file is refused.
    """
    decided = {field.name for field in fields(RunRequest)} - {"methods"}
    decided -= {name for name, fate in FATE.items() if fate == "provenance"}
    typed: dict[str, Any] = {name: getattr(asked, name) for name in decided & source.typed.keys()}
    if "values" in typed:  # without those of the configuration, which come before them
        typed["values"] = tuple(source.typed["values"])
    experiment, notes = read_experiment(file).under(typed)
    fresh = RunRequest(methods=())
    base = replace(asked, methods=(), **{name: typed.get(name, getattr(fresh, name)) for name in decided})
    own = {name: pair for name, pair in source.defaults.own.items() if pair[0] in source.counted}
    left_out = [pair[0] for name, pair in own.items() if name not in OF_THE_MACHINE]
    for key in left_out:
        del source.counted[key]
    if left_out:
        where = source.defaults.configuration.name
        notes.append(f"{where}: {', '.join(left_out)} of [run] do not count beside an experiment")
    source.notes.extend(notes)
    return experiment, base
