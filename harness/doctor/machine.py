"""The machine: versions, threads, CUDA, optional packages, and plugins."""

from __future__ import annotations

import os
import platform
import sqlite3
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from harness.doctor.diagnosis import Diagnosis
from harness.errors import one_line
from harness.registry.catalogue import KINDS, candidates, discover

LEAST_SQLITE = (3, 28, 0)  # the views name windows
BAD_SQLITE = ((3, 35, 0), (3, 35, 4))  # from, to: dropping a column can damage a file
EXTRAS = {
    "plots": "matplotlib",
    "pandas": "pandas",
    "hub": "huggingface_hub",
    "postgres": "psycopg",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow-skinny",
    "robustbench": "robustbench",
}
"""Extra -> the package that it installs."""

DRIVER = Path("/proc/driver/nvidia/version")


def examine_machine(plugins: tuple[Path, ...] = ()) -> Iterator[Diagnosis]:
    """Everything that is not in a file of the user's."""
    yield Diagnosis("Python", "ok", platform.python_version())
    yield sqlite_diagnosis(sqlite3.sqlite_version_info)
    yield thread_diagnosis(os.environ.get("OMP_NUM_THREADS"), cores())
    yield _cuda()
    for extra, package in EXTRAS.items():
        version = version_of(package)
        text = f"{package} {version}" if version else f"{package} is not installed"
        remedy = "" if version else f"if you need it: pip install 'robustness-harness[{extra}]'"
        yield Diagnosis(f"extra {extra}", "ok", text, remedy)
    yield from _plugins(plugins)


def sqlite_diagnosis(version: tuple[int, ...]) -> Diagnosis:
    """Whether SQLite is new enough, and not one that damages files."""
    text, remedy = ".".join(map(str, version)), "install a Python with a newer SQLite"
    if version < LEAST_SQLITE:
        return Diagnosis("SQLite", "wrong", f"{text} is older than {'.'.join(map(str, LEAST_SQLITE))}", remedy)
    if BAD_SQLITE[0] <= version <= BAD_SQLITE[1]:
        return Diagnosis("SQLite", "note", f"{text} can damage a file when a column is dropped", remedy)
    return Diagnosis("SQLite", "ok", text)


def thread_diagnosis(variable: str | None, available: int) -> Diagnosis:
    """Whether OMP_NUM_THREADS fits the cores that this process may use."""
    if variable is None:
        return Diagnosis("threads", "ok", f"{available} cores; OMP_NUM_THREADS is not set")
    if not (variable.isdecimal() and int(variable) > 0):
        return Diagnosis(
            "threads",
            "wrong",
            f"OMP_NUM_THREADS={variable!r} is no number of threads",
            "unset it, or set it to 1 or more",
        )
    text = f"{available} cores; OMP_NUM_THREADS={variable}"
    if int(variable) > available:
        return Diagnosis("threads", "note", text, f"more threads than cores are slow: set it to {available} or fewer")
    return Diagnosis("threads", "ok", text)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def version_of(package: str) -> str | None:
    """The version of an installed package; it is not imported."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cuda() -> Diagnosis:
    version = version_of("torch")
    if version is None:
        return Diagnosis("torch", "wrong", "it is not installed", "pip install robustness-harness")
    driver = DRIVER.exists()
    if version.endswith("+cpu"):  # no need to import it
        advice = "install torch with CUDA, as pytorch.org says" if driver else ""
        return Diagnosis("torch", "note" if driver else "ok", f"{version}, without CUDA", advice)
    try:
        import torch

        with warnings.catch_warnings(record=True) as said:  # torch warns of a driver that is too old
            warnings.simplefilter("always")
            usable = torch.cuda.is_available()
            devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if usable else []
    except (ImportError, OSError, RuntimeError) as error:  # a broken installation
        return Diagnosis("torch", "wrong", f"{version} cannot be used: {one_line(error)}", "install torch again")
    built = torch.version.cuda
    if usable:
        return Diagnosis("torch", "ok", f"{version}, CUDA {built}: {', '.join(devices)}")
    if driver and built is not None:
        reason = f": {one_line(said[0].message)}" if said and isinstance(said[0].message, Warning) else ""
        remedy = f"update the NVIDIA driver to one for CUDA {built}, or install torch for the driver that is there"
        return Diagnosis("torch", "wrong", f"{version} cannot use the GPU{reason}", remedy)
    return Diagnosis("torch", "ok", f"{version}; there is no CUDA device")


def _plugins(files: tuple[Path, ...]) -> Iterator[Diagnosis]:
    """Plugins that do not ship. They are imported, as by any command that lists them; those that ship are not."""
    for kind, spec in KINDS.items():
        own = [one for one in candidates(spec, files) if not one.where.startswith(f"{spec.package}.")]
        if own:
            broken = discover(kind, files).broken
            for one in broken:
                remedy = f"`harness check {spec.noun} {one.name}` says more; mend the plugin, or remove it"
                yield Diagnosis(f"plugin {one.name}", "wrong", f"{one.where}: {one.reason}", remedy)
            if not broken:
                yield Diagnosis(f"plugins: {kind}", "ok", f"{len(own)} files or entry points besides those that ship")
