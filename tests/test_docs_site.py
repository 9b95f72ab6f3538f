"""The documentation site: it builds, has every page, its links lead somewhere, and it fetches nothing elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from scripts.docs_site import OUTSIDE, link_on_site, lists_apart, notebook_text

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SETTINGS = ROOT / "mkdocs.yml"
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
PAGES = [*(name for name in OUTSIDE if name.endswith(".md")), *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data"}


def settings() -> dict[str, Any]:
    """The settings of MkDocs; its tags that make Python objects are read as nothing."""

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # it ships no types
        pass

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
    read: dict[str, Any] = yaml.load(SETTINGS.read_text(encoding="utf-8"), Loader)
    return read


def pages_of(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from pages_of(part)


class Read(HTMLParser):
    """The links, the anchors, and the addresses of what a page fetches by itself."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.fetched: list[str] = []
        self.components: set[str | None] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.components.add(given.get("data-md-component"))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in FETCHED and FETCHED[tag] in given:
            self.fetched.append(given[FETCHED[tag]])
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.fetched.append(given["href"])


def built(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command of ``make docs``, into a folder."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder), *options]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Read]:
    """Page -> what is in it, of the site that is built."""
    folder = tmp_path_factory.mktemp("site")
    ended = built(folder)
    assert ended.returncode == 0, ended.stderr
    assert "WARNING" not in ended.stderr
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    return {name: Read(file) if file.suffix == ".html" else Read(ROOT / "LICENSE") for name, file in files.items()}


def test_a_page_outside_the_navigation_and_a_link_that_leads_nowhere_fail_the_build(tmp_path: Path) -> None:
    pages = tmp_path / "docs"
    pages.mkdir()
    (pages / "one.md").write_text("# One\n\n[a](two.md#no-such-head) [b](../no-such-file.py)\n")
    (pages / "two.md").write_text("# Two\n")
    (pages / "three.md").write_text("# Three\n")
    kept = SETTINGS.read_text(encoding="utf-8").split("\nnav:")[0]
    for name in ("scripts/docs_theme", "scripts/docs_site.py"):
        kept = kept.replace(name, str(ROOT / name))
    (tmp_path / "mkdocs.yml").write_text(kept + "\nnav: [index.md, one.md, two.md]\n")
    ended = built(tmp_path / "site", "--config-file", str(tmp_path / "mkdocs.yml"))
    assert ended.returncode != 0
    for said in ("- three.md", "does not contain an anchor '#no-such-head'", "'../no-such-file.py'"):
        assert said in ended.stderr


def html(site: dict[str, Read]) -> dict[str, Read]:
    # the page of errors is served at any address: its links begin with the site's own
    return {name: page for name, page in site.items() if name.endswith(".html") and name != "404.html"}


def test_every_page_is_in_the_navigation() -> None:
    named = list(pages_of(settings()["nav"]))
    assert len(named) == len(set(named))
    assert set(named) == {file.name for file in (ROOT / "docs").glob("*.md")} | set(OUTSIDE.values())


def test_every_page_is_on_the_site(site: dict[str, Read]) -> None:
    assert {page.replace(".md", ".html") for page in pages_of(settings()["nav"])} <= html(site).keys()


def test_every_link_of_every_page_leads_somewhere(site: dict[str, Read]) -> None:
    checked, lost = 0, []
    for name, page in html(site).items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if parts.scheme not in ("https", "mailto") or not re.fullmatch(r"[\w.-]+\.\w+", parts.netloc):
                    lost.append(f"{name}: {link}")
                continue
            path = parts.path or name
            if not (path in site and (not parts.fragment or unquote(parts.fragment) in {*site[path].anchors, "__top"})):
                lost.append(f"{name}: {link}")
            checked += 1
    assert lost == []
    assert checked > 500


def test_links_into_the_repository_name_files_that_are_there(site: dict[str, Read]) -> None:
    address = re.escape(settings()["repo_url"])
    found = {link for page in html(site).values() for link in page.links if re.match(rf"{address}/(blob|tree)/", link)}
    assert found
    for link in found:
        kind, path = re.sub(f"^{address}/", "", link).split("/main/")
        assert (ROOT / path).is_dir() if kind == "tree" else (ROOT / path).is_file(), link


def test_a_page_fetches_nothing_from_elsewhere(site: dict[str, Read]) -> None:
    for name, page in html(site).items():
        assert page.fetched
        assert [address for address in page.fetched if urlsplit(address).netloc] == [], name
        assert all(address in site for address in page.fetched), name
        assert "source" not in page.components, "the theme's part that asks the repository's host for its stars"


def github_anchors(text: str) -> set[str]:
    """The anchors that the repository's web page gives to headings: lower case, hyphens, no punctuation."""
    heads = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", PAGES)
def test_links_work_on_the_repositorys_web_page_too(name: str) -> None:
    file = ROOT / name
    text = FENCED.sub("", file.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^) ]+)\)", re.sub(r"`[^`]*`", "", text)):
        path, _, anchor = link.partition("#")
        if "://" not in link:
            target = file.parent / path if path else file
            assert target.exists(), link
            assert not anchor or anchor in github_anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize(
    ("link", "page", "there"),
    [
        ("docs/rigour.md#checks", "index.md", "rigour.md#checks"),
        ("CHANGELOG.md", "index.md", "changelog.md"),
        ("docs/notebook.ipynb", "index.md", "notebook.md"),
        ("../README.md", "api.md", "index.md"),
        ("../benchmarks/README.md", "rigour.md", "benchmarks.md"),
        ("../docs/performance.md", "benchmarks.md", "performance.md"),
        ("../methods/mart.py", "methods.md", "https://x.org/r/blob/main/methods/mart.py"),
        ("../methods", "methods.md", "https://x.org/r/tree/main/methods"),
        (
            "results/agreement-cpu.json",
            "benchmarks.md",
            "https://x.org/r/blob/main/benchmarks/results/agreement-cpu.json",
        ),
        ("figures/growth.svg", "performance.md", "figures/growth.svg"),
        ("#start", "index.md", "#start"),
        ("https://semver.org", "changelog.md", "https://semver.org"),
        ("../no-such-file.py", "methods.md", "../no-such-file.py"),
        ("../../outside.md", "methods.md", "../../outside.md"),
    ],
)
def test_a_link_leads_to_the_page_or_to_the_repository(link: str, page: str, there: str) -> None:
    assert link_on_site(link, page, "https://x.org/r") == there


def test_a_list_after_a_line_is_put_apart_and_code_is_left_alone() -> None:
    assert lists_apart("Speed\n- a\n  b\n- c") == "Speed\n\n- a\n  b\n- c"
    assert lists_apart("a\n\n- b") == "a\n\n- b"
    assert lists_apart("```\na\n- b\n```") == "```\na\n- b\n```"


def test_a_notebook_becomes_text_and_code() -> None:
    cells = (
        '{"cells": [{"cell_type": "markdown", "source": ["# A", "\\nb"]}, {"cell_type": "code", "source": ["x = 1"]}]}'
    )
    assert notebook_text(cells) == "# A\nb\n\n```python\nx = 1\n```"


def test_the_projects_addresses_agree() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    site = settings()
    repository = site["repo_url"]
    assert urls == {
        "Homepage": repository,
        "Documentation": site["site_url"],
        "Source": repository,
        "Issues": f"{repository}/issues",
        "Changelog": f"{repository}/blob/main/CHANGELOG.md",
    }
    assert (citation["repository-code"], citation["url"]) == (repository, site["site_url"])
