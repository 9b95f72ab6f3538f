"""The plugins of a run, made again from its settings, where their code is still the one that made it."""

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
    """The method that trains a run, with its settings."""
    return cast(Method, _made(spec, "method", spec.method, spec.method_settings, plugins))


def network_of(spec: RunSpec, plugins: tuple[Path, ...]) -> Network:
    """The network that a run trains, with its settings."""
    return cast(Network, _made(spec, "network", spec.network, spec.network_settings, plugins))


def wrappers_of(spec: RunSpec, plugins: tuple[Path, ...]) -> list[Wrapper]:
    """What wraps the update of a run, outermost last."""
    wrappers = [_made(spec, "wrapper", w["name"], w["settings"], plugins) for w in spec.wrappers]
    return cast(list[Wrapper], wrappers)


def code_key(noun: str, name: str) -> str:
    """Under which key ``RunSpec.code`` has a plugin: a run has one of each kind, but for wrappers."""
    return f"wrapper {name}" if noun == "wrapper" else noun


def _made(spec: RunSpec, noun: str, name: str, settings: dict[str, Any], plugins: tuple[Path, ...]) -> Plugin:
    """One of the plugins.

    Raises:
        UnknownName: it is not here; PluginError: it is broken, or its code is not the one that the run was begun with.
    """
    cls = discover(f"{noun}s", plugins).get(name)
    if code_of(cls) != spec.code.get(code_key(noun, name), ""):
        raise PluginError(
            f"the code of the {noun} {name!r} is not the one that {spec.label} was begun with, so its results would"
            " mix two codes; put the old code back, or train again with `harness run`"
        )
    return cls.from_mapping(settings)
