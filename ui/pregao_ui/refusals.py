"""What the platform refuses, in the person's language: its sentences are English, and are known by their form.

``locales/phrases/errors.<language>.json`` has each sentence with ``{blanks}``, and words that may stand in a blank,
which may have blanks of their own. A sentence that is not there is told as it is: half of it in English says more than
nothing.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from pregao.core.retelling import Retelling


@cache
def known(language: str) -> tuple[dict[str, str], dict[str, str]]:
    """The words and the sentences of a language, by the English ones; empty for English."""
    if language == "en":
        return {}, {}
    raw = files("pregao_ui").joinpath("locales", "phrases", f"errors.{language}.json").read_text(encoding="utf-8")
    found = json.loads(raw)
    return found["words"], found["sentences"]


@cache
def _retelling(language: str) -> Retelling:
    words, sentences = known(language)
    inner = Retelling(words, r"(?!)", lambda value: words.get(value, value))
    return Retelling(sentences, r"\s+", inner, stop="[.!?]")


def refusal(language: str, said: str) -> str:
    """One or more sentences of the platform in a language, as far as it knows them."""
    return said if language == "en" else _retelling(language)(said.strip())
