"""Discovery of plugins: built-in folders, entry points, the folder ``HARNESS_PLUGINS``, and plugin files.

A plugin's name is the name of its file or entry point, with hyphens: ``gair_trades.py`` is ``gair-trades``. A broken
plugin is listed with its reason and does not disturb the others.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import PluginError, SettingError, UnknownName, one_line
from harness.files import DIRECTORY, MISSING, resolved, why_no_file
from harness.plugin.settings import Plugin
from harness.registry.importing import import_file
from harness.registry.installed import installed

PLUGIN_FOLDER_VARIABLE = "HARNESS_PLUGINS"
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class PluginKind:
    """One kind of plugin, such as methods.

    Attributes:
        noun: the kind's name in the singular.
        package: the built-in plugins are the modules of this package.
        contract: the base class, as ``module:class``; imported late, since most of these modules import torch.
    """

    noun: str
    package: str
    contract: str

    @property
    def group(self) -> str:
        """The entry-point group."""
        return f"harness.{self.noun}s"

    def base(self) -> type[Plugin]:
        """The class that plugins of this kind derive from."""
        base: type[Plugin] = pkgutil.resolve_name(self.contract)
        return base


KINDS: dict[str, PluginKind] = {
    "methods": PluginKind("method", "harness.methods", "harness.plugin.method:Method"),
    "attacks": PluginKind("attack", "harness.attacks", "harness.plugin.attack:Attack"),
    "datasets": PluginKind("dataset", "harness.data", "harness.plugin.dataset:DataSource"),
    "networks": PluginKind("network", "harness.networks", "harness.plugin.network:Network"),
    "wrappers": PluginKind("wrapper", "harness.wrappers", "harness.plugin.wrapper:Wrapper"),
}


def noun_of(cls: type[Plugin]) -> str:
    """The kind of a plugin class: ``method``, ``network``, ..."""
    return next(kind.noun for kind in KINDS.values() if issubclass(cls, kind.base()))


@dataclass(frozen=True)
class Found:
    """A usable plugin, and where it was found: its module, entry point, or file."""

    name: str
    cls: type[Plugin]
    where: str


@dataclass(frozen=True)
class Broken:
    """A plugin that cannot be used, and the reason in one line."""

    name: str
    where: str
    reason: str


class Catalogue:
    """All plugins of one kind, the usable and the broken ones."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.found: dict[str, Found] = {}
        self.broken: list[Broken] = []

    def add(self, candidate: Found) -> None:
        """Add a plugin; if its name is malformed or taken, list it as broken."""
        name, first = candidate.name, self.found.get(candidate.name)
        if not NAME.fullmatch(name):
            reason = "its name must be lower-case letters and digits, joined by hyphens"
        elif first is not None and first.where != candidate.where:
            reason = f"the name {name!r} is already taken by {first.where}"
        else:
            candidate.cls.name = name
            self.found[name] = candidate
            return
        self.broken.append(Broken(name, candidate.where, reason))

    def refuse_broken(self, files: Sequence[Path]) -> None:
        """Raise PluginError if one of these files, which the user named, cannot be used; folders are left out."""
        files = [
            file for file in files if why_no_file(file) != DIRECTORY
        ]  # of a folder, only the plugins that are used must work
        for file in files:
            if file.name.startswith("_"):
                rule = "a name that begins with _ marks a module that plugins share; rename it"
                raise PluginError(f"the plugin file {file} cannot be used: {rule}")
        named = {str(resolved(file)) for file in files}
        for broken in self.broken:
            if broken.where in named:
                raise PluginError(f"the plugin file {broken.where} cannot be used: {broken.reason}")

    def has_of(self, file: Path) -> bool:
        """Whether a plugin of this kind comes from the file."""
        return any(found.where == str(resolved(file)) for found in self.found.values())

    def get(self, name: str) -> type[Plugin]:
        """The plugin class of that name.

        Raises:
            PluginError: the plugin is broken.
            UnknownName: no plugin has that name; the message suggests similar names.
        """
        if name in self.found:
            return self.found[name].cls
        for broken in self.broken:
            if broken.name == name:
                raise PluginError(f"{self.noun} {name!r} cannot be used: {broken.where}: {broken.reason}")
        raise UnknownName(self.noun, name, self.found)


def discover(kind: str, files: Sequence[Path] = ()) -> Catalogue:
    """Find every plugin of a kind (``methods``, ``attacks``, ``datasets``, ``networks``, ``wrappers``).

    Args:
        files: plugin files, or folders of them, to load besides the built-in folders, the entry points, and the folder
            ``HARNESS_PLUGINS``.
    """
    spec = KINDS[kind]
    base = spec.base()
    from harness.runtime.process import Modes  # imported late: it imports torch, which the contract has imported by now

    catalogue = Catalogue(spec.noun)
    for candidate in candidates(spec, files):
        modes = Modes.now()  # a module that changes a mode of torch on import would change it for everything after it
        try:
            for cls in _classes(candidate.load(), base):
                catalogue.add(Found(candidate.name, cls, candidate.where))
        except (Exception, SystemExit) as error:  # no exception of a user's module may end the program
            catalogue.broken.append(Broken(candidate.name, candidate.where, one_line(error)))
        finally:
            modes.put_back()
    return catalogue


@dataclass(frozen=True)
class PossiblePlugin:
    """A module or entry point that may be a plugin; nothing of it is imported yet.

    Attributes:
        load: imports it; returns the module, or the class that the entry point names.
        file: a user's file, which may hold another kind of plugin; None for modules and entry points, whose place says
            the kind.
    """

    name: str
    where: str
    load: Callable[[], object]
    file: Path | None = None


def candidates(spec: PluginKind, files: Sequence[Path]) -> Iterator[PossiblePlugin]:
    """Find everything that may be a plugin of a kind, built-in modules first, without importing it."""
    package = importlib.import_module(spec.package)
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if not info.name.startswith("_"):
            module = f"{spec.package}.{info.name}"
            yield PossiblePlugin(info.name.replace("_", "-"), module, partial(importlib.import_module, module))
    for entry in installed(spec.group):
        yield PossiblePlugin(entry.name, f"{entry.value} (entry point)", entry.load)
    folder = os.environ.get(PLUGIN_FOLDER_VARIABLE)
    named = {file: why_no_file(file) == DIRECTORY for file in files}
    folders = [*([Path(folder)] if folder else []), *(file for file, is_folder in named.items() if is_folder)]
    dropped = (file for place in folders for file in sorted(place.glob("*.py")))
    for file in dict.fromkeys((*dropped, *(file for file, is_folder in named.items() if not is_folder))):
        if not file.name.startswith("_"):
            place = resolved(file)
            yield PossiblePlugin(file.stem.replace("_", "-"), str(place), partial(_import_file, place), place)


def _import_file(file: Path) -> ModuleType:
    reason = why_no_file(file)
    if reason is not None:
        raise PluginError("there is no such file" if reason == MISSING else f"it {reason}")
    if file.suffix != ".py":
        raise PluginError("a plugin is a Python file, its name ending in .py")
    return import_file(file)


def _classes(loaded: object, base: type[Plugin]) -> list[type[Plugin]]:
    """The one plugin class that a module defines itself, or that an entry point names; none in any other module.

    Raises:
        PluginError: there are several, or the class cannot be a plugin.
    """
    if isinstance(loaded, ModuleType):
        own = [value for value in vars(loaded).values() if getattr(value, "__module__", None) == loaded.__name__]
    else:
        own = [loaded]
        if not (isinstance(loaded, type) and issubclass(loaded, base)):
            raise PluginError(f"the entry point must name a subclass of {base.__name__}")
    classes = [v for v in own if isinstance(v, type) and issubclass(v, base) and not inspect.isabstract(v)]
    if len(classes) > 1:
        raise PluginError(f"one {noun_of(base)} a file; it has {len(classes)}")
    for cls in classes:
        _require_contract(cls)
    return classes


def _require_contract(cls: type[Plugin]) -> None:
    """Raise PluginError if a class cannot be a plugin. Only a data set's ``argument`` may lack a default."""
    if not cls.__dict__.get("__dataclass_params__") or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise PluginError(f"{cls.__name__} must be decorated with @dataclass(frozen=True, kw_only=True)")
    argument = getattr(cls, "argument", None)
    try:
        required = {info.name for info in cls.describe() if info.required} - {argument}
        if not argument and not required:
            cls()
    except Exception as error:  # a user's annotations and checks may raise anything
        raise PluginError(f"{cls.__name__}: {one_line(error)}") from error
    if required:
        raise PluginError(f"setting {', '.join(sorted(required))} of {cls.__name__} has no default")


def make(cls: type[Plugin], name: str, values: Mapping[str, Any]) -> Plugin:
    """Make a plugin with these settings; the error for a refused setting names the plugin."""
    try:
        return cls.from_mapping(values)
    except SettingError as error:
        raise SettingError(f"{name}: {error}") from None
