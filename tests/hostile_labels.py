"""Labels that would act on a terminal, a browser, a spreadsheet, a shell, or a compiler; and a store full of them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from harness.events import CurvePoint, EpochRecord, Finding, Histogram
from harness.store.records import DatasetRecord
from harness.store.schema_base import Base
from harness.store.store import Store
from tests import stores
from tests.tiny import PROTOCOL_DOCUMENT

CONTROLS = [
    *("\x1b[31mred", "\x1b]8;;http://x\x07link", "\x9b2J", "bell\x07", "back\x08\x08", "a\rb", "a\nforged", "a\u2028b"),
    *("a\x00b", "a\x85b", "\u202egnp", "\u2066x\u2069", "zero\u200bwidth", "\ufeffmark", "tag\U000e0041"),
]
BLANKS = [  # characters without ink that Python calls printable: with them, two names look like one
    *("sat\u034f", "sat\u3164", "sat\uffa0", "sat\u115f", "sat\u17b4", "sat\u180b", "sat\ufe0f", "sat\ufe00"),
    *("sat\u2800", "sat\U000e0101", "1\ufe0f"),
]
LABELS = [
    *CONTROLS,
    *BLANKS,
    *("<script>alert(1)</script>", "</script><b>", "<img src=x onerror=alert(1)>", "<!--", "&lt;"),
    *("javascript:alert(1)", "=cmd|' /C calc'!A0", "+1+cmd", "-1+cmd", "@SUM(A1)", "\t=1", "\uff1d1+1", " =1+1"),
    *("a|b", "`x`", "[x](javascript:alert(1))", "![](http://x/y.png)", "# h", "- item", "**b**", "$x$", "http://x"),
    *("\\input{/etc/passwd}", "\\write18{id}", "%", "}{", "^^41", "[red]x[/red]", "[/x]", ":bomb:"),
    *("[link=http://x]y[/link]", '@preamble{"\\write18{id}"}', "$(id)", "`id`;id", "../../x", "..", "%s{0}{{7*7}}"),
    *("'; DROP TABLE runs; --", '\'"""\nforged', "x/" * 150, "--help"),
]
PLAIN = ["Größe", "猫と犬", "🙂", "été", "плюс", "a-b_c+d e.f", "100%", "naïve (2)", "❤\ufe0f", "1\ufe0f\u20e3"]
TWINS = [  # names that differ, and look alike after control characters are escapes, or by Unicode's form
    *(("caf\u00e9", "cafe\u0301"), ("\u212bngstr\u00f6m", "\u00c5ngstr\u00f6m"), ("\uac00", "\u1100\u1161")),
    *(("\x1b[31mred", "\\x1b[31mred"), ("a\nforged", "a\\nforged"), ("\u202egnp", "\\u202egnp")),
]
L = "LABEL"  # stands for each of them
APART = 100  # run 101 and model 101 have label 1, run 102 failed because of it, run 201 and model 201 have label 2, ...


def sampled(labels: list[str]) -> list[Any]:
    """Labels as parameters of a test that takes long for each: every sixth is fast, the others are marked slow."""
    marks = ([] if place % 6 == 0 else [pytest.mark.slow] for place in range(len(labels)))
    return [pytest.param(label, marks=own, id=ascii(label)) for label, own in zip(labels, marks, strict=True)]


def unseen(text: str) -> set[str]:
    """Characters that act or hide."""
    blank = "\u034f\u3164\uffa0\u115f\u17b4\u180b\ufe0f\ufe00\u2800\U000e0101"
    return {c for c in text if not c.isprintable() or c in blank} - {"\n"}


def hostile_store(file: Path) -> None:
    """A store in which each label is every text of a run, a failed run, and a model, of all that belongs to them."""
    store = Store.write(str(file))
    _one_of_each(store)
    store.close()
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        _as_another_program_writes(connection)
        for table in Base.metadata.sorted_tables:
            names, places = (", ".join(f'"{c.name}"' for c in table.columns), ", ".join("?" * len(table.columns)))
            rows = connection.execute(f"SELECT {names} FROM {table.name}").fetchall()
            copies = [_copied(table, row, number) for number in range(1, len(LABELS) + 1) for row in rows]
            connection.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({places})", copies)


def _one_of_each(store: Store) -> None:
    dataset = DatasetRecord(L, "f" * 64, 40, 40, 1, 8, 8, 10, (L,) * 10)
    training = {"epochs": 2, "epsilon": 0.1, "name": L}
    attacks: dict[str, Any] = {"natural": {}, L: {"epsilon": 0.1, L: L}}
    stores.see_protocol(store, attacks, training, name=L, document={**PROTOCOL_DOCUMENT, L: {L: L}})
    settings: dict[str, Any] = {"method_settings": {L: L}, "network_settings": {L: L}, "training": training}
    settings["wrappers"] = ({"name": L, "settings": {L: L}, "departures": {L: L}},)
    spec = stores.make_spec(dataset, method=L, network=L, code={"method": L, "network": L}, **settings)
    place = {"host": L, "device": L, "sources": {"method": {L: "0"}}, "normalisation": L, L: L}
    of_run: dict[str, Any] = {"method_departures": {L: L}, "network_departures": {L: L}, "provenance": place}
    run = stores.start(store, spec, dataset, **of_run)
    curve = (CurvePoint("test", L, {L: L}, 40, 30, 0.5),)
    store.add_epoch(run.id, EpochRecord(1, 2.5, 0.1, 100, 0.5, {L: 0.25}))
    store.add_epoch(run.id, EpochRecord(2, 1.5, 0.1, 100, 0.5, {L: 0.5}, (Histogram(L, 0.0, 2.0, (3, 0)),), curve))
    of_model: dict[str, Any] = {
        "network_settings": {L: L},
        "network_departures": {L: L},
        "provenance": place,
        "code": {L: "0" * 64},
    }
    model = store.see_model(L, dataset, sha256="d" * 64, network=L, parameters=1, **of_model)
    for owner in (stores.add_checkpoint(store, run), stores.add_checkpoint(store, run, L, 1), model.checkpoint):
        stores.add_evaluation(store, owner, "natural", {}, stores.right(35, 40), warnings=(L,))
        stores.add_evaluation(store, owner, "autoattack", {"epsilon": 0.1}, stores.right(15, 40))
        stores.add_evaluation(store, owner, L, attacks[L], stores.right(20, 40))
        examined = {"kind": L, "epsilon": 0.1, "norm": L, "examples": 40, "threat": {}, "block_size": 40}
        found = Finding(L, "flagged", "A", 0.5, 0.25, L, {L: L})
        store.add_examination(owner.id, examined, [found], 1.0, place)
    store.end_run(run.id)
    failed = stores.start(store, stores.make_spec(dataset, method=L, network=L, train_seed=1), dataset, **of_run)
    store.end_run(failed.id, L)


def _as_another_program_writes(connection: sqlite3.Connection) -> None:
    """Texts that harness itself would refuse, or take from the machine."""
    for table in ("runs", "models"):
        connection.execute(f"UPDATE {table} SET note = ?, tags = ?", (L, json.dumps([L, "plain"])))
    connection.execute("UPDATE runs SET folder = ? || id", (L,))
    for run, state in ((1, "lost"), (1, "done"), (2, "failed")):
        connection.execute(
            "INSERT INTO run_states (run_id, state, at_utc, host, process, user_name, reason)"
            " VALUES (?, ?, '2026-01-02 03:04:05', ?, ?, ?, ?)",
            (run, state, L, L, L, L),
        )
    connection.execute("DELETE FROM reported")
    connection.execute(
        "INSERT INTO reported (paper, paper_table, dataset, network, method, checkpoint, metric, median_percent, note)"
        " VALUES (?, ?, ?, ?, ?, ?, 'natural', 50.0, ?)",
        (L,) * 7,
    )


def _copied(table: Table, row: tuple[Any, ...], number: int) -> list[Any]:
    """A row for a label: its numbers and its hashes are others, so that the copies belong together."""
    copied: list[Any] = []
    for column, value in zip(table.columns, row, strict=True):
        if isinstance(value, str):
            label = LABELS[number - 1]
            label = json.dumps(label)[1:-1] if value.startswith(("{", "[")) else label
            value = re.sub("[0-9a-f]{64}", lambda found: _hashed(found[0], number), value).replace(L, label)
        elif column.name == "id" or (column.name.endswith("_id") and value is not None):
            value += number * APART
        copied.append(value)
    return copied


def _hashed(text: str, number: int) -> str:
    return hashlib.sha256(f"{number} {text}".encode()).hexdigest()
