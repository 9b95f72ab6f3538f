"""Discovery: every door, the names that files give, and broken plugins that break nothing but themselves."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from harness.errors import PluginError, UnknownName
from harness.registry.catalogue import KINDS, Broken, Catalogue, Found, discover

HEADER = """
from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.plugin.method import Method, Step
"""
DECORATOR = "@dataclass(frozen=True, kw_only=True)"
NETWORK = """
from dataclasses import dataclass

from torch import nn

from harness.plugin.network import Network, Shape


@dataclass(frozen=True, kw_only=True)
class Flat(Network):
    '''A linear network.'''

    def build(self, shape: Shape) -> nn.Module:
        return nn.Flatten()
"""


def method(name: str = "Mine", fields: str = "", decorator: str = DECORATOR, base: str = "Method") -> str:
    """The source of a training method; ``fields`` is one line of the class's body."""
    return f"""
{decorator}
class {name}({base}):
    '''One of my own.'''

    {fields}

    def loss(self, step: Step) -> Tensor:
        return step.model(step.x).sum()
"""


@pytest.fixture(autouse=True)
def entries(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The entry points of the machine: none but those that a test adds; and no folder of plugins."""
    added: list[EntryPoint] = []
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: EntryPoints(added).select(group=group))
    monkeypatch.delenv("HARNESS_PLUGINS", raising=False)
    return added


def write(file: Path, source: str = HEADER + method()) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(source)
    return file


def only_broken(catalogue: Catalogue) -> Broken:
    """The one broken plugin of a catalogue in which all else works."""
    (broken,) = catalogue.broken
    assert "\n" not in broken.reason
    assert {"sat", "standard"} <= set(catalogue.found)
    return broken


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


# ---- broken plugins

BROKEN = {
    "syntax": ("def (:\n", "SyntaxError: invalid syntax"),
    "import": ("import no_such_module_at_all\n", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
    "older name": (
        "from harness.method import Method\n",
        "ModuleNotFoundError: harness.method is now harness.plugin.method: change the import",
    ),
    "raises": ("raise RuntimeError('first line\\nsecond line')\n", "RuntimeError: first line second line"),
    "two classes": (HEADER + method("One") + method("Two"), "one method a file; it has 2"),
    "undecorated": (HEADER + method(decorator=""), "Mine must be decorated with @dataclass(frozen=True, kw_only=True)"),
    "inherits the decorator": (
        HEADER.replace("from harness.plugin.method", "from harness.methods.sat import SAT\nfrom harness.plugin.method")
        + method(base="SAT", decorator=""),
        "Mine must be decorated with @dataclass(frozen=True, kw_only=True)",
    ),
    "not frozen": (HEADER + method(decorator="@dataclass"), "cannot inherit non-frozen dataclass from a frozen one"),
    "no default": (HEADER + method(fields="b: float; a: float; c: int = 1"), "setting a, b of Mine has no default"),
    "default of another type": (HEADER + method(fields="a: int = 'x'"), "Mine: a=x is refused: it should be a valid"),
    "unknown annotation": (HEADER + method(fields="a: Nope = 1"), "Mine: NameError: name 'Nope' is not defined"),
}


@pytest.mark.parametrize(
    ("declaration", "reason"),
    [
        ('budget = "epsilon"', "budget = 'epsilon' is refused: it must be a tuple of some of epsilon, steps"),
        ('budget = ("radius",)', "budget = ('radius',) is refused"),
        ("budget = None", "budget = None is refused"),
        ('seeded = "no"', "seeded = 'no' is refused: it must be True or False"),
        ("fewest_classes = None", "fewest_classes = None is refused: it must be a number from 1"),
        ("fewest_classes = 0", "fewest_classes = 0 is refused"),
    ],
)
def test_an_attack_that_declares_nonsense_is_listed_with_its_reason(
    declaration: str, reason: str, tmp_path: Path
) -> None:
    source = f"""
from dataclasses import dataclass

from harness.plugin.attack import Attack, Passes


{DECORATOR}
class Mine(Attack):
    '''One of my own.'''

    {declaration}

    def perturb(self, model, x, y, threat, generator):
        return x

    def passes(self, threat):
        return Passes()
"""
    (broken,) = discover("attacks", [write(tmp_path / "mine.py", source)]).broken
    assert broken.reason.startswith(f"Mine: {reason}")


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_listed_with_its_reason_and_the_rest_works(source: str, reason: str, tmp_path: Path) -> None:
    file, good = write(tmp_path / "my_broken.py", source), write(tmp_path / "good.py")
    catalogue = discover("methods", [file, good])
    broken = only_broken(catalogue)
    assert (broken.name, broken.where) == ("my-broken", str(file))
    assert reason in broken.reason
    assert catalogue.get("good").name == "good"
    assert discover("methods", [file]).broken == [broken]  # a half-imported module is not taken for a whole one
    with pytest.raises(PluginError) as caught:
        catalogue.get("my-broken")
    assert str(caught.value) == f"method 'my-broken' cannot be used: {file}: {broken.reason}"


STRANGE = {
    "annotation of a missing attribute": HEADER + method(fields="a: torch.Nope = 1"),
    "annotation that cannot be checked": HEADER + method(fields="a: Tensor = None"),
    "rule that raises another error": HEADER + method(fields="def check(self): raise ValueError('no')"),
    "script that exits": "raise SystemExit(3)\n",
}


@pytest.mark.parametrize("source", STRANGE.values(), ids=STRANGE)
def test_whatever_a_strangers_file_raises_is_its_reason(source: str, tmp_path: Path) -> None:
    file = write(tmp_path / "strange.py", source)
    try:
        catalogue = discover("methods", [file])
    except BaseException as error:
        raise AssertionError("discovery ended") from error
    assert only_broken(catalogue).where == str(file)


def test_a_file_that_is_not_there_or_not_python_is_listed(tmp_path: Path) -> None:
    missing, text = tmp_path / "missing.py", write(tmp_path / "method.txt")
    reasons = {broken.where: broken.reason for broken in discover("methods", [missing, text]).broken}
    assert reasons == {
        str(missing): "there is no such file",
        str(text): "a plugin is a Python file, its name ending in .py",
    }


@pytest.mark.parametrize("stem", ["Mine", "my__method", "méthode", "my method", "my.method", "mine_"])
def test_a_malformed_name_is_refused(stem: str, tmp_path: Path) -> None:
    file = write(tmp_path / f"{stem}.py")
    broken = only_broken(discover("methods", [file]))
    assert broken == Broken(
        stem.replace("_", "-"), str(file), "its name must be lower-case letters and digits, joined by hyphens"
    )


def test_a_name_that_is_taken_is_refused_naming_both_places(tmp_path: Path) -> None:
    first, second, built_in = (write(tmp_path / name) for name in ("my_own.py", "my-own.py", "sat.py"))
    catalogue = discover("methods", [first, second, built_in])
    assert {broken.where: broken.reason for broken in catalogue.broken} == {
        str(second): f"the name 'my-own' is already taken by {first}",
        str(built_in): "the name 'sat' is already taken by harness.methods.sat",
    }
    assert catalogue.found["my-own"].where == str(first)
    assert catalogue.get("sat").__module__ == "harness.methods.sat"


def test_the_same_file_through_two_doors_is_no_duplicate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "mine.py")
    monkeypatch.setenv("HARNESS_PLUGINS", str(tmp_path))
    assert discover("methods", [file]).broken == []


def test_the_same_file_by_two_paths_is_no_duplicate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "mine.py")
    monkeypatch.chdir(tmp_path)
    assert discover("methods", [file, Path(file.name)]).broken == []


def test_an_unknown_name_is_answered_with_near_misses() -> None:
    with pytest.raises(UnknownName, match=r"^unknown method 'standart'; did you mean 'standard'.*known: .*\bsat\b"):
        discover("methods").get("standart")


def test_a_refused_plugin_keeps_no_name_and_takes_none() -> None:
    from harness.methods.sat import SAT
    from harness.methods.standard import Standard

    catalogue = Catalogue("method")
    before = Standard.name
    catalogue.add(Found("sat", SAT, "here"))
    catalogue.add(Found("sat", Standard, "there"))
    assert Standard.name == before
    assert catalogue.found == {"sat": Found("sat", SAT, "here")}
