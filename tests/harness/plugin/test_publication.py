"""BibTeX: what is refused, and that the entries that ship are true to their docstrings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from harness.errors import SettingError
from harness.methods.lrat import LRAT
from harness.methods.lrat_trades import LRATTRADES
from harness.methods.sat import SAT
from harness.methods.trades import TRADES
from harness.plugin.publication import formula_of, parse_bibtex, publications_of, unique
from harness.reference import BIBTEX
from harness.registry.catalogue import discover
from tests.harness.conformance.complaints import complaints

ENTRY = "@misc{a1, author = {A}, title = {T}, year = 2020}"


class TestParsing:
    def test_an_entry_by_hand(self) -> None:
        text = (
            '\n@InProceedings{key:1,\n  Author = "A and {\\"O}",\n'
            " title={{BIG} and {S}mall},booktitle={B},year=2020,\n}\n"
        )
        (entry,) = parse_bibtex(text)
        assert (entry.kind, entry.key, entry.title) == ("inproceedings", "key:1", "BIG and Small")
        assert entry.fields == {
            "author": 'A and {\\"O}',
            "title": "{BIG} and {S}mall",
            "booktitle": "B",
            "year": "2020",
        }
        assert entry.bibtex == text.strip()

    def test_several_entries(self) -> None:
        found = parse_bibtex(f"{ENTRY}\n\n{ENTRY.replace('a1', 'b')}\n")
        assert [entry.key for entry in found] == ["a1", "b"]
        assert "".join(entry.bibtex for entry in found) == ENTRY + ENTRY.replace("a1", "b")
        assert parse_bibtex(" \n") == ()

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("see arXiv", "begins with @type{key"),
            (f"{ENTRY} and more", "begins with @type{key"),
            ("@misc{a b, title={T}}", "begins with @type{key"),
            ("@misc{a, author={A}, title={T}, year={2020}", "not closed after 3 fields"),
            ("@misc{a, author={A}, title={T, year={2020}}", "not closed after 2 fields"),
            ("@misc{a, author={A}, title={T, year={2020}", "a value that is not closed"),
            ("@misc{a, author={A}, title={T}}, year={2020}}", "needs year"),
            ("@misc{a, author={A}, title=, year={2020}}", "a field without a value"),
            ("@misc{a, author={A}, title={}, year={2020}}", "needs title"),
            ("@article{a, author={A}, title={T}, year={2020}}", "needs journal"),
            ("@inproceedings{a, author={A}, title={T}, year={2020}}", "needs booktitle"),
            ("@misc{a, author={A}, title={T}, title={U}, year={2020}}", "two fields 'title'"),
            (ENTRY * 2, "two entries have the key 'a1'"),
            ('@misc{a, author={A}, title="}", year={2020}}', "a value that is not closed"),
        ],
    )
    def test_what_would_not_load_is_refused(self, text: str, reason: str) -> None:
        with pytest.raises(SettingError, match="bibtex is refused") as refused:
            parse_bibtex(text)
        assert reason in str(refused.value)
        assert "\n" not in str(refused.value)


class TestWhatShips:
    @pytest.mark.parametrize("kind", ["methods", "attacks", "networks", "wrappers", "datasets"])
    def test_every_entry_parses_and_no_key_has_two_meanings(self, kind: str) -> None:
        found = [p for each in discover(kind).found.values() for p in publications_of(each.cls)]
        reported = [p for text in BIBTEX.values() for p in parse_bibtex(text)]
        assert len(reported) == 2
        assert unique(iter([*found, *reported]))[1] == []

    def test_every_method_has_a_formula_and_its_docstrings_source(self) -> None:
        for name, found in discover("methods").found.items():
            assert formula_of(found.cls), name
            cited = publications_of(found.cls)
            assert bool(cited) == (name != "standard")  # the baseline has no source
            for entry in cited[:1]:  # "(Zhang et al., ICLR 2021", or "(Rade & Moosavi-Dezfooli, ICLR 2022"
                first, *others = (author.split()[-1] for author in entry.fields["author"].split(" and "))
                named = f"{first} & {others[0]}" if len(others) == 1 else f"{first} et al."
                assert named in str(found.cls.__doc__), name
                assert entry.fields["year"] in str(found.cls.__doc__), name

    def test_a_combination_names_both_sources(self) -> None:
        assert [p.key for p in publications_of(LRATTRADES)] == ["gao2021local", "zhang2019theoretically"]
        assert publications_of(LRATTRADES) == publications_of(LRAT) + publications_of(TRADES)


class TestOfAUser:
    def test_publications_are_inherited_and_the_formula_is_not(self) -> None:
        class Other(SAT):
            """Another loss."""

        assert formula_of(SAT)
        assert formula_of(Other) == ""
        assert publications_of(Other) == publications_of(SAT)

    def test_a_hyper_parameter_of_that_name_is_no_formula(self) -> None:
        @dataclass(frozen=True, kw_only=True)
        class Own(SAT):
            """A method with an unlucky name."""

            formula: str = "tanh"  # type: ignore[misc]

        assert formula_of(Own) == ""

    @pytest.mark.parametrize(
        ("name", "value", "reason"),
        [
            ("bibtex", "see arXiv", "bibtex is refused: an entry begins with @type{key"),
            ("bibtex", None, "bibtex is refused: it must be a text, not NoneType"),
            ("formula", "a\nb", "formula is refused: write one line of plain text"),
            ("formula", 5, "formula is refused: it must be a text, not int"),
        ],
    )
    def test_the_checks_say_what_is_wrong(self, name: str, value: object, reason: str) -> None:
        cls: Any = dataclass(frozen=True, kw_only=True)(type("Mine", (SAT,), {name: value, "__doc__": "Mine."}))
        made = cls()
        (problem,) = complaints("method", made).values()
        assert problem is not None
        assert problem.startswith(reason)

    def test_one_key_with_two_meanings_is_told(self) -> None:
        one, other = parse_bibtex(ENTRY + ENTRY.replace("a1", "B")), parse_bibtex(ENTRY.replace("{T}", "{U}"))
        found, contested = unique(iter([*one, *other, *one]))
        assert [p.key for p in found] == ["a1", "B"]
        assert found[0].title == "T"
        assert contested == ["a1"]
