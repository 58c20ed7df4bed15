"""The order ticket: what a form's values come to, in either language. No page is needed for that."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from probe_market import INSTRUMENT, START_NS, random_walk

from pregao.market.store import Store
from pregao_ui.services import Services
from pregao_ui.ticket import Review, Ticket, review

GOOD: dict[str, Any] = {
    "asset_class": "crypto", "instrument": INSTRUMENT.key, "timeframe": "1m", "strategy": "ma-cross", "mode": "auto",
    "cash": 10_000, "entry_value": 1_000.0, "take_profit": 2, "stop_loss": 1, "horizon": 0, "fee": 0.1,
    "slippage": 0.02, "start": "beginning", "date": "", "speed": 2,
}  # fmt: skip


@pytest.fixture
def services(home: Path) -> Services:
    Store().write(random_walk(500))
    return Services()


def told(services: Services, language: str = "en", **changes: Any) -> Review:
    return review(Ticket(**(GOOD | changes)), services, language)


def test_a_good_ticket_becomes_a_session_and_a_sentence(services: Services) -> None:
    found = told(services)
    assert found.errors == {}
    assert found.spec is not None
    assert (found.spec.entry_value, found.spec.take_profit, found.spec.fee) == (1_000, 2, Decimal("0.1"))
    assert found.spec.feed.start == START_NS
    said = " ".join(found.summary)
    assert "Up to **1,000.00** of 10,000.00 USDT in TEST/USDT" in said
    assert "**+17.60 USDT**" in said  # 2 % less twice (0.1 + 0.02) %
    assert "**\u221212.40 USDT**" in said
    assert "Plays 500 bars from 2023-11-14" in said
    assert "The strategy decides alone. Simulated money." in said


def test_the_sentence_in_portuguese(services: Services) -> None:
    said = " ".join(told(services, "pt-BR", horizon=60).summary)
    assert "Até **1.000,00** de 10.000,00 USDT em TEST/USDT por vez." in said
    assert "em até 60 barras (60 min)" in said
    assert said.endswith("Dinheiro simulado.")


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"entry_value": None}, {"entry_value": "Fill this in."}),
        ({"entry_value": -5}, {"entry_value": "Must be more than 0."}),
        ({"entry_value": 20_000}, {"entry_value": "More than the cash of 10,000.00 USDT."}),
        ({"entry_value": 5}, {"entry_value": "The venue's least order is 10.00 USDT."}),
        ({"cash": float("inf")}, {"cash": "Type a number."}),
        ({"cash": 1e30}, {"cash": "Too large, or with too many decimals."}),
        ({"take_profit": 0}, {"take_profit": "Must be more than 0."}),
        ({"take_profit": 100}, {"take_profit": "Must be less than 100."}),
        ({"stop_loss": 1.00001}, {"stop_loss": "At most 4 decimals."}),
        (
            {"take_profit": -1, "stop_loss": 500},
            {"take_profit": "Must be more than 0.", "stop_loss": "Must be less than 100."},
        ),
        ({"horizon": 2.5}, {"horizon": "Type a whole number."}),
        ({"horizon": -1}, {"horizon": "Must be at least 0."}),
        ({"fee": 11}, {"fee": "Must be at most 10."}),
        ({"speed": -1}, {"speed": "Must be at least 0."}),
        ({"mode": "wild"}, {"mode": "Choose one of: 'observe', 'approve' or 'auto'."}),
        ({"instrument": None}, {"instrument": "Choose an instrument."}),
        ({"instrument": "gone/gone/GONE"}, {"instrument": "This is no longer there: choose again."}),
        (
            {"instrument": None, "asset_class": "stock"},
            {"instrument": "No stocks in the store yet. Bring some in with `pregao ingest`."},
        ),
        ({"timeframe": "4h"}, {"timeframe": "This is no longer there: choose again."}),
        ({"strategy": "gone"}, {"strategy": "This is no longer there: choose again."}),
        ({"settings": {"fast": 1}}, {"settings-fast": "Must be at least 2."}),
        ({"settings": {"fast": None}}, {"settings-fast": "Fill this in."}),
        ({"start": "date", "date": "soon"}, {"date": "Type a date such as 2023-11-14."}),
        ({"start": "date", "date": "2030-01-01"}, {"date": "The store holds 2023-11-14 to 2023-11-15."}),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    services: Services, changes: dict[str, Any], errors: dict[str, str]
) -> None:
    found = told(services, **changes)
    assert found.errors == errors
    assert found.spec is None
    assert found.summary == []


def test_an_error_in_portuguese(services: Services) -> None:
    assert told(services, "pt-BR", entry_value=20_000).errors == {"entry_value": "Maior que o saldo de 10.000,00 USDT."}


def test_a_replay_from_a_date_plays_what_is_left(services: Services) -> None:
    found = told(services, start="date", date="2023-11-15")
    assert found.spec is not None
    assert found.spec.feed.start == 1_700_006_400 * 10**9
    assert f"Plays {500 - 106} bars" in " ".join(found.summary)


def test_a_take_profit_that_does_not_pay_the_costs_is_pointed_out(services: Services) -> None:
    found = told(services, take_profit=0.2)
    assert found.spec is not None
    assert found.warnings == ["The take profit does not pay the costs of 0.24 %."]


def test_without_a_champion_the_ai_says_how_to_get_one(services: Services) -> None:
    found = told(services, strategy="catboost-ai")
    assert f"`pregao retrain {INSTRUMENT.key} --timeframe 1m`" in found.errors["strategy"]


def test_observing_buys_nothing(services: Services) -> None:
    said = " ".join(told(services, mode="observe").summary)
    assert "Nothing is bought" in said
    assert "winning exit" not in said


def test_an_empty_store_says_so(home: Path) -> None:
    found = told(Services(), instrument=None, timeframe=None)
    assert found.empty
    assert found.errors["instrument"] == "No market data yet"
