"""The files of a figure: the same bytes for the same data, and all of them or none."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

from harness.errors import HarnessError
from harness.figures.marks import Marks
from harness.figures.methods import METHODS
from harness.figures.style import COLUMN, LOOKS, WIDE, look_of, require_matplotlib, styled
from harness.figures.trade_off import TRADE_OFF
from harness.figures.writing import rendered, write_figures
from harness.files import write_together
from harness.store.store import Store
from tests.harness.figures import made

Board = tuple[Store, made.Known]


@pytest.fixture(scope="module")
def marks(board: Board) -> Marks:
    return TRADE_OFF.data(made.material(board[0]))


def test_the_same_data_give_the_same_bytes_whatever_the_users_style(marks: Marks) -> None:
    import matplotlib

    once = rendered(TRADE_OFF, marks)
    with matplotlib.rc_context({"font.size": 20, "svg.fonttype": "path", "axes.facecolor": "red", "savefig.dpi": 10}):
        again = rendered(TRADE_OFF, marks)
    assert once == again
    assert list(once) == ["trade-off.png", "trade-off.svg", "trade-off.csv"]


def test_both_images_name_their_data_and_are_of_a_columns_width(marks: Marks, tmp_path: Path) -> None:
    files = rendered(TRADE_OFF, marks)
    write_figures(tmp_path, files)
    stated = f"sha256:{hashlib.sha256(files['trade-off.csv']).hexdigest()}"
    assert files["trade-off.csv"].decode() == marks.csv()
    with Image.open(tmp_path / "trade-off.png") as image:
        assert image.info["Source"] == stated
        assert image.width == round(300 * COLUMN)
        assert image.info["dpi"][0] == pytest.approx(300, abs=0.1)
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    root = ET.fromstring(files["trade-off.svg"].decode())
    assert root.get("width") == f"{72 * COLUMN:g}pt"
    assert stated in files["trade-off.svg"].decode()
    assert "date" not in files["trade-off.svg"].decode()


def test_a_name_with_dollar_signs_is_no_formula(board: Board) -> None:
    rows = [{**row, "row": "a $x_1$ b"} for row in METHODS.data(made.material(board[0], methods=("sat",))).rows]
    svg = ET.fromstring(rendered(METHODS, Marks.of(rows))["methods.svg"].decode())
    assert "a $x_1$ b" in {text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert svg.get("width") == f"{72 * WIDE:g}pt"


def test_a_method_looks_the_same_everywhere_and_no_two_that_ship_look_alike() -> None:
    looks = list(LOOKS.values())
    assert len({look.colour for look in looks}) == len({look.marker for look in looks}) == len(looks)
    assert look_of("sat") is LOOKS["sat"]
    assert look_of("mine") == look_of("mine")
    assert look_of("mine") not in looks


@pytest.mark.parametrize("colour", [look.colour for look in LOOKS.values()])
def test_a_colour_stands_out_from_white(colour: str) -> None:
    """The ratio of luminances of WCAG, for the marks of a figure: 2 at least."""
    levels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
    luminance = sum(share * level for share, level in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    assert 1.05 / (luminance + 0.05) >= 2


def test_what_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_bytes(b"old")
    (tmp_path / "b.svg").mkdir()
    with pytest.raises(HarnessError, match=r"--out .* cannot be written: .*b.svg is a directory"):
        write_figures(tmp_path, {"a.svg": b"new", "b.svg": b"new", "c.svg": b"new"})
    assert (tmp_path / "a.svg").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.svg", "b.svg"]


def test_files_are_put_back_where_one_of_them_cannot_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"old")
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if target.name == "c" and path.suffix == ".tmp":
            raise OSError("no more room")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no more room"):
        write_together({tmp_path / name: b"new" for name in "abc"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old", "b": b"old"}


def test_a_folder_is_made_and_files_there_are_replaced(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        write_figures(tmp_path / "new" / "folder", {"a.csv": content})
        assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["a.csv"]
        assert (tmp_path / "new" / "folder" / "a.csv").read_bytes() == content


def test_without_matplotlib_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(HarnessError, match=r"pip install 'robustness-harness\[plots\]'"):
        require_matplotlib()


def test_the_users_settings_come_back() -> None:
    import matplotlib

    before = matplotlib.rcParams["font.size"]
    with styled():
        assert matplotlib.rcParams["font.size"] == 8
    assert matplotlib.rcParams["font.size"] == before
