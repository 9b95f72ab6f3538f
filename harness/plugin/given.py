"""Settings that name a network besides the one that is trained: one trained before, or one that trains beside it.

A plugin declares such a setting by its type. The engine builds the network, and the plugin finds it in
``self.networks`` under the setting's name, from ``prepare`` on.
"""

from __future__ import annotations

from typing import Annotated

from harness.plugin.settings import Plugin, Role, roles

TRAINED = Role("run or weights file", digits=8)
BESIDE = Role("network")

Trained = Annotated[str, TRAINED]
"""A network that was trained before, such as a teacher.

A user names a run (``12``, ``12:early``), or a file of a run's weights. The setting's value, which enters the run's
identity, is the SHA-256 of the file. The default ``""`` means that the user must name a network; a setting that may be
left out is ``Trained | None`` with the default ``None``.
"""

Beside = Annotated[str, BESIDE]
"""A network that is trained beside the main one, by the same optimiser, and is forgotten after the training.

The value is the name of a network, with its default settings; ``""`` is the main network's own, with its settings. Its
initial weights come from a seed of their own.
"""


def trained_settings(cls: type[Plugin]) -> tuple[str, ...]:
    """The settings of type ``Trained``, in their order."""
    return tuple(name for name, role in roles(cls).items() if role is TRAINED)


def beside_settings(cls: type[Plugin]) -> tuple[str, ...]:
    """The settings of type ``Beside``, in their order."""
    return tuple(name for name, role in roles(cls).items() if role is BESIDE)
