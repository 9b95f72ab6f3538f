"""What a user may ask of a command, as given: nothing is checked yet but counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import SettingError
from harness.targets.preprocessing import Preprocessing

MOST = 1_000_000  # of anything that is counted on the command line: more is a slip of the keyboard


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What a user may ask of ``harness run``, as given. Each field's part in identity is in ``FATE``."""

    methods: tuple[str, ...]
    wrap: tuple[str, ...] = ()
    network: str = "resnet18"
    dataset: str = "cifar10"
    image_size: int | None = None
    class_order: str | None = None
    channels: int | None = None
    protocol: str | None = None
    epsilon: str | None = None
    attacks: tuple[str, ...] | None = None
    epochs: int | None = None
    precision: str | None = None
    values: tuple[str, ...] = ()
    seeds: int = 5
    train_seeds: int = 1
    limit: int | None = None
    checks: bool = True
    device: str | None = None
    data_dir: Path = Path("data")
    plugins: tuple[Path, ...] = ()


FATE: dict[str, str] = {
    **dict.fromkeys(
        (
            "methods",
            "wrap",
            "network",
            "dataset",
            "image_size",
            "class_order",
            "channels",
            "epsilon",
            "attacks",
            "epochs",
            "precision",
            "values",
        ),
        "identity",
    ),
    "protocol": "identity",  # by its content: its name plays no part
    **dict.fromkeys(("seeds", "train_seeds", "limit", "checks"), "selection"),  # which identities, not what they are
    **dict.fromkeys(("device", "data_dir", "plugins"), "provenance"),
}
"""For each field of a request: part of a run's identity, a choice of how many, or provenance alone."""


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """What a user may ask of ``harness evaluate``, as given.

    Attributes:
        target: a run's number, with ``:checkpoint`` perhaps, the file of a run's weights, or a model from elsewhere
            (see ``harness.targets``).
        attacks: None for the protocol's.
        name: what the board calls a model from elsewhere; None: the name that it has, or its target.
        sweep: radii, in 1/255, at which the attacks are repeated.
    """

    target: str
    attacks: tuple[str, ...] | None = None
    seeds: int = 5
    dataset: str | None = None
    image_size: int | None = None
    class_order: str | None = None
    channels: int | None = None
    network: str | None = None
    name: str | None = None
    protocol: str | None = None
    epsilon: str | None = None
    sweep: tuple[float, ...] | None = None
    values: tuple[str, ...] = ()
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    no_normalisation: bool = False
    limit: int | None = None
    checks: bool = True
    fresh: bool = False
    device: str | None = None
    data_dir: Path = Path("data")
    runs_dir: Path = Path("runs")
    plugins: tuple[Path, ...] = ()


def check_counts(request: object, names: Iterable[str]) -> None:
    """Refuse a count that is below 1 or beyond reason, named as its option."""
    for name in names:
        value = getattr(request, name)
        if value is not None and not 1 <= value <= MOST:
            rule = "it must be 1 or more" if value < 1 else f"it must be {MOST:,} at most"
            raise SettingError(f"--{name.replace('_', '-')} {value} is refused: {rule}")
