"""What a bare machine lacks is gathered from wheels made here, with a limit that holds."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from scripts import gpu_pack
from scripts.board import ROOT

CONSTRAINTS = "# none\nToy_Pack==1.5  # code\nother==2.0\n"
FILES = {
    "toy_pack/__init__.py": b"",
    "toy_pack/examples/weights.pt": bytes(5000),
    "toy_pack/deep/tests/test_it.py": b"",
    "toy_pack-1.5.dist-info/METADATA": b"Metadata-Version: 2.1\nName: toy-pack\nVersion: 1.5\nRequires-Dist: nowhere\n",
    "toy_pack-1.5.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: cp312-cp312-any\n",
    "toy_pack-1.5.dist-info/RECORD": b"",
}


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with the wheel of a package that has examples and tests, for the machine's Python and not for ours."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "toy_pack-1.5-cp312-cp312-manylinux2014_x86_64.whl", "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A working tree with a tracked file, a new one, and an ignored one."""
    folder = tmp_path / "tree"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / ".gitignore").write_text("/carried/\n/ignored\n")
    for name, length in (("tracked", 1000), ("new", 100), ("ignored", 10_000)):
        (folder / name).write_bytes(bytes(length))
    subprocess.run(["git", "-C", str(folder), "add", "tracked", ".gitignore"], check=True)
    return folder


def test_the_code_of_wheels_and_the_photographs_are_gathered(wheels: Path, root: Path, tmp_path: Path) -> None:
    photographs = tmp_path / "photographs.tar.xz"
    photographs.write_bytes(bytes(300))
    target = root / "carried"
    target.mkdir()
    (target / "old").touch()
    carried, others = gpu_pack.gather(
        target, photographs, ["toy-pack"], constraints=CONSTRAINTS, find_links=wheels, root=root
    )
    gathered = {f.relative_to(target).as_posix(): f.stat().st_size for f in target.rglob("*") if f.is_file()}
    code = {f"site/{name}": len(content) for name, content in FILES.items() if "/examples/" not in name}
    del code["site/toy_pack/deep/tests/test_it.py"]
    assert gathered == code | {"photographs.tar.xz": 300}
    assert carried == sum(gathered.values())
    assert others == 1000 + 100 + len("/carried/\n/ignored\n")


def test_what_is_over_the_limit_is_refused_and_nothing_is_left(wheels: Path, root: Path) -> None:
    code = sum(len(content) for name, content in FILES.items() if "examples" not in name)
    whole = code + 1000 + 100 + len("/carried/\n/ignored\n")

    def gather(limit: int) -> None:
        options = {"constraints": CONSTRAINTS, "find_links": wheels, "root": root, "limit_mib": limit / 2**20}
        gpu_pack.gather(root / "carried", None, ["toy-pack"], **options)  # type: ignore[arg-type]

    gather(whole)
    with pytest.raises(SystemExit, match="over the limit"):
        gather(whole - 1)
    assert not (root / "carried").exists()


def test_a_package_that_cannot_be_had_is_refused(wheels: Path, root: Path) -> None:
    for package, reason in (("third", "names no version of third"), ("other", "could not download")):
        with pytest.raises(SystemExit, match=reason):
            gpu_pack.gather(root / "carried", None, [package], constraints=CONSTRAINTS, find_links=wheels, root=root)


def test_every_package_that_the_machine_lacks_has_its_version_here() -> None:
    versions = gpu_pack.pinned((ROOT / "constraints.txt").read_text())
    assert set(gpu_pack.LACKING) <= set(versions)
