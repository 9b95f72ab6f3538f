"""Which files are the source of a class or a function: each that decides what it does, and no other."""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import sys
from pathlib import Path

import pytest
import torch

from harness.methods.sat import SAT
from harness.plugin.settings import Plugin
from harness.registry import source
from harness.registry.importing import import_file, import_module
from harness.registry.source import closure, source_of
from harness.store.store import Store


def write(folder: Path, **files: str) -> Path:
    """Python files in a folder, ``a__b="..."`` being ``a/b.py``; gives the file ``main``."""
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.py"
        if name.endswith("__init"):
            file = folder / name.removesuffix("__init").replace("__", "/") / "__init__.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "main.py"


def names(files: object, folder: Path) -> set[str]:
    return {str(Path(str(file)).relative_to(folder.resolve())) for file in files}  # type: ignore[attr-defined]


IMPORTS = {
    "a module beside it": ("import beside", {"beside"}),
    "a name of a module beside it": ("from beside import squeeze", {"beside"}),
    "everything of it": ("from beside import *", {"beside"}),
    "a module that a module imports": ("import between", {"between", "beside"}),
    "within a function": ("def f():\n    import beside", {"beside"}),
    "by its name in a text": ("import importlib\nimportlib.import_module('beside')", {"beside"}),
    "a package": ("import pack", {"pack/__init__"}),
    "a module of a package": ("import pack.inner", {"pack/__init__", "pack/inner"}),
    "a module of a package, as a name": ("from pack import inner", {"pack/__init__", "pack/inner"}),
    "two that import each other": ("import one", {"one", "two"}),
    "the library and torch": ("import json, torch, numpy as np\nfrom harness.plugin.method import Method", set()),
    "a file that is no Python": ("import broken", {"broken"}),
}


@pytest.mark.parametrize(("text", "expected"), IMPORTS.values(), ids=IMPORTS)
def test_what_a_file_imports_of_the_users_own(text: str, expected: set[str], tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main=text,
        beside="",
        between="import beside",
        pack__init="",
        pack__inner="",
        one="import two",
        two="import one",
        broken="def (",
        unrelated="",
    )
    assert names(closure([main]).files, tmp_path) == {"main.py", *(f"{name}.py" for name in expected)}


def test_a_relative_import(tmp_path: Path) -> None:
    write(tmp_path, pack__init="", pack__a="from . import b\nfrom .deep.c import x", pack__b="", pack__deep__init="")
    write(tmp_path, pack__deep__c="from ..d import y", pack__d="")
    found = names(closure([tmp_path / "pack" / "a.py"]).files, tmp_path)
    assert found == {f"pack/{name}.py" for name in ("__init__", "a", "b", "deep/__init__", "deep/c", "d")}


@pytest.mark.parametrize("linked", [True, False])
def test_a_relative_import_in_a_folder_of_plugins_goes_up_as_python_does(
    linked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a checkout some folders of plugins are links; Python goes up from the link, not from where it leads."""
    write(tmp_path, engine__networks__small="WIDTH = 16")
    here = tmp_path / ("methods" if linked else "engine/methods")
    write(here, main="from ..networks.small import WIDTH")
    if linked:
        (tmp_path / "engine" / "methods").symlink_to(here)
    engine = tmp_path / "engine"
    monkeypatch.setattr(source, "ENGINE", engine)
    folders = {(engine / name).resolve(): engine / name for name in ("methods", "networks")}
    monkeypatch.setattr(source, "_PLUGIN_FOLDERS", folders)
    assert {file.name for file in closure([here / "main.py"]).files} == {"main.py", "small.py"}


def test_the_digest_is_of_the_contents_and_the_imports_by_hand(tmp_path: Path) -> None:
    main = write(tmp_path, main="import beside\n", beside="LEVELS = 16\n")
    one, other = (hashlib.sha256(text).hexdigest() for text in (b"import beside\n", b"LEVELS = 16\n"))
    by_hand = hashlib.sha256("\n".join(sorted([one, other, f"{one} beside {other}"])).encode()).hexdigest()
    assert closure([main]).digest == by_hand
    assert closure([write(tmp_path / "elsewhere", main="import beside\n", beside="LEVELS = 16\n")]).digest == by_hand
    (tmp_path / "beside.py").write_bytes(b"LEVELS = 16\r\n")  # a checkout on another system
    assert closure([main]).digest == by_hand


BEFORE = {"a": "K = 1.0", "b": "K = 2.0", "pack/__init__": "", "pack/inner": "K = 1.0", "pack/a": "K = 1.0"}
EDITS: dict[str, tuple[str, dict[str, str]]] = {
    "a module that is edited": ("import a", {"a": "K = 3.0"}),
    "two that exchange their contents": ("import a, b", {"a": "K = 2.0", "b": "K = 1.0"}),
    "one beside a package, of one name with one in it": ("import pack.asks", {"a": "K = 3.0"}),
    "one that a package gives with all else": ("from pack import *", {"pack/inner": "K = 3.0"}),
    "by a keyword": ("import importlib\nimportlib.import_module(name='a')", {"a": "K = 3.0"}),
    "by a variable": ("import importlib\nN = 'a'\nimportlib.import_module(N)", {"a": "K = 3.0"}),
    "by a computed name": ("import importlib\nimportlib.import_module(chr(97))", {"a": "K = 3.0"}),
    "by another name of the function": ("from importlib import import_module as im\nim('a')", {"a": "K = 3.0"}),
    "by the function as a value": ("from importlib import import_module\nf = import_module\nf('a')", {"a": "K = 3.0"}),
    "with a list of names": ("__import__('pack', fromlist=['inner'])", {"pack/inner": "K = 3.0"}),
    "from a package that is named": (
        "import importlib\nimportlib.import_module('.inner', 'pack')",
        {"pack/inner": "0"},
    ),
    "by its path": (
        "from importlib.util import spec_from_file_location\ns = spec_from_file_location('x', 'pack/inner.py')",
        {"pack/inner": "K = 3.0"},
    ),
    "run from a path in a folder": ("import runpy\nrunpy.run_path('plain/deep/c.py')", {"plain/deep/c": "K = 3.0"}),
    "by torch.hub": ("import torch\ntorch.hub.load('plain', 'net', source='local')", {"plain/hubconf": "K = 3.0"}),
    "by torch.hub's function": ("from torch.hub import load\nload('plain', 'net')", {"plain/hubconf": "K = 3.0"}),
    "run as a text": ("exec(open(__file__.replace('main', 'a')).read())", {"a": "K = 3.0"}),
}


@pytest.mark.parametrize(("text", "edit"), EDITS.values(), ids=EDITS)
def test_an_edit_gives_another_digest(text: str, edit: dict[str, str], tmp_path: Path) -> None:
    files = {**BEFORE, "pack/asks": "from a import K", "plain/deep/c": "K = 1.0", "plain/hubconf": "", "main": text}
    main = write(tmp_path, **{name.replace("/__init__", "__init").replace("/", "__"): t for name, t in files.items()})
    before = closure([main]).digest
    assert closure([main]).digest == before
    write(tmp_path, **{name.replace("/", "__"): t for name, t in edit.items()})
    assert closure([main]).digest != before


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("K = tomllib.loads(Path(__file__).with_name('levels.toml').read_text())['k']", "levels.toml"),
        ("K = tomllib.loads(Path(__file__).with_suffix('.toml').read_text())['k']", "main.toml"),
        ("K = json.load(open('conf/levels.json'))['k']", "conf/levels.json"),
        ("K = json.load(open(HERE / 'conf' / 'levels.json'))['k']", "conf/levels.json"),
        ("K = importlib.resources.read_text('conf', 'levels.txt')", "conf/levels.txt"),
        ("TEACHER = torch.load(HERE / 'teacher.pt')", "teacher.pt"),
        ("from beside import K", "levels.toml"),
    ],
)
def test_a_file_with_numbers_that_a_text_names(text: str, name: str, tmp_path: Path) -> None:
    main = write(tmp_path, main=text, beside="K = open('levels.toml').read()")
    (tmp_path / "conf").mkdir()
    (tmp_path / name).write_bytes(b"\x00 k = 1.0")
    (tmp_path / "unnamed.toml").write_text("k = 1.0")
    before = closure([main])
    assert name in names(before.files, tmp_path)
    assert "unnamed.toml" not in names(before.files, tmp_path)
    (tmp_path / name).write_bytes(b"\x00 k = 3.0")
    assert closure([main]).digest != before.digest


def test_texts_that_are_no_names_of_files_name_none(tmp_path: Path) -> None:
    main = write(tmp_path, main="A = '', '.', '..', '/', '\\0', 'two\\nlines', 'ü' * 9\nB = '" + "ü" * 190 + "'")
    assert names(closure([main]).files, tmp_path) == {"main.py"}


def test_a_log_that_a_text_names_and_may_write_is_no_code(tmp_path: Path) -> None:
    main = write(tmp_path, main="def log(x):\n    open('losses.csv', 'a').write(x)")
    before = closure([main]).digest
    (tmp_path / "losses.csv").write_text("1.0")
    assert closure([main]).digest == before


def test_a_database_of_results_that_a_script_names_is_no_code(tmp_path: Path) -> None:
    main = write(tmp_path, main="import harness\nharness.evaluate(model, db='mine.db')\nTABLE = 'other.db'")
    before = closure([main]).digest
    Store.write(str(tmp_path / "mine.db")).close()
    assert closure([main]).digest == before
    (tmp_path / "other.db").write_bytes(b"SQLite format 3\0 of somebody else")
    assert names(closure([main]).files, tmp_path) == {"main.py", "other.db"}


@pytest.mark.parametrize(
    "text",
    [
        "from torch.utils.cpp_extension import load\nload('x', ['kernel.cpp'])",
        "import ctypes\nctypes.CDLL('kernel.cpp')",
        "import torch\ntorch.ops.load_library('kernel.cpp')",
    ],
)
def test_other_files_with_code_that_a_text_loads(text: str, tmp_path: Path) -> None:
    main = write(tmp_path, main=text)
    (tmp_path / "kernel.cpp").write_text("float k = 1.0;")
    before = closure([main]).digest
    (tmp_path / "kernel.cpp").write_text("float k = 3.0;")
    assert closure([main]).digest != before


def test_a_compiled_module_beside_it(tmp_path: Path) -> None:
    main = write(tmp_path, main="import fast_of_mine")
    library = tmp_path / f"fast_of_mine{importlib.machinery.EXTENSION_SUFFIXES[0]}"
    library.write_bytes(b"\x7fELF\x00 one")
    before = closure([main]).digest
    library.write_bytes(b"\x7fELF\x00 two")
    assert closure([main]).digest != before


def test_what_lies_beside_counts_only_where_an_import_is_hidden(tmp_path: Path) -> None:
    main = write(tmp_path, main="import importlib.resources, torch.hub\ntorch.hub.get_dir()\ntorch.load", a="")
    assert names(closure([main]).files, tmp_path) == {"main.py"}


def test_a_module_from_a_place_that_is_searched_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = write(tmp_path, main="import sys\nsys.path.insert(0, LIB)\nimport far_of_mine\nsys.path.remove(LIB)")
    main.write_text(f"LIB = {str(tmp_path / 'lib')!r}\n" + main.read_text())
    write(tmp_path / "lib", far_of_mine="K = 1.0")
    loaded = import_file(main)
    monkeypatch.delitem(sys.modules, "far_of_mine", raising=False)
    assert names(closure([main]).files, tmp_path) == {"main.py"}
    monkeypatch.setitem(sys.modules, "far_of_mine", loaded.far_of_mine)
    assert names(closure([main]).files, tmp_path) == {"main.py", "lib/far_of_mine.py"}


def test_this_programs_own_files_find_nothing_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = source_of(SAT)
    write(tmp_path, methods__init="", harness__method="", dataclasses="", torch="")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert source_of(SAT, directory=tmp_path) == before


def test_the_bases_of_a_class_are_its_source_and_the_engine_is_not(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main="from base import Base\nfrom harness.methods.sat import SAT\nclass Mine(Base, SAT): pass",
        base="class Base: pass",
    )
    cls = import_file(main).Mine
    assert {file.name for file in source_of(cls).files} == {"main.py", "base.py", "sat.py", "__init__.py"}
    assert {file.name for file in source_of(SAT).files} == {"sat.py", "__init__.py"}
    assert source_of(Plugin).files == source_of(torch.nn.Linear).files == source_of(int).files == {}


def test_what_a_function_was_wrapped_from(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main="import functools\nfrom tools import loud\nfrom made import make\nready = functools.partial(loud(make))",
        tools="import functools\ndef loud(f):\n    @functools.wraps(f)\n    def g(): return f()\n    return g",
        made="def make(): return 1",
    )
    assert names(source_of(import_file(main).ready).files, tmp_path) >= {"made.py"}


class TestImporting:
    def test_a_neighbour_that_was_edited_is_imported_anew(self, tmp_path: Path) -> None:
        main = write(tmp_path, main="from prep_of_mine import LEVELS", prep_of_mine="LEVELS = 16")
        first = import_file(main)
        assert import_file(main) is first
        write(tmp_path, prep_of_mine="LEVELS = 18")  # as long as before, in the same second
        assert import_file(main).LEVELS == 18

    def test_by_its_name_too_and_through_another_module(self, tmp_path: Path) -> None:
        write(tmp_path, first_of_mine="import second_of_mine", second_of_mine="X = 1")
        assert import_module("first_of_mine", tmp_path).second_of_mine.X == 1
        write(tmp_path, second_of_mine="X = 2")
        assert import_module("first_of_mine", tmp_path).second_of_mine.X == 2
        assert str(tmp_path) not in sys.path

    def test_a_neighbour_is_not_another_folders_file_of_that_name(self, tmp_path: Path) -> None:
        mains = [
            write(tmp_path / name, main="from helper_of_mine import NAME", helper_of_mine=f"NAME = {name!r}")
            for name in ("a", "b", "a")
        ]
        assert [import_file(main).NAME for main in mains[:2]] == ["a", "b"]

    def test_a_neighbour_whose_name_is_taken_is_refused(self, tmp_path: Path) -> None:
        main = write(tmp_path, main="import numpy", numpy="X = 1")
        importlib.import_module("numpy")
        with pytest.raises(ImportError, match=r"numpy\.py has the name of .*, which is loaded already; rename it"):
            import_file(main)

    def test_one_that_lies_beside_and_is_not_imported_may_have_any_name(self, tmp_path: Path) -> None:
        main = write(tmp_path, main="import importlib\nN = 'js' + 'on'\nX = importlib.import_module(N)", numpy="")
        assert import_file(main).X.loads("1") == 1

    def test_a_file_that_fails_is_forgotten(self, tmp_path: Path) -> None:
        main = write(tmp_path, main="raise RuntimeError('half')")
        before = set(sys.modules)
        with pytest.raises(RuntimeError, match="half"):
            import_file(main)
        assert not [name for name in set(sys.modules) - before if name.startswith("harness_file")]
        write(tmp_path, main="X = 3")
        assert import_file(main).X == 3

    def test_no_bytecode_is_left_that_could_be_taken_for_the_source(self, tmp_path: Path) -> None:
        import_file(write(tmp_path, main="import quiet_of_mine", quiet_of_mine=""))
        assert not list(tmp_path.rglob("*.pyc"))
