"""Sources of plugins, as an author writes them."""

from __future__ import annotations

from pathlib import Path

from harness.registry.catalogue import Broken, Catalogue

HEADER = """
from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.plugin.method import Method, Step
"""
DECORATOR = "@dataclass(frozen=True, kw_only=True)"
NETWORK = """
from dataclasses import dataclass

from torch import nn

from harness.plugin.network import Network, Shape


@dataclass(frozen=True, kw_only=True)
class Flat(Network):
    '''A linear network.'''

    def build(self, shape: Shape) -> nn.Module:
        return nn.Flatten()
"""


def method(name: str = "Mine", fields: str = "", decorator: str = DECORATOR, base: str = "Method") -> str:
    """The source of a training method; ``fields`` is one line of the class's body."""
    return f"""
{decorator}
class {name}({base}):
    '''One of my own.'''

    {fields}

    def loss(self, step: Step) -> Tensor:
        return step.model(step.x).sum()
"""


def write(file: Path, source: str = HEADER + method()) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(source)
    return file


def only_broken(catalogue: Catalogue) -> Broken:
    """The one broken plugin of a catalogue in which all else works."""
    (broken,) = catalogue.broken
    assert "\n" not in broken.reason
    assert {"sat", "standard"} <= set(catalogue.found)
    return broken
