"""The wheel: one top-level name, everything in it, and unharmed by folders that have names of its parts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("harness", "methods", "attacks", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel of this checkout was unpacked, which is what installing it does."""
    source, built, site = (tmp_path_factory.mktemp(name) for name in ("source", "built", "site"))
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        else:
            shutil.copy(ROOT / name, source / name)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(built)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    return site


def test_it_installs_one_top_level_name(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"harness"}


def test_every_file_of_the_checkout_is_in_it(installed: Path) -> None:
    def files(folder: Path) -> set[str]:
        found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {path.relative_to(folder).as_posix() for path in found}

    parts = {f"{name}/{file}" for name in ("methods", "attacks") for file in files(ROOT / name)}
    own = {file for file in files(ROOT / "harness") if not file.startswith(("methods/", "attacks/"))}
    assert files(installed / "harness") == own | parts


def test_the_older_names_of_plugins_lead_to_the_new_ones(installed: Path, tmp_path: Path) -> None:
    for name in ("methods", "attacks"):
        command = [sys.executable, "-c", f"import harness\nimport {name}"]
        environment = os.environ | {"PYTHONPATH": str(installed)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.stderr.endswith(f"ModuleNotFoundError: {name} is now harness.{name}: change the import\n")


def test_folders_of_the_same_names_hide_nothing_of_it(installed: Path, tmp_path: Path) -> None:
    for name in ("methods", "attacks", "plugin", "store"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('the {name} of somebody else')")
    (tmp_path / "methods" / "sat.py").write_text("raise RuntimeError('the sat of somebody else')")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(installed)])}
    environment.pop("HARNESS_PLUGINS", None)

    def python(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert python("-c", "import harness.methods; print(harness.methods.__file__)").startswith(str(installed))
    for kind, some in (("methods", {"sat", "trades", "lrat"}), ("attacks", {"pgd", "cw", "autoattack"})):
        listed = json.loads(python("-m", "harness", "list", kind, "--json"))
        assert {(name, f"harness.{kind}.{name}") for name in some} <= {(p["name"], p["where"]) for p in listed[kind]}
