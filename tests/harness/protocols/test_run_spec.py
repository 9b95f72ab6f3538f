"""A run's identity: for every field a decision that is kept."""

from __future__ import annotations

import dataclasses
from typing import Any

from harness.protocols.run_spec import RunSpec

SPEC = RunSpec(
    method="sat",
    method_settings={"a": 1.0},
    network="smallcnn",
    network_settings={"width": 16},
    dataset="folder:flowers",
    dataset_fingerprint="f" * 64,
    training={"epsilon": 0.1, "epochs": 3, "lr_drops": [0.6, 0.9]},
    train_seed=0,
    wrappers=({"name": "awp", "settings": {"gamma": 0.005}, "departures": {}},),
)
(AWP,) = SPEC.wrappers
EMA = {"name": "ema", "settings": {"decay": 0.9}, "departures": {}}
CHANGES: dict[str, list[Any]] = {
    "method": ["trades"],
    "method_settings": [{"a": 2.0}, {"a": 1.0, "b": 1.0}, {}],
    "network": ["resnet18"],
    "network_settings": [{"width": 8}, {}],
    "dataset_fingerprint": ["e" * 64],
    "training": [SPEC.training | {"epsilon": 0.2}, SPEC.training | {"lr_drops": [0.9, 0.6]}, {}],
    "train_seed": [1, -1],
    "wrappers": [(), (AWP | {"settings": {"gamma": 0.01}},), (AWP | {"name": "ema"},), (AWP, EMA), (EMA, AWP)],
    "code": [{"method": "a" * 64}, {"method": "b" * 64}, {"network": "a" * 64}],
}
LABELS = {"dataset"}  # names for a reader; what they name is identified by another field


def test_every_field_of_a_run_is_part_of_its_identity_or_a_label() -> None:
    assert {field.name for field in dataclasses.fields(RunSpec)} == set(CHANGES) | LABELS


def test_the_identity_of_a_run_changes_with_every_field() -> None:
    specs = [SPEC, *(dataclasses.replace(SPEC, **{name: v}) for name, values in CHANGES.items() for v in values)]
    assert len({spec.identity for spec in specs}) == len(specs)


def test_what_a_reader_is_told_beside_plays_no_part() -> None:
    assert dataclasses.replace(SPEC, dataset="folder:blumen").identity == SPEC.identity
    told = AWP | {"departures": {"gamma": 0.005}}  # from the defaults of another version
    assert dataclasses.replace(SPEC, wrappers=(told,)).identity == SPEC.identity


def test_swapping_two_fields_of_the_same_kind_changes_the_identity() -> None:
    mixed = dataclasses.replace(SPEC, method_settings=SPEC.network_settings, network_settings=SPEC.method_settings)
    assert mixed.identity != SPEC.identity
