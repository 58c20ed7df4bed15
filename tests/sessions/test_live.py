"""Sessions on a live market: the real ccxt client at a local exchange that goes away, lies and comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from killable import Point, runner
from live_session import MINUTE, STREAM, Running, bars_of, begun, follower, play, rows, states, truth
from terminal import typed
from venue import Altered, Market, MarketClock, Status, Venue
from waiting import wait
from yahoo.fixtures import yahoo

from pregao.core.bars import Bar, Bars
from pregao.core.errors import PregaoError
from pregao.market.sources.yfinance_live import YahooWire
from pregao.sessions import places
from pregao.sessions.assembly import assembled
from pregao.sessions.audit import audit
from pregao.sessions.control import SpecError, spec_of, start
from pregao.sessions.following import Following, is_late
from pregao.sessions.journal import Journal
from pregao.settings import settings
from pregao.strategies.backtest import backtest
from pregao.strategies.registry import configured

__all__ = ["yahoo"]
GONE = 100_000
PROGRAM = str(Path(sys.executable).parent / "pregao")


@pytest.fixture
def database(home: Path) -> str:
    """The installation's own; what differs between databases is in other files."""
    return settings().sessions_url


@pytest.fixture
def venue(plugin: None) -> Iterator[Venue]:
    now_ms = int(time.time() // 60 * 60_000)
    with Venue([Market("BTC/USDT")], MarketClock(now_ms)) as running:
        yield running


@pytest.fixture
def follow(venue: Venue, journal: Journal) -> Any:
    """Start a session that follows BTC/USDT; keyword arguments change the spec."""
    return follower(venue, journal)


def as_bars(instrument: Any, found: list[Bar]) -> Bars:
    import numpy as np

    columns = [np.array([getattr(bar, n) for bar in found]) for n in ("open_ns", "open", "high", "low", "close")]
    return Bars(instrument, MINUTE, *columns, np.array([bar.volume for bar in found]))  # type: ignore[arg-type]


def test_it_trades_on_the_venues_own_bars_as_a_backtest_over_them_would(
    venue: Venue, follow: Any, journal: Journal
) -> None:
    session_id = follow(take_profit="0.2", stop_loss="0.2")
    with Running(journal, session_id):
        first = begun(venue, journal, session_id)
        play(venue, journal, session_id, 25)
    found = bars_of(journal, session_id)
    assert found == truth(venue, first, 25)
    assert not any("late" in r.body for r in rows(journal, session_id, "bar"))
    row = journal.session(session_id)
    parts = assembled(row)
    warm = [Bar._make([*b[:-1], float(b[-1])]) for b in rows(journal, session_id, "warmed")[0].body["bars"]]
    assert warm == truth(venue, warm[0].open_ns, len(warm))
    result = backtest(
        configured("probe", row.spec.config), as_bars(row.instrument, found), parts.first.plan, seed=7,
        before=as_bars(row.instrument, warm),
    )  # fmt: skip
    assert [r.body["eq"] for r in rows(journal, session_id, "bar")] == result.equity.tolist()
    fills = [(r.ts_ns, r.body["price"], r.body["pos"]) for r in rows(journal, session_id, "fill")]
    assert fills == [(e.ts_ns, e.price_ticks, e.position_lots) for e in result.history() if e.kind == "fill"]
    assert len(fills) >= 2
    assert audit(journal, session_id).identical


def test_killed_while_it_holds_a_position_its_exits_fill_where_the_venue_would_have_filled_them(
    venue: Venue, follow: Any, journal: Journal, database: str, home: Any
) -> None:
    """Two sessions alike; the runner of one is killed until the other's exit has filled, and its exit must be that."""
    wide = {"take_profit": "0.2", "stop_loss": "0.2", "config": {"every": 2, "leave": 1_000}}
    calm, killed = follow(**wide), follow(**wide)

    def exits(session_id: str) -> list[tuple[int, int, str, int]]:
        """Exits: when, at what price, by which rule, for what fee."""
        fills = [r for r in rows(journal, session_id, "fill") if r.body["role"] in ("take_profit", "stop_loss")]
        return [(r.ts_ns, r.body["price"], r.body["rule"], r.body["fee"]) for r in fills]

    with Running(journal, calm):
        process = runner(str(home), database, killed)
        wait(lambda: journal.session(killed).status == "running")
        begun(venue, journal, calm)
        wait(lambda: sum(STREAM in c.streams for c in list(venue.streams.connections)) == 2)
        while not (journal.session(calm).position_lots and journal.session(killed).position_lots):
            bars = journal.session(killed).bars
            play(venue, journal, calm, 1)
            wait(lambda: journal.session(killed).bars == bars + 1)  # noqa: B023
        process.kill()
        process.join()
        held = journal.session(killed)
        assert held.position_lots == journal.session(calm).position_lots
        away = 0
        while not exits(calm) or away < 5:
            play(venue, journal, calm, 1)
            away += 1
    with Running(journal, killed):
        wait(lambda: journal.session(killed).bars == held.bars + away)
        begun(venue, journal, killed)
        play(venue, journal, killed, 1)
        wait(lambda: rows(journal, killed, "missed"))

    assert exits(killed)[0] == exits(calm)[0]
    assert exits(killed)[0][0] > held.bar_ns
    late = [r for r in rows(journal, killed, "bar") if r.body.get("late")]
    assert away - 2 <= len(late) <= away
    during = [r for r in rows(journal, killed, "intent") if late[0].ts_ns <= r.ts_ns <= late[-1].ts_ns]
    assert during == []  # nothing is decided on bars that are caught up on
    (missed,) = rows(journal, killed, "missed")
    assert missed.body["bars"] == len(late)
    told = next(r for r in rows(journal, killed, "intent") if r.ts_ns > late[-1].ts_ns)
    assert told.body["action"] == "enter" or told.body["reason"] == f"missed {len(late)}"
    assert bars_of(journal, killed) == truth(venue, bars_of(journal, killed)[0].open_ns, held.bars + away + 1)
    assert audit(journal, killed).identical


def test_killed_again_and_again_while_it_catches_up_it_ends_like_one_that_was_not(
    venue: Venue, follow: Any, journal: Journal, database: str, home: Any
) -> None:
    """Both are away for twenty-five bars with a position; one catches up at once, the other is killed on the way."""
    wide = {"take_profit": "0.2", "stop_loss": "0.2", "config": {"every": 2, "leave": 1_000}, "isolated": False}
    calm, killed = follow(**wide), follow(**wide)
    with Running(journal, calm), Running(journal, killed):
        begun(venue, journal, calm)
        wait(lambda: sum(STREAM in c.streams for c in list(venue.streams.connections)) == 2)
        while not (journal.session(calm).position_lots and journal.session(killed).position_lots):
            bars = journal.session(killed).bars
            play(venue, journal, calm, 1)
            wait(lambda: journal.session(killed).bars == bars + 1)  # noqa: B023
    held = journal.session(calm).bars
    venue.advance(minutes=25)
    points = ["in the journal's rows", "after a commit"]
    if "PREGAO_KILLS" in os.environ:
        points += ["in the projection", "before a commit", "in the trades"]
    for point in points:
        process = runner(str(home), database, killed, Point(point, 1 if point == "in the trades" else 4))
        wait(lambda: process.exitcode is not None or journal.session(killed).bars == held + 25)  # noqa: B023
        process.kill()
        process.join()
    for session_id in (calm, killed):
        with Running(journal, session_id):
            wait(lambda: journal.session(session_id).bars == held + 25)  # noqa: B023

    def lived(session_id: str) -> list[tuple[int, str, str]]:
        """But for the last bar, which may have come in time for one and late for the other."""
        kinds = ("bar", "fill", "order", "intent", "memory")
        found = rows(journal, session_id, *kinds)
        last = next(r.seq for r in reversed(found) if r.kind == "bar")
        return [(r.ts_ns, r.kind, r.text) for r in found if r.seq < last]

    assert lived(killed) == lived(calm)
    assert len(journal.runs(killed)) == 2 + len(points)
    assert audit(journal, killed).identical


def test_a_person_closes_a_position_between_two_bars_at_the_last_price_heard(
    venue: Venue, follow: Any, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    markets: list[Following] = []

    class Kept(Following):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            markets.append(self)

    monkeypatch.setattr(places, "Following", Kept)
    session_id = follow(take_profit=5, stop_loss=5, config={"every": 2, "leave": 1_000}, isolated=False)
    with Running(journal, session_id):
        begun(venue, journal, session_id)
        while not journal.session(session_id).position_lots:
            play(venue, journal, session_id, 1)
        bars = journal.session(session_id).bars
        venue.advance(seconds=30)
        last = venue.last_ticks(venue.market("BTC/USDT"))
        wait(lambda: markets[0].last_price is not None and markets[0].last_price[0] == last)
        number = journal.command(session_id, "flatten")
        wait(lambda: journal.answer(number).outcome == "done")
        assert journal.session(session_id).position_lots == 0
        (fill,) = [r for r in rows(journal, session_id, "fill") if r.body["role"] == "exit"]
        assert fill.body["rule"] == "last"
        assert fill.body["ref"] == last
        assert fill.body["slip"] > 0
        assert journal.session(session_id).bars == bars
        journal.command(session_id, "stop")
        wait(lambda: journal.session(session_id).status == "stopped")
        assert journal.session(session_id).bars == bars
    assert [o.body["reason"] for o in rows(journal, session_id, "order") if o.body["role"] == "stop_loss"][-1]
    assert audit(journal, session_id).identical


class Absurd(Altered):
    """The candle of one time is at ten times its price."""

    def __init__(self, open_ms: int) -> None:
        super().__init__(lambda row: row)
        self.open_ms = open_ms

    def rows(self, rows: list[list[Any]]) -> list[list[Any]]:
        return [
            [row[0], *(f"{10 * float(price):.8f}" for price in row[1:5]), *row[5:]] if row[0] == self.open_ms else row
            for row in rows
        ]


def gone(venue: Venue) -> None:
    venue.fault(Status(503), on="*", times=GONE)
    venue.streams.refused = True
    venue.disconnect()


def test_while_the_venue_is_gone_nothing_is_decided_and_it_catches_up_when_it_is_back(
    venue: Venue, follow: Any, journal: Journal
) -> None:
    session_id = follow(mode="approve", approval_bars=1_000, config={"every": 2, "leave": 1_000})
    with Running(journal, session_id):
        first = begun(venue, journal, session_id)
        play(venue, journal, session_id, 3)
        assert journal.session(session_id).proposal is not None
        gone(venue)
        wait(lambda: states(journal, session_id) == ["stale"])
        assert "The market is not heard" in journal.session(session_id).details["notices"]["feed"]
        number = journal.command(session_id, "approve")
        wait(lambda: journal.answer(number).outcome is not None)
        assert journal.answer(number).outcome == "the market is not heard now"
        venue.advance(minutes=7)
        venue.mend()
        wait(lambda: [r for r in rows(journal, session_id, "feed") if r.body["state"] == "recovered"])
        assert journal.session(session_id).bars == 10
        assert "notices" not in journal.session(session_id).details
        venue.subscribed(STREAM, 90)
        play(venue, journal, session_id, 2)
        number = journal.command(session_id, "approve")
        wait(lambda: journal.answer(number).outcome == "done")
    assert bars_of(journal, session_id) == truth(venue, first, 12)
    assert rows(journal, session_id, "missed")[0].body["bars"] >= 6
    assert states(journal, session_id) == ["stale", "recovered"]
    assert audit(journal, session_id).identical


def test_a_stop_that_has_no_price_says_what_it_waits_for_and_is_carried_out_with_the_next_one(
    venue: Venue, follow: Any, journal: Journal
) -> None:
    session_id = follow(config={"every": 2, "leave": 1_000})
    with Running(journal, session_id):
        begun(venue, journal, session_id)
        while not journal.session(session_id).position_lots:
            play(venue, journal, session_id, 1)
        gone(venue)
        wait(lambda: states(journal, session_id) == ["stale"])
        number = journal.command(session_id, "stop")
        wait(lambda: journal.answer(number).outcome == "done")
        row = journal.session(session_id)
        assert (row.status, bool(row.position_lots)) == ("running", True)
        said = "Stopping: the session ends as soon as its position in BTC/USDT is closed."
        assert row.details["notices"]["stop"] == said
        venue.mend()
        venue.advance(minutes=2)
        wait(lambda: journal.session(session_id).status == "stopped")
    row = journal.session(session_id)
    assert row.position_lots == 0
    assert "stop" not in row.details.get("notices", {})
    assert audit(journal, session_id).identical


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that fails is asked again at once."""
    monkeypatch.setattr("pregao.market.sources.ccxt.patience.Patience.wait_s", lambda *_: 0.02)


@pytest.mark.usefixtures("impatient")
def test_a_runner_that_starts_while_the_venue_is_gone_waits_for_it(venue: Venue, follow: Any, journal: Journal) -> None:
    new, old = follow(), follow()
    with Running(journal, old):
        begun(venue, journal, old)
        play(venue, journal, old, 2)
    gone(venue)
    with Running(journal, new), Running(journal, old):
        wait(lambda: journal.session(new).error)
        assert "It is tried again" in str(journal.session(new).error)
        wait(lambda: states(journal, old) == ["stale"])
        venue.advance(minutes=5)
        venue.mend()
        wait(lambda: journal.session(new).status == "running")
        wait(lambda: journal.session(old).bars == 7)
        wait(lambda: states(journal, old)[-1] == "recovered")
        assert journal.session(new).error is None
    for session_id in (new, old):
        assert audit(journal, session_id).identical


@pytest.mark.usefixtures("impatient")
def test_a_session_that_never_heard_its_market_can_be_stopped(venue: Venue, follow: Any, journal: Journal) -> None:
    session_id = follow()
    gone(venue)
    with Running(journal, session_id):
        wait(lambda: journal.session(session_id).error)
        journal.command(session_id, "stop")
        wait(lambda: journal.session(session_id).status == "stopped")
    assert audit(journal, session_id).identical


def test_a_bar_that_cannot_be_believed_is_held_back_and_the_strategy_waits(
    venue: Venue, follow: Any, journal: Journal
) -> None:
    session_id = follow()
    with Running(journal, session_id):
        first = begun(venue, journal, session_id)
        play(venue, journal, session_id, 3)
        venue.streams.refused = True
        venue.disconnect()
        venue.fault(Absurd(first // 1_000_000 + 180_000), on="klines", times=GONE)
        venue.advance(minutes=1)
        wait(lambda: [r for r in rows(journal, session_id, "feed") if r.body["state"] == "held"])
        assert "not believed" in journal.session(session_id).details["notices"]["feed"]
        assert journal.session(session_id).bars == 3
        venue.mend()
        wait(lambda: journal.session(session_id).bars == 4)
        venue.subscribed(STREAM, 90)
        play(venue, journal, session_id, 1)
        assert "feed" not in journal.session(session_id).details.get("notices", {})
    assert bars_of(journal, session_id) == truth(venue, first, 5)


def test_a_market_that_is_delisted_ends_the_session_with_the_reason(
    venue: Venue, follow: Any, journal: Journal
) -> None:
    session_id = follow()
    with Running(journal, session_id) as running:
        begun(venue, journal, session_id)
        play(venue, journal, session_id, 2)
        venue.delist("BTC/USDT", gone=True)
        venue.advance(minutes=5)
        running.thread.join(90)
        assert isinstance(running.error, PregaoError)
    row = journal.session(session_id)
    assert row.status == "failed"
    assert "The market of BTC/USDT has ended" in str(row.error)
    assert journal.unattended(0) == []  # nobody starts it again and again


def test_a_session_follows_yahoo_too(
    yahoo: Any, plugin: None, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polled, some seconds late by Yahoo's own clock: its bars are in time, and the strategy trades on them."""
    minutes = yahoo.stocks["NEWCO"].minutes["time"]
    some = range(int(minutes.searchsorted(time.time() - 4 * 86_400)), len(minutes) - 30)
    yahoo.now = float(minutes[next(i for i in some if minutes[i + 30] - minutes[i - 30] == 3_600)])  # amid a session
    monkeypatch.setattr(YahooWire.__init__, "__defaults__", (lambda: int(yahoo.now * 1e9),))
    feed = {
        "kind": "live", "source": "yfinance", "symbol": "NEWCO", "stale_s": 30, "poll_s": 0.2,
        "options": {"address": yahoo.address, "attempts": 1, "pause_s": 0.01},
    }  # fmt: skip
    values = {"instrument": "yfinance/yahoo/NEWCO", "timeframe": "1m", "strategy": "buy-and-hold", "feed": feed}
    session_id = start(spec_of(values), journal)
    assert journal.session(session_id).instrument.symbol == "NEWCO"
    with Running(journal, session_id):
        wait(lambda: journal.session(session_id).status == "running")
        yahoo.now += 10
        for _ in range(8):
            bars = journal.session(session_id).bars
            yahoo.now += 60
            wait(lambda: journal.session(session_id).bars > bars)  # noqa: B023
    found = bars_of(journal, session_id)
    assert [b.open_ns - a.open_ns for a, b in pairwise(found)] == [MINUTE.ns] * (len(found) - 1)
    assert rows(journal, session_id, "fill")
    assert audit(journal, session_id).identical


def test_bars_are_late_after_half_their_length_or_a_minute() -> None:
    minute, hour = Bar(0, 60 * 10**9, 1, 1, 1, 1, 0.0), Bar(0, 3_600 * 10**9, 1, 1, 1, 1, 0.0)
    assert not is_late(minute, minute.close_ns + 30 * 10**9)
    assert is_late(minute, minute.close_ns + 31 * 10**9)
    assert not is_late(hour, hour.close_ns + 60 * 10**9)
    assert is_late(hour, hour.close_ns + 61 * 10**9)


@pytest.mark.parametrize(
    ("feed", "words"),
    [
        ({"source": "ccxt", "symbol": "NOPE/USDT"}, "has no spot symbol 'NOPE/USDT'"),
        ({"source": "ccxt", "symbol": "BTC/USDT", "options": {"exchange": "binanse"}}, "no exchange 'binanse'"),
        ({"source": "ccxt", "symbol": "BTC/USDT", "options": {"speed": 1}}, "no option 'speed'"),
        ({"source": "sample", "symbol": "BTC/USDT"}, "history only"),
        ({"source": "nonsense", "symbol": "BTC/USDT"}, "no source named 'nonsense'"),
    ],
)
def test_a_market_that_cannot_be_followed_is_refused(venue: Venue, journal: Journal, feed: Any, words: str) -> None:
    options = {"base_url": venue.url} | feed.get("options", {})
    asked = {**feed, "kind": "live", "options": options if feed["source"] == "ccxt" else {}}
    values = {"instrument": "ccxt/binance/X", "timeframe": "1m", "strategy": "probe", "feed": asked}
    with pytest.raises(SpecError, match=words) as caught:
        start(spec_of(values), journal)
    assert list(caught.value.problems) == ["instrument"]


def test_the_command_line_follows_a_market_is_killed_and_goes_on(
    venue: Venue, home: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_URL", venue.url)
    command = [PROGRAM, "trade", "start", "BTC/USDT", "--source", "ccxt", "--strategy", "probe",
               "--set", "every=2", "--here"]  # fmt: skip
    first = subprocess.Popen(command, env=os.environ, stderr=subprocess.PIPE, text=True)
    journal = Journal()
    venue.subscribed(STREAM, 120)
    (session,) = journal.sessions()
    play(venue, journal, session.id, 3)
    first.kill()
    first.wait()
    venue.advance(minutes=4)
    again = [PROGRAM, "trade", "resume", session.id, "--here", "--json"]
    second = subprocess.Popen(again, env=os.environ, stdout=subprocess.PIPE, text=True)
    wait(lambda: journal.session(session.id).bars == 7)
    second.send_signal(signal.SIGINT)
    told = json.loads(second.communicate(timeout=90)[0])
    assert (told["status"], told["bars"], told["bars_total"]) == ("running", 7, 0)
    main_status = _said(capsys, "trade", "show", session.id)
    assert "7 bars" in main_status[1]
    journal.close()


def _said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status, out, err = typed(capsys, *words)
    return status, out + err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--here",), "cannot be reached"),
        (("--since", "2024-01-01"), "--since is of a replay"),
        (("--data", "x"), "--data is of a replay"),
    ],
)
def test_without_a_network_or_with_options_of_a_replay_the_command_says_so(
    plugin: None, home: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: Any, said: str
) -> None:
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("pregao.market.sources.ccxt.patience.Patience.wait_s", lambda *_: 0.0)
    status, told = _said(capsys, "trade", "start", "BTC/USDT", "--source", "ccxt", "--strategy", "probe", *words)
    assert status in (1, 2)
    assert said in " ".join(told.split())
    assert "Traceback" not in told
