"""A session of several instruments in the panel: a tab for each, what is of one names it, and each is steered alone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from probe_market import INSTRUMENT, of_grid, random_walk
from visitors import PHONE
from waiting import wait

from pregao.core.bars import Bars
from pregao.market.store import Store
from pregao.settings import settings

FINE, COARSE = of_grid("FINE", "0.01", "0.00000001"), of_grid("COARSE", "0.5", "0.01")
THREE = (INSTRUMENT, FINE, COARSE)


@pytest.fixture(scope="module")
def markets(panel: Any) -> Iterator[None]:
    """Two markets beside the panel's own; they go with the tests of this module."""
    settings.cache_clear()
    store = Store()
    for seed, instrument in ((2, FINE), (3, COARSE)):
        walk = random_walk(1_500, seed)
        prices = (
            column // (50 if instrument is COARSE else 1) for column in (walk.open, walk.high, walk.low, walk.close)
        )
        store.write(Bars(instrument, walk.timeframe, walk.open_ns, *prices, walk.volume))
    yield
    for instrument in (FINE, COARSE):
        shutil.rmtree(store.bars_root / instrument.key)


@pytest.fixture
def begin(panel: Any, markets: None) -> Any:
    def begun(bars: int = 0, **changes: Any) -> str:
        asked = {"also": [FINE.key, COARSE.key], "entry_value": 2_000, "feed": {"speed": 300}} | changes
        session_id: str = panel.session(**asked)
        if bars:
            panel.run(session_id)
            wait(lambda: panel.journal.session(session_id).bars >= bars)
            panel.let_go()
        return session_id

    return begun


def held(panel: Any, session_id: str) -> list[bool]:
    return [each["pos"] != 0 for each in panel.journal.session(session_id).details["books"]]


def test_the_api_starts_tells_and_steers_several(panel: Any, markets: None) -> None:
    values = {
        "instrument": INSTRUMENT.key, "also": [FINE.key, COARSE.key], "timeframe": "1m", "strategy": "ma-cross",
        "config": {"fast": 3, "slow": 8}, "feed": {"kind": "replay", "speed": 50},
    }  # fmt: skip
    wrong = panel.http.post("/api/v1/sessions", json=values | {"also": [FINE.key, FINE.key]})
    assert wrong.status_code == 422
    assert "named twice" in wrong.json()["message"]
    wrong = panel.http.post("/api/v1/sessions", json=values | {"also": ["synthetic/bench/GONE"]})
    assert set(wrong.json()["fields"]) == {"also"}
    started = panel.http.post("/api/v1/sessions", json=values)
    assert started.status_code == 201
    session_id = started.json()["session"]
    panel.run(session_id)
    wait(lambda: panel.journal.session(session_id).bars and sum(held(panel, session_id)) >= 2)
    told = panel.http.get(f"/api/v1/sessions/{session_id}").json()
    assert told["instrument"]["key"] == INSTRUMENT.key
    assert [each["symbol"] for each in told["also"]] == ["FINE/USDT", "COARSE/USDT"]
    assert [each["symbol"] for each in told["books"]] == ["TEST/USDT", "FINE/USDT", "COARSE/USDT"]
    unknown = panel.http.post(f"/api/v1/sessions/{session_id}/commands", json={"kind": "flatten", "instrument": "GONE"})
    assert unknown.status_code == 404
    done = panel.http.post(f"/api/v1/sessions/{session_id}/commands", json={"kind": "flatten", "instrument": FINE.key})
    assert done.status_code == 202
    panel.http.post(f"/api/v1/sessions/{session_id}/commands", json={"kind": "stop"})
    panel.let_go()
    for name in ("FINE/USDT", COARSE.key, "TEST/USDT"):
        found = panel.http.get("/api/v1/sessions", params={"instrument": name}).json()
        assert session_id in [each["id"] for each in found]


def test_the_document_shows_how_several_are_asked_for(panel: Any) -> None:
    asked = panel.http.get("/api/openapi.json").json()["paths"]["/api/v1/sessions"]["post"]["requestBody"]
    examples = asked["content"]["application/json"]["examples"]
    assert examples["several"]["value"]["also"] == ["sample/binance/ETH-USDT"]


@pytest.mark.browser
def test_three_instruments_from_the_form_to_the_end(panel: Any, markets: None, visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/?session=")
    page.wait_for_selector(".pg-verdict >> text=USDT")
    page.click("#f-instrument input")
    page.click("#f-instrument [role=option]:has-text('TEST/USDT')")
    page.wait_for_selector(".pg-verdict >> text=Up to 1,000.00 USDT in TEST/USDT")
    page.wait_for_function("document.querySelectorAll('[role=tablist]').length === 1")  # of positions and trades only
    page.click("#f-strategy input")
    page.click("[role=option]:has-text('Moving-average')")
    for name in ("FINE/USDT", "COARSE/USDT"):
        page.click("#f-also input")
        page.click(f"#f-also [role=option]:has-text('{name}')")
    page.keyboard.press("Escape")
    page.wait_for_selector(".pg-verdict >> text=in each of TEST/USDT, FINE/USDT and COARSE/USDT")
    assert visitor.barriers() == []
    page.reload()
    page.wait_for_selector(".pg-verdict >> text=at most 3,000.00 USDT together")
    page.click("#start")
    page.wait_for_selector(".pg-verdict >> text=nothing runs it yet")
    session_id = visitor.session()
    spec = panel.journal.session(session_id).spec
    assert (spec.instrument, set(spec.also)) == (INSTRUMENT.key, {FINE.key, COARSE.key})

    tabs = page.locator(".pg-books [role=tab]")
    page.wait_for_function("document.querySelectorAll('.pg-books [role=tab]').length === 3")
    panel.run(session_id)
    page.wait_for_function(
        "[...document.querySelectorAll('.pg-books .price')].every((one) => /\\d/.test(one.textContent))"
    )
    before = [tabs.nth(n).locator(".price").inner_text() for n in range(3)]
    page.wait_for_function(
        "before => [...document.querySelectorAll('.pg-books .price')].every((one, n) => one.textContent !== before[n])",
        arg=before,
    )
    page.click("[data-command=stop]")
    visitor.wait_text("status", "stopped")
    assert held(panel, session_id) == [False, False, False]


@pytest.mark.browser
def test_a_tab_shows_its_own_candles_and_marks(panel: Any, begin: Any, visit: Any) -> None:
    session_id = begin(400)
    row = panel.journal.session(session_id)
    fills = [each.body.get("b", 0) for each in panel.journal.rows(session_id, limit=10**6) if each.kind == "fill"]
    visitor = visit()
    page = visitor.open(f"/?session={session_id}")
    page.wait_for_function("document.querySelectorAll('.pg-books [role=tab]').length === 3")

    def shows(book: int) -> None:
        page.wait_for_function(
            "([n, title]) => document.querySelector('.pg-live').dataset.markers === String(n)"
            " && document.querySelector('[data-bind=title]').textContent === title",
            arg=[fills.count(book), f"{THREE[book].symbol} · 1m"],
        )

    assert len({fills.count(book) for book in range(3)}) > 1
    shows(0)
    visitor.wait_text("equity", f"^{re.escape(f'{row.equity:,.2f}')}$")
    open_now = sum(held(panel, session_id))
    visitor.wait_text("position", f"^{open_now} open$" if open_now else "^Flat$")
    page.focus(".pg-books [aria-selected=true]")
    page.keyboard.press("ArrowRight")
    shows(1)
    assert page.evaluate("document.activeElement.id") == "tab-book-1"
    assert visitor.text("equity") == f"{row.equity:,.2f}"  # the account's, whatever is looked at
    page.keyboard.press("End")
    shows(2)
    panel.run(session_id)  # rows come while another than the first is shown
    page.wait_for_function("n => Number(document.querySelector('.pg-live').dataset.bars) > n", arg=420)
    panel.let_go()
    page.reload()
    page.wait_for_function("document.querySelector('[data-bind=title]')?.textContent === 'COARSE/USDT · 1m'")
    page.wait_for_selector("[data-part=trades] tbody small.of >> text=FINE/USDT", state="attached")
    page.wait_for_selector(".pg-decisions .of >> text=COARSE/USDT")
    for theme in ("dark", "light"):
        visitor.theme(theme)
        assert visitor.barriers() == []
    page.select_option("[data-part=choice]", "")
    page.wait_for_selector(".pg-books", state="detached")
    visitor.no_longer_named("instrument")


@pytest.mark.browser
def test_one_of_two_proposals_is_accepted_and_one_position_closed(panel: Any, begin: Any, visit: Any) -> None:
    session_id = begin(
        mode="approve", strategy="buy-and-hold", config={}, approval_bars=900, take_profit=90, stop_loss=90,
        feed={"speed": 5},
    )  # fmt: skip
    panel.run(session_id)
    wait(lambda: len(panel.journal.session(session_id).proposals) >= 2)
    visitor = visit()
    page = visitor.open(f"/?session={session_id}")
    page.wait_for_selector(".pg-proposal:not([hidden]) >> nth=1")
    waiting = panel.journal.session(session_id).proposals
    second = THREE[waiting[1].get("b", 0)]
    box = page.locator(".pg-proposal").nth(1)
    assert second.symbol in box.inner_text()
    box.locator(".good").click()
    row = page.locator(f".pg-holdings tr:has-text('{second.symbol}')")
    row.wait_for()
    assert held(panel, session_id) == [each is second for each in THREE]
    assert waiting[0]["id"] in [each["id"] for each in panel.journal.session(session_id).proposals]
    page.click(".pg-proposal .good")
    first = THREE[waiting[0].get("b", 0)]
    page.locator(f".pg-holdings tr:has-text('{first.symbol}')").wait_for()
    row.locator("button").click()
    row.wait_for(state="hidden")
    assert held(panel, session_id) == [each is first for each in THREE]
    page.click("[data-command=flatten]")
    page.locator(".pg-holdings").wait_for(state="hidden")
    page.wait_for_function("document.querySelector('[data-bind=position]').textContent === 'Flat'")
    panel.let_go()


@pytest.mark.browser
def test_the_list_and_the_records_tell_of_several(panel: Any, begin: Any, visit: Any) -> None:
    session_id, other = begin(300), begin(100, also=[])
    visitor = visit(locale="pt-BR")
    page = visitor.open("/sessions")
    line = page.locator(f"tr[data-session='{session_id}']")
    line.locator("a >> text=TEST/USDT +2 · 1m").wait_for()
    page.fill("input[type=search]", "coarse")
    page.wait_for_function("id => !document.querySelector(`tr[data-session='${id}']`)", arg=other)
    line.wait_for()
    line.locator("[data-record=trades]").click()
    page.wait_for_selector("tr.detail small.of >> text=FINE/USDT")
    line.locator("[data-record=lineage]").click()
    page.wait_for_selector("tr.detail [data-what=fill] small >> text=/USDT · linha/")
    line.locator("[data-record=audit]").click()
    page.wait_for_selector("tr.detail .verdict.good", timeout=120_000)
    api = f"/api/v1/sessions/{session_id}"
    assert "TEST/USDT" in panel.http.get(f"{api}/tearsheet").text
    assert panel.http.get(f"{api}/export", params={"form": "csv"}).content[:2] == b"PK"
    compared = panel.http.get("/api/v1/comparison", params={"session": [session_id, other]}).json()
    assert [one["problem"] for one in compared] == ["", ""]
    assert all(len(one["equity"]) > 10 for one in compared)
    page.goto(f"{panel.address}/?session=&clone={session_id}")
    page.wait_for_selector(".pg-verdict >> text=em cada um de TEST/USDT, FINE/USDT e COARSE/USDT")


@pytest.mark.browser
def test_a_phone_has_room_for_the_tabs(panel: Any, begin: Any, visit: Any) -> None:
    session_id = begin(200)
    visitor = visit(viewport=PHONE, locale="pt-BR")
    page = visitor.open(f"/?session={session_id}")
    page.wait_for_function("document.querySelectorAll('.pg-books [role=tab]').length === 3")
    page.wait_for_function("Number(document.querySelector('.pg-live').dataset.bars) > 100")
    assert visitor.overflow() <= 0
    assert visitor.barriers() == []
