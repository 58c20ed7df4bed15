"""Sessions over the whole product: one is killed and goes on with nothing missing; one asks before it buys."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import Any

import psutil
import pytest
from sqlalchemy import text as sql

from pregao_flows import client

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(900)]


def _process(stack: Any, session: str) -> psutil.Process:
    """The process that runs a session."""
    runs = {run.id for run in client.session_runs(session)}
    family = psutil.Process(stack.servers.children["flows"].pid).children(recursive=True)
    of_the_run = [one for one in family if one.environ().get("PREFECT__FLOW_RUN_ID") in runs]
    return min(of_the_run, key=psutil.Process.create_time)  # the others are strategies that it started


def _started(stack: Any, visitor: Any, mode: str, speed: str = "10 bars/s") -> str:
    """Start the moving-average cross from the ticket, so many bars a second; the session's id."""
    page = visitor.open("/?session=")
    page.wait_for_selector(".pg-verdict >> text=EDGE/USDT")
    page.click("#f-strategy input")
    page.click("[role=option]:has-text('Moving-average')")
    page.click("#f-speed input")
    page.get_by_role("option", name=speed, exact=True).click()  # "5 bars/s" is a part of "0.5 bars/s"
    page.locator("#f-mode label").nth(("observe", "approve", "auto").index(mode)).click()
    known = {row.id for row in stack.journal.sessions()}
    page.click("#start")
    session = str(visitor.session())
    assert session not in known
    assert stack.journal.session(session).spec.feed.speed == float(speed.split()[0])
    return session


def test_a_session_is_started_reloaded_killed_gone_on_with_and_stopped(stack: Any, visit: Any) -> None:
    visitor = visit()
    session = _started(stack, visitor, "auto")
    page = visitor.page
    page.wait_for_selector("[data-bind=status][data-status=running]", timeout=120_000)
    moved = "old => document.querySelector('[data-bind=pnl]').innerText !== old"
    for _ in range(3):
        page.wait_for_function(moved, arg=visitor.text("pnl"), timeout=120_000)
    page.reload()
    page.wait_for_selector("[data-bind=status][data-status=running]")
    page.wait_for_function(moved, arg=visitor.text("pnl"), timeout=120_000)

    os.kill(_process(stack, session).pid, signal.SIGKILL)
    while client.session_runs(session):  # until Prefect knows
        time.sleep(0.1)
    left = stack.journal.session(session)
    with stack.journal.writing() as connection:  # as if half a minute had passed
        connection.execute(sql("UPDATE sessions SET heartbeat_ns = 1 WHERE id = :id"), {"id": session})
    page.wait_for_selector("[data-command=start]:visible", timeout=120_000)  # nothing runs it: Run is offered
    page.click("[data-command=start]")
    page.wait_for_function(moved, arg=visitor.text("pnl"), timeout=120_000)
    assert stack.journal.session(session).epoch == left.epoch + 1
    page.click("[data-command=stop]")
    page.wait_for_selector("[data-bind=status][data-status=stopped]", timeout=120_000)
    row = stack.journal.session(session)
    shown = page.evaluate("Pregao.streams.values().next().value.rows.map((row) => row.s)")
    assert shown[-1] == row.last_seq
    assert shown == list(range(shown[0], row.last_seq + 1))  # no gap, nothing twice


def test_a_live_market_is_found_started_followed_and_stopped_through_the_page(stack: Any, visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/?session=")
    page.wait_for_selector(".pg-verdict >> text=EDGE/USDT")
    page.click("#f-feed label:has-text('Live')")
    page.wait_for_selector("#m-instrument >> text=3 markets")  # what the venue trades
    page.click("#f-instrument input")
    page.keyboard.press("Control+A")
    page.keyboard.type("tuc")
    page.get_by_role("option", name="TUCANO/USDT", exact=True).click()
    page.click("#f-timeframe input")
    page.get_by_role("option", name="1m", exact=True).click()
    page.click("#f-strategy input")
    page.click("[role=option]:has-text('Buy and hold')")
    page.fill("#f-entry_value input", "5000")
    page.wait_for_selector(".pg-verdict .first >> text=5,000.00 USDT in TUCANO/USDT")
    page.wait_for_selector(".pg-verdict >> text=Follows the market at Binance")
    visitor.shoot("ticket-live-desktop-dark")
    page.click("#start")
    session = visitor.session()
    assert stack.journal.session(session).spec.feed.kind == "live"
    page.wait_for_selector("[data-bind=status][data-status=running]", timeout=120_000)
    stack.venue.subscribed("tucanousdt@kline_1m", 90)
    seen = set()
    for minute in range(1, 7):
        stack.venue.advance(minutes=1)
        page.wait_for_function(
            "n => Pregao.streams.values().next().value.rows.filter((r) => r.k === 'bar').length >= n", arg=minute
        )
        visitor.wait_text("feed", "live")
        seen.add(visitor.text("pnl"))
    assert len(seen) > 3  # the value of the operation moves
    visitor.wait_text("position", "Long")
    row = stack.journal.session(session)
    assert visitor.wait_text("equity", re.escape(f"{row.equity:,.2f}"))
    visitor.shoot("trade-live-desktop-dark")
    page.click("[data-command=stop]")
    page.wait_for_selector("[data-bind=status][data-status=stopped]", timeout=120_000)
    assert stack.journal.session(session).status == "stopped"


def test_two_live_markets_share_an_account_from_the_ticket_to_the_end(stack: Any, visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/?session=")
    page.wait_for_selector(".pg-verdict >> text=EDGE/USDT")
    page.click("#f-feed label:has-text('Live')")
    page.wait_for_selector("#m-instrument >> text=3 markets")
    page.click("#f-also input")
    page.locator("#f-also").get_by_role("option", name="ETH/USDT", exact=True).click()
    page.keyboard.press("Escape")
    page.click("#f-timeframe input")
    page.get_by_role("option", name="1m", exact=True).click()
    page.click("#f-strategy input")
    page.click("[role=option]:has-text('Buy and hold')")
    page.wait_for_selector(".pg-verdict .first >> text=in each of BTC/USDT and ETH/USDT")
    page.click("#start")
    page.wait_for_selector(".pg-books [role=tab]", timeout=120_000)
    session = visitor.session()
    page.wait_for_selector("[data-bind=status][data-status=running]", timeout=120_000)
    for name in ("btcusdt", "ethusdt"):
        stack.venue.subscribed(f"{name}@kline_1m", 90)
    count = "n => Pregao.streams.values().next().value.rows.filter((r) => r.k === 'bar').length >= n"
    for minute in range(1, 5):
        stack.venue.advance(minutes=1)
        page.wait_for_function(count, arg=2 * minute)
    visitor.wait_text("position", "2 open")
    page.click("#tab-book-1")
    visitor.wait_text("title", "ETH/USDT")
    early = page.evaluate(
        "id => fetch(`/api/sessions/${id}/before?instrument=ETH/USDT&limit=220`).then((a) => a.json())", session
    )
    page.wait_for_function("n => document.querySelector('.pg-live').dataset.bars === String(n)", arg=len(early) + 4)
    page.click(".pg-holdings tr:has-text('ETH/USDT') button")
    page.wait_for_function(
        "() => Pregao.streams.values().next().value.rows.some((r) => r.k === 'fill' && r.role !== 'entry')"
    )
    stack.venue.advance(minutes=1)
    visitor.wait_text("position", "1 open")
    page.click("[data-command=stop]")
    page.wait_for_selector("[data-bind=status][data-status=stopped]", timeout=120_000)
    assert [each["pos"] for each in stack.journal.session(session).details["books"]] == [0, 0]


def test_without_a_network_a_live_market_says_so_at_its_field_and_nothing_is_started(stack: Any, visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/?session=")
    page.wait_for_selector(".pg-verdict >> text=EDGE/USDT")
    page.click("#f-feed label:has-text('Live')")
    page.click("#f-venue input")
    page.get_by_role("option", name="Kraken", exact=True).click()
    page.click("#f-strategy input")
    page.click("[role=option]:has-text('Buy and hold')")
    page.wait_for_selector("#m-instrument >> text=Kraken does not answer: check the network.", timeout=120_000)
    known = len(stack.journal.sessions())
    page.click("#start")
    page.wait_for_selector(
        "#e-instrument >> text=Kraken does not answer, so BTC/USD cannot be followed", timeout=120_000
    )
    assert len(stack.journal.sessions()) == known
    page.click("#f-feed label:has-text('Replay')")  # the form lives on
    page.wait_for_selector(".pg-verdict .first >> text=EDGE/USDT")


def test_a_proposal_at_five_bars_a_second_is_answered_in_good_time_and_buys(stack: Any, visit: Any) -> None:
    visitor = visit()
    session = _started(stack, visitor, "approve", "5 bars/s")
    page = visitor.page
    accept = page.locator("[data-part=proposal] button.good")
    accept.wait_for(timeout=120_000)
    assert stack.journal.session(session).position_lots == 0
    page.wait_for_timeout(5_000)  # somebody who reads first
    accept.click()
    page.wait_for_function("/\\d/.test(document.querySelector('[data-bind=position]').innerText)", timeout=120_000)
    assert stack.journal.session(session).position_lots > 0
    page.locator("[data-part=proposal]").wait_for(state="hidden")
    page.click("[data-command=stop]")
    page.wait_for_selector("[data-bind=status][data-status=stopped]", timeout=120_000)
