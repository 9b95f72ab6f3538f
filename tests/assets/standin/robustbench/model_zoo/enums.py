"""The data sets and the threat models."""

from enum import Enum


class BenchmarkDataset(Enum):
    cifar_10 = "cifar10"
    cifar_100 = "cifar100"


class ThreatModel(Enum):
    Linf = "Linf"
    L2 = "L2"
