"""Small plugins and a model as texts, and the commands that use them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli.conftest import Harness

SHORT = "--dataset digits --epochs 1 --seeds 1 --workers 1 --no-checks --set evaluation.attacks=natural --db board.db"

METHOD = """
from dataclasses import dataclass
import torch.nn.functional as F
from harness.plugin.method import Method, Step

@dataclass(frozen=True, kw_only=True)
class Mine(Method):
    '''A method under work.'''
    def loss(self, step: Step):
        return SCALE * F.cross_entropy(step.model(step.x), step.y)
"""


NETWORK = """
from dataclasses import dataclass
from torch import nn
from harness.plugin.network import Network, Shape

@dataclass(frozen=True, kw_only=True)
class Tiny(Network):
    '''A network under work.'''
    def build(self, shape: Shape) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ACT(), nn.Linear(8, 10))
"""


ATTACK = """
from dataclasses import dataclass
from typing import ClassVar
from harness.plugin.attack import Attack, Passes

@dataclass(frozen=True, kw_only=True)
class Push(Attack):
    '''An attack under work.'''
    budget: ClassVar[tuple[str, ...]] = ("epsilon",)
    seeded: ClassVar[bool] = False
    def perturb(self, model, x, y, threat, generator):
        return PUSHED
    def passes(self, threat):
        return Passes(0, 0)
"""


WRAPPER = """
from dataclasses import dataclass
from harness.plugin.wrapper import Wrapper

@dataclass(frozen=True, kw_only=True)
class Half(Wrapper):
    '''A wrapper under work.'''
    def published(self, weights):
        return {name: TIMES * tensor if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
"""


DATA = """
from dataclasses import dataclass
from harness.plugin.dataset import Dataset, DataSource, Split
from harness.data.digits import Digits

@dataclass(frozen=True, kw_only=True)
class Few(DataSource):
    '''A data set under work.'''
    protocol = "digits"
    def load(self, data_dir):
        data = Digits().load(data_dir)
        few = Split(data.train.images[:64], data.train.labels[:64])
        return Dataset(name="few", train=few, test=few, classes=data.classes, levels=16)
"""


EDIT = """
def EDIT(file):
    import pathlib
    pathlib.Path(file).write_text(pathlib.Path(file).read_text() + "# edited")
"""
TARGET = """
from torch import nn
import torch
from prep_of_target import LEVELS, Base

class Net(Base):
    def __init__(self):
        super().__init__()
        self.levels = LEVELS
        self.layer = nn.Linear(64, 10)
    def forward(self, x):
        return self.layer((x * self.levels).round().flatten(1) / self.levels)

def make():
    return Net()
"""


PREP = """
import os
from pathlib import Path
from torch import nn
LEVELS = 16
class Base(nn.Module):
    pass
"""
WHERE = "--dataset digits --seeds 1 --workers 1 --no-checks --set evaluation.attacks=natural,pgd --db board.db"
RUN = f"--arch smallcnn --set width=2 --epochs 1 {WHERE}"


def write(name: str, text: str, **values: str) -> str:
    for key, value in values.items():
        text = text.replace(key, value)
    Path(name).write_text(text)
    return name


def rows(harness: Harness) -> list[dict[str, Any]]:
    document = json.loads(harness("leaderboard --dataset digits --db board.db --format json"))
    return [row for row in document["rows"] if row["source"] == "measured"]
