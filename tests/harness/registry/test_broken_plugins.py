"""Broken plugins are listed with their reason, and break nothing but themselves; names are refused or taken once."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import PluginError, UnknownName
from harness.registry.catalogue import Broken, Catalogue, Found, discover
from tests.harness.registry.sources import DECORATOR, HEADER, method, only_broken, write

pytestmark = pytest.mark.usefixtures("entries")

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
