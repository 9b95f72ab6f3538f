"""Inside a pass of a share, what depends on the whole batch: the statistics of batch-norm, and random draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from harness.errors import SettingError
from harness.training.together.batch_norm import whole_batch_norm
from harness.training.together.peers import Peers
from harness.training.together.shares import Share

_DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout)
_DRAWS: frozenset[Callable[..., Any]] = frozenset((*_DROPOUTS, torch.rand_like, torch.randn_like, torch.bernoulli))


class WholeBatch(TorchFunctionMode):
    """Computes batch-norm and random draws of the whole batch in the body, where torch would take the share's rows.

    A network keeps its own layers: their calls of torch's functions are answered otherwise.
    """

    def __init__(self, share: Share, peers: Peers) -> None:
        super().__init__()
        self._share, self._peers = share, peers

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.batch_norm:
            return self._batch_norm(*args, **kwargs)
        if func in _DRAWS and kwargs.get("training", True):
            return self._drawn(func, *args, **kwargs)
        return func(*args, **kwargs)

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        *rest: float,
        **named: float,
    ) -> Tensor:
        if not training:
            return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, *rest, **named)
        self._refuse_other_rows(x.numel() // x.shape[1] % self._share.rows == 0, "batch-norm")
        added = named.get("eps", rest[0] if rest else 1e-5)
        others = (running_mean, running_var, weight, bias, momentum, added)
        return whole_batch_norm(x, *others, self._share, self._peers)

    def _drawn(self, func: Callable[..., Any], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The share's rows of what the function draws for as many rows as the whole batch has."""
        share, name = self._share, func.__name__
        self._refuse_other_rows(x.dim() > 0 and len(x) == share.rows, name)
        before, after = (x.new_zeros(rows, *x.shape[1:]) for rows in (share.start, share.whole - share.stop))
        inplace = kwargs.pop("inplace", False)
        drawn = func(torch.cat([before, x, after]), *args, **kwargs)
        own = cast(Tensor, drawn)[share.start : share.stop]
        return x.copy_(own) if inplace else own

    def _refuse_other_rows(self, fits: bool, what: str) -> None:
        if not fits:
            raise SettingError(
                f"--devices-per-run {self._peers.count} is refused: this network's {what} takes other rows than one for"
                " each image, so a share of the batch cannot be told; train it on one device"
            )
