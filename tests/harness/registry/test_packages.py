"""Files in several folders, each with a package of one name: each gets its own, in one process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.registry.importing import forget, import_file
from harness.registry.source import closure


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    forget()


def test_a_package_that_two_files_share_is_loaded_once(tmp_path: Path) -> None:
    parts = tmp_path / "shared_of_mine"
    parts.mkdir()
    (parts / "__init__.py").write_text("MADE = object()\n")
    for name in ("one", "other"):
        (parts / f"{name}.py").write_text("from shared_of_mine import MADE\n")
        (tmp_path / f"{name}.py").write_text(f"from shared_of_mine.{name} import MADE\n")
    assert import_file(tmp_path / "one.py").MADE is import_file(tmp_path / "other.py").MADE


@pytest.mark.parametrize("init", [True, False], ids=["a package", "a plain folder"])
def test_each_file_has_the_package_beside_it(init: bool, tmp_path: Path) -> None:
    files = [tmp_path / folder / "mine.py" for folder in ("one/other", "one", "another")]
    for file in files:
        parts = file.parent / "parts_of_mine"
        parts.mkdir(parents=True)
        file.write_text("from parts_of_mine.scale import SCALE\n")
        (parts / "scale.py").write_text("from parts_of_mine.deeper import SCALE\n")
        (parts / "deeper.py").write_text(f"SCALE = {file.parent.name!r}\n")
        if init:
            (parts / "__init__.py").write_text("")
    for file in (*files, *files):
        module = import_file(file)
        assert file.parent.name == module.SCALE
        assert file.parent / "parts_of_mine" / "deeper.py" in closure([file]).files
