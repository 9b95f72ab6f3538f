"""Stands for RobustBench 1.1.1: what harness touches of it, and tiny networks in its zoo."""

from .eval import benchmark as benchmark
from .utils import load_model as load_model
