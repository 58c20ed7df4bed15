"""Both languages say the same things, and nothing on the page is without a text."""

from __future__ import annotations

import ast
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from pregao_ui.numbers import day, money, number, parse_day, signed_money
from pregao_ui.services.strategies import Strategies
from pregao_ui.texts import LANGUAGES, dictionary, language_of, of_plugin, phrases, script, text
from pregao_ui.widgets import PAGES

UI = Path(str(files("pregao_ui")))


def test_the_languages_have_the_same_texts_with_the_same_blanks() -> None:
    english, portuguese = dictionary("en"), dictionary("pt-BR")
    assert set(english) == set(portuguese)
    for key in english:
        assert set(re.findall(r"\{\w+\}", english[key])) == set(re.findall(r"\{\w+\}", portuguese[key])), key
        assert english[key].strip(), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_stands_in_two_files(language: str) -> None:
    whole = [file for file in (UI / "locales").glob("*.json") if file.name.removesuffix(".json").endswith(language)]
    assert len(whole) > 7
    assert sum(len(json.loads(file.read_text())) for file in whole) == len(dictionary(language))


FAMILIES = (
    "status",
    "step",
    "sent",
    "role",
    "ev",
    "act",
    "gate",
    "metric",
    "alias",
    "err",
    "speed",
    "start",
    "who",
    "exits",
    "risk",
    "pos",
    "order",
    "why",
    "limit",
    "by",
    "summary",
    "level",
    "finding",
    "source",
    "symbols",
    "flow",
    "does",
    "run",
    "step",
    "short",
    "differ",
    "drift",
    "topic",
    "cap",
    "risk",
    "key",
    "money",
    "left",
    "ended",
)
"""First words of keys that are put together where they are used."""


def sources() -> str:
    return "".join(path.read_text() for path in UI.rglob("*") if path.suffix in (".js", ".py"))


def test_every_text_that_is_asked_for_is_there() -> None:
    asked = set(re.findall(r"""(?<!def )\b(?:T|label|say)\(["'](\w+)["']""", sources()))
    asked |= set(re.findall(r"""text\(language, ["'](\w+)["']""", sources()))
    asked |= set(PAGES.values())
    asked |= set(re.findall(r'data-t(?:-title|-label)?="(\w+)"', sources()))
    assert len(asked) > 100
    assert asked <= set(dictionary("en"))


def test_no_text_is_there_for_nothing() -> None:
    used = sources()
    for key in dictionary("en"):
        first, last = key.split("_")[0], key.split("_")[-1]
        assert first in FAMILIES or last == "long" or re.search(rf"\b{key}\b", used), key


@pytest.mark.parametrize(
    ("cookie", "accept", "language"),
    [
        (None, "", "en"),
        (None, "pt-PT,pt;q=0.9,en;q=0.5", "pt-BR"),
        (None, "de-DE", "en"),
        ("pt-BR", "en-US", "pt-BR"),
        ("en", "pt-BR", "en"),
    ],
)
def test_the_language_is_the_persons_choice_then_the_browsers(cookie: str | None, accept: str, language: str) -> None:
    cookies = {"pregao_lang": cookie} if cookie else {}
    assert language_of({"accept-language": accept}, cookies) == language


def test_numbers_are_written_as_in_the_language() -> None:
    assert number("en", 1234.5) == "1,234.50"
    assert number("pt-BR", 1234.5) == "1.234,50"
    assert number("en", 0.25, None) == "0.25"
    assert number("en", 100, None) == "100"
    assert money("pt-BR", 1_000_000, "BRL") == "1.000.000,00 BRL"
    assert signed_money("en", -1.5, "USD") == "\u22121.50 USD"
    assert day("pt-BR", 1_700_000_000 * 10**9) == "14/11/2023"


@pytest.mark.parametrize("typed", ["2023-11-14", "14/11/2023", "2023-11-14 00:00", " 2023-11-14T00:00:00 "])
def test_a_date_may_be_typed_either_way(typed: str) -> None:
    assert parse_day(typed) == 1_699_920_000 * 10**9


@pytest.mark.parametrize("typed", ["", "soon", "2023-13-01", "31/02/2024", "2023-11-14Z"])
def test_what_is_no_date_is_none(typed: str) -> None:
    assert parse_day(typed) is None


def test_the_script_cannot_end_its_element() -> None:
    assert "</" not in script()
    assert text("en", "err_gt", limit=3) == "Must be more than 3."


def test_what_the_classics_say_of_their_decisions_is_told_in_portuguese() -> None:
    said = set()
    for path in (Path(__file__).parents[2] / "plugins" / "pregao-classics" / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.keyword) and node.arg == "reason"
            told = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("why_in", "why_out")
            if (named or told) and isinstance(node.value, ast.JoinedStr | ast.Constant):
                parts = node.value.values if isinstance(node.value, ast.JoinedStr) else [node.value]
                said.add("".join(str(part.value) if isinstance(part, ast.Constant) else "#" for part in parts))
    assert len(said) > 7
    assert said <= set(phrases("pt-BR"))


def test_what_our_own_strategies_say_of_themselves_is_told_in_portuguese() -> None:
    folder = Path(__file__).parents[2] / "plugins"
    ours = [one for one in Strategies().all if (folder / one.distribution).is_dir()]
    assert len(ours) >= 8
    said: set[str] = set()
    for one in ours:
        assert one.settings is not None
        said |= {one.title, one.summary}
        for rules in one.settings.get("properties", {}).values():
            said |= {rules[name] for name in ("title", "description", "unit") if rules.get(name)}
    assert {words for words in said if of_plugin("pt-BR", words) == words} == {"%"}
    assert of_plugin("pt-BR", "What a stranger ships") == "What a stranger ships"
