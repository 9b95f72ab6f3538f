"""A model card, read: its head as YAML, its body by a parser of Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from harness.hub.card import model_card
from harness.hub.facts import card_facts
from harness.store.store import Store

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


class Card:
    """A card's text, its head, and the tokens of its body."""

    def __init__(self, text: str) -> None:
        self.text = text
        before, head, self.body = text.split("---\n", 2)
        assert before == ""
        self.head: dict[str, Any] = yaml.safe_load(head)
        self.tokens = [inner for token in PARSER.parse(self.body) for inner in (token, *(token.children or ()))]

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The figures in the head."""
        ((result,),) = [index["results"] for index in self.head["model-index"]]
        metrics: list[dict[str, Any]] = result["metrics"]
        return metrics

    def headings(self) -> list[str]:
        return [after.content for token, after in self._pairs() if token.type == "heading_open"]

    def rows(self) -> list[list[str]]:
        """The cells of every row of every table, as Markdown."""
        rows: list[list[str]] = []
        for token, after in self._pairs():
            if token.type == "tr_open":
                rows.append([])
            if token.type in ("td_open", "th_open"):
                rows[-1].append(after.content)
        return rows

    def _pairs(self) -> list[tuple[Token, Token]]:
        return list(zip(self.tokens, self.tokens[1:], strict=False))


def card_of(folder: Path, checkpoint: str = "last", **options: Any) -> Card:
    """The card of run 1 of the database in a folder."""
    return Card(text_of(folder / "leaderboard.db", 1, checkpoint, **options))


def text_of(database: Path, run: int, checkpoint: str = "last", **options: Any) -> str:
    store = Store.read(str(database))
    try:
        return model_card(card_facts(store, run, checkpoint, **options))
    finally:
        store.close()
