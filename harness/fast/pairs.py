"""Which convolutions of a network feed which batch-norms and ReLUs, found by tracing its forward pass."""

from __future__ import annotations

import copy
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from harness.fast.attributes import attributes, hooks_of_every_module
from harness.runtime.process import process_kept
from harness.runtime.seeds import global_seed

SAME = 1e-3  # tolerance of the logits, relative to their spread over classes; folding in float32 changes them by 1e-6


class Run(NamedTuple):
    """A convolution, and what alone reads its output, one after the other; by name, None where there is none.

    Attributes:
        reader: the convolution of another run, if it alone reads the output of the ReLU.
        pool, flatten, linear: what alone reads the output of the ReLU, one after the other: the average over all
            pixels, as features, and a linear layer.
    """

    convolution: str
    norm: str | None = None
    relu: str | None = None
    reader: str | None = None
    pool: str | None = None
    flatten: str | None = None
    linear: str | None = None

    @property
    def layers(self) -> list[str]:
        """The names of all that the run computes, in order."""
        own = (self.convolution, self.norm, self.relu, self.pool, self.flatten, self.linear)
        return [name for name in own if name is not None]


def chains(runs: Sequence[Run], *, together: bool) -> list[list[Run]]:
    """The runs, each with the runs that read it one after the other.

    Args:
        together: else each run is alone, and ends with its batch-norm.
    """
    if not together:
        return [[Run(run.convolution, run.norm)] for run in runs]
    named, read = {run.convolution: run for run in runs}, {run.reader for run in runs}
    found = [[run] for run in runs if run.convolution not in read]
    for chain in found:
        while chain[-1].reader is not None:
            chain.append(named[chain[-1].reader])
    return found


_FUNCTIONS: set[Callable[..., Any]] = {
    *(operator.add, operator.iadd, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.getitem),
    *(operator.mod, operator.matmul, torch.matmul, torch.softmax),
    *(getattr, torch.add, torch.sub, torch.mul, torch.div, torch.cat, torch.stack, torch.flatten, torch.reshape),
    *(torch.mean, torch.sum, torch.clamp, torch.relu, torch.sigmoid, torch.tanh, torch.squeeze, torch.unsqueeze),
    *(F.relu, F.relu6, F.leaky_relu, F.elu, F.gelu, F.silu, F.mish, F.hardswish, F.hardsigmoid, F.softplus),
    *(F.avg_pool2d, F.adaptive_avg_pool2d, F.max_pool2d, F.adaptive_max_pool2d, F.pad, F.interpolate, F.linear),
}
_METHODS = {
    *("add", "add_", "sub", "mul", "mul_", "div", "relu", "relu_", "sigmoid", "tanh", "clamp", "mean", "sum", "size"),
    *("view", "reshape", "flatten", "squeeze", "unsqueeze", "permute", "transpose", "contiguous", "expand", "chunk"),
    "softmax",
}


def pairs(model: nn.Module, x: Tensor) -> list[Run]:
    """The convolutions of a network that can be computed another way, in the order of their first use.

    A convolution is left out if it, or its batch-norm, is used twice, has hooks, is of a subclass, or has tensors that
    something else reads too. A run ends where a block with hooks begins or ends. The list is empty for a network whose
    pass branches on values, draws random numbers, counts, or calls a function that is not known to compute with its
    inputs alone; and for one that does more than change its mode when the mode changes, such as to put other weights
    in. Copies of the network are tried, so that the network itself stays as it is.

    Args:
        x: ``(batch, channels, height, width)`` images for a pass of a copy.
    """
    if any(map(_acts_on_modes, model.modules())) or any(hooks_of_every_module()) or _patched(model):
        return []  # of the whole network the tracer looks at the forward of its class
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
        plain = type(module) is kind and not _hooked(module) and not _patched(module) and _as_it_says(module)
        return plain and name != "" and uses[name] == 1 and name not in read and shared[id(module)] == 1

    def around(name: str) -> list[str]:
        """The modules around a layer whose hooks see what passes into them and out of them."""
        parts = name.split(".")
        outer = (".".join(parts[:count]) for count in range(1, len(parts)))
        return [each for each in outer if _hooked(modules[each])]

    def follower(node: fx.Node | None, kind: type[nn.Module]) -> fx.Node | None:
        """What alone reads the node, if that is a module of this kind."""
        user = None if node is None else next(iter(node.users), None)
        if node is None or user is None or len(node.users) != 1 or user.op != "call_module":
            return None
        unseen = around(str(user.target)) == around(str(node.target))  # else a hook sees what passes from one to other
        return user if unseen and alone(str(user.target), kind) else None

    found: list[Run] = []
    for node in graph.nodes:
        if node.op != "call_module" or not alone(str(node.target), nn.Conv2d):
            continue
        if modules[str(node.target)].padding_mode != "zeros":
            continue
        norm = follower(node, nn.BatchNorm2d)
        if norm is not None and not _fixed(modules[str(norm.target)]):
            norm = None
        relu = follower(norm or node, nn.ReLU)
        reader = follower(relu, nn.Conv2d)
        pool = follower(relu, nn.AdaptiveAvgPool2d)
        flatten = follower(pool, nn.Flatten)
        last = pool, flatten, follower(flatten, nn.Linear)
        if not all(last) or not _averages(*(modules[str(each.target)] for each in last[:2] if each)):
            last = (None, None, None)
        run = (node, norm, relu, reader, *last)
        found.append(Run(*(str(each.target) if each is not None else None for each in run)))  # type: ignore[arg-type]
    names = {run.convolution for run in found}
    return [run if run.reader in names else run._replace(reader=None) for run in found]


def _averages(pool: Any, flatten: Any) -> bool:
    """Whether the two give ``(batch, channels)``, the average over all pixels."""
    return pool.output_size in (1, (1, 1)) and (flatten.start_dim, flatten.end_dim) in ((1, -1), (1, 3))


def _pure(node: fx.Node) -> bool:
    """Whether the node only computes with its inputs: it draws nothing, and holds no tensor that the pass made."""
    if node.op == "call_function":
        return node.target in _FUNCTIONS
    if node.op == "call_method":
        return node.target in _METHODS
    if node.op == "get_attr":
        return not str(node.target).startswith("_tensor_constant")
    return True


def _acts_on_modes(module: nn.Module) -> bool:
    """Whether a module has a ``train`` or an ``eval`` of its own, which may reach for the layers that are replaced."""
    own = any(getattr(type(module), name) is not getattr(nn.Module, name) for name in ("train", "eval"))
    return own or not vars(module).keys().isdisjoint(("train", "eval"))


def _leaves_something(model: nn.Module, x: Tensor) -> bool:
    """Whether a pass changes a tensor or an attribute of the network, or what the next pass gives.

    A pass may draw from a generator that the network holds, or take another way without a gradient, as the pass for a
    clean prediction is. It may write into its images, too: it gets copies.
    """
    before = _kept(model)
    with torch.no_grad():
        first, second = model(x.clone()), model(x.clone())
    with torch.enable_grad():
        difference = (model(x.clone()) - first).abs().max()
    spread = (first - first.mean(1, keepdim=True)).abs().max()  # what all classes share decides nothing
    same = torch.equal(first, second) and bool(difference <= SAME * spread)
    return _kept(model) != before or not same


def _kept(model: nn.Module) -> dict[str, Any]:
    tensors = (*model.named_parameters(), *model.named_buffers())
    return {"": attributes(model)} | {name: (id(tensor), tensor._version) for name, tensor in tensors}


def _fixed(norm: nn.Module) -> bool:
    """Whether a batch-norm computes with running statistics in evaluation mode."""
    return norm.running_mean is not None and norm.running_var is not None


def _patched(module: nn.Module) -> bool:
    """Whether the module has a function in place of one of its class, such as a ``forward`` of its own."""
    return any(callable(getattr(type(module), name, None)) for name in vars(module))


def _as_it_says(module: Any) -> bool:
    """Whether a layer's tensors have the shapes of its settings; one that was pruned may have others."""
    if isinstance(module, nn.Conv2d):
        declared = (module.out_channels, module.in_channels // module.groups, *module.kernel_size)
        return bool(module.weight.shape == declared and (module.bias is None or module.bias.shape == declared[:1]))
    if isinstance(module, nn.BatchNorm2d):
        tensors = (module.weight, module.bias, module.running_mean, module.running_var)
        return all(tensor is None or tensor.shape == (module.num_features,) for tensor in tensors)
    return True


def _hooked(module: nn.Module) -> bool:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(vars(module)[kind] for kind in kinds)
