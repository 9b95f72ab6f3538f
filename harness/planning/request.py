"""What a user may ask of a command, as typed. Only counts are checked here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import SettingError
from harness.statistics.crossing import FIRST
from harness.statistics.crossing import MOST as MOST_LOOKED_AT
from harness.targets.preprocessing import Preprocessing

MOST = 1_000_000  # the largest count that an option takes: more is a typing error
MOST_SEEDS = 10_000  # each is planned by itself: a million take minutes to count
MOST_NETWORKS_AND_SEEDS = 100_000  # of both together


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What both commands take.

    Attributes:
        attacks: None for the protocol's.
        elsewhere: whether other machines do the work, so that this one need not have the device.
    """

    image_size: int | None = None
    class_order: str | None = None
    channels: int | None = None
    protocol: str | None = None
    epsilon: str | None = None
    norm: str | None = None
    attacks: tuple[str, ...] | None = None
    values: tuple[str, ...] = ()
    seeds: int = 5
    limit: int | None = None
    checks: bool = True
    device: str | None = None
    elsewhere: bool = False
    plain: bool = False
    data_dir: Path = Path("data")
    plugins: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunRequest(_Request):
    """What a user may ask of ``harness run``. ``FATE`` says which fields are part of a run's identity.

    Attributes:
        grid: ``key=value,value``: each combination of the values makes runs of its own.
        until_separated: the most training seeds of a method, where seeds are added until the methods are separated;
            ``train_seeds`` of them are trained before the first look. None: ``train_seeds``, and no look.
        state_every: minutes; see ``Trainer``.
        db, runs_dir: where the trained networks are that settings name; ``db`` as ``Workplace``.
    """

    methods: tuple[str, ...]
    grid: tuple[str, ...] = ()
    wrap: tuple[str, ...] = ()
    network: str = "resnet18"
    dataset: str = "cifar10"
    epochs: int | None = None
    precision: str | None = None
    train_seeds: int = 1
    until_separated: int | None = None
    eval_every: int | None = None
    state_every: float = 10.0
    deterministic: bool = False
    devices_per_run: int = 1
    db: str | None = None
    runs_dir: Path = Path("runs")


SHORT_FORMS = {
    "epsilon": "epsilon",
    "norm": "train.norm",
    "attacks": "evaluation.attacks",
    "epochs": "train.epochs",
    "precision": "train.precision",
}
"""Fields of a request of ``harness run`` that are short for ``--set``: field -> the setting."""

SHORT_FORMS_OF_EVALUATE = {"epsilon": "evaluation.epsilon", "norm": "evaluation.norm"}
"""The same of ``harness evaluate``."""

FATE: dict[str, str] = {
    **dict.fromkeys(("methods", "wrap", "network", "dataset", "image_size", "class_order", "channels"), "identity"),
    **dict.fromkeys(("epsilon", "norm", "attacks", "epochs", "precision", "values", "grid"), "identity"),
    "protocol": "identity",  # by its content, not its name
    **dict.fromkeys(
        ("seeds", "train_seeds", "until_separated", "limit", "checks", "eval_every"), "selection"
    ),  # which results, not what they are
    **dict.fromkeys(
        ("device", "elsewhere", "plain", "data_dir", "plugins", "state_every", "deterministic", "devices_per_run"),
        "provenance",
    ),
    **dict.fromkeys(
        ("db", "runs_dir"),
        "provenance",  # a trained network is identified by its weights
    ),
}
"""For each field of a request: part of a run's identity, a choice of how many, or only provenance."""


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest(_Request):
    """What a user may ask of ``harness evaluate``.

    Attributes:
        target: a run's number, perhaps with ``:checkpoint``; the file of a run's weights; or a model from elsewhere
            (see ``harness.targets``).
        name: the board's name for a model from elsewhere; None: its name in the store, or else its target.
        sweep: radii, in 1/255, at which the attacks are repeated.
    """

    target: str
    dataset: str | None = None
    network: str | None = None
    name: str | None = None
    sweep: tuple[float, ...] | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    no_normalisation: bool = False
    fresh: bool = False
    runs_dir: Path = Path("runs")


def check_counts(request: _Request, names: Iterable[str], least: int = 1) -> None:
    """Refuse a count below the least, or too large to be meant; the error names its option."""
    for name in names:
        value, most = getattr(request, name), MOST_SEEDS if name.endswith("seeds") else MOST
        if value is not None and not least <= value <= most:
            rule = f"it must be {least} or more" if value < least else f"it must be {most:,} at most"
            raise SettingError(f"--{name.replace('_', '-')} {value} is refused: {rule}")


def check_all_seeds(request: RunRequest) -> None:
    """Refuse so many networks with so many seeds that counting the work would take minutes."""
    option, networks = "--train-seeds", request.train_seeds
    if request.until_separated is not None and request.until_separated > networks:
        option, networks = "--until-separated", request.until_separated
    both = networks * request.seeds
    if both > MOST_NETWORKS_AND_SEEDS:
        raise SettingError(
            f"{option} {networks} with --seeds {request.seeds} is refused: that is {both:,} evaluations"
            f" of each attack, and {MOST_NETWORKS_AND_SEEDS:,} are the most"
        )


def check_until_separated(request: RunRequest) -> None:
    """Refuse a limit of training seeds that has no look, and a request that has nothing to separate."""
    limit = request.until_separated
    if limit is None:
        return
    refused = f"--until-separated {limit} is refused: "
    if not FIRST <= limit <= MOST_LOOKED_AT:
        raise SettingError(
            f"{refused}it is the most training seeds of a method, {FIRST} to {MOST_LOOKED_AT}; the first look is after"
            f" {FIRST}"
        )
    if len(set(request.methods)) < 2:
        raise SettingError(f"{refused}it separates methods; name two or more")
    if request.train_seeds > limit:
        raise SettingError(f"{refused}--train-seeds {request.train_seeds} is more; name a higher limit, or fewer seeds")


def check_state_every(request: RunRequest) -> None:
    """Refuse minutes that are negative or not finite."""
    if not 0 <= request.state_every < math.inf:
        raise SettingError(
            f"--state-every {request.state_every:g} is refused: it must be 0 or more minutes; 0 writes a state after"
            " every update"
        )


def refuse_more_devices_than_images(request: RunRequest, batch_size: int) -> None:
    """Refuse more devices for a training than a batch has images: some would have nothing to do."""
    if request.devices_per_run > batch_size:
        raise SettingError(
            f"--devices-per-run {request.devices_per_run} is refused: each device has a share of a batch, and a batch"
            f" has {batch_size} images"
        )
