"""Pass images through the trained networks that a figure shows: which networks, which images, and the three views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from harness.errors import HarnessError, SettingError, visible
from harness.figures.marks import Marks, Value
from harness.figures.material import Material
from harness.figures.trainings import Siblings, trainings
from harness.plugin.images import balanced_order

if TYPE_CHECKING:
    from harness.figures.views import Views
    from harness.plugin.dataset import Dataset
    from harness.plugin.threat import Threat
    from harness.store.records import CheckpointRecord, RunRecord

CHECKPOINT = "last"


@dataclass(frozen=True)
class Seen:
    """What one trained network makes of the images.

    Attributes:
        places: the images' positions in their part of the data set.
        about: which network, images, and attack, as columns of a figure's data.
    """

    training: Siblings
    places: tuple[int, ...]
    labels: tuple[int, ...]
    views: Views
    about: dict[str, Value]


def seen_by_networks(material: Material, usual: Sequence[str]) -> list[Seen]:
    """The views of one network of each training: of the lowest training seed, at the chosen checkpoint or the last.

    The attacks have the budget of the networks' training. The images are not augmented.

    Raises:
        HarnessError: a run, its checkpoint, or its weights are not here; or the images are not those of the training.
    """
    from harness.figures.views import views_of
    from harness.runtime.device import resolve_device
    from harness.store.folders import run_folder
    from harness.targets.model import RunWeights
    from harness.training.weights_place import weights_file

    shown = trainings(material, usual)
    device = resolve_device(material.device)
    kept = [(training, _checkpoint(material, training.first)) for training in shown]
    opened = [
        RunWeights(
            label=training.first.spec.label,
            checkpoint=checkpoint.name,
            sha256=checkpoint.sha256,
            spec=training.first.spec,
            file=weights_file(run_folder(material.runs_dir, training.first), checkpoint.name),
        )
        for training, checkpoint in kept
    ]
    for weights in opened:
        weights.check(material.plugins)  # all of them before the first network is computed
    dataset = _dataset(material, shown[0].first)
    part = dataset.train if material.part == "train" else dataset.test
    places = _places(part.labels.tolist(), material)
    x, y = dataset.pixels(part.images[list(places)]).to(device), part.labels[list(places)].to(device)
    found = []
    for (training, checkpoint), weights in zip(kept, opened, strict=True):
        run, threat = training.first, _threat(training.first)
        model = weights.model(dataset.shape, material.plugins).to(device).requires_grad_(False)
        views = views_of(model, x, y, threat, called=f"run {run.id} ({run.spec.label})")
        about: dict[str, Value] = {
            **training.columns(),
            "run": run.id,
            "train_seed": run.train_seed,
            "checkpoint": checkpoint.name,
            "part": material.part,
            "images": len(places),
            "norm": threat.norm,
            "epsilon": threat.epsilon,
            "steps": threat.steps,
            "step_size": threat.step_size,
        }
        found.append(Seen(training, places, tuple(y.tolist()), views, about))
    return found


def passed_text(marks: Marks) -> str:
    """Which images a figure passed through which networks."""
    part = {"train": "training", "test": "test"}[str(marks.only("part"))]
    first = [marks.where(row=row)[0] for row in marks.distinct("row")]
    seeds = ", ".join(f"{mark['train_seed']} ({mark['row']})" for mark in first)
    return f"{marks.only('images')} {part} images of {visible(str(marks.only('dataset')))}; training seeds: {seeds}"


def _checkpoint(material: Material, run: RunRecord) -> CheckpointRecord:
    name = material.selection.checkpoint or CHECKPOINT
    found = run.checkpoint(name)
    if found is None:
        there = " or ".join(checkpoint.name for checkpoint in run.checkpoints)
        raise SettingError(f"run {run.id} ({run.spec.label}) has no checkpoint {name!r}; give --checkpoint {there}")
    return found


def _dataset(material: Material, run: RunRecord) -> Dataset:
    """The data set of the run's training.

    Raises:
        HarnessError: its name alone does not say where it is, or the data set of that name is another one today.
    """
    from harness.plugin.dataset import DataSource
    from harness.registry.catalogue import discover, make
    from harness.registry.loading import load

    kind = run.dataset.name.partition(":")[0]
    cls = cast(type[DataSource], discover("datasets", material.plugins).get(kind))
    values: dict[str, Any] = {}
    if cls.argument is not None:
        if material.folder is None:
            raise SettingError(f"run {run.id} was trained on {run.dataset.name}; say where it is: --folder PATH")
        values = {cls.argument: str(material.folder), **material.folder_options}
    elif material.folder is not None or material.folder_options:
        raise SettingError(f"--folder and its options are for folders of images; run {run.id} was trained on {kind}")
    dataset = load(cast(DataSource, make(cls, kind, values)), material.data_dir)
    if dataset.fingerprint != run.dataset.fingerprint:
        named = [f"{data.name} [{data.fingerprint[:8]}]" for data in (run.dataset, dataset)]
        raise HarnessError(
            f"run {run.id} was trained on {named[0]}, and these images are {named[1]}; put the first where they are"
        )
    return dataset


def _places(labels: Sequence[int], material: Material) -> tuple[int, ...]:
    """The positions of the images: all, or the first of an order that is balanced over the classes."""
    wanted = material.images
    if wanted is None or wanted == len(labels):
        return tuple(range(len(labels)))
    if wanted > len(labels):
        raise SettingError(f"--images {wanted} is refused: there are {len(labels)} {material.part} images")
    return balanced_order(tuple(labels))[:wanted]


def _threat(run: RunRecord) -> Threat:
    """The budget of the attack in a run's training."""
    from harness.protocols.train_protocol import TrainProtocol

    training = dict(run.training)
    epsilon = float(training.pop("epsilon"))
    return TrainProtocol.from_mapping(training).threat(epsilon)
