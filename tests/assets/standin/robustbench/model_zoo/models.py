"""Data set -> threat model -> name -> a constructor, and where its weights are."""

from collections import OrderedDict
from typing import Any

from tests.harness.targets.conftest import RGB, trained

from .enums import BenchmarkDataset, ThreatModel


def make() -> Any:
    return trained(shape=RGB)


names = ("Standard", "Carmon2019Unlabeled", "Wang2020Improving")
models: OrderedDict[str, Any] = OrderedDict((name, {"model": make, "gdrive_id": f"1t98{name}"}) for name in names)
models_l2: OrderedDict[str, Any] = OrderedDict([*models.items(), ("OnlyL2", {"model": make, "gdrive_id": "1t98"})])
model_dicts = OrderedDict(
    [
        (BenchmarkDataset.cifar_10, OrderedDict([(ThreatModel.Linf, models), (ThreatModel.L2, models_l2)])),
        (BenchmarkDataset.cifar_100, OrderedDict([(ThreatModel.L2, models)])),
    ]
)
