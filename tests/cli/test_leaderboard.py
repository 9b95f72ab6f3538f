"""``harness leaderboard``: formats and files, selections that match nothing, and options that do not fit."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import pytest

from harness.leaderboard.ranking import boards
from harness.leaderboard.render_bibtex import render_bibtex
from harness.plugin.publication import parse_bibtex
from tests.cli.conftest import Ends, Harness
from tests.first_board import FIRST_BOARD
from tests.harness.leaderboard.held import Held, evaluation, run

ROOT = Path(__file__).resolve().parents[2]
FORMATS = {
    **{"markdown": "md", "latex": "tex", "csv": "csv", "json": "json"},
    **{"html": "html", "bibtex": "bib", "table": "txt"},
}
KEYS = ["gao2021local", "madry2018towards", "zhang2019theoretically", "zhang2021geometry"]


@pytest.fixture
def board(elsewhere: Path) -> str:
    """The published database, copied, as an option."""
    shutil.copy(FIRST_BOARD, elsewhere / "board.db")
    return "--db board.db"


def entries(text: str) -> list[str]:
    """The keys of the entries of BibTeX in a text; comments do not count."""
    return [entry.key for entry in parse_bibtex(re.sub(r"^% .*$", "", text, flags=re.MULTILINE))]


class TestFiles:
    @pytest.mark.parametrize(("form", "suffix"), FORMATS.items())
    def test_a_file_has_what_is_printed_and_its_suffix_names_the_format(
        self, harness: Harness, elsewhere: Path, form: str, suffix: str
    ) -> None:
        printed = harness(f"leaderboard --dataset svhn --format {form}")
        assert harness(f"leaderboard --dataset svhn --out board.{suffix}") == ""
        assert harness(f"leaderboard --dataset svhn --out other.{suffix.upper()} --format {form}") == ""
        for name in (f"board.{suffix}", f"other.{suffix.upper()}"):
            written = (elsewhere / name).read_text(encoding="utf-8")
            assert [line.rstrip() for line in written.splitlines()] == [line.rstrip() for line in printed.splitlines()]
        assert len(list(elsewhere.iterdir())) == 2

    def test_a_name_without_a_known_suffix_needs_a_format(self, harness: Harness, elsewhere: Path) -> None:
        harness("leaderboard --dataset svhn --format latex --out board.inc")
        assert (elsewhere / "board.inc").read_text().startswith("% Compiles as it is")

    def test_a_link_stays_and_its_file_is_replaced(self, harness: Harness, elsewhere: Path) -> None:
        (elsewhere / "real.csv").write_text("old")
        (elsewhere / "link.csv").symlink_to("real.csv")
        harness("leaderboard --dataset svhn --out link.csv")
        assert (elsewhere / "link.csv").is_symlink()
        assert (elsewhere / "real.csv").read_text().startswith("dataset,source,")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ("--out board.doc", "--out board.doc is refused: .doc names no format; give --format, or one of .md .tex"),
            ("--out board", "a name without a suffix names no format"),
            ("--out board.md --format csv", "--out board.md is refused: .md is markdown, and --format is csv"),
            ("--out missing/board.md", "cannot be written (No such file or directory); give a file in a folder that"),
            ("--out folder.md", "--out folder.md is refused: it is there, and is no ordinary file"),
            ("--out /dev/null --format csv", "--out /dev/null is refused: it is there, and is no ordinary file"),
            ("--out board.csv --dataset svnh --brief", "--brief is refused: it is for table, and the format is csv"),
            ("--top 0", "--top 0 is refused: it must be 1 or more"),
            ("--top x", "Invalid value for '--top'"),
            ("--source here", "Invalid value for '--source'"),
            ("--format xml", "Invalid value for '--format'"),
            ("--columns ,", "--columns ',' is refused: name at least one"),
            ("--columns autoatack", "unknown column 'autoatack'; did you mean 'autoattack'"),
            ("--layout paper", "--layout is refused: it is for latex, and the format is table"),
            ("--format json --bibtex", "--bibtex is refused: it is for table and markdown and latex and html"),
            ("--format json --legend", "--legend is refused: it is for table"),
            ("--brief --intervals", "--brief is refused beside --intervals and --legend"),
            ("--brief --columns pgd", "--brief is refused beside --columns"),
            ("--format latex --layout paper --by-seed", "--by-seed is refused beside --layout paper"),
        ],
    )
    def test_what_is_refused_leaves_one_line_and_no_file(
        self, ends: Ends, elsewhere: Path, options: str, said: str
    ) -> None:
        (elsewhere / "folder.md").mkdir()
        code, out, err = ends(f"leaderboard {options}")
        assert (code, out) == (2, "")
        assert said in err
        assert err.count("\n") == 1
        assert [path.name for path in elsewhere.rglob("*")] == ["folder.md"]


class TestNothingMatches:
    SAID = "harness: no row matches --dataset svnh; did you mean --dataset svhn? there are rows for"

    @pytest.mark.parametrize("form", ["table", "markdown", "latex", "html", "bibtex"])
    def test_people_get_one_line_and_exit_code_2(self, ends: Ends, elsewhere: Path, form: str) -> None:
        code, out, err = ends(f"leaderboard --dataset svnh --format {form} --out board.x")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(self.SAID)
        assert list(elsewhere.iterdir()) == []

    def test_programs_get_an_empty_document_and_the_line_on_standard_error(self, ends: Ends) -> None:
        code, out, err = ends("leaderboard --dataset svnh --format json")
        assert (code, json.loads(out)) == (0, {"rows": []})
        assert err.startswith(self.SAID)
        code, out, err = ends("leaderboard --dataset svnh --format csv")
        assert (code, list(csv.DictReader(io.StringIO(out)))) == (0, [])
        assert out.startswith("dataset,source,protocol")
        assert err.startswith(self.SAID)

    def test_nothing_was_measured_yet(self, ends: Ends, elsewhere: Path) -> None:
        code, out, err = ends("leaderboard --source measured")
        assert (code, out) == (2, "")
        assert err == (
            "harness: no row matches --source measured: nothing is measured yet; harness run trains and attacks a first"
            " network\n"
        )
        assert list(elsewhere.iterdir()) == []


class TestSelection:
    def test_options_together(self, harness: Harness, board: str) -> None:
        shown = "--method trades --method lrat-trades --columns worst-case,cw --top 1"
        text = harness(f"leaderboard {board} --dataset digits --source measured {shown}")
        assert "1 of 7 rows are shown, ranked among all 7" in text
        (line,) = [line for line in text.splitlines() if " lrat-trades " in line and "Best" not in line]
        assert line.split() == ["2", "lrat-trades", "61.94", "69.17", "±", "0.45"]

    def test_one_line_a_training_seed(self, harness: Harness, board: str) -> None:
        digits = f"leaderboard {board} --dataset digits --source measured"
        document = json.loads(harness(f"{digits} --by-seed --method sat --format json"))
        assert [(row["train_seed"], row["rank"]) for row in document["rows"]] == [(seed, 1) for seed in range(5)]
        whole = json.loads(harness(f"{digits} --method sat --format json"))["rows"][0]
        medians = sorted(row["metrics"]["autoattack"]["median"] for row in document["rows"])
        assert medians[2] == whole["metrics"]["autoattack"]["median"]


class TestBibtex:
    def test_alone(self, harness: Harness, board: str) -> None:
        text = harness(f"leaderboard {board} --dataset digits --format bibtex")
        assert entries(text) == KEYS
        assert text.splitlines()[-1] == "% standard: it names no publication"

    def test_reported_figures_bring_their_publication(self, harness: Harness) -> None:
        named = ["andriushchenko2020understanding", "dejorge2022make", "pan2026fastat"]  # two of its methods ship
        assert sorted(entries(harness("leaderboard --format bibtex --protocol 'Pan and Yao 2026'"))) == named
        assert "gao2021local" in entries(harness("leaderboard --format bibtex --dataset svhn"))

    def test_only_of_what_is_shown(self, harness: Harness, board: str) -> None:
        assert entries(harness(f"leaderboard {board} --source measured --method sat --format bibtex")) == [KEYS[1]]

    @pytest.mark.parametrize("form", ["table", "markdown", "latex", "html"])
    def test_added_to_a_format(self, harness: Harness, form: str) -> None:
        text = harness(f"leaderboard --dataset svhn --format {form} --bibtex")
        assert text.count("@inproceedings{madry2018towards,") == 1
        if form == "latex":
            assert "\n% @inproceedings{madry2018towards,\n" in text

    def test_a_users_method(self, elsewhere: Path) -> None:
        file = elsewhere / "mine.py"
        source = (ROOT / "methods" / "sat.py").read_text(encoding="utf-8")
        file.write_text(source.replace("madry2018towards", "me2026"), encoding="utf-8")
        chosen = boards(Held([run(1, evaluation("pgd", 5), method="mine")]))
        assert render_bibtex(chosen) == "% mine: its file is not here; give it with --plugin"
        assert entries(render_bibtex(chosen, [file])) == ["me2026"]
        file.write_text(source.replace("  year      = {2018},\n", ""), encoding="utf-8")
        said = "entry 'madry2018towards' of type inproceedings needs year"
        assert render_bibtex(chosen, [file]) == f"% mine: bibtex is refused: {said}; see harness check"


class TestTerminal:
    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_a_pipe_has_as_many_columns_as_is_asked(
        self, harness: Harness, board: str, monkeypatch: pytest.MonkeyPatch, width: int
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        lines = harness(f"leaderboard {board} --dataset digits").splitlines()
        assert width - 30 < max(map(len, lines)) <= width

    @pytest.mark.parametrize("columns", ["", "0", "-5", "many"])
    def test_nonsense_in_the_variable_does_not_count(
        self, harness: Harness, board: str, monkeypatch: pytest.MonkeyPatch, columns: str
    ) -> None:
        monkeypatch.setenv("COLUMNS", columns)
        assert max(map(len, harness(f"leaderboard {board} --dataset digits").splitlines())) > 100

    def test_brief(self, harness: Harness, board: str) -> None:
        lines = [line.split() for line in harness(f"leaderboard {board} --dataset digits --brief").splitlines()]
        assert lines[2] == ["rank", "method", "autoattack", "flags"]
        assert lines[4] == ["1", "sat", "65.56", "±", "0.23", "none"]
        assert len(lines) == 11

    def test_the_legend_and_intervals_are_behind_options(self, harness: Harness, board: str) -> None:
        short = harness(f"leaderboard {board} --dataset digits")
        assert "see harness leaderboard --legend" in short
        assert "Wilson" not in short
        assert "t-interval" in harness(f"leaderboard {board} --dataset digits --legend")
        assert "sat over 5 training seeds: natural 98.17 ± 0.25 [97.9, 98.5]" in harness(
            f"leaderboard {board} --dataset digits --intervals"
        )


def test_a_table_shows_a_hundred_rows_and_data_has_all(
    harness: Harness, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [run(n, evaluation("pgd", n), method_settings={"k": n}) for n in range(1, 121)]
    held = Held(runs)
    monkeypatch.setattr(held, "close", lambda: None, raising=False)
    monkeypatch.setattr("harness.store.store.Store.read", lambda location: held)
    table = harness("leaderboard --format table")
    assert "100 of 120 rows are shown" in table
    assert len(re.findall(r"^ +- +sat ", table, re.MULTILINE)) == 100
    assert "of 120 rows" not in harness("leaderboard --format table --top 120")
    assert len(list(csv.DictReader(io.StringIO(harness("leaderboard --format csv"))))) == 120
