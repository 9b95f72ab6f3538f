"""Which convolutions of a network feed which batch-norms, found by tracing its forward pass."""

from __future__ import annotations

import copy
import operator
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from harness.fast.attributes import attributes
from harness.runtime.process import process_kept
from harness.runtime.seeds import global_seed

Pair = tuple[str, str | None]
"""The name of a convolution, and the name of the batch-norm that alone reads its output; None if there is none."""

_FUNCTIONS: set[Callable[..., Any]] = {
    *(operator.add, operator.iadd, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.getitem),
    *(getattr, torch.add, torch.sub, torch.mul, torch.div, torch.cat, torch.stack, torch.flatten, torch.reshape),
    *(torch.mean, torch.sum, torch.clamp, torch.relu, torch.sigmoid, torch.tanh, torch.squeeze, torch.unsqueeze),
    *(F.relu, F.relu6, F.leaky_relu, F.elu, F.gelu, F.silu, F.mish, F.hardswish, F.hardsigmoid, F.softplus),
    *(F.avg_pool2d, F.adaptive_avg_pool2d, F.max_pool2d, F.adaptive_max_pool2d, F.pad, F.interpolate, F.linear),
}
_METHODS = {
    *("add", "add_", "sub", "mul", "mul_", "div", "relu", "relu_", "sigmoid", "tanh", "clamp", "mean", "sum", "size"),
    *("view", "reshape", "flatten", "squeeze", "unsqueeze", "permute", "transpose", "contiguous", "expand", "chunk"),
}


def pairs(model: nn.Module, x: Tensor) -> list[Pair]:
    """The convolutions of a network that can be computed another way, in the order of their first use.

    A convolution is left out if it, or its batch-norm, is used twice, has hooks, is of a subclass, or has tensors that
    something else reads too. The list is empty for a network whose pass branches on values, draws random numbers,
    counts, or calls a function that is not known to compute with its inputs alone. Copies of the network are tried, so
    that the network itself stays as it is.

    Args:
        x: ``(batch, channels, height, width)`` images for a pass of a copy.
    """
    try:
        with process_kept(), global_seed(x.device, 0):
            graph = fx.Tracer().trace(copy.deepcopy(model).eval())
            if not all(_pure(node) for node in graph.nodes) or _leaves_something(copy.deepcopy(model).eval(), x):
                return []
    except Exception:  # whatever the network's own code raises when it gets no tensor, or when it is copied
        return []
    uses = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    read = {str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"}
    modules = dict(model.named_modules(remove_duplicate=False))
    shared = Counter(id(module) for module in modules.values())

    def alone(name: str, kind: type[nn.Module]) -> bool:
        module = modules[name]
        plain = type(module) is kind and "." in f".{name}" and not _hooked(module) and "forward" not in vars(module)
        return plain and name != "" and uses[name] == 1 and name not in read and shared[id(module)] == 1

    found: list[Pair] = []
    for node in graph.nodes:
        if node.op == "call_module" and alone(str(node.target), nn.Conv2d):
            user = next(iter(node.users), None)
            follows = len(node.users) == 1 and user is not None and user.op == "call_module"
            norm = str(user.target) if follows and user is not None else None
            if norm is not None and not (alone(norm, nn.BatchNorm2d) and _fixed(modules[norm])):
                norm = None
            if modules[str(node.target)].padding_mode == "zeros":
                found.append((str(node.target), norm))
    return found


def _pure(node: fx.Node) -> bool:
    """Whether the node only computes with its inputs: it draws nothing, and holds no tensor that the pass made."""
    if node.op == "call_function":
        return node.target in _FUNCTIONS
    if node.op == "call_method":
        return node.target in _METHODS
    if node.op == "get_attr":
        return not str(node.target).startswith("_tensor_constant")
    return True


def _leaves_something(model: nn.Module, x: Tensor) -> bool:
    """Whether a pass changes a tensor or an attribute of the network."""
    before = _kept(model)
    with torch.no_grad():
        model(x)
    return _kept(model) != before


def _kept(model: nn.Module) -> dict[str, Any]:
    tensors = (*model.named_parameters(), *model.named_buffers())
    return {"": attributes(model)} | {name: (id(tensor), tensor._version) for name, tensor in tensors}


def _fixed(norm: nn.Module) -> bool:
    """Whether a batch-norm computes with running statistics in evaluation mode."""
    return norm.running_mean is not None and norm.running_var is not None


def _hooked(module: nn.Module) -> bool:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(vars(module)[kind] for kind in kinds)
