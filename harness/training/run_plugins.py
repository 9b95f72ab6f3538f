"""Make a run's plugins again from its settings, provided that their code has not changed since."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from harness.errors import PluginError
from harness.plugin.method import Method
from harness.plugin.network import Network
from harness.plugin.settings import Plugin
from harness.plugin.wrapper import Wrapper
from harness.protocols.run_spec import RunSpec
from harness.registry.catalogue import discover
from harness.registry.shipped import code_of


def method_of(spec: RunSpec, plugins: tuple[Path, ...]) -> Method:
    """The run's method, with its settings."""
    return cast(Method, _made(spec, "method", spec.method, spec.method_settings, plugins))


def network_of(spec: RunSpec, plugins: tuple[Path, ...]) -> Network:
    """The run's network, with its settings."""
    return cast(Network, _made(spec, "network", spec.network, spec.network_settings, plugins))


def wrappers_of(spec: RunSpec, plugins: tuple[Path, ...]) -> list[Wrapper]:
    """The wrappers of the run's updates, outermost last."""
    wrappers = [_made(spec, "wrapper", w["name"], w["settings"], plugins) for w in spec.wrappers]
    return cast(list[Wrapper], wrappers)


def beside_network(spec: RunSpec, part: Method | Wrapper, setting: str, plugins: tuple[Path, ...]) -> Network:
    """The network, with its default settings, that a setting of a part of the run has train beside the main one."""
    return cast(Network, _made(spec, "network", getattr(part, setting), {}, plugins, f"{part.name} {setting}"))


def code_key(noun: str, name: str) -> str:
    """A plugin's key in ``RunSpec.code``: its kind, and for wrappers also the name, since a run may have several."""
    return f"wrapper {name}" if noun == "wrapper" else noun


def _made(
    spec: RunSpec, noun: str, name: str, settings: dict[str, Any], plugins: tuple[Path, ...], key: str | None = None
) -> Plugin:
    """Make one plugin.

    Args:
        key: its key in ``RunSpec.code``; None: that of its kind.
    Raises:
        UnknownName: there is no such plugin.
        PluginError: the plugin is broken, or its code changed since the run began.
    """
    cls = discover(f"{noun}s", plugins).get(name)
    if code_of(cls) != spec.code.get(key or code_key(noun, name), ""):
        raise PluginError(
            f"the code of the {noun} {name!r} changed since {spec.label} began, so its results would mix two codes;"
            " put the old code back, or train again with `harness run`"
        )
    return cls.from_mapping(settings)
