"""The contract of a network (an architecture): settings, and a ``build`` for the shape of a data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import nn

from harness.plugin.settings import Plugin


class Shape(NamedTuple):
    """The shape of a data set's images and the number of its classes."""

    channels: int
    height: int
    width: int
    classes: int


@dataclass(frozen=True, kw_only=True)
class Network(Plugin, ABC):
    """Base of networks. Subclass it as a frozen, keyword-only dataclass and write ``build``."""

    same_as: ClassVar[str] = ""
    """The network of another name that this one is, at its default settings; weights that fit both are that one's."""

    def untold(self) -> tuple[str, ...]:
        """Settings of which the names and shapes of the weights say nothing, although they decide the logits.

        A file of weights from elsewhere is opened only if its user gives them.
        """
        return ()

    @abstractmethod
    def build(self, shape: Shape) -> nn.Module:
        """Build a newly initialised model: images in [0, 1] to logits ``(batch, classes)``.

        The engine seeds torch's global generator around this call, so that modules may initialise themselves.

        Raises:
            SettingError: the network does not fit the images; says which sizes it takes.
        """
