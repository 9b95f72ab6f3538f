"""Plugins reach a worker by the names that they have here, also through links; what is no file disturbs nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.execution.executors.cluster import unpacked
from harness.execution.executors.cluster.parcel import Packer
from harness.registry.catalogue import discover
from harness.registry.shipped import code_of
from tests.harness.execution.executors.cluster.sendable import Cluster, sent, training

PLUGIN = '''
"""A method."""
from dataclasses import dataclass
from torch import Tensor
from torch.nn import functional as F
from harness.plugin.method import Method, Step
from beside import SCALE


@dataclass(frozen=True)
class Mine(Method):
    """Mine."""

    def loss(self, step: Step) -> Tensor:
        return SCALE * F.cross_entropy(step.model(step.x), step.y)
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``impl.py``, to which ``links/mine.py`` leads; a worker's folder is elsewhere."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(unpacked, "_kept", {})
    monkeypatch.delenv("HARNESS_PLUGINS", raising=False)
    unpacked._place.cache_clear()
    own = tmp_path / "own"
    (own / "links").mkdir(parents=True)
    (own / "impl.py").write_text(PLUGIN)
    (own / "beside.py").write_text("SCALE = 2\n")
    (own / "links" / "mine.py").symlink_to(own / "impl.py")
    return own


def there(plugins: tuple[Path, ...], folder: Path) -> tuple[Path, dict[str, str]]:
    """The file of the method ``mine`` on a worker, and the codes of all methods there that do not ship."""
    cluster = Cluster()
    packer = Packer("me", "sign", cluster.put, mixed=False)
    with unpacked.unpacked(sent(packer.parcel(training(folder / "home", plugins=plugins))), cluster.fetch) as work:
        found = discover("methods", work.plugins).found
        own = {name: code_of(one.cls) for name, one in found.items() if not one.where.startswith("harness.")}
        return Path(found["mine"].where), own


@pytest.mark.parametrize("how", ["the file", "its folder", "HARNESS_PLUGINS"])
def test_a_link_is_a_plugin_of_its_own_name_there_too(
    how: str, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = discover("methods", (own / "links" / "mine.py",)).get("mine")
    plugins = {"the file": (own / "links" / "mine.py",), "its folder": (own / "links",), "HARNESS_PLUGINS": ()}[how]
    if how == "HARNESS_PLUGINS":
        monkeypatch.setenv("HARNESS_PLUGINS", str(own / "links"))
    where, found = there(plugins, tmp_path)
    assert where.is_relative_to(tmp_path / "temporary")
    assert where.name == "impl.py"
    assert found == {"mine": code_of(here)}


def test_what_is_no_file_in_a_folder_of_plugins_disturbs_nobody(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own / "links" / "gone.py").symlink_to(own / "nothing.py")
    (own / "links" / "folder.py").mkdir()
    (own / "links" / "broken.py").write_text("def (:\n")
    monkeypatch.setenv("HARNESS_PLUGINS", str(tmp_path / "nowhere"))
    assert list(there((own / "links",), tmp_path)[1]) == ["mine"]
