"""A network whose pass takes the whole batch and gives the whole batch's logits, while each process passes a share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from harness.errors import SettingError
from harness.training.together.exchange import gathered, taken, weight_copies
from harness.training.together.peers import Peers
from harness.training.together.shares import Share
from harness.training.together.whole_batch import WholeBatch


class SharedNetwork:
    """The network of a training, whose passes the processes share while ``shared`` is entered.

    The network stays what it is: hooks take the share before its pass, and gather the logits after it. In between its
    weights are copies that sum their gradient over the processes. A method that calls a layer by itself, or reads the
    weights, meets the network's own ones: every process computes that for the whole batch.
    """

    def __init__(self, model: nn.Module, peers: Peers) -> None:
        self.model, self.peers = model, peers
        self._hooks: list[RemovableHandle] = []
        self._depth = 0  # a network may call itself
        self._share: Share | None = None  # of the pass at work
        self._mode: WholeBatch | None = None
        self._own: list[tuple[dict[str, Any], str, nn.Parameter]] = []  # where the copies are, and the weights

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Share each pass of the network in the body; nothing is done if there is no other process."""
        self._hook()
        try:
            yield
        finally:
            self._unhook()

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Let each pass in the body of ``shared`` be of this process alone, without hooks."""
        self._unhook()
        try:
            yield
        finally:
            self._hook()

    def _hook(self) -> None:
        if self.peers.alone:
            return

        # functions, since a copy of the network has its hooks, too, and a copy of a function is the function itself
        def begin(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return self._begin(args, kwargs) if module is self.model else None

        def end(module: nn.Module, _args: object, _kwargs: object, output: Any) -> Any:
            return self._end(output) if module is self.model else None

        self._hooks = [
            self.model.register_forward_pre_hook(begin, with_kwargs=True),
            self.model.register_forward_hook(end, with_kwargs=True, always_call=True),
        ]

    def _unhook(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._depth:
            self._depth += 1
            return None
        if len(args) != 1 or kwargs or not isinstance(args[0], Tensor) or args[0].dim() == 0 or not len(args[0]):
            raise self._refused("a pass takes the images of a batch, and nothing else")
        self._depth = 1
        self._share = self.peers.share(len(args[0]))
        if torch.is_grad_enabled():
            self._put_copies()
        self._mode = WholeBatch(self._share, self.peers)
        self._mode.__enter__()  # type: ignore[no-untyped-call]
        return (taken(args[0], self._share, self.peers),), {}

    def _end(self, output: Any) -> Any:
        if not self._depth:  # the pass was refused before it began
            return None
        self._depth -= 1
        if self._depth:
            return None
        share, mode = self._share, self._mode
        assert share is not None
        assert mode is not None
        mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        for parameters, name, own in self._own:
            parameters[name] = own
        self._own, self._share, self._mode = [], None, None
        if output is None:  # an exception ended the pass
            return None
        if not isinstance(output, Tensor) or output.dim() == 0 or len(output) != share.rows:
            raise self._refused("a pass gives the logits of each image, and nothing else")
        return gathered(output, share, self.peers)

    def _put_copies(self) -> None:
        places = [
            (module._parameters, name, parameter)
            for module in self.model.modules()
            for name, parameter in module._parameters.items()
            if parameter is not None and parameter.requires_grad
        ]
        weights = {id(parameter): parameter for _, _, parameter in places}  # two layers may share one
        if not weights:
            return
        copies = dict(zip(weights, weight_copies(list(weights.values()), self.peers), strict=True))
        for parameters, name, own in places:
            parameters[name] = copies[id(own)]  # type: ignore[assignment]  # a layer computes with it as with its own
            self._own.append((parameters, name, own))

    def _refused(self, rule: str) -> SettingError:
        return SettingError(
            f"--devices-per-run {self.peers.count} is refused for this network: {rule}; train it on one device"
        )
