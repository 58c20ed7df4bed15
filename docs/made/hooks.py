"""What MkDocs does beside its own: pages made of the code, documents from outside this folder, links to the code.

- The command line, the REST API, the settings and the picture of the imports are made at each build (`PAGES`).
- The documents that stand at the repository's root or beside what they tell of are pages too (`DOCUMENTS`).
- A link to a file of the repository that is no page leads to that file on the web; a link to nothing fails the build.
- A page that would fetch anything from elsewhere when it is opened fails the build.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

import architecture
import commands
import configuration
import rest
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PAGES = {
    "reference/cli.md": commands.page,
    "reference/rest-api.md": rest.page,
    "reference/settings.md": configuration.page,
}
DOCUMENTS = {
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "SECURITY.md": "project/security.md",
    "benchmarks/peers/README.md": "project/rivals.md",
} | {f"plugins/{folder.parent.name}/README.md": f"plugins/{folder.parent.name}.md"
     for folder in sorted(ROOT.glob("plugins/*/README.md"))}  # fmt: skip
SECTIONS = {"How to": "how-to", "Reference": "reference", "Explanation": "explanation", "Project": "project"}
"""Parts of the contents, and the folders of their pages."""
_ORIGIN = {page: document for document, page in DOCUMENTS.items()}
_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(?=[)\s])")
_FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\bsrc=["']?(?:https?:)?//[^"'>\s]+"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|preconnect|icon|modulepreload))[^>]*\bhref=["']?(?:https?:)?//[^"'>\s]+""",
    re.IGNORECASE,
)


def on_config(config: Any) -> Any:
    """Give the plugins' own pages a place of their own in the contents, and new pages the last one among their like."""
    for title, folder in SECTIONS.items():
        section = next(one[title] for one in config.nav if title in one)
        named = {page if isinstance(page, str) else next(iter(page.values())) for page in section}
        found = sorted(f"{folder}/{path.name}" for path in (ROOT / "docs" / folder).glob("*.md"))
        section += [page for page in found if page not in named]
    plugins = [page for document, page in DOCUMENTS.items() if document.startswith("plugins/")]
    config.nav.insert(-1, {"Plugins": plugins})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made, and those that stand elsewhere."""
    for uri, page in PAGES.items():
        files.append(File.generated(config, uri, content=page()))
    for document, uri in DOCUMENTS.items():
        files.append(File.generated(config, uri, content=(ROOT / document).read_text(encoding="utf-8")))
    files.append(File.generated(config, "images/architecture.svg", content=architecture.picture()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Lead links where they lead from here, and leave out the words that are for the tests."""
    uri = page.file.src_uri
    origin = _ORIGIN.get(uri, f"docs/{uri}")

    def lead(found: re.Match[str]) -> str:
        target = found[2]
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
        if path in DOCUMENTS:
            path = f"docs/{DOCUMENTS[path]}"
        elif not path.startswith("docs/") and (ROOT / path).exists():
            return f"{found[1]}{config.extra['repository']}{path}{found[3] or ''}"
        return f"{found[1]}{os.path.relpath(path, posixpath.dirname('docs/' + uri))}{found[3] or ''}"

    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(lead, markdown[end : fence.start()]), re.sub(r"\A```sh run", "```sh", fence[0])]
        end = fence.end()
    return "".join((*parts, _LINK.sub(lead, markdown[end:])))


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse what a browser would fetch from elsewhere.

    Raises `PluginError` naming the page and what it would fetch.
    """
    if found := _FETCHED.search(output):
        raise PluginError(f"{page.file.src_uri} would fetch from elsewhere when it is opened: {found[0]}")
    return output
