"""The paper's protocol as a document, and how one is refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.protocols.evaluation_protocol import EvaluationProtocol
from harness.protocols.images_protocol import ImagesProtocol
from harness.protocols.protocol import Protocol, load_protocol
from harness.protocols.train_protocol import TrainProtocol

PAPER = load_protocol("paper")


def refusal(document: dict[str, Any]) -> str:
    """The one line with which a document is refused."""
    with pytest.raises(HarnessError) as caught:
        Protocol.from_document("mine", document)
    message = str(caught.value)
    assert "\n" not in message
    return message


FIELDS = {"train": dataclasses.fields(TrainProtocol), "evaluation": dataclasses.fields(EvaluationProtocol)}
RECIPE = ("lr_rise", "lr_warmup", "momentum_low", "nesterov", "clip_norm", "epsilon_warmup")
IMAGES = tuple(field.name for field in dataclasses.fields(ImagesProtocol))
LATER_FIELDS = ("epsilon", "norm", "schedule", *RECIPE, *IMAGES)  # fingerprints of protocols without them must stay


def toml(document: Mapping[str, Any]) -> str:
    """A document as TOML: JSON of these values is TOML, too."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in document.items() if not isinstance(value, Mapping)]
    for name, table in document.items():
        if isinstance(table, Mapping):
            inner = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in inner.items())]
            for key, values in table.items():
                if isinstance(values, Mapping):
                    lines += [f"[{name}.{key}]", *(f"{k} = {json.dumps(v)}" for k, v in values.items())]
    return "\n".join(lines)
