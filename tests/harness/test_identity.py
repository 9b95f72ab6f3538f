"""Canonical JSON: one text for one meaning, and its digest."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.identity import canonical_json, digest

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DOCUMENTS = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


def test_canonical_json_by_hand() -> None:
    document = {"b": [1, 1.0, 0.1, 1e-7], "a": {"z": None, "y": True}, "é": "ü\n"}
    assert canonical_json(document) == ('{"a":{"y":true,"z":null},"b":[1,1.0,0.1,1e-07],"\\u00e9":"\\u00fc\\n"}')


def test_digest_is_the_published_sha_256() -> None:
    # of the two bytes {} and of the five bytes "abc", quotes included
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert digest("abc") == hashlib.sha256(b'"abc"').hexdigest()


def shuffled(document: Any, order: random.Random) -> Any:
    """The same document with the keys of every mapping in another order, and tuples for lists."""
    if isinstance(document, dict):
        keys = list(document)
        order.shuffle(keys)
        return {key: shuffled(document[key], order) for key in keys}
    return tuple(shuffled(item, order) for item in document) if isinstance(document, list) else document


@given(document=DOCUMENTS, seed=st.integers(0, 99))
def test_the_order_of_keys_plays_no_part(document: Any, seed: int) -> None:
    assert canonical_json(shuffled(document, random.Random(seed))) == canonical_json(document)


@given(document=DOCUMENTS)
def test_canonical_json_loses_nothing(document: Any) -> None:
    text = canonical_json(document)
    assert json.loads(text) == document
    assert canonical_json(json.loads(text)) == text
