"""Names without an import are those that discovery finds by importing."""

from __future__ import annotations

import importlib.metadata
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from harness.registry.catalogue import KINDS, discover
from harness.registry.names import names

HEAD = "from dataclasses import dataclass\n"
CLASS = "\n\n@dataclass(frozen=True, kw_only=True)\nclass Mine({base}):\n    '''Mine.'''\n\n    {body}\n"
ATTACK = "def perturb(self, *given):\n        return given[1]\n\n    def passes(self, threat):\n        return None"
FILES = {  # file -> imports, base, body
    "my_loss": ("from harness.plugin.method import Method", "Method", "def loss(self, step):\n        return 1.0"),
    "derived": ("from harness.methods.sat import SAT as Base", "Base", "weight: float = 1.0"),
    "push": ("from harness.plugin import attack", "attack.Attack", ATTACK),
    "pull": ("import harness.plugin.attack", "harness.plugin.attack.Attack", ATTACK),
    "nudge": ("import harness.plugin.attack as a", "a.Attack", ATTACK),
    "flat": (
        "import torch\nfrom harness.plugin.network import Network\nclass Layer(torch.nn.Module): ...",
        "Network",
        "def build(self, shape):\n        return Layer()",
    ),
    "slow": ("from harness.wrappers.ema import EMA", "EMA", "every: int = 1"),
    "_shared": ("from harness.plugin.method import Method", "Method", "def loss(self, step):\n        return 1.0"),
    "Capital": ("from harness.plugin.method import Method", "Method", "def loss(self, step):\n        return 1.0"),
}


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The entry points of the machine: those that a test adds."""
    found: list[EntryPoint] = []
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: EntryPoints(found).select(group=group))
    monkeypatch.delenv("HARNESS_PLUGINS", raising=False)
    return found


@pytest.mark.parametrize("kind", KINDS)
class TestNames:
    def test_what_comes_with_harness(self, kind: str, entries: list[EntryPoint]) -> None:
        assert names(kind) == list(discover(kind).found)
        assert names(kind)

    def test_a_folder_files_and_entry_points(
        self, kind: str, entries: list[EntryPoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for file, (imports, base, body) in FILES.items():
            (tmp_path / f"{file}.py").write_text(f"{HEAD}{imports}{CLASS.format(base=base, body=body)}")
        (tmp_path / "later").mkdir()
        given = (tmp_path / "my_loss.py").rename(tmp_path / "later" / "my_loss.py")
        (tmp_path / "notes.py").write_text("x = 1\n")
        (tmp_path / "half.py").write_text("class (\n")
        monkeypatch.setenv("HARNESS_PLUGINS", str(tmp_path))
        entries.append(EntryPoint("again", "harness.methods.sat:SAT", "harness.methods"))
        monkeypatch.setattr("harness.methods.sat.SAT.name", "sat")  # discovery names the class after the entry point
        found = names(kind, (given,))
        assert found == list(discover(kind, (given,)).found)
        own = {"methods": {"my-loss", "derived", "again"}, "attacks": {"push", "pull", "nudge"}}
        own |= {"networks": {"flat"}, "wrappers": {"slow"}}
        assert set(found) - set(names(kind, ())) == ({"my-loss"} if kind == "methods" else set())
        assert own.get(kind, set()) <= set(found)


def test_a_class_whose_base_is_not_known_may_be_of_any_kind(entries: list[EntryPoint], tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from another_file import Base\n\n\nclass Mine(Base):\n    pass\n")
    assert all("mine" in names(kind, (file,)) for kind in KINDS)
    file.write_text("from harness.plugin.network import Network\nclass A(Network): ...\nclass B(A): ...\n")
    assert [kind for kind in KINDS if "mine" in names(kind, (file,))] == ["networks"]


def test_nothing_is_offered_of_a_file_that_is_not_there(entries: list[EntryPoint], tmp_path: Path) -> None:
    assert "nowhere" not in names("methods", (tmp_path / "nowhere.py",))
