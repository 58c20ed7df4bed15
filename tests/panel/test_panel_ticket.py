"""The order ticket: what a form's values come to, in either language. No page is needed for that."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from probe_market import INSTRUMENT, START_NS, of_grid, random_walk
from venue import Market as VenueMarket
from venue import Venue
from yahoo import YahooServer

from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.sources import ListedSource, source
from pregao.market.store import Store
from pregao.sessions.control import start
from pregao.sessions.spec import Live, Risk, SessionSpec
from pregao.settings import settings
from pregao_ui.pages import filling, starting, trade
from pregao_ui.services import Services
from pregao_ui.ticket import Review, Ticket, review
from pregao_ui.ticket.cloning import ticket_of
from pregao_ui.ticket.venues import symbols, venues

GOOD: dict[str, Any] = {
    "asset_class": "crypto", "instrument": INSTRUMENT.key, "timeframe": "1m", "strategy": "ma-cross", "mode": "auto",
    "cash": 10_000, "entry_value": 1_000.0, "take_profit": 2, "stop_loss": 1, "horizon": 0, "fee": 0.1,
    "slippage": 0.02, "start": "beginning", "date": "", "speed": 2,
}  # fmt: skip


FINE, COARSE = of_grid("FINE", "0.01", "0.00000001"), of_grid("COARSE", "0.5", "2")
BRL = of_grid("TEST", "0.01", "0.0001", "BRL")


def stored(*instruments: Instrument, first: int = 0, timeframe: str = "1m") -> None:
    """Markets like the test's own, beginning ``first`` bars later."""
    walk, length = random_walk(500, 2)[first:], Timeframe.parse(timeframe)
    opens = START_NS // length.ns * length.ns + length.ns * (1 + np.arange(first, 500))
    times = walk.open_ns if timeframe == "1m" else opens
    for instrument in instruments:
        scale = 50 if instrument is COARSE else 1  # of its ticks
        prices = (column // scale for column in (walk.open, walk.high, walk.low, walk.close))
        Store().write(Bars(instrument, length, times, *prices, walk.volume))


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
    assert found.summary == [  # 2 % less twice (0.1 + 0.02) %
        "Up to **1,000.00 USDT** in TEST/USDT, exits at +2 % (**+17.60**) or \u22121 % (**\u221212.40**), "
        "the strategy decides alone, simulated money.",
        "Replays 500 bars from 2023-11-14.",
        "Costs are in the figures.",
    ]


def test_the_meta_model_and_the_shadow_are_chosen_and_cloned(services: Services) -> None:
    plain = told(services).spec
    assert plain is not None
    assert (plain.meta, plain.shadow) == ("off", True)
    chosen = told(services, meta=True, shadow=False).spec
    assert chosen is not None
    assert (chosen.meta, chosen.shadow) == ("veto", False)
    again = ticket_of(services.journal.session(start(chosen, services.journal)))
    assert (again["meta"], again["shadow"]) == (True, False)


def test_a_clone_names_what_the_form_has_no_field_for(services: Services) -> None:
    plain = told(services).spec
    assert plain is not None
    more = plain.model_copy(update={"seed": 9, "memory": 512, "risk": Risk(profile="balanced", daily_loss=Decimal(2))})
    ids = {spec.seed: start(spec, services.journal) for spec in (plain, more)}
    assert filling.left_out({"clone": ids[0]}, services, "en") == ""
    assert filling.left_out({}, services, "en") == filling.left_out({"clone": "gone"}, services, "en") == ""
    assert "this session was asked: the seed, the memory that the strategy has, single limits of risk. What" in (
        filling.left_out({"clone": ids[9]}, services, "en")
    )
    assert "a semente, a memória que a estratégia tem, limites de risco avulsos" in (
        filling.left_out({"clone": ids[9]}, services, "pt-BR")
    )


def test_several_instruments_share_an_account_and_the_sentence_says_all(services: Services) -> None:
    stored(FINE, COARSE, first=20)
    found = told(services, also=[FINE.key, COARSE.key], cash=5_000, entry_value=2_500, risk="balanced")
    assert found.errors == {}
    assert found.spec is not None
    assert (found.spec.instrument, found.spec.also) == (INSTRUMENT.key, (FINE.key, COARSE.key))
    assert found.summary[0] == (
        "Up to **2,500.00 USDT** in each of TEST/USDT, FINE/USDT and COARSE/USDT, at most **7,500.00 USDT** together "
        "(limits of the risk profile apply), exits at +2 % (**+44.00**) or \u22121 % (**\u221231.00**), "
        "the strategy decides alone, simulated money."
    )
    assert found.summary[1] == "Replays 500 bars from 2023-11-14."  # over all of them
    assert found.warnings == ["The risk profile cuts entries to 1,250.00 USDT."]
    free = told(services, also=[FINE.key, COARSE.key], cash=5_000, entry_value=2_500)
    assert free.warnings == [
        "Entries in all of them at once would take 7,500.00 USDT, and the cash is 5,000.00 USDT: "
        "what it does not cover is not entered."
    ]
    assert found.hints["entry_value"] == "50 % of the cash in each, 150 % together"
    fewer = told(services, "pt-BR", also=[FINE.key])
    assert fewer.summary[0].startswith(
        "Até **1.000,00 USDT** em cada um de TEST/USDT e FINE/USDT, no máximo **2.000,00 USDT** ao todo, saídas em"
    )
    assert fewer.warnings == []
    watched = told(services, also=[FINE.key], mode="observe").summary[0]
    assert watched == "Buys nothing and shows what it would do in TEST/USDT and FINE/USDT, simulated money."
    session = services.journal.session(start(found.spec, services.journal))
    assert session.bars_total == 500


@pytest.mark.parametrize(
    ("changes", "errors", "in_portuguese"),
    [
        (
            {"also": ["gone/gone/GONE"]},
            {"also": "gone/gone/GONE is no longer there: take it out."},
            {"also": "gone/gone/GONE não existe mais: retire-o."},
        ),
        (
            {"also": [BRL.key]},
            {"also": "TEST/BRL is quoted in BRL, TEST/USDT in USDT: one account has one currency."},
            {"also": "TEST/BRL é cotado em BRL, TEST/USDT em USDT: uma conta tem uma só moeda."},
        ),
        (
            {"also": [FINE.key, FINE.key]},
            {"also": "FINE/USDT is named twice: an account has each one once."},
            {"also": "FINE/USDT aparece duas vezes: uma conta tem cada um uma vez."},
        ),
        (
            {"also": [INSTRUMENT.key]},
            {"also": "TEST/USDT is named twice: an account has each one once."},
            {"also": "TEST/USDT aparece duas vezes: uma conta tem cada um uma vez."},
        ),
        (
            {"also": ["synthetic/bench/FIVE-USDT"]},
            {"also": "FIVE/USDT has no bars of 1m."},
            {"also": "FIVE/USDT não tem barras de 1m."},
        ),
        (
            {"also": [FINE.key], "exits": "price", "take_profit": 1_050, "stop_loss": 950},
            {"also": "Exits by price are of one instrument: choose per cent, or take these out."},
            {"also": "Saídas por preço são de um só ativo: escolha por cento, ou retire estes."},
        ),
        (
            {"also": [f"a/b/{n}" for n in range(16)]},
            {"also": "At most 15 beside the first."},
            {"also": "No máximo 15 além do primeiro."},
        ),
        (
            {"also": [FINE.key, COARSE.key]},
            {"entry_value": "Too little for one lot of COARSE/USDT: at least 2,001.00 USDT."},
            {"entry_value": "Pouco para um lote de COARSE/USDT: no mínimo 2.001,00 USDT."},
        ),
        (
            {"feed": "live", "venue": "ccxt/kraken", "instrument": "ETH/USD", "also": ["ETH/EUR"]},
            {"also": "ETH/EUR is quoted in EUR, ETH/USD in USD: one account has one currency."},
            {"also": "ETH/EUR é cotado em EUR, ETH/USD em USD: uma conta tem uma só moeda."},
        ),
    ],
)
def test_what_cannot_share_an_account_is_said_at_its_field(
    services: Services, changes: dict[str, Any], errors: dict[str, str], in_portuguese: dict[str, str]
) -> None:
    stored(FINE, COARSE, BRL)
    stored(of_grid("FIVE", "0.01", "0.0001"), timeframe="5m")
    for language, expected in (("en", errors), ("pt-BR", in_portuguese)):
        found = told(services, language, **changes)
        assert found.errors == expected
        assert found.spec is None
        assert found.summary == []


def test_a_further_market_may_be_typed_as_one_likes(services: Services) -> None:
    typed = {"feed": "live", "venue": "ccxt/kraken", "instrument": "ETH/USD"}
    found = told(services, **typed, also=["btc/usd"])
    assert found.spec is not None
    assert found.spec.feed.also == ("btc/usd",)
    assert "named twice" in told(services, **typed, also=["eth/usd"]).errors["also"]


def test_each_of_several_needs_a_champion(services: Services) -> None:
    stored(FINE)
    said = told(services, strategy="catboost-ai", also=[FINE.key]).errors
    assert said == {"strategy": told(services, strategy="catboost-ai").errors["strategy"]}


def test_what_is_chosen_beside_stays_as_long_as_it_can_be_traded_so(services: Services) -> None:
    stored(FINE, COARSE, BRL)
    stored(FINE, timeframe="5m")
    stored(INSTRUMENT, timeframe="5m")
    both = [FINE.key, COARSE.key]

    def also(name: str, **changes: Any) -> tuple[list[str], list[str]]:
        given = filling.after(name, Ticket(**GOOD | {"also": both} | changes), services)["also"]
        return [key for _, key in given.choices], given.value

    assert also("instrument") == (sorted(both), both)
    assert also("instrument", instrument=FINE.key) == (sorted([COARSE.key, INSTRUMENT.key]), [COARSE.key])
    assert also("instrument", instrument=BRL.key) == ([], [])
    assert also("timeframe", timeframe="5m") == ([FINE.key], [FINE.key])
    live = {
        "feed": "live",
        "venue": "ccxt/binance",
        "instrument": "BTC/USDT",
        "also": ["ETH/USDT", "BTC/USDT", "XY/USDT"],
    }
    assert also("feed", **live)[1] == also("venue", **live)[1] == []
    choices, kept = also("instrument", **live)
    assert "SOL/USDT" in choices
    assert "BTC/USDT" not in choices
    assert kept == ["ETH/USDT", "XY/USDT"]  # any symbol may be typed


def test_a_replay_without_a_pace_leaves_nobody_time_to_approve(services: Services) -> None:
    assert told(services, mode="approve", speed=0).warnings[0].startswith("As fast as possible leaves nobody time")
    assert told(services, mode="approve", speed=200).warnings == []
    assert told(services, mode="auto", speed=0).warnings == []


def test_each_value_is_told_in_money_and_time_beside_it(services: Services) -> None:
    assert told(services, horizon=60, risk="balanced", entry_value=2_500).hints == {
        "entry_value": "25 % of the cash",
        "take_profit": "about +44.00 USDT",
        "stop_loss": "about \u221231.00 USDT",
        "horizon": "60 min",
        "fee": "about 2.50 USDT",
        "slippage": "about 0.50 USDT",
        "risk": "At most 2,500.00 USDT in a position. No more entries once a day has lost 300.00 USDT. "
        "Closes and pauses 1,500.00 USDT below the peak. Rests 4 bars (4 min) after a loss.",
        "start": "500 bars from 2023-11-14",
        "speed": "lasts about 4 min",
    }


def test_the_sentence_in_portuguese(services: Services) -> None:
    said = told(services, "pt-BR", horizon=60, mode="approve").summary[0]
    assert said == (
        "Até **1.000,00 USDT** em TEST/USDT, saídas em +2 % (**+17,60**) ou \u22121 % (**\u221212,40**), "
        "em até 60 min, a estratégia propõe e cada entrada espera o seu sim, dinheiro simulado."
    )


def test_exits_as_prices_are_told_as_distances_and_in_money(services: Services) -> None:
    found = told(services, exits="price", take_profit=1_050, stop_loss=950.5)
    assert found.spec is not None
    assert (found.spec.take_profit_price, found.spec.stop_loss_price) == (1_050, Decimal("950.5"))
    assert found.spec.trailing is False
    begins = services.market.bars(INSTRUMENT.key, "1m", None, 500)[0].o
    away = 100 * (1_050 / begins - 1)
    assert float(found.spec.take_profit) == pytest.approx(away, abs=1e-4)  # what the limits of risk reckon with
    assert found.hints["take_profit"].startswith(f"+{away:.2f} %".replace(".00 ", " "))
    assert "exits at 1,050.00 (" in found.summary[0]


def test_exits_as_prices_that_the_market_is_not_between_wait_for_it(services: Services) -> None:
    found = told(services, exits="price", take_profit=3_000, stop_loss=2_000)
    assert found.spec is not None
    assert "no entry until the market is between" in found.warnings[0]


def test_a_trailing_stop_loss_and_a_risk_profile_reach_the_session(services: Services) -> None:
    found = told(services, trailing=True, risk="conservative")
    assert found.spec is not None
    assert (found.spec.trailing, found.spec.risk.profile) == (True, "conservative")
    assert "\u22121 % (**\u221212.40**) behind the best close" in found.summary[0]
    assert told(services, risk="conservative", entry_value=5_000).warnings == [
        "The risk profile cuts entries to 1,000.00 USDT."
    ]


def test_a_live_market_is_followed_at_its_venue(services: Services) -> None:
    found = told(services, feed="live", venue="ccxt/binance", instrument="BTC/USDT")
    assert found.spec is not None
    assert found.spec.feed == Live(source="ccxt", symbol="BTC/USDT", options={"exchange": "binance"})
    assert found.spec.instrument == "ccxt/binance/BTC-USDT"
    assert "Follows the market at Binance" in found.summary[1]
    assert found.shape == {"feed": "live", "exits": "percent", "start": "beginning", "search": "", "asset": "crypto"}


@pytest.mark.parametrize("asset_class", ["crypto", "stock", "index"])
def test_each_class_of_assets_has_a_venue_and_markets_to_begin_with(asset_class: str) -> None:
    for venue in venues(asset_class):
        assert symbols(venue, asset_class, [])
        assert isinstance(source(venue.source), ListedSource)
        assert venue.listed == source(venue.source).whole
        assert venue.feed("X/Y").source in ("ccxt", "yfinance")
    assert venues(asset_class)


PERCENTS = st.decimals("0.01", "40", places=2).map(float)
OTHERWISE: dict[str, st.SearchStrategy[Any]] = {
    "mode": st.sampled_from(["observe", "approve"]),
    "cash": st.decimals("6000", "1e6", places=2).map(float),
    "entry_value": st.decimals("1100", "5000", places=2).map(float),
    "take_profit": PERCENTS,
    "stop_loss": PERCENTS,
    "trailing": st.just(True),
    "horizon": st.integers(1, 500),
    "risk": st.sampled_from(["conservative", "balanced", "aggressive"]),
    "fee": st.decimals("0", "1", places=4).map(float),
    "slippage": st.decimals("0", "1", places=4).map(float),
    "meta": st.just(True),
    "shadow": st.just(False),
    "speed": st.sampled_from([0, 0.5, 1, 5, 10, 50, 200]),
    "strategy": st.sampled_from(["buy-and-hold", "rsi-reversion", "donchian-breakout"]),
    "settings": st.builds(lambda fast, slow: {"fast": fast, "slow": slow}, st.integers(2, 9), st.integers(12, 40)),
}
"""Of each field that stands by itself, values other than those of `GOOD` and of the empty form."""
MARKETS: list[dict[str, Any]] = [
    {},
    {"start": "date", "date": "2023-11-15 01:30"},
    {"timeframe": "5m"},
    {"feed": "live", "venue": "ccxt/binance", "instrument": "BTC/USDT", "timeframe": "15m"},
    {"feed": "live", "venue": "ccxt/kraken", "instrument": "ETH/USD", "timeframe": "1h"},
    {"feed": "live", "venue": "yfinance/yahoo", "asset_class": "stock", "instrument": "PETR4.SA", "timeframe": "30m"},
    {"exits": "price", "take_profit": 1_050, "stop_loss": 950.5},
    {"also": [FINE.key]},
    {"feed": "live", "venue": "ccxt/kraken", "instrument": "ETH/USD", "timeframe": "1h", "also": ["BTC/USD"]},
]
"""Fields that go together."""


def cloned(services: Services, spec: SessionSpec, ticket: Ticket) -> SessionSpec | None:
    """The session that the page would start for the clone of one with this spec."""
    instrument = INSTRUMENT.model_copy(update={"asset_class": ticket.asset_class})
    session_id = services.journal.create(spec, instrument, None)
    form = filling.first({"clone": session_id, "entry_value": 1.0, "meta": not ticket.meta}, services, "en")
    values = {name: getattr(given, "value", given) for name, given in form.items()}
    assert not {name for name in values if name not in trade.NAMES}
    return review(Ticket(**values | {"settings": values["settings"][spec.strategy]}), services, "en").spec


def test_every_field_of_the_ticket_changes_the_session_and_comes_back_by_a_clone(services: Services) -> None:
    minutes, five = random_walk(300), Timeframe.parse("5m")
    opens = (START_NS // five.ns + 1 + np.arange(len(minutes))) * five.ns
    columns = (minutes.open, minutes.high, minutes.low, minutes.close, minutes.volume)
    Store().write(Bars(INSTRUMENT, five, opens, *columns))
    stored(FINE)
    plain, tried = told(services).spec, set()

    def each(together: dict[str, Any]) -> None:
        bound = ("take_profit", "stop_loss", "trailing") if "exits" in together else ()
        free = [name for name in OTHERWISE if name not in bound]

        @settings_of(max_examples=80 // len(MARKETS), suppress_health_check=list(HealthCheck))
        @given(st.data())
        def drawn(data: Any) -> None:
            changed = {name: data.draw(OTHERWISE[name]) for name in data.draw(st.sets(st.sampled_from(free)))}
            if "settings" in changed:  # those of the strategy of `GOOD`
                changed.pop("strategy", None)
            ticket = Ticket(**GOOD | together | changed)
            found = review(ticket, services, "en")
            assert found.spec is not None, found.errors
            assert cloned(services, found.spec, ticket) == found.spec
            if len(together) + len(changed) and not changed.keys() & {"speed"}:
                assert found.spec != plain
            tried.update(together, changed)

        drawn()

    for together in MARKETS:
        each(together)
    assert tried == {field.name for field in dataclasses.fields(Ticket)}


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
        (
            {"settings": {"fast": 9, "slow": 5}},
            {"settings-fast": "The fast average must be shorter than the slow one."},
        ),
        ({"risk": "wild"}, {"risk": "Choose one of: 'none', 'conservative', 'balanced' or 'aggressive'."}),
        ({"exits": "price", "take_profit": None}, {"take_profit": "Fill this in."}),
        ({"exits": "price", "take_profit": 900, "stop_loss": 950}, {"take_profit": "Must be above the stop loss."}),
        ({"exits": "price", "take_profit": 1_050.001}, {"take_profit": "Must be a multiple of 0.01."}),
        ({"exits": "price", "take_profit": float("nan")}, {"take_profit": "Type a number."}),
        ({"feed": "live", "venue": "gone"}, {"venue": "Choose where."}),
        (
            {"feed": "live", "venue": "yfinance/yahoo", "instrument": " "},
            {"instrument": "Name a market, such as AAPL."},
        ),
        (
            {"feed": "live", "venue": "ccxt/kraken", "instrument": "BTC/USD", "timeframe": "3m"},
            {"timeframe": "It has 1m, 5m, 15m, 30m, 1h, 4h, 1d."},
        ),
        ({"start": "gone"}, {"start": "This is no longer there: choose again."}),
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
    assert f"Replays {500 - 106} bars" in " ".join(found.summary)


def test_a_take_profit_that_does_not_pay_the_costs_is_pointed_out(services: Services) -> None:
    found = told(services, take_profit=0.2)
    assert found.spec is not None
    assert found.warnings == ["The take profit does not pay the costs of 0.24 %."]


def test_without_a_champion_the_ai_says_how_to_get_one(services: Services) -> None:
    found = told(services, strategy="catboost-ai")
    assert f"`pregao retrain {INSTRUMENT.key} --timeframe 1m`" in found.errors["strategy"]


def test_observing_buys_nothing(services: Services) -> None:
    assert told(services, mode="observe").summary[0] == (
        "Buys nothing and shows what it would do in TEST/USDT, simulated money."
    )


def test_an_empty_store_says_so(home: Path) -> None:
    found = told(Services(), instrument=None, timeframe=None)
    assert found.empty
    assert found.errors["instrument"] == "No market data yet"


def live(services: Services, language: str = "en", **changes: Any) -> dict[str, Any]:
    asked = {"feed": "live", "venue": "ccxt/binance", "instrument": "BTC/USDT", **changes}
    return starting.start(Ticket(**(GOOD | asked)), services, language)


def test_a_venue_that_does_not_answer_is_told_plainly_and_nothing_is_started(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("pregao.market.sources.ccxt.patience.Patience.wait_s", lambda *_: 0.0)
    assert live(services)["errors"] == {
        "instrument": "Binance does not answer, so BTC/USDT cannot be followed now. "
        "Check the network and try again, or replay stored bars."
    }
    assert live(services, "pt-BR")["errors"]["instrument"].startswith("Binance não responde")
    assert services.journal.sessions() == []


def test_a_market_that_a_venue_does_not_have_is_told_with_those_near_it(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Venue([VenueMarket("BTC/USDT")], start="2024-03-01") as venue:
        monkeypatch.setenv("PREGAO_CCXT_BINANCE_URL", venue.url)
        said = live(services, instrument="BTC/USDX")["errors"]["instrument"]
    assert said.startswith("Binance has no such market:")
    assert "BTC/USDT" in said


def test_a_venue_is_asked_what_it_trades_and_what_is_typed_is_compared(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"feed": "live", "venue": "ccxt/binance"}
    ticket = Ticket(**(GOOD | asked | {"instrument": "BTC/USDT"}))
    assert told(services, **asked, instrument="BTC/USDT").hints["instrument"] == "Asking Binance what it trades…"
    markets = [VenueMarket("BTC/USDT"), VenueMarket("TUCANO/USDT"), VenueMarket("PAUSED/USDT", status="BREAK")]
    with Venue(markets, start="2024-03-01") as venue:
        monkeypatch.setenv("PREGAO_CCXT_BINANCE_URL", venue.url)
        filling.ask(ticket, services)
        assert filling.listed(ticket, services).choices == [(name, name) for name in ("BTC/USDT", "TUCANO/USDT")]
        before = len(venue.requests)
        found = told(services, **asked, instrument="tucano-usdt")
        assert found.spec is not None
        assert (found.spec.feed.symbol, found.spec.instrument) == ("TUCANO/USDT", "ccxt/binance/TUCANO-USDT")
        assert found.hints["instrument"] == "2 markets: type to search"
        wrong = told(services, "pt-BR", **asked, instrument="TUCAN/USDT")
        assert wrong.errors == {"instrument": "Binance não negocia TUCAN/USDT. Parecidos: TUCANO/USDT, BTC/USDT."}
        filling.ask(ticket, services)
        assert len(venue.requests) == before  # asked once


def test_a_venue_that_cannot_be_asked_leaves_the_well_known_markets(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("pregao.market.sources.ccxt.patience.Patience.wait_s", lambda *_: 0.0)
    ticket = Ticket(**(GOOD | {"feed": "live", "venue": "ccxt/binance", "instrument": "BTC/USDT"}))
    filling.ask(ticket, services)
    assert ("ETH/USDT", "ETH/USDT") in filling.listed(ticket, services).choices
    found = told(services, feed="live", venue="ccxt/binance", instrument="ANY/USDT")
    assert found.errors == {}
    assert found.hints["instrument"].startswith("Binance does not answer: check the network.")
    yahoo = Ticket(**(GOOD | {"feed": "live", "venue": "yfinance/yahoo", "asset_class": "stock"}))
    assert "choices" not in filling.listed(yahoo, services)  # it has no list: nothing changes


def test_what_was_found_is_told_by_its_name_and_spelled_as_listed(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    yahoos = {"feed": "live", "venue": "yfinance/yahoo", "asset_class": "stock"}
    asked = told(services, **yahoos, instrument="aapl")
    assert asked.hints["instrument"] == "Type a part of a name or a symbol: Yahoo Finance is searched"
    assert (asked.shape["search"], asked.shape["asset"]) == ("yfinance", "stock")
    with YahooServer() as yahoo:
        monkeypatch.setenv("PREGAO_YAHOO_URL", yahoo.address)
        services.listings.find("yfinance", {}, "Apple")
        assert services.listings.find("yfinance", {}, " apple ") == services.listings.find("yfinance", {}, "APPLE")
        assert yahoo.searched == ["apple"]
    for instrument in ("AAPL", "aapl"):
        found = told(services, **yahoos, instrument=instrument)
        assert found.hints["instrument"] == "Apple Inc. · NMS"
        assert found.spec is not None
        assert found.spec.feed == Live(source="yfinance", symbol="AAPL")


def test_the_form_is_filled_while_the_registry_is_away(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREGAO_MLFLOW_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings.cache_clear()
    found = filling.first({}, services, "en")
    assert found["feed"] == "replay"
    assert found["strategy"].value in [s.name for s in services.strategies.all]
    assert found["instrument"].value == INSTRUMENT.key
    told_ = told(services, strategy="catboost-ai")
    assert told_.errors["strategy"].startswith("The model registry (MLflow) does not answer")
    settings.cache_clear()
