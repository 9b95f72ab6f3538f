"""The files of a site: libraries as published, nothing from elsewhere, and everything in its place."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import re
from functools import cache
from typing import Any

from harness.site.packed import compact, joined_texts, packed_script
from harness.site.pages import PAGES, Files, static_files
from tests.first_board import FIRST_BOARD
from tests.harness.site.made import Parsed, site_of

VENDOR = "static/vendor/"


@cache
def published() -> Files:
    return site_of(FIRST_BOARD)


def test_every_library_is_the_one_that_its_authors_published_with_its_licence() -> None:
    files = static_files()
    versions = json.loads(files[f"{VENDOR}versions.json"])
    there = {name.removeprefix(VENDOR) for name in files if name.startswith(VENDOR)} - {"versions.json"}
    listed = {f"{name}/{file}": sha for name, known in versions.items() for file, sha in known["sha256"].items()}
    assert {name: hashlib.sha256(files[VENDOR + name]).hexdigest() for name in there} == listed
    for name, known in versions.items():
        assert b"MIT" in files[f"{VENDOR}{name}/LICENSE"]
        assert known["version"].encode() in files[f"{VENDOR}{name}/uPlot.iife.min.js"]


def test_what_a_page_names_is_in_the_site() -> None:
    for page in PAGES:
        for element in Parsed(published()[page]).elements:
            for key in ("src", "href"):
                address = element.attributes.get(key, "#").partition("#")[0]
                assert address in ("", "data:,", *published()), (page, address)


def test_no_page_has_a_script_or_a_style_of_its_own() -> None:
    for page in PAGES:
        for element in Parsed(published()[page]).elements:
            assert not {key for key in element.attributes if key.startswith("on") or key == "style"}
            assert element.name != "style"
            assert element.name != "script" or (element.attributes.keys() == {"src"} and not element.text)


def test_every_page_forbids_what_it_does_not_need() -> None:
    for page in PAGES:
        (policy,) = [e for e in Parsed(published()[page]).named("meta") if "http-equiv" in e.attributes]
        rules = dict(rule.strip().split(" ", 1) for rule in policy.attributes["content"].split(";"))
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == "'self' file:"
        assert rules["connect-src"] == "'none'"
        assert "unsafe" not in policy.attributes["content"]


def test_our_scripts_write_text_and_never_markup() -> None:
    ours = {name: text for name, text in static_files().items() if name.endswith(".js") and VENDOR not in name}
    assert len(ours) >= 7
    for name, text in ours.items():
        forbidden = re.findall(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
        assert forbidden == [], name
        assert b"https://" not in text.replace(b"http://www.w3.org/2000/svg", b""), name


def test_a_packed_document_comes_back_and_cannot_end_its_script() -> None:
    document = {"name": "</script><!--\u2028", "values": [1.5, math.nan, math.inf, None]}
    script = packed_script("x", compact(document)).decode()
    packed = re.fullmatch(r'harness\.packed\["x"\]="([^"\\/\n]*)";\n', script)
    assert packed is not None
    unpacked = json.loads(gzip.decompress(base64.b85decode(packed[1])))
    assert unpacked == {"name": "</script><!--\u2028", "values": [1.5, None, None, None]}
    assert compact({"a": (1, 2)}) == '{"a":[1,2]}'


def test_the_same_database_makes_the_same_site() -> None:
    assert published() == site_of(FIRST_BOARD)


def test_texts_are_joined_as_the_whole_is_written() -> None:
    parts: dict[str, list[Any]] = {
        "runs": [{"a": [1, None], "b": 'é"</script>'}, {}],
        "models": [],
        'od"d': [[math.nan]],
    }
    texts = {name: [compact(member) for member in members] for name, members in parts.items()}
    assert joined_texts(texts) == compact(parts)
