"""No password, token, or key of an address is told, however wrongly the address is written."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.locations import is_broken_address, shown_location, told_by, without_secrets_in
from harness.store import database
from harness.store.store import Store

SECRET = "hunter2"
# what stands around a password, or what it is; {} is the password
SHAPES = [
    "{s}://me:{p}@host/board",
    "{s}://me:{p}@host:5432/board",
    "{s}://me:{p}@host:port/board",
    "{s}://me:{p}@host:99999999/board",
    "{s}://me:{p}@[::1]:5432/board",
    "{s}://me:{p}@[::1/board",
    "{s}://me:{p}@/board",
    "{s}://me:{p}@",
    "{s}://me:{p}",
    "{s}://me:{p}/board",
    "{s}://:{p}@host",
    "{s}://{p}@host/board",
    "{s}://{p}:@host/board",
    "{s}:/me:{p}@host/board",
    "{s}:me:{p}@host/board",
    "{s}//me:{p}@host/board",
    "{s}:///me:{p}@host/board",
    "{s}:////me:{p}@host/board",
    " {s}://me:{p}@host/board",
    "{s}://me:{p}@host/board\n",
    "{s}\n://me:{p}@host/board",
    "me:{p}@host/board",
    "me:{p}@host:5432",
    "://me:{p}@host/board",
    "a b://me:{p}@host/board",
    "{s}://host/board?password={p}",
    "{s}://host/board?user=me&password={p}&sslmode=require",
    "{s}://host/board?sslpassword={p}",
    "{s}://host/board?passfile=/home/me/{p}",
    "{s}://host/board?password={p}@x",
    "{s}://host/board?{p}",
    "{s}://host/board#{p}",
    "{s}://host/board;password={p}",
    "{s}://host/board&password={p}",
    "{s}:///?odbc_connect=DRIVER%3D%7Bx%7D%3BPWD%3D{p}",
    "{s}://me:{p}@host/board?password={p}",
    "{s}://host password={p}",
]
PASSWORDS = [
    SECRET,
    f"a@{SECRET}",
    f"{SECRET}@b",
    f"a/{SECRET}",
    f"{SECRET}/b",
    f"a?{SECRET}",
    f"{SECRET}#b",
    f"a:{SECRET}",
]
PASSWORDS += [
    f"%40{SECRET}%2F",
    f"a {SECRET}",
    f"ü{SECRET}花",
    f"\uff20{SECRET}",
    f"a\n{SECRET}",
    f"'{SECRET}\"",
    f"({SECRET})",
]
SCHEMES = ["postgresql", "POSTGRES", "postgresql+nonsense", "mysql+pymysql", "nonsense", "sqlite+pysqlcipher"]


def corpus(schemes: Sequence[str], passwords: Sequence[str]) -> list[str]:
    """Addresses. Left out is what is written rightly and means something else: a host, or the path of a file."""
    return [
        shape.format(s=scheme, p=password)
        for scheme, password, shape in itertools.product(schemes, passwords, SHAPES)
        if not (scheme.startswith("sqlite") and ":///" in shape)
        if not (password.startswith("a@") and shape in ("{s}://me:{p}", "{s}://me:{p}/board"))
    ]


CORPUS = corpus(SCHEMES, PASSWORDS)


def test_there_are_enough() -> None:
    assert len(set(CORPUS)) > 76 * 20


def test_none_is_told_of_the_location_itself() -> None:
    assert [text for text in CORPUS if SECRET in shown_location(text)] == []


def test_none_is_told_twice_over_or_in_a_text() -> None:
    shown = [(text, shown_location(text)) for text in CORPUS]
    assert [text for text, once in shown if SECRET in without_secrets_in(f"it refuses '{once}'; give another")] == []
    spaced = [text for text in CORPUS if not any(c.isspace() for c in text) and "://" in text[1:]]
    spaced = [text for text in spaced if text[0].isalpha()]
    assert [text for text in spaced if SECRET in without_secrets_in(f"connection to {text} failed")] == []


@pytest.mark.parametrize("scheme", ["postgresql", "nonsense", "sqlite+pysqlcipher"])
def test_none_is_told_by_opening(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = []
    # a server's address may be looked for in the network, which takes time
    for text in corpus([scheme], PASSWORDS[:2])[:: 6 if scheme == "postgresql" else 1]:
        for opening in (Store.read, Store.write):
            try:
                opening(text).close()
            except HarnessError as error:
                told += [(text, str(error))] if SECRET in str(error) else []
    assert told == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["me:hunter2@host/board", "postgres:/me:hunter2@host/board", "mysql//me:hunter2@host"])
def test_what_was_surely_meant_as_an_address_becomes_no_folder(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(database.VARIABLE, text)
    for opening in (Store.read, Store.write):
        with pytest.raises(HarnessError, match="it seems to be the URL of a database") as caught:
            opening(None)
        assert SECRET not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("board.db", "board.db"),
        ("/data/a b/board#1.db", "/data/a b/board#1.db"),
        ("postgres/board.db", "postgres/board.db"),
        ("results:2026.db", "results:2026.db"),
        ("C:\\boards\\x.db", "C:\\boards\\x.db"),
        ("./me:x@y.db", "./me:x@y.db"),
        ("sqlite:////data/a@b:c.db", "sqlite:////data/a@b:c.db"),
        ("sqlite:///board.db?timeout=5", "sqlite:///board.db?timeout=***"),
        ("postgresql://me:hunter2@host:5432/board", "postgresql://***@host:5432/board"),
        ("postgresql://host:5432/board?sslmode=require", "postgresql://host:5432/board?sslmode=***"),
        ("postgresql://[::1]:5432/board", "postgresql://[::1]:5432/board"),
        ("https://me:x@tracking-host/a/b", "https://***@tracking-host/a/b"),
        ("postgresql://me:4711", "postgresql://***"),
    ],
)
def test_what_is_no_secret_is_told(text: str, shown: str) -> None:
    assert shown_location(text) == shown
    assert not is_broken_address(text)


def test_a_drivers_words_are_told_unless_they_hold_a_part_of_a_secret() -> None:
    location = "postgresql://admin:pass@word-x@db.host/board"
    assert (
        told_by("connection to db.host refused\nis it running?", location)
        == "connection to db.host refused is it running?"
    )
    for words in ("no host word-x@db.host", "no user admin", "password pass@word-x"):
        assert told_by(words, location) is None
    assert told_by("anything", "postgresql://u:p@host/x") is None


def test_tokens_in_variables_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdef")
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    text = "server refused hf_abcdef, 0123456789abcdef; true; see https://docs.host/a?page=2, please"
    assert without_secrets_in(text) == "server refused ***, ***; true; see https://docs.host/a?page=***, please"


PIECES = ["a", "b1", "1", "é", "_", ".", "+", "-", ":/", "://", "/", "@", "?", "=", " ", "\n", "'", "h://u:pw@x/y"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_an_address_begins_at_the_first_letter_of_a_word(text: str) -> None:
    """The same as a search from every letter, which is simpler, and too slow for long words."""

    def hidden(match: re.Match[str]) -> str:
        address = match[0].rstrip("'\"`.,;:)]}>")
        return shown_location(address) + match[0].removeprefix(address)

    assert without_secrets_in(text) == re.sub(r"[A-Za-z][\w+.-]*:/+[^\s]*", hidden, text)


def test_a_word_of_a_million_letters_takes_no_hour() -> None:
    word = "a" * 1_000_000
    assert without_secrets_in(f"{word} h://u:{SECRET}@x/y") == f"{word} h://***@x/y"
