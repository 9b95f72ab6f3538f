"""Gather what a bare GPU machine lacks into one folder to carry: code of packages, and photographs.

    python -m scripts.gpu_pack carried --photographs cifar10-jpeg.tar.xz

The machine has Python 3.12, torch, torchvision, numpy, scipy, scikit-learn, Pillow, safetensors, rich and Typer, and no
network. It gets the other packages in ``carried/site``, for ``PYTHONPATH``: the code of their wheels, in the versions
that ``constraints.txt`` names. Examples are left out: those of pyautoattack hold 40 MiB of weights. What travels is the
working tree with this folder, and must not be larger than the limit.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
LACKING = (
    "alembic",
    "annotated-types",
    "mako",
    "pyautoattack",
    "pydantic",
    "pydantic-core",
    "sqlalchemy",
    "typing-extensions",
    "typing-inspection",
)
PYTHON = "3.12"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64")
LIMIT_MIB = 64


def pinned(constraints: str) -> dict[str, str]:
    """Package -> its version in the text of a constraints file; names are written as package indexes compare them."""
    lines = (line.partition("#")[0].strip() for line in constraints.splitlines())
    pairs = (line.partition("==") for line in lines if "==" in line)
    return {_normal(name): version for name, _, version in pairs}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def download(packages: Sequence[str], versions: Mapping[str, str], folder: Path, find_links: Path | None) -> list[Path]:
    """Download each package's wheel for the machine, without what it needs in turn.

    Args:
        find_links: a folder of wheels, which takes the place of the package index.
    """
    unpinned = [name for name in packages if _normal(name) not in versions]
    if unpinned:
        sys.exit(f"constraints.txt names no version of {', '.join(unpinned)}")
    source = [] if find_links is None else ["--no-index", "--find-links", str(find_links)]
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    target = ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp", *platforms]
    names = [f"{name}=={versions[_normal(name)]}" for name in packages]
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *target, *source, "-d", str(folder), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"pip could not download the packages: {done.stderr.strip()}")
    return sorted(folder.glob("*.whl"))


def unpack_code(wheel: Path, site: Path) -> None:
    """Unpack a wheel without examples and tests."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site, [name for name in archive.namelist() if _needed(name)])


def _needed(name: str) -> bool:
    return not {"examples", "tests", "testing"} & set(PurePosixPath(name).parts[1:-1])


def tree(root: Path) -> Iterator[Path]:
    """The files of a working tree that travel: those that git tracks, and those that it does not ignore."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    yield from (root / name for name in dict.fromkeys(names) if name and (root / name).is_file())


def size(files: Iterator[Path]) -> int:
    """Bytes of the files together."""
    return sum(file.stat().st_size for file in files)


def gather(
    target: Path,
    photographs: Path | None,
    packages: Sequence[str],
    *,
    constraints: str,
    find_links: Path | None = None,
    root: Path = ROOT,
    limit_mib: float = LIMIT_MIB,
) -> tuple[int, int]:
    """Make the folder to carry anew.

    Returns:
        The bytes of the folder, and those of the working tree without it.
    Raises:
        SystemExit: a package cannot be had, or both together are over the limit; then the folder is not there.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for wheel in download(packages, pinned(constraints), Path(folder), find_links):
                unpack_code(wheel, target / "site")
        if photographs is not None:
            shutil.copyfile(photographs, target / photographs.name)
        carried = size(path for path in target.rglob("*") if path.is_file())
        inside = target.resolve()
        others = size(file for file in tree(root) if not file.resolve().is_relative_to(inside))
        if carried + others > limit_mib * 2**20:
            sys.exit(
                f"{carried / 2**20:.1f} MiB to carry and {others / 2**20:.1f} MiB of working tree are over the limit of"
                f" {limit_mib:g} MiB: leave something out"
            )
    except BaseException:
        shutil.rmtree(target)
        raise
    return carried, others


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.gpu_pack", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("target", type=Path, help="the folder to make; one that git ignores")
    parser.add_argument("--photographs", type=Path, help="the archive of photographs")
    parser.add_argument("--packages", default=",".join(LACKING), help="the packages that the machine lacks")
    given = parser.parse_args(arguments)
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    carried, others = gather(given.target, given.photographs, given.packages.split(","), constraints=constraints)
    print(f"{given.target}: {carried / 2**20:.1f} MiB, beside {others / 2**20:.1f} MiB of working tree")


if __name__ == "__main__":
    main()
