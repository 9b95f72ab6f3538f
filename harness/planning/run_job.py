"""A request of ``harness run``, resolved and checked as a whole before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch

from harness.errors import SettingError
from harness.planning.assessment import Assessment, DatasetPlace, refuse_shape, refuse_too_few_classes, with_attacks
from harness.planning.curve_plan import CurvePlan, plan_curve
from harness.planning.named import named_plugins
from harness.planning.named_networks import NamedNetworks, refuse_of_other_data, refuse_unnamed, trained_in
from harness.planning.overrides import short_forms
from harness.planning.request import (
    RunRequest,
    check_all_seeds,
    check_counts,
    check_state_every,
    check_until_separated,
    refuse_more_devices_than_images,
)
from harness.planning.trials import count_parameters, refuse_unrepeatable
from harness.plugin.attack import Attack
from harness.plugin.ball import radius_text
from harness.plugin.dataset import Dataset, DataSource
from harness.plugin.images import evaluation_set
from harness.plugin.method import Method
from harness.plugin.network import Network
from harness.plugin.settings import Plugin
from harness.plugin.wrapper import Wrapper
from harness.protocols.protocol import Protocol
from harness.protocols.run_spec import RunSpec
from harness.registry.catalogue import make
from harness.registry.generated import with_extra
from harness.registry.loading import load, unread
from harness.registry.shipped import code_of, engine_code, ships, source_of_plugin
from harness.runtime.determinism import prepare_determinism
from harness.runtime.device import arithmetic, devices_from, present, resolve_device
from harness.runtime.precision import precision_code
from harness.targets.model import RunWeights
from harness.training.augmentations import refuse_augment, refuse_mixed_labels
from harness.training.batches import batch_code
from harness.training.run_plugins import code_key
from harness.training.validation import refuse_few_left


@dataclass(frozen=True, kw_only=True)
class RunJob(Assessment):
    """A method's runs and how they are assessed, ready to be planned.

    Attributes:
        looked_at: where training seeds are added by looking: the limit, the methods, and the attack of the looks; else
            empty. ``specs`` go up to the limit. It is told in each run's provenance.
        eval_every: see ``plan_curve``.
        state_every_s: see ``Trainer``.
        deterministic: whether the training uses deterministic algorithms, where others are faster.
        devices: on which each network is trained, one process a device; one is the job's own.
        sources: for each plugin that does not ship, by its part in the run, its files with their SHA-256.
        trained: the networks, trained before, that settings name.
    """

    specs: tuple[RunSpec, ...]  # one per train seed
    method: Method
    wrappers: tuple[Wrapper, ...]
    network: Network
    parameters: int
    looked_at: Mapping[str, Any] = field(default_factory=dict)
    eval_every: int | None = None
    state_every_s: float = 600.0
    deterministic: bool = False
    devices: tuple[torch.device, ...] = ()
    sources: dict[str, dict[str, str]] = field(default_factory=dict)
    trained: tuple[RunWeights, ...] = ()

    @cached_property
    def curve(self) -> CurvePlan | None:
        """What is measured while a network is trained; None: nothing."""
        return plan_curve(self, self.eval_every, self.parameters)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A request, resolved as far as possible without the images."""

    methods: dict[str, Method]
    wrappers: tuple[Wrapper, ...]
    network: Network
    source: DataSource
    protocol: Protocol
    attacks: dict[str, Attack]
    device: torch.device
    devices: tuple[torch.device, ...]
    named: NamedNetworks


def choose(request: RunRequest) -> Choice:
    """Check everything in a request that can be checked without the images.

    Raises:
        HarnessError: the request cannot be met; says why in one line.
    """
    check_counts(request, ("seeds", "train_seeds", "limit", "epochs", "image_size", "devices_per_run"))
    check_counts(request, ("eval_every",), least=0)
    check_all_seeds(request)
    check_until_separated(request)
    check_state_every(request)
    found = named_plugins(request)
    texts = (*request.values, *short_forms(request))
    values = found.setting_names(texts).assign(texts)
    protocol = found.protocol.with_values(values.pop(""))
    _refuse_two_balls(request, protocol)
    protocol, attacks = with_attacks(protocol, found.attacks, found.catalogues["wrappers"])
    values |= protocol.wrapper_settings
    network, source = found.network, found.source
    for cls in (network, source, *found.wrappers.values(), *found.methods.values()):
        source_of_plugin(cls)  # read and kept now: a later edit is not what was imported
    device = resolve_device(request.device, elsewhere=request.elsewhere)
    with arithmetic(device, protocol.train.precision):
        pass  # refuses a precision that the device lacks
    refuse_more_devices_than_images(request, protocol.train.batch_size)
    devices = devices_from(device, request.devices_per_run)
    if request.deterministic:
        prepare_determinism(device)  # now, before anything computes on the device
    main, named = cast(Network, make(network, request.network, values[request.network])), NamedNetworks(request)
    for name, cls in (*found.wrappers.items(), *found.methods.items()):
        values[name] = named.told(name, cls, values[name], found.catalogues["networks"], main)
    # a run's number says nothing in another store: the fingerprint is of the weights that the protocol's wrappers name
    protocol = replace(protocol, wrapper_settings={name: values[name] for name in protocol.wrapper_settings})
    methods = {name: cast(Method, make(cls, name, values[name])) for name, cls in found.methods.items()}
    refuse_mixed_labels(protocol.train, methods)
    return Choice(
        methods=methods,
        wrappers=tuple(cast(Wrapper, make(cls, name, values[name])) for name, cls in found.wrappers.items()),
        network=main,
        source=cast(DataSource, make(source, source.name, found.source_values | values[source.name])),
        protocol=protocol,
        attacks=attacks,
        device=device,
        devices=devices,
        named=named,
    )


def _refuse_two_balls(request: RunRequest, protocol: Protocol) -> None:
    """Refuse ``--epsilon``, which promises one ball, if the attacks have a ball of another radius."""
    own = protocol.evaluation.epsilon
    if request.epsilon is not None and own is not None and own != protocol.epsilon:
        raise SettingError(
            f"--epsilon {request.epsilon} is refused: it trains and attacks in one ball, and the protocol attacks in"
            f" another, evaluation.epsilon={radius_text(own)}; to train alone in this one, write --set"
            f" epsilon={request.epsilon}"
        )


def resolve_run(
    request: RunRequest, *, count_only: bool = False, choice: Choice | None = None, dataset: Dataset | None = None
) -> list[RunJob]:
    """Check everything that a request asks for, and load its data set: one job per method.

    Args:
        choice: what ``choose`` made of the request; None: it is asked now.
        count_only: whether the jobs are only to be costed. Then nothing is downloaded: the published sizes of a data
            set stand in for it.
        dataset: the images, if an earlier call has loaded those of ``choice``, with the generated ones.
    Raises:
        HarnessError: the request cannot be met; says why in one line. Nothing has been written.
    """
    assert not request.grid, "resolve_grid resolves a grid"
    if not request.methods:
        raise SettingError("no method is named; `harness list methods` shows them")
    choice = choice or choose(request)
    refuse_unnamed((*choice.methods.values(), *choice.wrappers))
    here = not count_only or choice.source.outline is None or choice.source.here(request.data_dir)
    if dataset is None:
        dataset = load(choice.source, request.data_dir) if here else unread(choice.source)
    choice, dataset, extra = _with_generated(choice, dataset)
    refuse_too_few_classes(choice.attacks, choice.attacks, dataset)
    for threat in (choice.protocol.train.threat(choice.protocol.epsilon), choice.protocol.evaluation_threat):
        refuse_shape(choice.attacks, choice.attacks, threat, dataset)
    refuse_unrepeatable(choice.attacks.values())
    parameters = count_parameters(choice.network, dataset.shape, present(choice.device))
    for other in choice.named.beside.values():
        count_parameters(other, dataset.shape, present(choice.device))  # refuses a network that does not fit the images
    if here:
        refuse_of_other_data(choice.named.trained.values(), dataset)
    check_limit(request.limit, dataset)
    if len(dataset.train) < 2:
        raise SettingError(f"{dataset.name} has {len(dataset.train)} training image(s); a training needs 2 or more")
    wrappers = tuple(
        {"name": wrapper.name, "settings": wrapper.resolved(), "departures": wrapper.departures()}
        for wrapper in choice.wrappers
    )
    shared = {"network": choice.network, "dataset": choice.source}
    shared |= {code_key("wrapper", wrapper.name): wrapper for wrapper in choice.wrappers}
    train = choice.protocol.train
    refuse_augment(train, dataset)
    refuse_few_left(train.validation, dataset)
    rules = batch_code(len(dataset.train) - train.validation, train.batch_size) | precision_code(train.precision)
    network_settings, training = choice.network.resolved(), choice.protocol.training_document
    settings = {name: method.resolved() for name, method in choice.methods.items()}
    parts = {name: _parts_of(choice, shared, name) for name in choice.methods}
    code = {name: _code(parts[name]) | rules for name in choice.methods}
    # thousands of specs share these documents, which nobody may change
    return [
        RunJob(
            specs=tuple(
                RunSpec(
                    method=name,
                    method_settings=settings[name],
                    network=request.network,
                    network_settings=network_settings,
                    dataset=dataset.name,
                    dataset_fingerprint=dataset.fingerprint,
                    training=training,
                    train_seed=seed,
                    wrappers=wrappers,
                    code=code[name],
                )
                for seed in range(request.until_separated or request.train_seeds)
            ),
            method=method,
            wrappers=choice.wrappers,
            network=choice.network,
            parameters=parameters,
            dataset=dataset,
            place=DatasetPlace(choice.source.name, choice.source.resolved(), request.data_dir, extra=extra),
            protocol=choice.protocol,
            attacks=choice.attacks,
            chosen=tuple(choice.attacks),
            threat=choice.protocol.evaluation_threat,
            seeds=request.seeds,
            images=evaluation_set(request.limit, dataset.test_total),
            device=choice.device,
            plugins=request.plugins,
            checks=request.checks,
            plain=request.plain,
            looked_at=_looked_at(request, choice),
            eval_every=request.eval_every,
            state_every_s=60 * request.state_every,
            deterministic=request.deterministic,
            devices=choice.devices,
            sources=_sources(parts[name]),
            trained=trained_in(choice.named.trained, (method, *choice.wrappers)),
        )
        for name, method in choice.methods.items()
    ]


def _parts_of(choice: Choice, shared: Mapping[str, Plugin], name: str) -> dict[str, Plugin]:
    """The plugins of a method's runs, by the part that each plays."""
    own = (name, *(wrapper.name for wrapper in choice.wrappers))
    beside = {key: network for key, network in choice.named.beside.items() if key.split(" ")[0] in own}
    return {**shared, "method": choice.methods[name], **beside}


def _with_generated(choice: Choice, dataset: Dataset) -> tuple[Choice, Dataset, Path | None]:
    """With the generated images that the protocol names, which are identified by their content, and their file."""
    train = choice.protocol.train
    if not train.extra:
        return choice, dataset, None
    file = Path(train.extra).absolute()
    whole = dataset if dataset.extra is not None else with_extra(dataset, file)
    protocol = replace(choice.protocol, train=replace(train, extra=whole.extra_sha256))
    return replace(choice, protocol=protocol), whole, file


def _code(parts: Mapping[str, Plugin]) -> dict[str, str]:
    """The code that is part of a run's identity, by the part that each plugin plays in the run."""
    code = {"engine": engine_code("training"), **{key: code_of(type(plugin)) for key, plugin in parts.items()}}
    return {key: value for key, value in code.items() if value}


def _looked_at(request: RunRequest, choice: Choice) -> dict[str, Any]:
    """What is kept of the looks of a request, so that nobody takes its seeds for a number that was named in advance."""
    if request.until_separated is None:
        return {}
    methods = sorted(method_label(name, method) for name, method in choice.methods.items())
    return {"limit": request.until_separated, "methods": methods, "attack": list(choice.attacks)[-1]}


def method_label(name: str, method: Method) -> str:
    """A method with its settings that are not defaults, as the leaderboard labels one that ships."""
    return name + "".join(f" {key}={value}" for key, value in method.departures().items())


def _sources(parts: Mapping[str, Plugin]) -> dict[str, dict[str, str]]:
    """The source files of the plugins that do not ship, for provenance."""
    return {key: source_of_plugin(type(p)).document() for key, p in parts.items() if not ships(type(p))}


def check_limit(limit: int | None, dataset: Dataset) -> None:
    """Refuse more test images than there are."""
    if limit is not None and limit > dataset.test_total:
        raise SettingError(f"--limit {limit} is refused: {dataset.name} has {dataset.test_total} test images")
