"""The panel in Chromium, as a person uses it: figures move, a reload loses nothing, both languages, no surprise."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from probe_market import INSTRUMENT, START_NS
from sqlalchemy import text as sql
from visitors import PHONE
from waiting import wait

from pregao.features import words as features
from pregao.sessions.spec import SessionSpec
from pregao_ui.refusals import known, refusal
from pregao_ui.theme import DARK, LIGHT

pytestmark = pytest.mark.browser


@pytest.fixture
def running(panel: Any) -> str:
    """A session some trades into the market, whose runner has let go for now."""
    session_id = panel.session(feed={"speed": 60, "start": START_NS + 300 * 60_000_000_000})
    panel.run(session_id)
    wait(lambda: panel.journal.session(session_id).trades_count >= 4)
    panel.let_go()
    assert panel.journal.session(session_id).status == "running"
    return str(session_id)


def test_the_value_of_the_operation_moves_as_rows_are_committed(panel: Any, visit: Any, running: str) -> None:
    visitor = visit()
    page = visitor.open(f"/?session={running}")
    first = visitor.wait_text("equity", r"\d")
    assert visitor.text("status") == "running"
    panel.run(running)
    seen = [first]
    fresh = (
        "seen => { const text = document.querySelector('[data-bind=equity]').innerText;"
        " return !seen.includes(text) && { text }; }"
    )
    while len(seen) < 5:
        seen.append(page.wait_for_function(fresh, arg=seen).json_value()["text"])
    panel.let_go()
    row = panel.journal.session(running)
    visitor.wait_row(row.last_seq)
    visitor.wait_text("equity", re.escape(f"{row.equity:,.2f}"))
    sign = "+" if row.pnl > 0 else "\u2212"
    visitor.wait_text("pnl", f"^{re.escape(f'{sign}{abs(row.pnl):,.2f}')}$")
    page.wait_for_function("Number(document.querySelector('.pg-live').dataset.markers) >= 8")
    page.wait_for_function("n => Number(document.querySelector('.pg-live').dataset.bars) > n", arg=row.bars)
    page.wait_for_function(
        "n => document.querySelectorAll('[data-part=trades] tbody tr').length === n", arg=min(row.trades_count, 100)
    )
    page.wait_for_selector(".pg-decisions li >> nth=5")
    assert page.locator("[data-part=synthetic]").is_visible()
    assert page.locator("#topbar .money").inner_text().lower() == "simulated money"


def test_the_page_tells_refusals_as_the_server_does(panel: Any, visit: Any) -> None:
    session_id = panel.session()
    _, sentences = known("pt-BR")
    cases = [re.sub(r"\{(\w+)\}", r"a \1", one) for one in sentences]
    cases += ["Something new. Round it. And this.", "one.csv is empty. Two", "no full stop", "a\nb. Round it.", ""]
    page = visit(locale="pt-BR").open(f"/?session={session_id}")
    page.wait_for_function("() => Boolean(window.Pregao?.refusal)")
    assert page.evaluate("cases => cases.map(Pregao.refusal)", cases) == [refusal("pt-BR", one) for one in cases]
    with panel.journal.writing() as connection:
        said = "5.20 % were lost today (UTC): no more entries until tomorrow."
        values = {"id": session_id, "details": json.dumps({"notices": {"risk": said}})}
        connection.execute(sql("UPDATE sessions SET details = :details WHERE id = :id"), values)
    page.wait_for_selector("[data-part=notice] >> text=5.20 % foram perdidos hoje")


@pytest.mark.parametrize(
    ("sandbox", "locale", "said"),
    [
        (True, "en-US", "orders go to binance sandbox"),
        (False, "en-US", "real money: orders go to binance"),
        (False, "pt-BR", "dinheiro real: ordens vão para binance"),
    ],
)
def test_a_session_whose_orders_go_to_an_exchange_says_so(
    panel: Any, visit: Any, sandbox: bool, locale: str, said: str
) -> None:
    values = {"instrument": INSTRUMENT.key, "timeframe": "1m", "strategy": "ma-cross"}
    feed = {"kind": "live", "source": "ccxt", "symbol": INSTRUMENT.symbol}
    spec = SessionSpec.model_validate(values | {"feed": feed, "broker": {"kind": "exchange", "sandbox": sandbox}})
    session_id = panel.journal.create(spec, INSTRUMENT, None)
    told = panel.http.get(f"/api/v1/sessions/{session_id}").json()
    assert told["broker"] == ("binance sandbox" if sandbox else "binance")
    assert told["money"] == ("sandbox" if sandbox else "real")
    visitor = visit(locale=locale)
    page = visitor.open(f"/?session={session_id}")
    page.wait_for_selector(f"#topbar .money >> text='{said}'")
    visitor.wait_text("speed", "^live$" if locale == "en-US" else "^ao vivo$")
    badge = page.locator(".pg-sessionbar [data-part=money]")
    assert badge.inner_text().lower() == said
    assert badge.get_attribute("data-money") == told["money"]
    page.goto(f"{panel.address}/sessions")
    page.wait_for_selector(f"tr[data-session='{session_id}'] .pg-badge >> text='{said}'")
    page.wait_for_selector(f"#topbar .money[data-money={told['money']}]")
    with panel.journal.writing() as connection:  # the other tests' panel has no money at stake
        connection.execute(sql("UPDATE sessions SET status = 'stopped' WHERE id = :id"), {"id": session_id})


def test_the_chart_follows_a_session_from_its_first_bar(panel: Any, visit: Any) -> None:
    session_id = panel.session(feed={"speed": 100, "start": START_NS + 300 * 60_000_000_000})
    visitor = visit()
    page = visitor.open(f"/?session={session_id}")
    visitor.wait_text("status", "waiting")
    page.wait_for_function("document.querySelector('.pg-live').dataset.bars === '220'")  # those before the session
    panel.run(session_id)
    page.wait_for_function("Number(document.querySelector('.pg-live').dataset.bars) > 500")
    page.wait_for_function("document.querySelector('.pg-live').dataset.edge === 'true'")
    plot = page.locator("[data-chart=candles]").bounding_box()
    page.mouse.move(plot["x"] + 300, plot["y"] + 100)
    page.mouse.down()
    page.mouse.move(plot["x"] + 900, plot["y"] + 100, steps=4)  # back in time: the chart stays where it was put
    page.mouse.up()
    page.wait_for_function("document.querySelector('.pg-live').dataset.edge === 'false'")
    page.wait_for_timeout(600)
    assert page.locator(".pg-live").get_attribute("data-edge") == "false"
    panel.let_go()


def test_levels_of_an_open_position_are_on_the_page(panel: Any, visit: Any) -> None:
    session_id = panel.session(strategy="buy-and-hold", config={}, take_profit=90, stop_loss=90, feed={"speed": 10})
    panel.run(session_id)
    visitor = visit()
    page = visitor.open(f"/?session={session_id}")
    visitor.wait_text("position", "Long")
    visitor.wait_text("open", r".+ open · [\d,.]+ % of the equity")
    page.wait_for_selector("[data-part=position] tbody tr >> text=stop loss")
    assert page.locator("[data-part=position] dd").nth(0).inner_text() == "Long"
    page.click("[data-command=flatten]")  # it is there once the session is known to hold something
    visitor.wait_text("position", "Flat|Long")
    page.click("[data-command=pause]")
    visitor.wait_text("status", "paused")
    page.click("[data-command=resume]")
    visitor.wait_text("status", "running")
    page.click("[data-command=stop]")
    visitor.wait_text("status", "stopped")
    visitor.wait_text("feed", "ended")
    assert page.locator("[data-command]:visible").count() == 0


def test_a_reload_and_a_restart_of_the_panel_show_the_same(panel: Any, visit: Any, running: str) -> None:
    visitor = visit()
    page = visitor.open(f"/?session={running}")
    equity = visitor.wait_text("equity", r"\d")
    row = panel.journal.session(running)
    before = "n => Number(document.querySelector('.pg-live').dataset.bars) > n"  # those before the session come last
    page.wait_for_function(before, arg=row.bars)
    bars = page.locator(".pg-live").get_attribute("data-bars")
    page.reload()
    assert visitor.wait_text("equity", r"\d") == equity
    page.wait_for_function("n => document.querySelector('.pg-live').dataset.bars === n", arg=bars)
    page.goto(panel.address)  # without the link: the browser remembers
    assert visitor.wait_text("equity", r"\d") == equity
    assert visitor.session() == running

    panel.end()
    try:
        visitor.wait_text("feed", "reconnecting")
        panel.run(running)  # the session goes on while nobody can see it
        wait(lambda: panel.journal.session(running).bars > row.bars + 10)
    finally:
        panel.let_go()
        panel.serve()
    row = panel.journal.session(running)
    visitor.wait_row(row.last_seq)
    visitor.wait_text("equity", re.escape(f"{row.equity:,.2f}"))
    with panel.journal.writing() as connection:  # it took a while: as if its runner had just shown itself
        beat = {"now": time.time_ns() + 60 * 10**9, "id": running}
        connection.execute(sql("UPDATE sessions SET heartbeat_ns = :now WHERE id = :id"), beat)
    visitor.wait_text("feed", "live")
    shown = page.evaluate("Pregao.streams.values().next().value.rows.map((row) => row.s)")
    assert shown == list(range(1, row.last_seq + 1))
    visitor.forgive("net::ERR_", "Failed to load resource", "Connection")  # while it was away


def test_the_ticket_answers_as_one_types_and_start_keeps_the_session(panel: Any, visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/?session=")
    page.wait_for_selector(".pg-verdict >> text=TEST/USDT")
    visitor.wait_text("title", "^TEST/USDT · 1m$")
    page.fill("#f-entry_value input", "20000")
    page.wait_for_selector("#e-entry_value >> text=More than the cash")
    page.wait_for_selector("#f-entry_value input[aria-invalid=true]")
    page.fill("#f-entry_value input", "500")
    page.wait_for_selector("#e-entry_value", state="detached")
    page.wait_for_selector(".pg-verdict >> text=500.00")
    page.fill("#f-take_profit input", "")
    page.wait_for_selector("#e-take_profit >> text=Fill this in.")
    page.fill("#f-take_profit input", "3")

    page.click("#f-strategy input")
    page.click("[role=option]:has-text('Moving-average')")
    page.click("#settings button")
    page.fill("#f-settings-fast input", "1")
    page.wait_for_selector("#e-settings-fast >> text=Must be at least 2.")
    page.fill("#f-settings-fast input", "5")
    page.wait_for_selector("#e-settings-fast", state="detached")

    page.click("#f-start input")
    page.click("[role=option]:has-text('A date')")
    page.wait_for_selector("#e-date")
    page.fill("#f-date textarea", "2023-11-15")
    page.wait_for_selector(".pg-verdict >> text=from 2023-11-15")

    page.reload()  # what was typed is still there
    page.wait_for_selector(".pg-verdict >> text=from 2023-11-15")
    assert page.input_value("#f-entry_value input") == "500"
    page.click("#start")
    page.wait_for_selector(".pg-verdict >> text=nothing runs it yet")
    visitor.wait_text("status", "waiting")
    spec = panel.journal.session(visitor.session()).spec
    assert (spec.instrument, spec.strategy, spec.config) == (INSTRUMENT.key, "ma-cross", {"fast": 5})
    assert (spec.entry_value, spec.take_profit) == (500, 3)
    assert spec.feed.start == 1_700_006_400 * 10**9


def test_an_answer_that_was_overtaken_changes_nothing(visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/?session=")
    page.wait_for_selector(".pg-verdict .first >> text=1,000.00 USDT in TEST/USDT")
    let_go = visitor.hold("765")
    with page.expect_request(lambda request: "765" in (request.post_data or "")):
        page.fill("#f-entry_value input", "765")
    page.click("#start")
    page.wait_for_selector(".pg-verdict >> text=nothing runs it yet")
    let_go()
    assert "nothing runs it yet" in page.inner_text(".pg-verdict")


def test_what_was_typed_is_kept_before_the_server_has_answered(visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/?session=")
    page.wait_for_selector(".pg-verdict .first >> text=1,000.00 USDT in TEST/USDT")
    visitor.hold("765")
    with page.expect_request(lambda request: "765" in (request.post_data or "")):
        page.fill("#f-entry_value input", "765")
    page.reload()
    page.wait_for_selector(".pg-verdict .first >> text=765.00 USDT in TEST/USDT")


def test_portuguese_by_the_browser_and_by_choice(panel: Any, visit: Any, running: str) -> None:
    brazilian = visit(locale="pt-BR")
    page = brazilian.open(f"/?session={running}")
    brazilian.wait_text("status", "rodando")
    assert page.get_attribute("html", "lang") == "pt-BR"
    page.wait_for_selector("#f-entry_value >> text=/^Valor de entrada/")
    page.wait_for_selector(".pg-verdict >> text=Dinheiro simulado.")
    assert re.fullmatch(r"[\d.]+,\d\d", brazilian.wait_text("equity", r"\d"))

    visitor = visit()
    page = visitor.open(f"/?session={running}")
    visitor.wait_text("status", "running")
    page.click("[data-language='pt-BR']")
    visitor.wait_text("status", "rodando")
    page.wait_for_selector(".pg-verdict >> text=Dinheiro simulado.")
    page.reload()
    visitor.wait_text("status", "rodando")


BACKGROUND = "getComputedStyle(document.body).backgroundColor"
FRAMES = """window.frames_seen = new Set();
const look = () => {
  if (document.body) frames_seen.add(getComputedStyle(document.body).backgroundColor);
  requestAnimationFrame(look);
};
look();"""
"""Notes the background of every frame of a page from its first on."""


def _colour(palette: dict[str, str]) -> str:
    return "rgb({}, {}, {})".format(*(int(palette["bg"][i : i + 2], 16) for i in (1, 3, 5)))


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_colours_are_those_that_the_browser_asks_for_until_the_person_chooses(
    visit: Any, running: str, scheme: str
) -> None:
    own, other = (_colour(DARK), _colour(LIGHT))[:: 1 if scheme == "dark" else -1]
    visitor = visit(color_scheme=scheme)
    visitor.context.add_init_script(FRAMES)
    page = visitor.open(f"/?session={running}")
    visitor.wait_text("equity", r"\d")
    assert page.evaluate("[...frames_seen]") == [own]  # no flash of the other
    page.emulate_media(color_scheme="light" if scheme == "dark" else "dark")
    page.wait_for_function(f"colour => {BACKGROUND} === colour", arg=other)  # it follows while nothing is chosen
    page.click("[data-do=theme]")
    assert page.evaluate(BACKGROUND) == own
    page.reload()  # the choice stays, whatever the browser asks for
    visitor.wait_text("equity", r"\d")
    assert page.evaluate("[...frames_seen]") == [own]
    visitor.open("/settings")
    page.select_option("#look-theme", "")
    assert page.evaluate(BACKGROUND) == other
    page.reload()
    page.wait_for_selector("#look-theme")
    page.wait_for_function("frames_seen.size")
    assert page.evaluate("[...frames_seen]") == [other]


def test_a_phone_shows_the_figures_first_and_nothing_wider_than_itself(visit: Any, running: str) -> None:
    visitor = visit(viewport=PHONE, has_touch=True, is_mobile=True)
    page = visitor.open(f"/?session={running}")
    visitor.wait_text("equity", r"\d")
    assert page.locator("[data-bind=pnl]").bounding_box()["y"] < PHONE["height"] / 2
    assert page.locator("#topbar .money").is_visible()
    assert visitor.overflow() <= 0
    for name in ("sessions", "models"):
        visitor.open(f"/{name}")
        page.wait_for_selector("#page .pg-blank, #page table")
        assert visitor.overflow() <= 0


def test_all_sessions_are_listed_and_steered(panel: Any, visit: Any) -> None:
    running = panel.session(feed={"speed": 5})
    panel.run(running)
    visitor = visit()
    page = visitor.open("/sessions")
    row = page.locator(f"tr[data-session={running}]")
    row.wait_for()
    before = row.inner_text()
    page.wait_for_function(
        "([id, old]) => document.querySelector(`tr[data-session=${id}]`).innerText !== old", arg=[running, before]
    )
    row.get_by_role("button", name="Pause").click()
    row.get_by_text("paused").wait_for()
    row.get_by_role("button", name="Stop").click()
    row.get_by_text("stopped").wait_for()
    page.click("[data-filter=active]")
    row.wait_for(state="detached")
    page.click("[data-filter=past]")
    row.get_by_role("link", name="Open").click()
    visitor.wait_text("status", "stopped")


def test_what_is_pressed_in_the_list_stays_until_it_is_let_go(panel: Any, visit: Any) -> None:
    running = panel.session(feed={"speed": 5})
    panel.run(running)
    page = visit().open("/sessions")
    row = page.locator(f"tr[data-session={running}]")
    button = row.get_by_role("button", name="Pause")
    button.hover()
    page.mouse.down()
    for _ in range(2):  # it has moved on, and the list is told so
        bars = panel.journal.session(running).bars
        wait(lambda: panel.journal.session(running).bars > bars)  # noqa: B023
        page.wait_for_event("response", lambda answer: answer.url.endswith("/api/v1/sessions"))
    page.mouse.up()
    row.get_by_text("paused").wait_for()


def test_a_strategy_and_its_settings_are_told_in_portuguese(panel: Any, visit: Any) -> None:
    page = visit(locale="pt-BR").open("/")
    page.wait_for_selector(".pg-verdict .first")
    page.click("#f-strategy input")
    page.click("[role=option]:has-text('Cruzamento de médias móveis')")
    page.click("#settings button")
    page.wait_for_selector("#settings >> text=Segue a tendência: comprada enquanto")
    page.wait_for_selector("#f-settings-fast >> text=Média rápida")
    page.wait_for_selector("#f-settings-slow >> text=Período em barras · 3 – 1.000 barras")


def test_sessions_are_compared_audited_traced_and_cloned(panel: Any, visit: Any) -> None:
    for name in ("ma-cross", "buy-and-hold"):
        spec = {"strategy": name, "config": {}, "risk": {"profile": "balanced"}, "trailing": True}
        others = {
            "fee": 0.25,
            "slippage": 0.07,
            "meta": "veto",
            "shadow": False,
            "horizon": 77,
            "cash": 12_345,
            "seed": 9,
        }
        feed = {"speed": 0, "start": START_NS, "end": START_NS + 200 * 60_000_000_000}
        panel.play(panel.session(feed=feed, **spec, **others))
    newest, other = (row.id for row in panel.journal.sessions()[:2])
    visitor = visit()
    page = visitor.open("/sessions")
    page.set_default_timeout(90_000)
    page.fill("#page input[type=search]", newest)
    page.wait_for_function("document.querySelectorAll('#page tr[data-session]').length === 1")
    page.fill("#page input[type=search]", "")
    for session_id in (newest, other):
        page.check(f"tr[data-session={session_id}] input[type=checkbox]")
    page.click("#page button.primary")
    page.wait_for_selector(".pg-comparison tbody tr >> text=Sharpe ratio")
    assert page.locator(".pg-comparison thead th small").all_inner_texts() == [newest, other]
    page.wait_for_selector(".pg-comparison canvas")
    visitor.shoot("sessions-compared-desktop-dark")
    page.keyboard.press("Escape")

    row = page.locator(f"tr[data-session={newest}]")
    row.locator("[data-record=audit]").click()
    page.wait_for_selector(".pg-record .verdict.good >> text=Identical to the backtest")
    row.locator("[data-record=lineage]").click()
    page.wait_for_selector(".pg-chain [data-what=code]")
    assert page.locator(".pg-chain > li").count() == 8
    visitor.shoot("sessions-lineage-desktop-dark")
    page.locator(".pg-record .text").focus()
    page.keyboard.press("Escape")
    page.wait_for_selector(".pg-record", state="detached")
    assert page.evaluate("document.activeElement.dataset.record") == "lineage"  # back where it was opened

    row.get_by_role("link", name="Clone").click()
    page.get_by_text("no field for all that this session was asked: the seed.").wait_for()
    page.wait_for_selector(".pg-verdict .first")
    page.wait_for_function("document.querySelector('#f-strategy input')?.value === 'Buy and hold'")
    page.wait_for_selector("#f-trailing input:checked")
    page.wait_for_function("document.querySelector('#f-risk input').value === 'Balanced'")
    page.wait_for_selector("#m-risk >> text=Closes and pauses 1,851.75 USDT below the peak.")
    visitor.no_longer_named("clone")
    page.click("#start")  # also what is in the closed parts of the form is as it was
    page.wait_for_selector(".pg-verdict >> text=nothing runs it yet")
    asked, again = (panel.journal.session(one).spec for one in (newest, visitor.session()))
    beside = {"feed", "seed"}
    assert again.model_dump(exclude=beside) == asked.model_dump(exclude=beside)
    assert again.feed == asked.feed.model_copy(update={"end": again.feed.end})  # the ticket plays to the end


def test_the_trades_fit_in_portuguese_and_decisions_tell_what_came_of_them(visit: Any, running: str) -> None:
    visitor = visit(locale="pt-BR")
    page = visitor.open(f"/?session={running}")
    visitor.wait_text("equity", r"\d")
    page.click("#tab-trades")
    page.wait_for_selector("#pane-trades tbody tr")
    wide = "(() => { const n = document.querySelector('#pane-trades'); return n.scrollWidth - n.clientWidth; })()"
    assert page.evaluate(wide) <= 0
    page.wait_for_selector(".pg-decisions li.enter .result")
    line = page.locator(".pg-decisions li.enter:has(.result)").first.inner_text()
    assert re.search(r"Comprou a [\d.,]+ → Fechou a [\d.,]+: .+, após \d+ (s|min|h)", line)
    visitor.shoot("trade-trades-desktop-dark-pt")
    nouns = {words.noun.format(n=12) for words in features.TOLD.values()}
    clauses = {clause.format(n=12) for words in features.TOLD.values() for clause in words.clauses or ()}
    rated = {f"{noun} is {level}" for noun in nouns for level in (*features.LEVELS, "missing", "-0.25", "1.5e-05")}
    said = sorted(nouns | clauses | rated)
    into = page.evaluate("all => all.map(Pregao.told)", said)
    english = re.compile(r"\b(the|is|of|bar|usual|missing|price|over|against)\b")
    assert [one for one in into if english.search(one)] == []
    assert page.evaluate("Pregao.told('mine = a / b is above usual')") == "mine = a / b está acima do comum"
    old = {  # as journals of before have it: the same words twice
        "reason": "up: the time of day (day_sin, +0.25); the time of the week (week_sin, +0.20); "
        "the time of the week (week_cos, +0.10)",
        "top": [["day_sin", 0.25], ["week_sin", 0.2], ["week_cos", 0.1]],
    }
    clauses = "row => [...Pregao.reasons(row)[0].querySelectorAll('.clause')].map((node) => node.textContent)"
    told = page.evaluate(clauses, old)
    assert told == ["O momento da semana", "A hora do dia"]


def test_exits_as_prices_and_live_markets_change_the_form(panel: Any, visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/?session=")
    page.wait_for_selector(".pg-verdict .first")
    assert not page.is_visible("#f-venue")
    page.click("#f-exits label:nth-of-type(2)")
    page.wait_for_selector("#m-take_profit >> text=/\\+2 % · about/")
    assert float(page.input_value("#f-take_profit input")) > 100
    assert not page.is_visible("#f-trailing")
    page.click("#f-exits label:nth-of-type(1)")
    page.wait_for_function("document.querySelector('#f-take_profit input').value === '2'")
    page.click("#f-strategy input")
    page.click("[role=option]:has-text('Buy and hold')")
    page.click("#f-feed label:nth-of-type(2)")
    page.wait_for_selector(".pg-verdict >> text=Follows the market at Binance")
    assert page.is_visible("#f-venue")
    assert not page.is_visible("#f-start")
    page.click("#f-asset_class label:nth-of-type(2)")
    page.wait_for_selector(".pg-verdict >> text=AAPL")
    visitor.shoot("ticket-live-desktop-dark")


def test_shortcuts_are_listed_and_none_acts_while_something_is_typed(visit: Any, running: str) -> None:
    visitor = visit()
    page = visitor.open(f"/?session={running}")
    visitor.wait_text("status", "running")
    page.keyboard.press("?")
    page.wait_for_selector("#pg-keys[open] >> text=Pause or resume")
    page.keyboard.press("Escape")
    page.wait_for_selector("#pg-keys", state="hidden")
    page.keyboard.press("n")
    assert page.evaluate("document.activeElement.closest('[id^=f-]').id") == "f-entry_value"
    page.keyboard.press("2")  # typed, not a way to the Sessions page
    assert "/?session=" in page.url
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    page.wait_for_url("**/sessions")


def test_empty_pages_say_what_to_do(visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/models")
    page.wait_for_selector(".pg-blank >> text=pregao retrain")
    page.wait_for_selector("#topbar .pg-banner >> text=pregao up")


def test_a_link_to_a_session_that_is_gone_leads_to_the_ticket(visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/?session=gone-0000")
    page.wait_for_selector("#pg-say >> text=gone-0000")
    page.wait_for_selector(".pg-verdict >> text=TEST/USDT")
    visitor.no_longer_named("session")
    visitor.forgive("404")


def test_eight_tabs_share_one_connection_whatever_sessions_they_show(panel: Any, visit: Any) -> None:
    """A browser allows six connections to a host; one a session, the seventh tab would get no answer to anything."""
    running = panel.session(feed={"speed": 20})
    panel.run(running)
    wait(lambda: panel.journal.session(running).bars > 20)
    panel.let_go()
    others = [panel.session(feed={"speed": 100, "start": START_NS + 300 * 60_000_000_000}) for _ in range(5)]
    shown = [running, *others, running, running]
    visitor = visit()
    tabs = [visitor.page, *(visitor.window() for _ in range(len(shown) - 1))]
    for tab, session_id in zip(tabs, shown, strict=True):
        tab.goto(f"{panel.address}/?session={session_id}")
    for tab in tabs:
        tab.wait_for_function("/\\d/.test(document.querySelector('[data-bind=equity]')?.innerText ?? '')")
        assert tab.evaluate("fetch('/api/v1/health').then((answer) => answer.status)") == 200
    for session_id in dict.fromkeys(shown):
        panel.run(session_id)
    for tab in tabs:
        tab.wait_for_function("Number(document.querySelector('.pg-live').dataset.seq) > 20")
    panel.let_go()
    for tab, session_id in zip(tabs, shown, strict=True):
        last = panel.journal.session(session_id).last_seq
        tab.wait_for_function("last => Pregao.streams.values().next().value.seq === last", arg=last)
        rows = tab.evaluate("Pregao.streams.values().next().value.rows.map((row) => row.s)")
        assert rows == list(range(1, last + 1))  # no gap, nothing twice
    tabs[1].close()
    last = panel.journal.session(running).last_seq
    panel.run(running)
    tabs[0].wait_for_function("last => Number(document.querySelector('.pg-live').dataset.seq) > last", arg=last)


def test_without_a_shared_worker_it_works_alike(panel: Any, visit: Any, running: str) -> None:
    visitor = visit()
    visitor.open(f"/?session={running}&noworker=1")
    before = visitor.wait_text("equity", r"\d")

    def moved() -> bool:
        return f"{panel.journal.session(running).equity:,.2f}" != before

    panel.run(running)
    wait(moved)
    panel.let_go()
    visitor.wait_text("equity", re.escape(f"{panel.journal.session(running).equity:,.2f}"))


def test_the_keyboard_reaches_everything_and_shows_where_it_is(visit: Any, running: str) -> None:
    visitor = visit()
    page = visitor.open(f"/?session={running}")
    visitor.wait_text("equity", r"\d")
    page.wait_for_selector(".pg-verdict >> text=Simulated money.")
    reached = set()
    where = """((node) => node.dataset.command || node.dataset.part || node.closest('[id]')?.id)(
        document.activeElement)"""
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(where))
    assert {"f-entry_value", "f-mode", "start", "choice", "pause", "stop"} <= reached
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('input, select, textarea, button')].filter((node) =>
        node.offsetParent && !node.labels?.length && !node.getAttribute('aria-label') && !node.innerText.trim()
        && !node.title).map((node) => node.outerHTML)"""
    )
    assert unnamed == []
