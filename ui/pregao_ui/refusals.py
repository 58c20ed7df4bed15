"""What the platform refuses, in the person's language: its sentences are English, and are known by their form.

``locales/phrases/errors.<language>.json`` has each sentence with ``{blanks}``, and words that may stand in a blank. A
sentence that is not there is told as it is: half of it in English says more than nothing.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_BLANK = re.compile(r"\{(\w+)\}")
_NEXT = re.compile(r".*?[.!?](?:\s+|$)", re.DOTALL)


class _Phrases(NamedTuple):
    words: dict[str, str]
    sentences: list[tuple[re.Pattern[str], str]]


@cache
def known(language: str) -> tuple[dict[str, str], dict[str, str]]:
    """The words and the sentences of a language, by the English ones; empty for English."""
    if language == "en":
        return {}, {}
    raw = files("pregao_ui").joinpath("locales", "phrases", f"errors.{language}.json").read_text(encoding="utf-8")
    found = json.loads(raw)
    return found["words"], found["sentences"]


@cache
def _phrases(language: str) -> _Phrases:
    words, sentences = known(language)
    # Of two that fit, the one that says more is meant.
    ordered = sorted(sentences.items(), key=lambda pair: -len(_BLANK.sub("", pair[0])))
    return _Phrases(words, [(_form(english), told) for english, told in ordered])


def refusal(language: str, said: str) -> str:
    """One or more sentences of the platform in a language, as far as it knows them."""
    words, sentences = _phrases(language)
    told, rest = [], said.strip()
    while rest and sentences:
        for form, into in sentences:
            found = form.match(rest)
            if found:
                told.append(into.format(**{name: words.get(value, value) for name, value in found.groupdict().items()}))
                break
        else:
            found = _NEXT.match(rest)
            told.append(found.group().strip() if found else rest)
        rest = rest[found.end() :] if found else ""
    return " ".join([*told, rest]).strip()


def _form(english: str) -> re.Pattern[str]:
    """A sentence with blanks as an expression, up to where the next one begins. A blank never begins with a space."""
    parts = _BLANK.split(english)
    raw = "".join(rf"(?P<{part}>\S.*?)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    return re.compile(raw + r"(?:\s+|$)", re.DOTALL)
