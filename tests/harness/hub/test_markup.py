"""Texts of a store in Markdown: no text becomes markup, and each is shown as it is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it.token import Token

from harness.errors import visible
from harness.hub.markup import cells_table, code_span, fenced, settings_span
from tests.harness.hub.cards import PARSER

texts = st.text(alphabet="`|\\<>&*_[]()!#-\n ~$:/ aé世\u202e\u2028\x1b\x00", max_size=30)


def inline(markdown: str) -> list[list[Token]]:
    return [token.children or [] for token in PARSER.parse(markdown) if token.type == "inline"]


def shown(text: str) -> str:
    """What a reader sees of a text: the two characters that end a span or a cell are escaped."""
    return visible(text).replace("`", r"\x60").replace("|", r"\x7c")


@given(texts)
@example("``` | \\| <script>alert(1)</script>")
@example(r"a\|b")
@example("\\")
def test_in_a_line_it_is_one_piece_of_code(text: str) -> None:
    if not shown(text).strip():
        assert code_span(text) == "(empty)"
        return
    ((before, span, after),) = inline(f"x {code_span(text)} y")
    assert (before.content, span.type, after.content) == ("x ", "code_inline", " y")
    assert span.content.strip() == shown(text).strip()


@given(texts, texts)
def test_in_a_table_it_stays_in_its_cell(one: str, other: str) -> None:
    text = cells_table(["a", "b"], [[code_span(one), code_span(other)]])
    head, other_head, first, second = inline(text)
    assert [token.content for token in (*head, *other_head)] == ["a", "b"]
    for cell, said in ((first, one), (second, other)):
        assert [token.type for token in cell] in (["code_inline"], ["text"])
        assert cell[0].content.strip() == (shown(said).strip() or "(empty)")


@given(texts)
@example("````\n```\n`````")
def test_a_block_of_code_ends_where_it_should(text: str) -> None:
    before, block, *after = PARSER.parse(f"{fenced(text, 'bibtex')}\n\nend")
    del after
    assert (before.type, before.info, block.type) == ("fence", "bibtex", "paragraph_open")


@pytest.mark.parametrize(
    ("settings", "span"),
    [
        ({}, "none"),
        ({"epsilon": 8 / 255, "steps": 20, "step_size": 0.05}, "`epsilon=8/255 steps=20 step_size=0.05`"),
        ({"a|b`": "<b>"}, r"`a\x7cb\x60=<b>`"),
    ],
)
def test_settings(settings: dict[str, object], span: str) -> None:
    assert settings_span(settings) == span
