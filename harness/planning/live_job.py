"""A request to attack a live module, resolved and checked."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from harness.errors import SettingError
from harness.planning.assessment import Assessment, DatasetPlace, refuse_shape, refuse_too_few_classes
from harness.planning.evaluate_job import PROBES, EvaluateJob, asked_attacks, asked_source
from harness.planning.given_images import given_images
from harness.planning.request import EvaluateRequest, check_counts
from harness.planning.run_job import check_limit
from harness.planning.trials import refuse_unrepeatable
from harness.plugin.dataset import Dataset
from harness.plugin.images import evaluation_set
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import discover
from harness.registry.loading import load
from harness.runtime.device import resolve_device
from harness.targets.live import classes_of, device_of, open_live
from harness.targets.model import ElsewhereWeights

PROTOCOL = "paper"  # for images that are of no data set; its radius does not count


def resolve_live(
    request: EvaluateRequest, module: nn.Module, given: tuple[Tensor, Tensor] | None, *, keep: bool
) -> EvaluateJob:
    """Check everything that a request asks for, load its data set, and open a copy of the module.

    Args:
        request: its target is the module's name.
        given: images and labels, checked; None: the request's data set.
        keep: whether the results are kept, so that the module needs an identity.
    Raises:
        HarnessError: the request cannot be met; says why in one line. Nothing has been written.
    """
    check_counts(request, ("seeds", "limit", "image_size"))
    attacks = discover("attacks", request.plugins)
    attacks.refuse_broken(request.plugins)
    source = asked_source(request) if given is None else None
    protocol = load_protocol(request.protocol or (source.protocol if source is not None else PROTOCOL))
    if source is None and request.epsilon is None and request.protocol is None:
        raise SettingError("epsilon is needed: no data set of x and y has a protocol that says it; give epsilon=8/255")
    protocol, plugins, chosen = asked_attacks(request, protocol, attacks)
    device = _device(request, module)
    if source is not None:
        dataset = load(source, request.data_dir, evaluation_only=True, limit=request.limit)
        place = DatasetPlace(source.name, source.resolved(), request.data_dir, True, request.limit)
    else:
        images, labels = cast(tuple[Tensor, Tensor], given)
        classes = classes_of(module, request.target, request.preprocessing, images[:PROBES])
        place = given_images(images, labels, classes or int(labels.max()) + 1)
        dataset = cast(Dataset, place.dataset)
    check_limit(request.limit, dataset)
    refuse_too_few_classes(chosen, plugins, dataset)
    refuse_shape(chosen, plugins, protocol.evaluation_threat, dataset)
    refuse_unrepeatable(plugins[name] for name in chosen)
    opened = open_live(
        module,
        label=request.target,
        shape=dataset.shape,
        images=dataset.pixels(dataset.test.images[:PROBES]).cpu(),
        preprocessing=request.preprocessing,
        keep=keep,
    )
    assessment = Assessment(
        dataset=dataset,
        place=place,
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
    weights = ElsewhereWeights(
        label=request.target, checkpoint="given", sha256=opened.sha256, target=opened.target, probe=None
    )
    return EvaluateJob(assessment, (weights,), None, opened, request.name, (), request.fresh)


def _device(request: EvaluateRequest, module: nn.Module) -> torch.device:
    """The device that was asked for; else the module's own, or the best for a module without tensors."""
    own = device_of(module) if request.device is None else None
    return resolve_device(request.device) if own is None else resolve_device(str(own))
