"""The networks that settings of methods and wrappers name: found, checked, and told by what identifies them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from harness.errors import HarnessError, PluginError, SettingError, quoted
from harness.planning.own_runs import RUN, own_target
from harness.planning.request import RunRequest
from harness.plugin.dataset import Dataset
from harness.plugin.given import beside_settings, trained_settings
from harness.plugin.network import Network
from harness.plugin.settings import Plugin
from harness.protocols.run_spec import RunSpec
from harness.registry.catalogue import Catalogue, make
from harness.registry.shipped import source_of_plugin
from harness.store.folders import run_folder
from harness.store.lookups import StoredWeights
from harness.store.store import Store
from harness.targets.model import RunWeights
from harness.targets.weights_file import read_weights_file
from harness.training.weights_place import weights_file

HASH = re.compile(r"[0-9a-f]{8,64}")  # of weights: from the digits of a label to the whole SHA-256
LAST = "last"


@dataclass
class NamedNetworks:
    """What the settings of one request name.

    Attributes:
        trained: SHA-256 of the file of weights -> the weights.
        beside: ``plugin setting`` -> the network that the setting names; the main network's own is left out.
    """

    request: RunRequest
    trained: dict[str, RunWeights] = field(default_factory=dict)
    beside: dict[str, Network] = field(default_factory=dict)

    def told(self, name: str, cls: type[Plugin], values: Mapping[str, Any], networks: Catalogue, main: Network) -> Any:
        """A plugin's settings, with each network told by what identifies it.

        Args:
            name: of the plugin.
            values: its settings, as texts, or resolved.
            main: the network that is trained.
        Raises:
            HarnessError: a network is not found, or cannot be used; names the setting.
        """
        found = dict(values)
        for setting in trained_settings(cls):
            text = values.get(setting) or ""  # None, where a protocol's wrapper goes without
            if text.strip() and text.strip().lower() != "none":
                try:
                    weights = self._weights(text.strip())
                except HarnessError as error:
                    raise SettingError(f"{name}: {setting}={text} is refused: {error}") from None
                self.trained[weights.sha256] = weights
                found[setting] = weights.sha256
        for setting in beside_settings(cls):
            text = values.get(setting, "")
            if text:
                other = networks.get(text)
                source_of_plugin(other)  # read and kept now: a later edit is not what was imported
                made = cast(Network, make(other, text, {}))
                if type(made) is type(main) and made.resolved() == main.resolved():
                    found[setting] = ""
                else:
                    self.beside[f"{name} {setting}"] = made
        return found

    @cached_property
    def _store(self) -> Store:
        return Store.read(self.request.db)

    def _weights(self, text: str) -> RunWeights:
        if HASH.fullmatch(text):
            return self._of_hash(text)
        if RUN.fullmatch(text) or Path(text).is_file():
            own = own_target(text, self._store)
            if own is None:
                return self._of_file(Path(text))
            name = own.checkpoint or LAST
            kept = own.run.checkpoint(name)
            if kept is None:
                there = " or ".join(f"{own.run.id}:{one.name}" for one in own.run.checkpoints)
                raise SettingError(f"run {own.run.id} has no checkpoint {name!r}; write {there or 'another run'}")
            file = own.file or weights_file(run_folder(self.request.runs_dir, own.run), name)
            return _of_run(own.run.spec, name, kept.sha256, file)
        raise SettingError(
            "there is no such run and no such file; give a trained run's number, such as 12 or 12:early (`harness runs`"
            " lists them), the digits of its weights in a label, or a file of a run's weights"
        )

    def _of_hash(self, digits: str) -> RunWeights:
        known = [one for one in self._store.stored_weights() if one.sha256.startswith(digits)]
        done = [one for one in known if one.status == "done"]
        if not done:
            rule = "of a run that is not done" if known else "of no run of this database"
            raise SettingError(f"these are the weights {rule}; name the run that is to be used, or its file of weights")
        if len({one.sha256 for one in done}) > 1:
            raise SettingError("several weights begin with these digits; give more of them")
        place = next((one for one in reversed(done) if self._file(one).is_file()), done[-1])
        return _of_run(self._store.run(place.id).spec, place.name, place.sha256, self._file(place))

    def _of_file(self, file: Path) -> RunWeights:
        weights = _told_in(file)
        known = [one.status for one in self._store.stored_weights(weights.sha256)]
        if known and "done" not in known:
            raise SettingError(f"{file} is of a run that is not done; go on with that run first")
        return weights

    def _file(self, one: StoredWeights) -> Path:
        return weights_file(run_folder(self.request.runs_dir, one), one.name)


def _of_run(spec: RunSpec, name: str, sha256: str, file: Path) -> RunWeights:
    return RunWeights(label=spec.label, checkpoint=name, sha256=sha256, spec=spec, file=file.absolute())


def _told_in(file: Path) -> RunWeights:
    """A checkpoint of a run that the store does not have, by what harness wrote into the file.

    Raises:
        HarnessError: the file cannot be read, or is not a run's.
    """
    found = read_weights_file(file)
    told = found.run.get("run")
    names = {one.name for one in fields(RunSpec)}
    if not isinstance(told, dict) or not set(told) <= names:
        raise SettingError(f"{file} does not say which network it is of: only weights that harness wrote do")
    try:
        spec = RunSpec(**(told | {"wrappers": tuple(told["wrappers"])}))
        whole = spec.identity == found.run["identity"]
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise SettingError(f"{file} tells of its run in another way than this version of harness; train the run again")
    return _of_run(spec, str(found.run.get("checkpoint", LAST)), found.sha256, file)


def trained_in(known: Mapping[str, RunWeights], plugins: Iterable[Plugin]) -> tuple[RunWeights, ...]:
    """The trained networks that these plugins name.

    Raises:
        SettingError: a plugin has a network as its default, which nobody has found.
    """
    named = [(plugin, setting) for plugin in plugins for setting in trained_settings(type(plugin))]
    found = {sha256: (plugin, setting) for plugin, setting in named if (sha256 := getattr(plugin, setting))}
    for sha256, (plugin, setting) in found.items():
        if sha256 not in known:
            raise SettingError(
                f"{plugin.name}: the default of {setting} must be an empty text, or None; name a network"
            )
    return tuple(known[sha256] for sha256 in found)


def refuse_unnamed(plugins: Iterable[Plugin]) -> None:
    """Refuse a method or a wrapper of which a setting must name a trained network, and names none."""
    for plugin in plugins:
        for setting in trained_settings(type(plugin)):
            if getattr(plugin, setting) == "":
                meaning = next(info.meaning for info in type(plugin).describe() if info.name == setting)
                raise SettingError(
                    f"{plugin.name} needs {setting}, {meaning}: give --set {plugin.name}.{setting}=RUN, the number of a"
                    " trained run"
                )


def refuse_of_other_data(weights: Iterable[RunWeights], dataset: Dataset) -> None:
    """Refuse a trained network of another data set: it answers to other images, and perhaps with other classes."""
    for one in weights:
        if one.spec.dataset_fingerprint != dataset.fingerprint:
            both = (one.spec.dataset, one.spec.dataset_fingerprint), (dataset.name, dataset.fingerprint)
            names = [f"{name} [{fingerprint[:8]}]" for name, fingerprint in both]
            raise SettingError(
                f"the weights {one.sha256[:8]} ({one.label}, {one.checkpoint}) are refused: they were trained on"
                f" {names[0]}, and this is {names[1]}; name a network that was trained on the same data set"
            )


def refuse_lost(weights: Iterable[RunWeights], plugins: tuple[Path, ...]) -> None:
    """Refuse a training whose named networks are gone from the disk, have changed, or belong to other code.

    Raises:
        HarnessError: names the run to train again.
    """
    for one in weights:
        try:
            one.check(plugins)
        except PluginError:
            raise
        except HarnessError as error:
            raise HarnessError(
                f"the weights {one.sha256[:8]} of {quoted(one.label)} ({one.checkpoint}), which this training needs,"
                f" cannot be used: {error}"
            ) from None
