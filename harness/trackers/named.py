"""The trackers that a name stands for, such as ``tensorboard:logs``: checked before anything is trained or written."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from harness.errors import HarnessError, SettingError, UnknownName, quoted
from harness.files import require_writable
from harness.locations import without_secrets_in
from harness.trackers.apart import Apart
from harness.trackers.tracker import Tracker

Trackers = str | Tracker | Sequence[str | Tracker]
"""A tracker, or several, each by its name or as an object."""

_NOT_IN_A_PROJECT = "\\#?%:"  # W&B's rule


def trackers_of(given: Trackers, runs_dir: Path) -> tuple[Tracker, ...]:
    """The trackers that a user asks for. Nothing is written, no library is imported, and no server is asked.

    Args:
        runs_dir: where TensorBoard's files go, unless its name says where.
    Raises:
        UnknownName: no tracker has that name.
        HarnessError: its library is not installed, or it cannot write to its place; says what to do, in one line.
    """
    several: list[str | Tracker] = list(given) if isinstance(given, (list, tuple)) else [given]  # type: ignore[list-item]
    for tracker in several:
        if not isinstance(tracker, (str, Tracker)):
            kind = "a class" if isinstance(tracker, type) else f"a {type(tracker).__name__}"
            raise SettingError(f"a tracker is refused: it is {kind}; give a name, or an object of a harness.Tracker")
        if several.count(tracker) > 1:
            raise SettingError(f"tracker {quoted(without_secrets_in(str(tracker)))} is given twice; leave one out")
    return tuple(_named(each, runs_dir) if isinstance(each, str) else each for each in several)


def located(text: str, beside: Callable[[str], str]) -> str:
    """A tracker's name as a file says it, its place made absolute where it is a path.

    Args:
        beside: makes a path absolute.
    """
    name, _, place = text.partition(":")
    path = name == "tensorboard" or (name == "mlflow" and not _is_uri(place))
    return f"{name}:{beside(place)}" if place and path else text


def _named(text: str, runs_dir: Path) -> Tracker:
    name, colon, place = text.partition(":")
    if name not in NAMED:
        raise UnknownName("tracker", name, NAMED)
    if colon and not place:
        raise SettingError(f"tracker {quoted(text)} is refused: nothing stands after the colon; leave it out")
    named = NAMED[name]
    if not _installed(named.library):
        raise HarnessError(
            f"tracker {name!r} is refused: {named.library} is not installed;"
            f" run pip install 'robustness-harness[{name}]'"
        )
    return Apart(name, named.module, named.cls, named.place(place, runs_dir))


def _installed(library: str) -> bool:
    """Whether there is a package of that name; a mere folder, such as W&B's own ``wandb``, is none."""
    spec = find_spec(library)
    return spec is not None and spec.origin is not None


def _folder(place: str, runs_dir: Path) -> str:
    folder = Path(place) if place else runs_dir / "tensorboard"
    try:
        require_writable(folder)
    except OSError as error:
        raise HarnessError(f"tracker tensorboard cannot write to {folder}: {error}; name another folder") from None
    return str(folder.absolute())


def _project(place: str, _runs_dir: Path) -> str:
    parts = (place or "harness").split("/")
    if len(parts) > 2 or not all(parts) or any(c in _NOT_IN_A_PROJECT for c in place):
        raise SettingError(
            f"tracker {quoted(f'wandb:{place}')} is refused: write wandb:PROJECT or wandb:ENTITY/PROJECT, without any"
            f" of {' '.join(_NOT_IN_A_PROJECT)}"
        )
    return "/".join(parts)


def _is_uri(place: str) -> bool:
    return "://" in place or place.partition(":")[0] in ("databricks", "databricks-uc", "uc", "file")


def _tracking_uri(place: str, _runs_dir: Path) -> str:
    """A URI as it is; a path as the URI of an SQLite database, which MLflow makes where there is none."""
    place = place or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if _is_uri(place):
        return place
    file = Path(place).absolute()
    if file.is_dir():
        raise SettingError(f"tracker mlflow cannot use {file}, a folder; name a file, such as mlflow:{place}/mlflow.db")
    try:
        require_writable(file.parent)
    except OSError as error:
        raise HarnessError(f"tracker mlflow cannot write to {file}: {error}; name another file") from None
    if not file.parent.is_dir():
        raise HarnessError(f"tracker mlflow cannot write to {file}: there is no folder {file.parent}; make it first")
    return f"sqlite:///{file}"


@dataclass(frozen=True)
class NamedTracker:
    """A tracker that has a name.

    Attributes:
        module, cls: where its class is.
        library: the package that it needs; the extra of the tracker's name installs it.
        place: checks what stands after the name's colon, or gives the default.
    """

    module: str
    cls: str
    library: str
    place: Callable[[str, Path], str]


NAMED = {
    "tensorboard": NamedTracker("harness.trackers.tensorboard", "TensorBoard", "tensorboard", _folder),
    "wandb": NamedTracker("harness.trackers.wandb", "WeightsAndBiases", "wandb", _project),
    "mlflow": NamedTracker("harness.trackers.mlflow", "Mlflow", "mlflow", _tracking_uri),
}
