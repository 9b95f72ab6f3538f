"""Discovery: every door, and the names that files give."""

from __future__ import annotations

import dataclasses
import importlib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from harness.registry.catalogue import KINDS, Broken, discover
from tests.harness.registry.sources import HEADER, NETWORK, method, only_broken, write

pytestmark = pytest.mark.usefixtures("entries")

# ---- doors


@pytest.mark.parametrize("kind", KINDS)
def test_each_file_of_a_built_in_folder_is_a_plugin_of_its_name(kind: str) -> None:
    package = importlib.import_module(KINDS[kind].package)
    stems = [file.stem for folder in package.__path__ for file in Path(folder).glob("*.py")]
    catalogue = discover(kind)
    assert set(catalogue.found) == {stem.replace("_", "-") for stem in stems if not stem.startswith("_")}
    assert catalogue.broken == []
    for name, found in catalogue.found.items():
        assert found.cls.name == name
        assert found.cls is catalogue.get(name)


def test_a_file_that_is_named_is_a_plugin(tmp_path: Path) -> None:
    file = write(tmp_path / "my_method.py")
    catalogue = discover("methods", [file])
    assert catalogue.found["my-method"].where == str(file)
    assert catalogue.get("my-method").name == "my-method"
    assert catalogue.get("my-method").summary() == "One of my own."
    assert set(catalogue.found) == {*discover("methods").found, "my-method"}
    assert catalogue.broken == []


def test_the_folder_that_the_environment_names_is_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one.py", "two_words.py", "_private.py", "notes.txt"):
        write(tmp_path / "plugins" / name)
    built_in = set(discover("methods").found)
    monkeypatch.setenv("HARNESS_PLUGINS", str(tmp_path / "plugins"))
    catalogue = discover("methods")
    assert set(catalogue.found) == {*built_in, "one", "two-words"}
    assert catalogue.broken == []


def test_a_private_file_is_not_even_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "_helpers.py", "raise RuntimeError('imported')")
    monkeypatch.setenv("HARNESS_PLUGINS", str(tmp_path))
    assert discover("methods").broken == []


def test_no_folder_and_an_empty_one_are_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("", str(tmp_path)):
        monkeypatch.setenv("HARNESS_PLUGINS", folder)
        assert discover("methods").broken == []


def test_an_entry_point_is_a_plugin_under_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: list[EntryPoint]
) -> None:
    write(tmp_path / "third_party_a.py", HEADER + method("Theirs"))
    monkeypatch.syspath_prepend(tmp_path)
    entries += [
        EntryPoint("their-method", "third_party_a:Theirs", "harness.methods"),
        EntryPoint("elsewhere", "third_party_a:Theirs", "harness.attacks.other"),
    ]
    catalogue = discover("methods")
    assert catalogue.get("their-method").__name__ == "Theirs"
    assert catalogue.found["their-method"].where == "third_party_a:Theirs (entry point)"
    assert "elsewhere" not in catalogue.found
    assert catalogue.broken == []


def test_each_kind_has_a_group_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: list[EntryPoint]
) -> None:
    write(tmp_path / "third_party_d.py", NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    entries.append(EntryPoint("flat", "third_party_d:Flat", "harness.networks"))
    assert discover("networks").get("flat").name == "flat"
    assert [kind for kind in KINDS if "flat" in discover(kind).found] == ["networks"]
    assert [kind for kind in KINDS if discover(kind).broken] == []


def test_an_entry_point_may_name_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: list[EntryPoint]
) -> None:
    write(tmp_path / "third_party_b.py")
    monkeypatch.syspath_prepend(tmp_path)
    entries.append(EntryPoint("whole", "third_party_b", "harness.methods"))
    assert discover("methods").get("whole").__name__ == "Mine"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("third_party_c:Missing", "AttributeError"),
        ("third_party_c:number", "the entry point must name a subclass of Method"),
        ("third_party_c:Step", "the entry point must name a subclass of Method"),
        ("no_such_module_at_all:Mine", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
    ],
)
def test_a_broken_entry_point_is_listed_with_its_value(
    value: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: list[EntryPoint]
) -> None:
    write(tmp_path / "third_party_c.py", HEADER + method() + "number = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    entries.append(EntryPoint("theirs", value, "harness.methods"))
    broken = only_broken(discover("methods"))
    assert (broken.name, broken.where) == ("theirs", f"{value} (entry point)")
    assert reason in broken.reason


def test_the_groups_are_those_that_the_documentation_names() -> None:
    assert {"methods", "attacks", "datasets", "networks"} <= set(KINDS)
    assert {kind: spec.group for kind, spec in KINDS.items()} == {kind: f"harness.{kind}" for kind in KINDS}


def test_a_built_in_folder_may_hold_shared_modules_and_broken_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, source in {
        "__init__": "",
        "_shared": "raise RuntimeError('imported')",
        "good_one": HEADER + method(),
        "bad": "raise RuntimeError('bad')",
    }.items():
        write(tmp_path / "built_in_methods" / f"{name}.py", source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(KINDS, "methods", dataclasses.replace(KINDS["methods"], package="built_in_methods"))
    catalogue = discover("methods")
    assert [found.where for found in catalogue.found.values()] == ["built_in_methods.good_one"]
    assert catalogue.get("good-one").name == "good-one"
    assert catalogue.broken == [Broken("bad", "built_in_methods.bad", "RuntimeError: bad")]


# ---- what counts


def test_a_file_may_bring_a_plugin_of_one_kind_alone(tmp_path: Path) -> None:
    network, nothing = write(tmp_path / "flat.py", NETWORK), write(tmp_path / "empty.py", "x = 1\n")
    both = write(tmp_path / "both.py", HEADER + method() + NETWORK)
    files = [network, nothing, both]
    catalogues = {kind: discover(kind, files) for kind in KINDS}
    assert {kind: len(catalogue.broken) for kind, catalogue in catalogues.items()} == dict.fromkeys(KINDS, 0)
    new = {kind: set(c.found) & {"flat", "empty", "both"} for kind, c in catalogues.items()}
    assert {kind: names for kind, names in new.items() if names} == {"methods": {"both"}, "networks": {"flat", "both"}}


def test_imported_and_abstract_classes_do_not_count(tmp_path: Path) -> None:
    source = (
        HEADER
        + "from harness.methods.sat import SAT\n\n\nclass Base(Method):\n    '''Abstract.'''\n"
        + method(base="Base")
    )
    catalogue = discover("methods", [write(tmp_path / "mine.py", source)])
    assert catalogue.get("mine").__name__ == "Mine"
    assert catalogue.get("sat").__name__ == "SAT"
    assert catalogue.broken == []


def test_a_file_is_imported_once_so_that_its_classes_stay_the_same(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.py")
    assert discover("methods", [file]).get("mine") is discover("methods", [file]).get("mine")


def test_files_of_one_stem_in_two_folders_are_two_modules(tmp_path: Path) -> None:
    first = write(tmp_path / "a" / "mine.py", HEADER + method("First"))
    second = write(tmp_path / "b" / "mine.py", HEADER + method("Second"))
    assert discover("methods", [first]).get("mine").__name__ == "First"
    assert discover("methods", [second]).get("mine").__name__ == "Second"
