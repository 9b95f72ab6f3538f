"""A hook of MkDocs: pages of the site from files outside ``docs/``, and links that work there and in the repository.

README is the home page. The changelog, CONTRIBUTING, the benchmarks' README, and the notebook are pages, too. No text
is written twice: a page is made from its file while the site is built. A link to a file that is no page of the site
leads to the file in the repository.
"""

from __future__ import annotations

import json
import posixpath
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
BRANCH = "main"
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
    "docs/notebook.ipynb": "notebook.md",
}
"""Files that are not Markdown in ``docs/``, by their path in the repository, and the pages that they become."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the extension that turns links."""
    config.markdown_extensions.append(_links)  # an instance: MkDocs takes these as well as names
    _links.repository = str(config.repo_url).rstrip("/")
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from files outside ``docs/``."""
    notebook = files.get_file_from_path("notebook.ipynb")
    if notebook is not None:
        files.remove(notebook)
    for name, page in OUTSIDE.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        content = notebook_text(text) if name.endswith(".ipynb") else text
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Remember which page is converted next, for its links; put its lists apart."""
    _links.page = page.file.src_uri
    return lists_apart(markdown)


def lists_apart(markdown: str) -> str:
    """The text with an empty line before each list: the repository's web page needs none, the site's Markdown does."""
    lines: list[str] = []
    fenced = False
    for line in markdown.splitlines():
        fenced ^= line.startswith("```")
        before = lines[-1] if lines else ""
        begins = line.startswith("- ") and not before.startswith(("- ", "  "))
        lines += ["", line] if begins and before and not fenced else [line]
    return "\n".join(lines)


def notebook_text(notebook: str) -> str:
    """A notebook that is kept without outputs, as Markdown."""
    cells = json.loads(notebook)["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    code = [cell["cell_type"] == "code" for cell in cells]
    return "\n\n".join(f"```python\n{t}\n```" if is_code else t for t, is_code in zip(texts, code, strict=True))


def link_on_site(link: str, page: str, repository: str) -> str:
    """A link of a file of the repository, as its page on the site needs it.

    Args:
        page: the page's path on the site, such as ``index.md``.
        repository: the address of the repository.
    Returns:
        A path of the site where the target is part of the site, else the target's address in the repository. A link
        that leads nowhere stays as it is, and MkDocs refuses it.
    """
    parts = urlsplit(link)
    if parts.scheme or parts.netloc or not parts.path or parts.path.startswith("/"):
        return link
    source = next((name for name, made in OUTSIDE.items() if made == page), f"docs/{page}")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), parts.path))
    if target in OUTSIDE:
        found = OUTSIDE[target]
    elif target.startswith("docs/"):
        found = target.removeprefix("docs/")
    elif not target.startswith("../") and (ROOT / target).exists():
        found = f"{repository}/{'tree' if (ROOT / target).is_dir() else 'blob'}/{BRANCH}/{target}"
    else:
        return link
    return found + (f"#{parts.fragment}" if parts.fragment else "")


class _Links(Extension):  # type: ignore[misc]  # Markdown ships no types
    """Turns the links and images of the page that is converted."""

    page = repository = ""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  # the name is Markdown's
        # before MkDocs's own processor, of priority 0, which checks the links; after that of inline text, of 20
        md.treeprocessors.register(_Turn(md), "links-of-the-repository", 10)


class _Turn(Treeprocessor):  # type: ignore[misc]
    def run(self, root: Element) -> Any:
        for element in root.iter():
            for key in ("href", "src"):
                if key in element.attrib and element.tag in ("a", "img"):
                    element.set(key, link_on_site(element.attrib[key], _links.page, _links.repository))


_links = _Links()
