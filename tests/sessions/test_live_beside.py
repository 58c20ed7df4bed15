"""A model that looks at another instrument, live: that one comes late, has a hole, goes away and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml
from aiohttp import web
from learning_project import project
from live_session import MINUTE, STREAM, Running, begun, follower, play, rows, truth
from trained_market import champion_of
from venue import DroppedFrames, Market, MarketClock, Venue
from venue.faults import Fault
from venue.frames import Frame
from venue.markets import EVERY_MS
from venue.truth import listed, true_bars
from waiting import wait

from pregao.core.bars import Bar, Bars
from pregao.core.instrument import Instrument
from pregao.features.sets import feature_set
from pregao.learning import registry
from pregao.market.hours import TradingHours
from pregao.sessions.assembly import assembled
from pregao.sessions.audit import audit
from pregao.sessions.beside import of_row
from pregao.sessions.hosting import Host
from pregao.sessions.journal import Journal
from pregao.sessions.problems import SpecError
from pregao.strategies.backtest import backtest
from pregao.strategies.registry import configured

pytestmark = pytest.mark.slow
OWN, OTHER = "ccxt/binance/BTC-USDT", "ccxt/binance/ETH-USDT"
OTHERS_STREAM = "ethusdt@kline_1m"
LEARNT = 3_000
GONE = 100_000
BRACKET = {"take_profit": "0.5", "stop_loss": "0.5", "horizon": 12}


THEN_MS = 1_709_254_200_000
"""2024-03-01 00:50 UTC: the model has been trained until then, and soon sees an entry."""


class Moved(Market):
    """As a market was about that time it is when these tests begin, whenever that is."""

    began_ms = 0

    def trades(self, first: int, count: int) -> tuple[Any, Any, Any]:
        shift = (self.began_ms - THEN_MS) // EVERY_MS
        at, ticks, lots = super().trades(first - shift, count)
        return at + shift * EVERY_MS, ticks, lots


def at_the_minute() -> MarketClock:
    return MarketClock(int(time.time() // 60 * 60_000))


def markets() -> list[Market]:
    return [Moved("BTC/USDT"), Moved("ETH/USDT", price=2_000.0)]


def as_bars(instrument: Instrument, found: list[Bar]) -> Bars:
    columns = [np.array([getattr(bar, n) for bar in found]) for n in ("open_ns", "open", "high", "low", "close")]
    return Bars(instrument, MINUTE, *columns, np.array([bar.volume for bar in found]))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A champion of BTC/USDT that looks at ETH/USDT; version 2, after one that looks at another venue's."""
    home = tmp_path_factory.mktemp("home")
    clock = at_the_minute()
    Moved.began_ms = clock.now()
    with Venue(markets(), clock) as venue:
        end = clock.now() * 10**6
        own, other = (
            as_bars(listed(venue, symbol)[0], true_bars(venue, symbol, "1m", end - LEARNT * MINUTE.ns, end))
            for symbol in ("BTC/USDT", "ETH/USDT")
        )
    elsewhere = replace(other, instrument=other.instrument.model_copy(update={"venue": "kraken"}))
    for _ in project(home, [own, other, elsewhere]):
        for key, trees in (("ccxt/kraken/ETH-USDT", 2), (OTHER, 20)):
            knobs = yaml.safe_load((home / "params.yaml").read_text())
            knobs["features"] = {"set": "full-market", "others": {"market": key}}
            knobs["plan"] |= {"take_profit": 0.5, "stop_loss": 0.5, "horizon": 12, "fee": 0.0, "slippage": 0.0}
            knobs["model"]["iterations"] = trees
            knobs["random_runs"] = 20
            knobs["folds"]["blocks"] = 2
            knobs["combinations"] = {"groups": 4, "test_groups": 2}
            (home / "params.yaml").write_text(yaml.safe_dump(knobs))
            made = champion_of(OWN, "1m")
        yield made


@pytest.fixture
def journal(name: str) -> Iterator[Journal]:
    opened = Journal()
    yield opened
    opened.close()


@pytest.fixture
def venue(name: str) -> Iterator[Venue]:
    with Venue(markets(), at_the_minute()) as running:
        yield running


def followed(venue: Venue, journal: Journal, **changes: Any) -> str:
    follow = follower(
        venue, journal, instrument=OWN, strategy="catboost-ai", config={}, isolated=False, fee=0, slippage=0, **BRACKET
    )
    return follow(**changes)


def told(journal: Journal, session_id: str) -> list[Bar | None]:
    """The other's bar that each of a session's bars came with."""
    return [of_row(r.body.get("x", {})).get("market") for r in rows(journal, session_id, "bar")]


class Chances:
    """What the model says of each of a session's bars, by the batch over what the venue has, and what was said."""

    def __init__(self, venue: Venue, journal: Journal, session_id: str) -> None:
        self.rows = rows(journal, session_id)
        row = journal.session(session_id)
        part = assembled(row).first
        assert part.model is not None
        self.model, self.plan = part.model, part.plan
        first, now = next(r.body["t"] for r in self.rows if r.kind == "bar"), venue.clock.now() * 10**6
        own, other = (
            true_bars(venue, symbol, "1m", first - 400 * MINUTE.ns, now) for symbol in ("BTC/USDT", "ETH/USDT")
        )
        self.bars = as_bars(row.instrument, own)
        self.other = as_bars(part.others["market"].instrument, other)
        features = feature_set("full-market")
        self.x = features.batch(self.bars, {"market": self.other}, TradingHours(self.bars.instrument.calendar))
        said = self.model.probabilities(self.x)
        self.by_batch = dict(zip(self.bars.close_ns.tolist(), said.tolist(), strict=True))
        self.said = {r.ts_ns: float(r.body["p"]) for r in self.rows if r.kind == "intent"}
        lived = sum(r.kind == "bar" for r in self.rows)
        self.ages = self.x[-lived:, features.names.index("market_age")]

    def assert_equal(self, decisions: int) -> None:
        assert len(self.said) == decisions
        assert self.said == {ns: self.by_batch[ns] for ns in self.said}


class Kept(Fault):
    """Questions about the other instrument's candles are not answered."""

    async def before(self, request: web.Request) -> web.StreamResponse | None:
        if request.query.get("symbol") == "ETHUSDT":
            return web.json_response({"code": -1, "msg": "down"}, status=503)
        return None


def keep_back(venue: Venue) -> None:
    """From now on nothing comes of the other instrument, and the stream stands."""

    def others(frame: Frame) -> bool:
        return bool(frame["s"] == "ETHUSDT")

    venue.streams.faults.append(DroppedFrames(others))
    venue.fault(Kept(), on="klines", times=GONE)


def listening(venue: Venue, journal: Journal, session_id: str) -> int:
    first = begun(venue, journal, session_id)
    venue.subscribed(OTHERS_STREAM, 90)
    return first


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every bar comes, it is waited for: however busy the machine is, none is missing."""
    monkeypatch.setattr("pregao.sessions.beside.GRACE_S", 60.0)


@pytest.mark.usefixtures("patient")
def test_it_trades_on_both_as_a_backtest_over_both_would(venue: Venue, journal: Journal) -> None:
    session_id = followed(venue, journal)
    with Running(journal, session_id):
        first = listening(venue, journal, session_id)
        play(venue, journal, session_id, 15)
        venue.disconnect()
        venue.advance(seconds=5)
        venue.subscribed(STREAM, 90)
        venue.subscribed(OTHERS_STREAM, 90)
        venue.advance(seconds=55)
        wait(lambda: journal.session(session_id).bars == 16)
        play(venue, journal, session_id, 14)
    chances = Chances(venue, journal, session_id)
    chances.assert_equal(30)
    own = truth(venue, first, 30)
    assert chances.bars[len(chances.bars) - 30 :].close.tolist() == [bar.close for bar in own]
    assert told(journal, session_id) == list(true_bars(venue, "ETH/USDT", "1m", first, first + 30 * MINUTE.ns))
    begin = len(chances.bars) - 30
    result = backtest(
        configured("catboost-ai", {}), chances.bars[begin:], chances.plan, seed=7, model=chances.model,
        before=chances.bars[:begin], others={"market": chances.other},
    )  # fmt: skip
    assert [r.body["eq"] for r in chances.rows if r.kind == "bar"] == result.equity.tolist()
    assert [r for r in chances.rows if r.kind == "fill"]
    assert audit(journal, session_id).identical


def test_a_hole_of_the_other_is_missing_and_a_bar_that_comes_late_counts_from_then_on(
    venue: Venue, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pregao.sessions.beside.GRACE_S", 4.0)
    now = venue.clock.now()
    venue.market("ETH/USDT").halts = ((now + 3 * 60_000, now + 5 * 60_000),)
    session_id = followed(venue, journal)
    with Running(journal, session_id):
        listening(venue, journal, session_id)
        play(venue, journal, session_id, 9)
        assert Chances(venue, journal, session_id).ages.tolist() == [0, 0, 0, 1, 2, 0, 0, 0, 0]
        Chances(venue, journal, session_id).assert_equal(9)

        keep_back(venue)
        play(venue, journal, session_id, 1)
        venue.streams.faults.clear()
        venue.mend()
        late = venue.clock.now() * 10**6
        asked = len(venue.asked("klines"))
        wait(lambda: [a for a in venue.asked("klines")[asked:] if a.query.get("symbol") == "ETHUSDT"])
        time.sleep(0.5)  # its answer is read
        keep_back(venue)
        play(venue, journal, session_id, 1)
        venue.mend()
        play(venue, journal, session_id, 4)
    came = [bar.close_ns if bar is not None else None for bar in told(journal, session_id)]
    assert came[9:12] == [None, late, late + 2 * MINUTE.ns]
    assert audit(journal, session_id).identical


def test_killed_and_back_it_catches_up_on_both_though_the_other_trades_no_more(
    venue: Venue, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty bars and more in which nothing comes of the other: it is waited for once, and then it is missing."""
    monkeypatch.setattr("pregao.sessions.beside.CATCH_UP_S", 12.0)
    session_id = followed(venue, journal)
    with Running(journal, session_id):
        listening(venue, journal, session_id)
        play(venue, journal, session_id, 3)
    now = venue.clock.now()
    venue.market("ETH/USDT").halts = ((now + 10 * 60_000, now + 10_000 * 60_000),)
    venue.advance(minutes=90)
    with Running(journal, session_id):
        wait(lambda: journal.session(session_id).bars == 93)
        listening(venue, journal, session_id)
        play(venue, journal, session_id, 2)
        venue.delist("ETH/USDT", gone=True)
        play(venue, journal, session_id, 2)
    missing = [one is None for one in told(journal, session_id)]
    assert missing == [False] * 13 + [True] * 84
    assert audit(journal, session_id).identical


@pytest.mark.usefixtures("patient")
def test_two_at_one_host_hear_both_markets_through_one_line_each(venue: Venue, journal: Journal) -> None:
    both = [followed(venue, journal), followed(venue, journal)]
    host, go = Host(journal.url, only=both), threading.Event()
    thread = threading.Thread(target=host.run, args=(go.is_set,))
    thread.start()
    try:
        for session_id in both:
            wait(lambda: rows(journal, session_id, "warmed"))  # noqa: B023
        listening(venue, journal, both[0])
        wait(lambda: len(host.feeds) == 2)
        for minute in range(1, 9):
            venue.advance(minutes=1)
            wait(lambda: all(journal.session(each).bars == minute for each in both))  # noqa: B023
        assert sum(STREAM in c.streams for c in list(venue.streams.connections)) == 1
        assert sum(OTHERS_STREAM in c.streams for c in list(venue.streams.connections)) == 1
    finally:
        go.set()
        thread.join(60)
    for session_id in both:
        Chances(venue, journal, session_id).assert_equal(8)
        assert None not in told(journal, session_id)


def test_one_of_another_venue_is_refused(venue: Venue, journal: Journal, name: str) -> None:
    registry.promote(name, "1")
    try:
        with pytest.raises(SpecError, match="looks at ccxt/kraken/ETH-USDT as its market, and live only ccxt/binance"):
            followed(venue, journal)
    finally:
        registry.promote(name, "2")
