"""Make a run's entry for RobustBench's leaderboard from its stored verdicts."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError
from harness.plugin.ball import LINF
from harness.plugin.images import Images
from harness.robustbench.entry import KEYS, Entry, spell_epsilon, spell_percent
from harness.store.records import CheckpointRecord, EvaluationRecord, ProtocolRecord, RunRecord

LEADERBOARDS = ("cifar10", "cifar100", "imagenet")  # the data sets that RobustBench ranks
ARCHITECTURES = {"resnet18": "ResNet-18", "wrn-32-10": "WideResNet-34-10"}  # as RobustBench writes them
_ATTACKS = {"natural": "natural accuracy", "autoattack": "AutoAttack's accuracy"}
# keys that a person fills in, with their values until then
_UNKNOWN: dict[str, Any] = {"link": "", "name": "", "authors": "", "additional_data": False, "venue": "N/A"}


@dataclass(frozen=True)
class Measured:
    """The figures of one checkpoint, all on the same test images.

    Attributes:
        natural, autoattack: accuracies in percent, medians over attack seeds.
        epsilon: radius of AutoAttack's ball.
        seeds: number of AutoAttack's seeds.
        protocols: name and fingerprint of the protocols that the figures were made under; empty where there is none.
    """

    natural: float
    autoattack: float
    epsilon: float
    seeds: int
    images: Images
    protocols: tuple[str, ...]


def measured(
    run: RunRecord, checkpoint: str, protocols: Sequence[ProtocolRecord], epsilon: float | None = None
) -> Measured:
    """The figures of a checkpoint on the largest set of images that has both natural and AutoAttack accuracy.

    AutoAttack's are those in the norm of the training: RobustBench has a leaderboard for each norm.

    Args:
        epsilon: radius of AutoAttack's ball. None: the only radius there is; of several, the radius of the training.
    Raises:
        HarnessError: natural or AutoAttack accuracy is missing or unfinished, or the radius is ambiguous; says which
            command measures what is missing.
    """
    found = checkpoint_of(run, checkpoint)
    norm = norm_of(run)
    evaluations = [e for e in found.evaluations if "epsilon" not in e.settings or e.settings.get("norm", LINF) == norm]
    complete = {name: [e for e in evaluations if e.attack == name and e.complete] for name in _ATTACKS}
    for name, accuracy in _ATTACKS.items():
        if not complete[name]:
            state = "is not finished" if any(e.attack == name for e in evaluations) else "was not measured"
            raise HarnessError(
                f"run {run.id}, {checkpoint}: {accuracy} {state}, and an entry needs it;"
                f" `harness evaluate {run.id} --attacks {','.join(_ATTACKS)}` measures it"
            )
    radius = _radius(run, complete["autoattack"], epsilon)
    attacked = [e for e in complete["autoattack"] if e.settings["epsilon"] == radius]
    sets = {e.images for e in attacked} & {e.images for e in complete["natural"]}
    if not sets:
        raise HarnessError(
            f"run {run.id}, {checkpoint}: natural accuracy and AutoAttack were measured on different test images;"
            " the same `harness run` command again measures what is missing"
        )
    images = max(sets)
    attacked = [e for e in attacked if e.images == images]
    newest = attacked[-1].settings_sha256  # other settings changed between releases: results are never mixed
    attacked = [e for e in attacked if e.settings_sha256 == newest]
    return Measured(
        natural=statistics.median(e.percent for e in complete["natural"] if e.images == images),
        autoattack=statistics.median(e.percent for e in attacked),
        epsilon=radius,
        seeds=len({e.seed for e in attacked}),
        images=images,
        protocols=_protocols(run, attacked[-1], evaluations, protocols),
    )


def norm_of(run: RunRecord) -> str:
    """The norm of the leaderboard that the entry is for: that of the training."""
    return str(run.training.get("norm", LINF))


def checkpoint_of(run: RunRecord, name: str) -> CheckpointRecord:
    """The checkpoint of that name.

    Raises:
        HarnessError: the run has no weights, or no checkpoint of that name.
    """
    if not run.checkpoints:
        raise HarnessError(
            f"run {run.id} is {run.status} and has no weights; export one that is done, see `harness runs`"
        )
    found = run.checkpoint(name)
    if found is None:
        known = ", ".join(c.name for c in run.checkpoints)
        raise HarnessError(f"run {run.id} has no checkpoint {name!r}; it has: {known}; give --checkpoint NAME")
    return found


def _radius(run: RunRecord, evaluations: Sequence[EvaluationRecord], asked: float | None) -> float:
    there = sorted({float(e.settings["epsilon"]) for e in evaluations})
    radii = ", ".join(spell_epsilon(radius) for radius in there)
    radius = asked if asked is not None else there[0] if len(there) == 1 else run.training.get("epsilon")
    if radius in there:
        return float(radius)
    if asked is None:
        raise HarnessError(f"run {run.id} was attacked by AutoAttack at {radii}; say which one with --epsilon")
    raise HarnessError(f"run {run.id} was not attacked by AutoAttack at {spell_epsilon(asked)}; there is: {radii}")


def _protocols(
    run: RunRecord,
    attacked: EvaluationRecord,
    evaluations: Sequence[EvaluationRecord],
    protocols: Sequence[ProtocolRecord],
) -> tuple[str, ...]:
    """Name and fingerprint of each protocol that the run was trained under and that has this evaluation.

    The store does not say which protocol an evaluation was made for. A protocol that asks for more than was measured is
    not it, if another one fits. Those that are left agree in everything that the figures depend on.
    """
    done = {(e.attack, e.settings_sha256) for e in evaluations if e.complete and e.images == attacked.images}
    fitting = [p for p in protocols if p.trains(run.training_sha256, run.wrappers)]
    fitting = [p for p in fitting if p.attacks.get(attacked.attack) == attacked.settings_sha256]
    whole = [p for p in fitting if done >= set(p.attacks.items())]
    return tuple(f"{p.name} [{p.fingerprint[:8]}]" for p in whole or fitting)


def make_entry(
    run: RunRecord, checkpoint: str, figures: Measured, given: Mapping[str, Any], before: Entry | None = None
) -> Entry:
    """The entry of a run.

    Args:
        given: values from the user, such as ``authors``.
        before: an earlier entry of the same run, perhaps filled in by a person; its values that are not measured stay.
    """
    settings = ", ".join(f"{key}={value}" for key, value in run.network_departures.items())
    robust = spell_percent(figures.autoattack)
    facts = {
        "number_forward_passes": 1,
        "dataset": run.dataset.name,
        "architecture": ARCHITECTURES.get(run.network, run.network) + (f" ({settings})" if settings else ""),
        "eps": spell_epsilon(figures.epsilon),
        "clean_acc": spell_percent(figures.natural),
        "reported": robust,
        "autoattack_acc": robust,
        "footnote": footnote(run, checkpoint, figures),
    }
    if before is None:
        first = {**_UNKNOWN, "name": f"{run.method}, trained by harness", **facts, **given}
        return Entry({key: first[key] for key in KEYS})
    for key in ("dataset", "architecture"):
        if before.document.get(key) not in (None, facts[key]):
            raise HarnessError(
                f"the existing entry has {key} {before.document[key]!r}, and run {run.id} has {facts[key]!r};"
                " choose another --out"
            )
    return before.updated({**facts, **given})


def footnote(run: RunRecord, checkpoint: str, figures: Measured) -> str:
    """The entry's footnote: seeds, network, images, and protocol behind the figures."""
    seeds = f"{figures.seeds} attack seed{'s' if figures.seeds > 1 else ''}"
    departures = "".join(f" {key}={value}" for key, value in run.method_departures.items())
    wrappers = "".join(f"+{wrapper['name']}" for wrapper in run.wrappers)
    network = f"{run.method}{wrappers}{departures}, training seed {run.train_seed}, checkpoint {checkpoint}"
    total, used = run.dataset.test_examples, figures.images
    images = used.described(total)
    if used.count < total:
        balanced = used.sample == "balanced"
        images = f"{images}, of {total}" if balanced else f"the first {used.count} of {total} test images"
    protocol = "under no protocol of harness"
    if figures.protocols:
        several = len(figures.protocols) > 1
        protocol = f"under harness's protocol{'s' * several} {' and '.join(figures.protocols)}"
        protocol += ", which agree in all that these figures depend on" * several
    return (
        f"Robust accuracy is the median over {seeds} of standard AutoAttack on 1 network ({network}), on"
        f" {images}, {protocol}."
    )
