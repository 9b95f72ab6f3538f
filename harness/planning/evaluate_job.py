"""A request of ``harness evaluate``, resolved and checked: some models, and how they are attacked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from torch import Tensor

from harness.errors import SettingError, quoted, visible
from harness.planning.assessment import Assessment, DatasetPlace, refuse_shape, refuse_too_few_classes, with_attacks
from harness.planning.overrides import network_values, read_dataset, setting_names
from harness.planning.own_runs import own_target, own_weights, stored_protocol
from harness.planning.request import EvaluateRequest, check_counts
from harness.planning.run_job import check_limit
from harness.planning.trials import refuse_unrepeatable
from harness.plugin.attack import Attack
from harness.plugin.dataset import Dataset, DataSource
from harness.plugin.images import evaluation_set
from harness.protocols.protocol import Protocol, load_protocol
from harness.registry.catalogue import Catalogue, discover, make
from harness.registry.loading import load, unread
from harness.registry.shipped import source_of_plugin
from harness.runtime.device import resolve_device
from harness.store.records import RunRecord
from harness.store.store import Store
from harness.targets.model import ElsewhereWeights, Weights
from harness.targets.open import TARGET_KINDS, open_target, refuse_unknown
from harness.targets.probe import fixed_images
from harness.targets.target import Opened
from harness.targets.zoo import is_here

PROBES = 8  # images on which a model from elsewhere is tried


@dataclass(frozen=True)
class EvaluateJob:
    """Models of one target, ready to be attacked.

    Attributes:
        weights: of each checkpoint.
        run: the run of these checkpoints; None for a model from elsewhere, which ``opened`` describes.
        name: the board's name for a model from elsewhere; None: its name in the store, or else its target.
        sweep: assessments at each radius of a sweep; empty if there is none.
        fresh: whether everything is attacked again, whatever the store has.
    """

    assessment: Assessment
    weights: tuple[Weights, ...]
    run: RunRecord | None
    opened: Opened | None
    name: str | None = None
    sweep: tuple[Assessment, ...] = ()
    fresh: bool = False


def resolve_evaluate(request: EvaluateRequest, store: Store, *, count_only: bool = False) -> EvaluateJob:
    """Check everything a request asks for, load its data set, and open its model.

    Args:
        count_only: whether the job is only to be costed. Then nothing is downloaded: the published sizes of a data
            set stand in for it, and a model from elsewhere is tried on images that were made up.
    Raises:
        HarnessError: the request cannot be met; says why in one line. Nothing has been written.
    """
    check_counts(request, ("seeds", "limit", "image_size"))
    _refuse_contradictions(request)
    own = own_target(request.target, store)
    run = own.run if own is not None else None
    if own is None:
        refuse_unknown(request.target)
    if run is not None:
        _refuse_choices_of_a_run(request)
    attacks = discover("attacks", request.plugins)
    attacks.refuse_broken(request.plugins)
    source = asked_source(request, run)
    if count_only:
        _refuse_downloads(request, source)
    other = run is not None and run.dataset.name != source.name  # it is refused below: nothing is downloaded for it
    absent = (count_only or other) and source.outline is not None and not source.here(request.data_dir)
    protocol = stored_protocol(run, store) if run is not None else load_protocol(request.protocol or source.protocol)
    protocol, plugins, chosen = asked_attacks(request, protocol, attacks)
    device = resolve_device(request.device, elsewhere=request.elsewhere)
    whole = run is not None  # the images must be those of the run's training
    if absent:
        dataset = unread(
            source, run.dataset.fingerprint if run is not None and run.dataset.name == source.name else None
        )
    else:
        dataset = load(source, request.data_dir, evaluation_only=not whole, limit=None if whole else request.limit)
    check_limit(request.limit, dataset)
    refuse_too_few_classes(chosen, plugins, dataset)
    refuse_shape(chosen, plugins, protocol.evaluation_threat, dataset)
    refuse_unrepeatable(plugins[name] for name in chosen)
    if run is not None and run.dataset.fingerprint != dataset.fingerprint:
        names = [run.dataset.name, dataset.name]
        if names[0] == names[1]:
            names = [f"{data.name} [{data.fingerprint[:8]}]" for data in (run.dataset, dataset)]
        repeated = ", with --channels 3" if (run.dataset.channels, dataset.shape.channels) == (3, 1) else ""
        raise SettingError(
            f"run {run.id} was trained on {names[0]}, and this is {names[1]}; give the first to --dataset{repeated}"
        )
    assessment = Assessment(
        dataset=dataset,
        place=DatasetPlace(source.name, source.resolved(), request.data_dir, not whole, request.limit),
        protocol=protocol,
        attacks=plugins,
        chosen=chosen,
        threat=protocol.evaluation_threat,
        seeds=request.seeds,
        images=evaluation_set(request.limit, dataset.test_total),
        device=device,
        plugins=request.plugins,
        checks=request.checks,
        plain=request.plain,
    )
    if own is not None:
        opened, weights = None, own_weights(own, protocol, request.runs_dir)
    else:
        images = fixed_images(dataset.shape) if absent else dataset.pixels(dataset.test.images[:PROBES]).cpu()
        opened = _open(request, dataset, images)
        weights = (
            ElsewhereWeights(
                label=opened.target.label,
                checkpoint="given",
                sha256=opened.sha256,
                target=opened.target,
                probe=opened.probe if opened.target.code() else None,
            ),
        )
    sweep = tuple(_at(assessment, radius) for radius in request.sweep or ())
    return EvaluateJob(assessment, weights, run, opened, request.name, sweep, request.fresh)


def _refuse_contradictions(request: EvaluateRequest) -> None:
    """Refuse options that exclude each other, and impossible names."""
    if not request.target.strip():
        raise SettingError(f"TARGET {request.target!r} is refused: name a run's number, {TARGET_KINDS}")
    if request.name is not None and visible(request.name) != request.name:
        raise SettingError(f"--name {quoted(request.name)} is refused: a control or invisible character is in it")
    if request.name is not None and (request.name.isdecimal() or not request.name.strip()):
        raise SettingError(f"--name {request.name!r} is refused: a number is a run's; give a name with a letter")
    if request.sweep is not None and request.epsilon is not None:
        raise SettingError("--epsilon and --sweep exclude each other: a sweep names its own radii; leave one out")


def _refuse_downloads(request: EvaluateRequest, source: DataSource) -> None:
    """Refuse a dry run that needs the download of a model, since it must write nothing."""
    if not is_here(request.target, source.name, request.data_dir):
        raise SettingError(
            f"--dry-run is refused: the weights of {request.target} must be downloaded first, and --dry-run downloads"
            " nothing; run the command once without it"
        )


def _refuse_choices_of_a_run(request: EvaluateRequest) -> None:
    """Refuse options about a model if the target is a run, which has its own network and normalisation."""
    chosen: dict[str, object] = {"--arch": request.network, "--name": request.name, "--protocol": request.protocol}
    chosen |= {f"--set network.{key}": value for key, value in network_values(request.values).items()}
    chosen |= {f"--{name}": value for name, value in request.preprocessing.departures().items()}
    chosen |= {"--no-normalisation": True if request.no_normalisation else None}
    for option, value in chosen.items():
        if value is not None:
            raise SettingError(f"{option} is refused: {request.target} is a run, which has its own; leave it out")


def asked_source(request: EvaluateRequest, run: RunRecord | None = None) -> DataSource:
    """The data set that a request names; None: the run's, or else CIFAR-10."""
    name = request.dataset or (run.dataset.name if run is not None else "cifar10")
    if run is not None and request.dataset is None and ":" in name:
        kind = name.partition(":")[0]
        raise SettingError(f"run {run.id} was trained on {name}; say where it is: --dataset {kind}:PATH")
    cls, values = read_dataset(discover("datasets", request.plugins), name, vars(request))
    return cast(DataSource, make(cls, cls.name, values))


def _open(request: EvaluateRequest, dataset: Dataset, images: Tensor) -> Opened:
    return open_target(
        request.target,
        dataset=dataset.name,
        shape=dataset.shape,
        images=images,
        data_dir=request.data_dir,
        network_name=request.network,
        network_values=network_values(request.values),
        preprocessing=request.preprocessing,
        no_normalisation=request.no_normalisation,
        plugins=request.plugins,
    )


def asked_attacks(
    request: EvaluateRequest, protocol: Protocol, catalogue: Catalogue
) -> tuple[Protocol, dict[str, Attack], tuple[str, ...]]:
    """The protocol with the user's changes, every attack that it or the user names, and the names of those to run.

    Attacks without cost, such as natural accuracy, always run.
    """
    named = tuple(dict.fromkeys(request.attacks or ()))
    for name in named:
        catalogue.get(name)
    texts = [text for text in request.values if not text.startswith("network.")]
    values = setting_names(texts, {}, protocol, catalogue, named).assign(texts)[""]
    if request.epsilon is not None:
        values["evaluation.epsilon"] = request.epsilon
    if request.norm is not None:
        values["evaluation.norm"] = request.norm
    for key in values:
        if key == "epsilon" or key.startswith("train."):
            raise SettingError(f"--set {key} is refused: nothing is trained; --epsilon changes the ball of the attacks")
    changed = protocol.with_values(values)
    extra = {
        name: cast(Attack, make(catalogue.get(name), name, changed.attack_settings.get(name, {})))
        for name in named
        if name not in changed.evaluation.attacks
    }
    for attack in extra.values():
        source_of_plugin(type(attack))  # read and kept now: a later edit was not imported
    changed, attacks = with_attacks(changed, catalogue, discover("wrappers", request.plugins))
    everything = attacks | extra
    if request.sweep is not None:
        moving = [name for name, attack in everything.items() if "epsilon" in attack.budget]
        named = tuple(name for name in named or moving[:1] if name in moving)
        if not named:
            raise SettingError("--sweep is refused: no attack here moves in a ball; name one, such as --attacks pgd")
    free = [name for name, attack in attacks.items() if not attack.passes(changed.evaluation_threat).total]
    chosen = tuple(dict.fromkeys((*free, *named))) if named else tuple(attacks)
    return changed, everything, chosen


def _at(assessment: Assessment, radius: float) -> Assessment:
    """The attacks that use a ball, in a ball of this radius (in 1/255)."""
    epsilon = radius / 255
    moving = tuple(name for name in assessment.chosen if "epsilon" in assessment.attacks[name].budget)
    return replace(assessment, chosen=moving, checks=False, threat=assessment.protocol.evaluation_threat_at(epsilon))
