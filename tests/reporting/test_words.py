"""Both languages say everything, with the same blanks to fill; numbers and dates are each language's own."""

from __future__ import annotations

import math
import re
import string
from importlib.resources import files

import pytest

from pregao.core.errors import NotFoundError
from pregao.reporting.axes import TimeTick
from pregao.reporting.sheet import COSTS
from pregao.reporting.texts import LANGUAGES, MONTHS, TEXTS
from pregao.reporting.wording import Words

FOLDER = files("pregao.reporting")
PREFIXES = ("path_", "rule_", "kind_", "role_", "set_", "cost_")
SOURCES = {name: FOLDER.joinpath(name).read_text() for name in
           ("tearsheet.html", "tearsheet.py", "figures.py", "wording.py")}  # fmt: skip
EN, PT = Words("en"), Words("pt-BR")


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", TEXTS)
def test_every_text_is_there_in_both_languages_with_the_same_blanks(key: str) -> None:
    english, portuguese = TEXTS[key]
    assert english.strip()
    assert portuguese.strip()
    assert blanks(english) == blanks(portuguese)


def test_every_text_asked_for_exists_and_every_text_is_asked_for() -> None:
    everything = "\n".join(SOURCES.values())
    asked = set(re.findall(r'(?:words|self)\(\s*["\']([a-z_]+)["\'][,)]', everything))
    assert asked <= set(TEXTS)
    quoted = set(re.findall(r'["\']([a-z_]+)["\']', everything))
    unused = {key for key in TEXTS if key not in quoted and not key.startswith(PREFIXES)}
    assert unused <= {"long", "short", "maker", "taker"}


def test_every_cost_has_a_text() -> None:
    assert {f"cost_{name}" for name in COSTS} <= set(TEXTS)


def test_numbers() -> None:
    assert EN.number(-1234.5) == "−1,234.50"
    assert PT.number(-1234.5) == "−1.234,50"
    assert EN.number(3, 0, sign=True) == "+3"
    assert EN.number(-0.001) == "0.00"
    assert EN.number(0.0, sign=True) == "0.00"
    assert EN.number(math.nan) == "–"
    assert PT.number(math.inf) == "∞"
    assert EN.number(-math.inf) == "−∞"
    assert EN.percent(0.07125) == "7.12\u202f%"
    assert EN.percent(math.nan) == "–"
    assert PT.money(1234.5, "BRL", sign=True) == "+1.234,50\u202fBRL"
    assert EN.money(0.00012345, "BTC") == "0.000123\u202fBTC"
    assert [EN.decimals(v) for v in (100.0, 0.125, 0.1 + 0.2, 1e-8, 1e-12, math.nan)] == [0, 3, 1, 8, 0, 0]


def test_dates() -> None:
    at = 1_717_165_800 * 10**9  # 2024-05-31 14:30
    assert EN.moment(at) == "2024-05-31 14:30"
    assert PT.moment(at) == "31/05/2024 14:30"
    forms = [(words.tick(TimeTick(at, form))) for words in (EN, PT) for form in ("year", "month", "day", "hour")]
    assert forms == ["2024", "May", "31 May", "14:30", "2024", "mai", "31 mai", "14:30"]
    assert len(MONTHS) == 12


def test_another_language_is_refused_by_name() -> None:
    with pytest.raises(NotFoundError, match=r"no language named 'de'.*en, pt-BR"):
        Words("de")
    assert LANGUAGES == ("en", "pt-BR")
