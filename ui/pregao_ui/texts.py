"""The panel's texts in each language: one dictionary for Gradio, for the server and for the page's own script.

``locales/<language>.json`` and, for parts of the panel, ``locales/<part>.<language>.json`` hold the same keys.
``{name}`` in a text is filled in by whoever shows it. Gradio gets the keys with a prefix, since a bare ``label`` or
``model`` would collide with its own dictionary.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pregao_ui.refusals import known

if TYPE_CHECKING:
    from gradio.i18n import I18n, I18nData

LANGUAGES = ("en", "pt-BR")
COOKIE = "pregao_lang"
_PREFIX = "pg_"


@cache
def dictionary(language: str) -> dict[str, str]:
    """All texts of one of `LANGUAGES`."""
    texts: dict[str, str] = {}
    for file in sorted(files("pregao_ui").joinpath("locales").iterdir(), key=lambda file: file.name):
        if file.name == f"{language}.json" or file.name.endswith(f".{language}.json"):
            texts |= json.loads(file.read_text(encoding="utf-8"))
    return texts


@cache
def phrases(language: str) -> dict[str, str]:
    """What the platform says in English, in another language: of features, of commands. ``#`` is for each number."""
    return _translations(f"{language}.json") if language != "en" else {}


@cache
def clauses(language: str) -> dict[str, str]:
    """What the platform says in clauses, of its decisions and of its data: ``#`` is a figure, ``{a name}`` what stands
    there."""
    return _translations(f"clauses.{language}.json") if language != "en" else {}


def of_plugin(language: str, words: str) -> str:
    """A title, a summary, a description or a unit of a strategy: those of the house are known in each language, what
    others ship is told as they wrote it."""
    known = _translations(f"plugins.{language}.json") if language != "en" else {}
    return known.get(words, words)


@cache
def _translations(file: str) -> dict[str, str]:
    told: dict[str, str] = json.loads(files("pregao_ui").joinpath("locales", "phrases", file).read_text("utf-8"))
    return told


def text(language: str, key: str, /, **values: object) -> str:
    """One text with its ``{names}`` filled in."""
    return dictionary(language)[key].format(**values)


def language_of(headers: Mapping[str, str], cookies: Mapping[str, str]) -> str:
    """The language of a request: the person's choice (a cookie), else the browser's, else English."""
    wanted = cookies.get(COOKIE) or headers.get("accept-language", "")
    return "pt-BR" if wanted.strip().lower().startswith("pt") else "en"


@cache
def i18n() -> I18n:
    """The dictionaries for Gradio. It has no fallback from ``pt-PT`` to ``pt``, so each is named."""
    from pregao_ui.fast_gradio import gr

    english, portuguese = ({_PREFIX + k: v for k, v in dictionary(lang).items()} for lang in LANGUAGES)
    return gr.I18n(en=english, pt=portuguese, **{"pt-BR": portuguese, "pt-PT": portuguese})


def label(key: str) -> I18nData:
    """A text that Gradio translates in the browser."""
    if key not in dictionary("en"):
        raise KeyError(key)
    return i18n()(_PREFIX + key)


def script() -> str:
    """The dictionaries as a script of the page: defines ``window.PregaoTexts``."""
    texts: dict[str, Any] = {language: dictionary(language) for language in LANGUAGES}
    texts["phrases"] = {language: phrases(language) for language in LANGUAGES}
    texts["clauses"] = {language: clauses(language) for language in LANGUAGES}
    texts["refusals"] = {
        language: dict(zip(("words", "sentences"), known(language), strict=True)) for language in LANGUAGES
    }
    # "</" could end the script element if the file were ever inlined; U+2028 is a line end in old JavaScript
    body = json.dumps(texts, ensure_ascii=False).replace("</", "<\\/").replace("\u2028", "\\u2028")
    return f"window.PregaoTexts = {body};\n"
