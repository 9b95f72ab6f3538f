"""Copies between a file and a server, both ways: every row, every number, nothing half done."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from harness.errors import StoreError
from harness.store import copied_rows, database
from harness.store.checking import check_database
from harness.store.copied_rows import content_of, numbers_given
from harness.store.copying import copy_database
from harness.store.json_numbers import server_text, server_value
from harness.store.merging import merge_database
from harness.store.same_place import is_same
from harness.store.store import Store
from tests import stores
from tests.harness.store.entries import epoch, make_spec, rows, start
from tests.harness.store.holders import HERE, taken
from tests.postgres import Server


@pytest.fixture
def empty(postgres: Server) -> Iterator[str]:
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


def numbers(location: str) -> dict[str, int]:
    engine = database.open_for_reading(database.locate(location))
    try:
        with engine.connect() as connection:
            return numbers_given(connection)
    finally:
        engine.dispose()


def removed_a_run(file: Path) -> None:
    """Give numbers to rows, and remove these rows."""
    store = Store.write(str(file))
    run = start(store, make_spec(train_seed=8))
    checkpoint = stores.add_checkpoint(store, run)
    stores.add_evaluation(store, checkpoint, "pgd", {"steps": 1}, [1, 0])
    store.remove([run])
    lease = taken(store, "given back")
    store.give_back([lease], HERE, "lost", None)
    store.close()


def test_there_and_back_is_the_same_and_removed_numbers_stay_removed(full: Path, empty: str, tmp_path: Path) -> None:
    removed_a_run(full)
    before, given_before = rows(str(full)), numbers(str(full))
    assert given_before["runs"] == 2 > len(before["runs"])
    assert given_before["leases"] == 2 > len(before["leases"])
    assert copy_database(str(full), empty) == database.REVISION
    assert (rows(empty), numbers(empty)) == (before, given_before)
    assert check_database(empty) == check_database(str(full)).__class__(
        **vars(check_database(str(full))) | {"name": database.shown(database.locate(empty))}
    )
    back = tmp_path / "back.db"
    copy_database(empty, back)
    assert (rows(str(back)), numbers(str(back))) == (before, given_before)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    for place in (empty, str(back)):
        store = Store.write(place)
        assert start(store, make_spec(train_seed=9)).id == 3
        assert taken(store, "another").number == 3
        store.add_epoch(1, epoch(2))
        store.close()


def test_a_copy_that_fails_leaves_the_database_empty(
    full: Path, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(connection: Connection) -> dict[str, tuple[int, int]]:
        kept = content_of(connection)
        return kept | {"runs": (0, 0)} if connection.dialect.name == "postgresql" else kept

    with monkeypatch.context() as patch:
        patch.setattr(copied_rows, "content_of", changed)
        with pytest.raises(AssertionError, match=r"the copy differs in \['runs'\]"):
            copy_database(str(full), empty)
        assert not database.is_there(database.locate(empty))
        patch.setattr(copied_rows, "content_of", lambda connection: {"runs": (0, id(connection))})
        with pytest.raises(AssertionError, match="the copy differs"):
            copy_database(str(full), empty)
    copy_database(str(full), empty)
    before = sorted(path.name for path in tmp_path.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(copied_rows, "content_of", lambda connection: {"runs": (0, id(connection))})
        with pytest.raises(AssertionError, match="the copy differs"):
            copy_database(empty, tmp_path / "copy.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_place_that_is_taken_is_refused(full: Path, server_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is refused: it has tables already; name an empty database, or use"):
        copy_database(str(full), server_url)
    (tmp_path / "there.db").touch()
    with pytest.raises(StoreError, match="is refused: it is there already"):
        copy_database(server_url, tmp_path / "there.db")
    with pytest.raises(StoreError, match="there is no folder"):
        copy_database(server_url, tmp_path / "nowhere" / "there.db")


def test_a_database_is_known_by_any_name_of_its_host(server_url: str, empty: str, postgres: Server) -> None:
    one, again = (database.locate(url) for url in (server_url, server_url.replace("127.0.0.1", "localhost")))
    assert is_same(one, again)
    assert not is_same(one, database.locate(empty))
    assert not is_same(one, database.locate("leaderboard.db"))
    postgres.execute(empty.rpartition("/")[2], "CREATE SCHEMA theirs")
    assert not is_same(database.locate(empty), database.locate(f"{empty}?options=-csearch_path%3Dtheirs"))
    with pytest.raises(StoreError, match="cannot be taken into itself"):
        merge_database(server_url, str(again.render_as_string(hide_password=False)), lambda _one, _other: True)


def test_an_empty_database_is_not_copied_and_not_checked(empty: str, tmp_path: Path) -> None:
    for use in (lambda: copy_database(empty, tmp_path / "new.db"), lambda: check_database(empty)):
        with pytest.raises(StoreError, match="has no tables; `harness run` makes them"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_a_text_that_a_server_cannot_hold_is_refused_in_one_line(full: Path, empty: str) -> None:
    with sqlite3.connect(full) as connection:
        connection.execute("UPDATE runs SET note = char(65, 0, 66)")
    with pytest.raises(StoreError, match="cannot hold a text with the character NUL"):
        copy_database(str(full), empty)
    assert not database.is_there(database.locate(empty))


def test_a_number_that_a_server_cannot_hold_is_refused_in_one_line(full: Path, empty: str) -> None:
    with sqlite3.connect(full) as connection:
        connection.execute("UPDATE runs SET parameters = 2147483648")
    with pytest.raises(StoreError, match="cannot hold a number"):
        copy_database(str(full), empty)


class TestNumbersInJson:
    documents = st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.sampled_from(["NaN", "1e999999", '"NaN']),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    )

    @given(documents)
    def test_a_document_comes_back_and_its_text_is_json(self, document: object) -> None:
        written = server_text(document)
        assert repr(server_value(written)) == repr(document)

        def refuse(word: str) -> None:
            raise AssertionError(f"{word} is no JSON")

        json.loads(written, parse_constant=refuse)

    def test_a_server_takes_what_a_file_takes(self, server_url: str) -> None:
        odd = {"a": math.nan, "b": [math.inf, -math.inf, 1e308], "NaN": 'NaN, -Infinity \\" NaN \u0000 \ud800'}
        store = Store.write(server_url)
        run = start(store)
        store.add_provenance(run.id, odd)
        found = store.run(run.id).provenance
        assert repr({name: found[name] for name in odd}) == repr(odd)
        with store._engine.connect() as connection:
            stored = connection.scalar(text("SELECT CAST(provenance AS TEXT) FROM runs"))
        assert '"b": [1e9999, -1e9999, 1e+308]' in stored
        store.close()
