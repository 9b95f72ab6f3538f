"""A site takes its folder as a whole, and harms nothing that harness did not write."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.site import writing
from harness.site.writing import MARK, write_site

OLD = {"index.html": b"old", "data/runs.js": b"old", "static/gone.js": b"old"}
NEW = {"index.html": b"new", "data/runs.js": b"new"}


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def content(folder: Path) -> dict[str, bytes]:
    return {name: text for name, text in files(folder).items() if name != MARK}


def test_a_new_site_takes_the_place_of_the_old_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_site(tmp_path / "a" / "site", OLD)
    write_site(tmp_path / "a" / "site", NEW)
    assert content(tmp_path / "a" / "site") == NEW
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["site"]
    assert not (tmp_path / "a" / "site" / "static").exists()


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    write_site(tmp_path / "site", NEW)
    assert content(tmp_path / "site") == NEW


def test_what_a_user_put_into_a_site_stays(tmp_path: Path) -> None:
    site = tmp_path / "site"
    write_site(site, OLD)
    (site / "CNAME").write_text("robust.example")
    (site / "data" / "mine.csv").write_text("1")
    (site / ".git").mkdir()
    (site / ".git" / "HEAD").write_text("ref")
    write_site(site, NEW)
    own = {"CNAME": b"robust.example", "data/mine.csv": b"1", ".git/HEAD": b"ref"}
    assert content(site) == NEW | own
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


@pytest.mark.parametrize("name", ["thesis.tex", "index.html", ".hidden"])
def test_a_folder_of_other_files_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(HarnessError, match=f"it has {name}, which harness did not write; name an empty folder"):
        write_site(tmp_path, NEW)
    assert files(tmp_path) == {name: b"mine"}


def test_a_file_and_the_working_directory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").write_text("mine")
    with pytest.raises(HarnessError, match="it is a file"):
        write_site(tmp_path / "site", NEW)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(HarnessError, match="it is the working directory"):
        write_site(Path(), NEW)
    assert files(tmp_path) == {"site": b"mine"}


def test_a_mark_that_names_files_elsewhere_deletes_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    write_site(tmp_path / "site", OLD)
    (tmp_path / "site" / MARK).write_text('{"files": ["../precious", "index.html", "harness-site.json"]}')
    write_site(tmp_path / "site", NEW)
    assert (tmp_path / "precious").read_text() == "mine"
    (tmp_path / "site" / MARK).write_text("{")
    with pytest.raises(HarnessError, match="is damaged"):
        write_site(tmp_path / "site", OLD)
    assert content(tmp_path / "site") == NEW | {"static/gone.js": b"old"}


@pytest.mark.parametrize("step", ["_fill", "_remove"])
def test_a_failure_leaves_the_old_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    write_site(tmp_path / "site", OLD)
    before = files(tmp_path)
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    if step == "_fill":
        monkeypatch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    else:
        monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(HarnessError, match="cannot be written: No space left"):
        write_site(tmp_path / "site", NEW)
    assert files(tmp_path) == before
    assert writing.check_place(tmp_path / "site") != []
