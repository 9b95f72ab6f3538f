"""A stranger's package, installed into a fresh environment: found, listed, checked, and run."""

from __future__ import annotations

import json
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ASSET = Path(__file__).parent / "assets" / "thirdparty"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment that sees this one's packages (torch is gigabytes) and has the stranger's installed."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "venv", with_pip=False)
    executable = folder / "venv" / "bin" / "python"
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    root = ASSET.parents[2]
    (packages / "parent.pth").write_text("\n".join([*site.getsitepackages(), str(root)]))
    source = folder / "source"  # a build writes beside its source
    shutil.copytree(ASSET, source)
    pip = [sys.executable, "-m", "pip", "--python", str(executable), "install", "-q", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--no-index", str(source)], check=True)
    return executable


def harness(python: Path, folder: Path, *arguments: str) -> str:
    command = [str(python), "-c", "from harness.cli.main import main; main()", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stdout


def test_it_is_installed_there_alone(python: Path) -> None:
    found = subprocess.run([str(python), "-c", "import third_party_robustness"], check=False)
    assert found.returncode == 0
    here = subprocess.run([sys.executable, "-c", "import third_party_robustness"], check=False, capture_output=True)
    assert here.returncode != 0


def test_it_is_listed(python: Path, tmp_path: Path) -> None:
    methods = json.loads(harness(python, tmp_path, "list", "methods", "--json"))
    (entry,) = [m for m in methods["methods"] if m["name"] == "label-smoothing"]
    assert entry["where"] == "third_party_robustness.smoothing:LabelSmoothing (entry point)"
    assert entry["settings"][0]["meaning"] == "probability taken from the true label"
    assert "corner" in harness(python, tmp_path, "list", "attacks")


@pytest.mark.parametrize(("kind", "name"), [("method", "label-smoothing"), ("attack", "corner")])
def test_it_is_checked(kind: str, name: str, python: Path, tmp_path: Path) -> None:
    output = harness(python, tmp_path, "check", kind, name)
    assert "FAIL" not in output
    assert output.count("ok ") >= 7


def test_it_is_run(python: Path, tmp_path: Path) -> None:
    values = ("evaluation.attacks=natural,corner", "width=4", "smoothing=0.2")
    settings = [part for value in values for part in ("--set", value)]
    where = ("--dataset", "digits", "--arch", "smallcnn", "--epochs", "1", "--seeds", "2", "--workers", "2")
    row = json.loads(harness(python, tmp_path, "run", "label-smoothing", *where, *settings, "--json"))
    assert row["settings"] == {"smoothing": 0.2}
    assert row["metrics"]["corner"]["n"] == 2
