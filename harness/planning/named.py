"""What a request names: its plugins, before they have settings, and its protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from harness.errors import PluginError, SettingError, listed
from harness.files import DIRECTORY, why_no_file
from harness.planning.overrides import SettingNames, read_dataset, setting_names
from harness.planning.request import RunRequest
from harness.plugin.dataset import DataSource
from harness.plugin.settings import Plugin
from harness.plugin.wrapper import Wrapper
from harness.protocols.protocol import Protocol, load_protocol
from harness.registry.catalogue import KINDS, Catalogue, discover


@dataclass(frozen=True)
class NamedPlugins:
    """The classes that a request names, and the protocol as it is before ``--set``.

    Attributes:
        source: the data set's class.
        source_values: its settings from ``--dataset NAME:ARGUMENT`` and the options for folders.
        catalogues: kind -> all that there are, such as ``attacks``.
    """

    methods: dict[str, type[Plugin]]
    wrappers: dict[str, type[Plugin]]
    network: type[Plugin]
    source: type[Plugin]
    source_values: dict[str, Any]
    protocol: Protocol
    catalogues: dict[str, Catalogue]

    @property
    def attacks(self) -> Catalogue:
        """All attacks."""
        return self.catalogues["attacks"]

    @property
    def owners(self) -> Mapping[str, type[Plugin]]:
        """Every plugin that may have settings, by name."""
        return {self.network.name: self.network, self.source.name: self.source, **self.wrappers, **self.methods}

    def setting_names(self, texts: Sequence[str]) -> SettingNames:
        """What may be set, where a request sets these texts."""
        return setting_names(texts, self.owners, self.protocol, self.attacks)


def named_plugins(request: RunRequest) -> NamedPlugins:
    """Find what a request names.

    Raises:
        UnknownName, PluginError: a plugin is not there, or a file that the user gave is broken.
        SettingError: the data set or the protocol is refused.
    """
    catalogues = {kind: discover(kind, request.plugins) for kind in KINDS}
    for catalogue in catalogues.values():
        catalogue.refuse_broken(request.plugins)
    _refuse_empty(request.plugins, catalogues.values())
    methods = {name: catalogues["methods"].get(name) for name in dict.fromkeys(request.methods)}
    network = catalogues["networks"].get(request.network)
    source, source_values = read_dataset(catalogues["datasets"], request.dataset, vars(request))
    protocol = load_protocol(request.protocol or cast(type[DataSource], source).protocol)
    names = dict.fromkeys((*protocol.wrapper_settings, *request.wrap))  # what the user adds is outermost
    wrappers = {name: catalogues["wrappers"].get(name) for name in names}
    _refuse_two_publications(wrappers)
    return NamedPlugins(methods, wrappers, network, source, source_values, protocol, catalogues)


def _refuse_empty(files: Sequence[Path], catalogues: Iterable[Catalogue]) -> None:
    """Refuse a file that the user named and that has no plugin: what it was to add would be missing without a word."""
    contracts = listed([kind.contract.replace(":", ".") for kind in KINDS.values()])
    known = list(catalogues)
    for file in files:
        if why_no_file(file) != DIRECTORY and not any(catalogue.has_of(file) for catalogue in known):
            raise PluginError(
                f"the plugin file {file} is refused: it has no plugin, which is a class of its own, derived from one of"
                f" {contracts}; correct it, or leave it out (`harness new` writes one)"
            )


def _refuse_two_publications(wrappers: Mapping[str, type[Plugin]]) -> None:
    """Refuse a wrapper without effect: one whose published weights another wrapper does not read.

    Raises:
        SettingError: names the wrappers.
    """
    own = [name for name, cls in wrappers.items() if cast(type[Wrapper], cls).publishes_its_own]
    if len(own) > 1:
        raise SettingError(
            f"the wrappers {listed(own)} are refused together: each publishes weights of its own, so only those of"
            f" {own[-1]} would count; leave one out"
        )
