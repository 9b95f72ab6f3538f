"""What a loss must not change: weights, their gradients, buffers of modules in evaluation mode, and the batch."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from harness.identity import same
from harness.plugin.method import Step

ADVICE = {
    "gradient": "call no backward(), nor zero_grad(): craft with step.perturb, or with torch.autograd.grad(loss, x)",
    "parameter": "the optimiser alone changes weights, and a hook on a weight would act in all later updates",
    "buffer": "a module in evaluation mode keeps its buffers",
    "batch": "wrappers may compute the loss again on the same images: change a copy, such as step.x.clone()",
}


class Before(NamedTuple):
    """A record of a tensor, to compare it with later.

    Attributes:
        tensor: the tensor, kept alive so that its memory is not reused; None for a parameter without a gradient.
        kind: a key of ``ADVICE``.
        marks: the address of its memory, torch's count of writes to it, and the number of its hooks.
        value: a copy, if values are compared.
    """

    tensor: Tensor | None
    kind: str
    marks: tuple[int, int, int] | None
    value: Tensor | None

    @classmethod
    def of(cls, tensor: Tensor | None, kind: str, values: bool) -> Before:
        """Record a tensor as it is now."""
        if tensor is None:
            return cls(None, kind, None, None)
        hooks = len(tensor._backward_hooks or ()) + len(tensor._post_accumulate_grad_hooks or ())
        marks = (tensor.data_ptr(), tensor._version, hooks)
        return cls(tensor, kind, marks, tensor.detach().clone() if values else None)

    def differs(self, now: Before | None) -> bool:
        """Whether the tensor was replaced or written since."""
        if now is None or self.tensor is not now.tensor or self.marks != now.marks:
            return True
        return self.tensor is not None and self.value is not None and not same(self.tensor, self.value)


def seen(step: Step, *, values: bool) -> dict[str, Before]:
    """Record everything that a loss must not change, keyed by its name in messages.

    Args:
        values: copy the values, too. Torch counts writes to a tensor, but not writes to its ``.data``, or to an array
            that shares its memory.
    """
    found = {"the images step.x": Before.of(step.x, "batch", values)}
    found["the labels step.y"] = Before.of(step.y, "batch", values)
    for name, parameter in step.model.named_parameters():
        found[f"parameter {name}"] = Before.of(parameter, "parameter", values)
        found[f"the gradient of {name}"] = Before.of(parameter.grad, "gradient", values)
    for prefix, module in step.model.named_modules():
        for name, buffer in () if module.training else module.named_buffers(prefix, recurse=False):
            found[f"buffer {name}"] = Before.of(buffer, "buffer", values)
    return found


def touched(before: dict[str, Before], step: Step) -> dict[str, str]:
    """What a loss changed, replaced, or added: its name in messages -> its kind, a key of ``ADVICE``."""
    now = seen(step, values=False)
    new = {name: thing.kind for name, thing in now.items() if name not in before}
    return {name: thing.kind for name, thing in before.items() if thing.differs(now.get(name))} | new
