"""``harness figures``: lists, draws, chooses, refuses; its files are all there or none is."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.figures import writing
from harness.store.store import Store
from tests import stores
from tests.cli.conftest import Ends, Harness, Refused
from tests.cli.imported import HEAVY, modules
from tests.harness.figures import made


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of three methods, each with two networks."""
    path = tmp_path_factory.mktemp("figures") / "board.db"
    store = Store.write(str(path))
    made.fill(store, seeds=(0, 1))
    store.close()
    return path


def test_without_a_name_it_lists_the_figures_and_what_each_needs(harness: Harness) -> None:
    lines = harness("figures").splitlines()
    names = [line.split()[0] for line in lines[::2]]
    assert names[:6] == ["methods", "trade-off", "radius", "overfitting", "cost", "ranks"]
    assert all(line.split()[0] == "needs" for line in lines[1::2])


def test_listing_imports_nothing_heavy(tmp_path: Path) -> None:
    assert modules(tmp_path, "figures") & {*HEAVY, "matplotlib"} == set()


def test_a_drawing_from_the_store_imports_no_torch(tmp_path: Path, database: Path) -> None:
    imported = modules(tmp_path, "figures", "methods", "ranks", "--db", str(database))
    assert imported & {"torch", "sklearn", "matplotlib.pyplot"} == set()
    assert "matplotlib" in imported


def test_it_writes_three_files_a_figure_and_prints_their_places(harness: Harness, database: Path) -> None:
    printed = harness(f"figures methods ranks methods --db {database} --out paper/figures").split()
    assert printed == [
        f"paper/figures/{name}.{kind}" for name in ("methods", "ranks") for kind in ("png", "svg", "csv")
    ]
    assert all(Path(name).stat().st_size > 100 for name in printed)
    assert sorted(path.name for path in Path("paper/figures").iterdir()) == sorted(Path(n).name for n in printed)


def test_options_choose_rows_and_the_attack(harness: Harness, database: Path) -> None:
    harness(f"figures trade-off --db {database} --method sat --method trades --attack pgd --out .")
    with Path("trade-off.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["row"], row["attack"]) for row in rows] == [("sat", "pgd"), ("trades", "pgd")]


def test_all_draws_what_can_be_drawn_and_says_what_cannot(ends: Ends, database: Path) -> None:
    code, out, err = ends(f"figures all --db {database} --cost seconds")
    assert code == 0
    drawn = {Path(line).stem for line in out.split()}
    left_out = {line.split()[1] for line in err.splitlines()}
    assert drawn >= {"methods", "trade-off", "ranks"}
    assert left_out >= {"radius", "overfitting", "cost"}  # no sweep, no checkpoint early, no epochs
    assert drawn.isdisjoint(left_out)
    assert all(line.startswith("note: ") for line in err.splitlines())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("figures methode", "unknown figure 'methode'; did you mean 'methods'?"),
        ("figures all ranks", "all is refused beside other names"),
        ("figures methods --dataset cifar", "no row matches --dataset cifar"),
        ("figures methods --method sta", "no row matches --method sta"),
        ("figures methods --attack pdg", "unknown attack 'pdg'; did you mean 'pgd'?"),
        ("figures methods --attack autoattack", "unknown attack 'autoattack'; known: cw, natural, pgd, worst_case"),
        ("figures radius --attack pdg", "unknown attack 'pdg'; did you mean 'pgd'?"),
        ("figures methods --limit 7", "no row matches --limit 7; there are rows of 40 test images"),
        ("figures methods --limit 0", "--limit 0 is refused: it must be 1 or more"),
        ("figures ranks radius", "radius: sat, trades, standard: fewer than 2 radii"),
        ("figures overfitting", "harness evaluate RUN:early"),
        ("figures cost --cost seconds", "run 1 has no record of some of its epochs"),
        ("figures methods --out taken", "--out taken is refused: it is a file; name a folder"),
        ("figures methods --out taken/within", "cannot be written"),
        ("figures methods --cost joules", "joules"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    refusal: Refused, database: Path, arguments: str, reason: str
) -> None:
    Path("taken").write_text("mine")
    assert reason in refusal(f"{arguments} --db {database}")
    assert [path.name for path in Path().iterdir()] == ["taken"]
    assert Path("taken").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_refused_before_a_figure_is_made(
    refusal: Refused, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_of: list[object] = []
    monkeypatch.setattr(writing, "rendered", lambda *arguments: made_of.extend(arguments))
    Path("taken").write_text("mine")
    assert "cannot be written" in refusal(f"figures methods --out taken/within --db {database}")
    assert made_of == []


def test_a_name_in_letters_that_the_font_lacks_is_whole_in_the_svg(ends: Ends, tmp_path: Path) -> None:
    store = Store.write(str(tmp_path / "foreign.db"))
    made.fill(store, methods=["sat"], seeds=[0])
    kind: dict[str, Any] = {"network": "smallcnn", "network_settings": {}, "network_departures": {}}
    model = store.see_model("模型", stores.DIGITS, sha256="a" * 64, parameters=1, provenance={}, **kind)
    for attack, settings in made.SETTINGS.items():
        stores.add_evaluation(store, model.checkpoint, attack, settings, stores.right(9, made.IMAGES))
    store.close()
    code, _, err = ends("figures methods --db foreign.db --out .")
    assert (code, err) == (0, "note: methods.png has no letters for a part of a name; methods.svg has them\n")
    assert "模型" in Path("methods.svg").read_text(encoding="utf-8")


def test_two_boards_are_refused_with_the_choices(refusal: Refused, tmp_path: Path) -> None:
    store = Store.write(str(tmp_path / "two.db"))
    made.fill(store, methods=["sat"], seeds=[0])
    made.fill(store, methods=["sat"], seeds=[0], training={"epochs": 9}, fingerprint="2" * 64, name="longer")
    store.close()
    line = refusal("figures methods --db two.db")
    assert "digits under tiny [11111111], 40 images; digits under longer [22222222], 40 images" in line
    assert line.endswith("choose one with --protocol\n")


def test_without_matplotlib_the_extra_is_named(
    refusal: Refused, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install 'robustness-harness[plots]'" in refusal(f"figures methods --db {database}")
