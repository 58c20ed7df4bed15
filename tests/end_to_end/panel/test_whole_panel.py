"""The panel over the whole product: no page with a barrier, all on a phone; Models, Data, Flows, Settings at work."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from receiver import Receiver
from trained_home import NAME
from trained_market import KEY, market
from trained_market import session as played
from visitors import DESKTOP, PHONE

from pregao.learning import registry
from pregao.learning.params import read_params
from pregao.market.store import Store
from pregao.sessions.duel import duels
from pregao_flows import client, overview

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(900)]  # the first one makes the home
LANGUAGES = ("en-US", "pt-BR")

PAGES = {
    "trade": ("/", ".pg-live [data-bind=equity]:has-text('.')"),
    "sessions": ("/sessions", "#page tr[data-session]"),
    "models": ("/models", "[data-part=pair] svg"),
    "data": ("/data", "[data-part=detail] svg"),
    "flows": ("/flows", "[data-part=schedules] li"),
    "settings": ("/settings", "[data-part=limits] table"),
}
"""Where a page is, and what is there once it is filled."""


def _open(visitor: Any, stack: Any, name: str) -> Any:
    path, filled = PAGES[name]
    if name == "trade":
        newest = next(row for row in stack.journal.sessions() if row.spec.strategy == "catboost-ai")
        path = f"/?session={newest.id}"
        filled = ".pg-live:not(.without)"
    page = visitor.open(path)
    page.wait_for_selector(filled)
    if name == "trade":
        visitor.wait_text("equity", r"\d")
        page.wait_for_function("Number(document.querySelector('.pg-live').dataset.bars) > 500")
        page.wait_for_selector(".pg-verdict >> text=EDGE/USDT")
    return page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_barrier_and_fits_a_phone(stack: Any, visit: Any, name: str) -> None:
    visitor = visit()
    page = _open(visitor, stack, name)
    found = {}
    for theme in ("dark", "light"):
        visitor.theme(theme)
        page.set_viewport_size(DESKTOP)
        visitor.shoot(f"{name}-desktop-{theme}")
        found[theme] = visitor.barriers()
        page.set_viewport_size(PHONE)
        visitor.shoot(f"{name}-phone-{theme}")
        assert visitor.overflow() <= 0
        assert page.locator("[data-do=theme]").bounding_box()["x"] < PHONE["width"] - 20  # all of the bar is in reach
    assert found == {"dark": [], "light": []}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_in_portuguese_fits_a_phone(stack: Any, visit: Any, name: str) -> None:
    visitor = visit(locale="pt-BR")
    page = _open(visitor, stack, name)
    assert page.get_attribute("html", "lang") == "pt-BR"
    visitor.shoot(f"{name}-desktop-dark-pt")
    page.set_viewport_size(PHONE)
    assert visitor.overflow() <= 0


def _answer(page: Any, reason: str) -> None:
    page.fill("dialog textarea", reason)
    page.click("dialog button[type=submit]")
    page.wait_for_selector("dialog", state="detached")


@pytest.mark.parametrize("locale", LANGUAGES)
def test_two_sessions_are_compared_and_one_is_audited(stack: Any, visit: Any, locale: str) -> None:
    visitor = visit(locale=locale)
    page = visitor.open("/sessions")
    finished = [row.id for row in stack.journal.sessions() if row.status == "finished"][:2]
    for session in finished:
        page.locator(f"tr[data-session='{session}'] input[type=checkbox]").check()
    page.click(".pg-head button.primary")
    page.wait_for_function("document.querySelector('#page svg, #page canvas')")
    page.locator(f"tr[data-session='{finished[0]}'] [data-record=audit]").click()
    page.wait_for_selector("tr.detail .verdict.good", timeout=240_000)


@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_challenger_is_shown_beside_the_champion_that_it_shadows(stack: Any, visit: Any, locale: str) -> None:
    visitor = visit(locale=locale)
    page = visitor.open("/sessions")
    before = next(row for row in stack.journal.sessions() if row.model_name and stack.journal.shadow_of(row.id) is None)
    page.locator(f"tr[data-session='{before.id}'] [data-record=shadow]").click()
    page.wait_for_selector("tr.detail .pg-empty >> text=" + ("desafiante" if locale == "pt-BR" else "challenger"))
    shadowed = next((row.id for row in stack.journal.sessions() if stack.journal.shadow_of(row.id)), None)
    shadowed = shadowed or played(stack.journal, isolated=False)
    shadow = stack.journal.shadow_of(shadowed)
    found = visitor.context.request.get(f"{stack.address}/api/v1/sessions/{shadowed}/shadow").json()
    assert (found["shadow"], found["champion"], found["challenger"]) == (shadow.id, "1", "2")
    assert found["bars"] > 500
    assert str(found["bars"]) in found["text"]
    page.locator(f"tr[data-session='{shadowed}'] [data-record=shadow]").click()
    row = page.locator(f"tr[data-session='{shadowed}'] + tr.detail tbody tr").first
    row.wait_for()
    percent = row.locator("td").nth(1).inner_text().replace("\u2212", "-").replace("%", "").replace(",", ".")
    assert float(percent) == pytest.approx(100 * found["returns"][1], abs=0.006)
    page.goto(f"{stack.address}/models")
    page.wait_for_selector("[data-part=shadow] p")
    registry.note_shadow(NAME, "2", duels(stack.journal, NAME, read_params(stack.home / "params.yaml").gate))
    page.wait_for_timeout(3_100)  # the panel's list is as of three seconds ago at most
    page.reload()
    page.wait_for_selector(f"[data-part=shadow] tbody a >> text={shadowed}")


@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_version_is_promoted_with_a_reason_and_rolled_back(stack: Any, visit: Any, locale: str) -> None:
    visitor = visit(locale=locale)
    page = visitor.open("/models")
    page.wait_for_selector("[data-part=pair] svg")
    assert page.locator("[data-part=pair] td.better").count() > 3
    version = page.locator("[data-version='2']")
    version.locator("summary").click()
    version.locator(".pg-gate li.no").first.wait_for()  # why the gate refused it, with figures
    version.locator("[data-do=promote]").click()
    page.click("dialog button[type=submit]")  # without a reason
    page.wait_for_selector("dialog [data-field=reason] .pg-error")
    assert registry.champion(NAME) == "1"
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    version.locator("[data-do=promote]").click()
    _answer(page, "calmer than its elder")
    page.wait_for_selector("[data-part=who] >> text=calmer than its elder")
    promoted = next(model for model in registry.list_models(NAME) if model.version == "2")
    assert "champion" in promoted.aliases
    assert (promoted.promotion["by"], promoted.promotion["reason"]) == ("person", "calmer than its elder")
    page.click("[data-do=roll-back]")
    _answer(page, "it was not")
    page.wait_for_selector("[data-part=who] >> text=it was not")
    assert registry.champion(NAME) == "1"


def test_the_report_of_a_version_opens_and_stands_inside_its_column(stack: Any, visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/models")
    link = page.locator("[data-version='1'] a[href$='/report']")
    link.wait_for()
    box, around = link.bounding_box(), page.locator("[data-version='1']").bounding_box()
    assert around["x"] + 10 <= box["x"]
    assert box["y"] + box["height"] + 10 <= around["y"] + around["height"]
    with visitor.context.expect_page() as opened:
        link.click()
    opened.value.wait_for_selector("svg")


@pytest.mark.parametrize("locale", LANGUAGES)
def test_data_is_brought_in_by_a_run_that_is_followed(stack: Any, visit: Any, locale: str) -> None:
    visitor = visit(locale=locale)
    page = visitor.open("/data")
    page.wait_for_selector("[data-part=detail] svg")
    submit = "form:has([name=source]) button[type=submit]"
    page.select_option("[name=source]", "ccxt")
    page.click(submit)
    page.wait_for_selector("[data-field=symbols] .pg-error")
    page.fill("[name=symbols]", "BTC/USDT")
    page.fill("[name=since]", "soon")
    page.click(submit)
    page.wait_for_selector("[data-field=since] .pg-error >> text=2024-05-31")
    visitor.forgive("422")
    page.fill("[name=since]", "")
    page.select_option("[name=source]", "synthetic")
    page.select_option("form:has([name=source]) [name=timeframe]", "1h")
    if locale == "pt-BR":  # what the source refuses is told
        page.fill("[name=symbols]", "GOLD/USDT")
        page.click(submit)
        page.wait_for_selector("[data-run] .pg-form-verdict.bad >> text=GOLD/USDT", timeout=240_000)
        return
    page.fill("[name=symbols]", "NOISE/USDT")
    page.click(submit)
    page.wait_for_selector("[data-run] .pg-form-verdict.good >> text=new bars in 1 series", timeout=240_000)
    page.wait_for_selector("tr[data-series$='NOISE-USDT 1h']")
    page.wait_for_selector("[data-part=versions] tbody tr >> nth=1")


def _csv(path: Path, spoil: dict[int, str]) -> Path:
    """Bars of a minute; some lines (the head is line 1) are others."""
    bars = market(bars=200)
    lines = ["timestamp,open,high,low,close,volume"]
    for i in range(len(bars)):
        row = bars.bar(i)
        prices = ",".join(f"{value / 100:.2f}" for value in (row.open, row.high, row.low, row.close))
        lines.append(f"{row.open_ns // 10**9},{prices},{row.volume}")
    for number, text in spoil.items():
        lines[number - 1] = text
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_file_is_brought_in_and_its_bad_lines_are_named(stack: Any, visit: Any, tmp_path: Path) -> None:
    visitor = visit()
    page = visitor.open("/data")
    submit = "form:has([name=file]) button[type=submit]"
    page.click(submit)
    page.wait_for_selector("[data-field=file] .pg-error")
    page.wait_for_selector("[data-field=symbol] .pg-error")
    page.set_input_files("[name=file]", _csv(tmp_path / "prices.pdf", {}))
    page.fill("[name=symbol]", "MINE/USD")
    page.click(submit)
    page.wait_for_selector("[data-field=file] .pg-error >> text=prices.pdf is no table")
    page.set_input_files("[name=file]", _csv(tmp_path / "empty.csv", {1: "nothing,here"}))
    page.click(submit)
    page.wait_for_selector("[data-field=file] .pg-error >> text=empty.csv")
    visitor.forgive("422")
    page.set_input_files("[name=file]", _csv(tmp_path / "prices.csv", {7: "1733000000,5,4,6,5,1"}))
    page.click(submit)
    page.wait_for_selector("form:has([name=file]) .pg-form-verdict.good")
    page.click("form:has([name=file]) .pg-aside summary")
    page.wait_for_selector("form:has([name=file]) .pg-aside >> text=prices.csv, line 7")
    assert Store().instrument("files/local/MINE-USD").symbol == "MINE/USD"
    page.wait_for_selector("tr[data-series='files/local/MINE-USD 15m'][aria-selected=true]")
    assert not list((stack.home / "var" / "uploads").glob("*"))
    page.click("[data-part=detail] .acts a[href*='MINE-USD']")  # and taken into the ticket
    page.wait_for_function("document.querySelector('#f-instrument input')?.value === 'MINE/USD'")
    assert page.input_value("#f-timeframe input") == "15m"
    assert "market=" not in page.url


def test_a_training_is_started_followed_and_cancelled(stack: Any, visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/flows")
    page.select_option("[name=instrument]", f"{KEY} 15m")
    page.click("form:has([name=instrument]) button[type=submit]")
    run = page.wait_for_selector("[data-part=run] [data-run]").get_attribute("data-run")
    page.wait_for_selector("[data-part=run] .pg-steps li", timeout=240_000)
    page.wait_for_selector(f"[data-part=runs] tr[data-run='{run}']")
    page.click("[data-part=run] button")
    page.wait_for_selector("[data-part=run] .pg-pill >> text=cancelled", timeout=240_000)
    assert client.get(run).state_type == "CANCELLED"


@pytest.mark.long
@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_training_is_started_from_the_models_page_and_followed_to_its_end(
    stack: Any, visit: Any, locale: str
) -> None:
    known = {model.version for model in registry.list_models(NAME)}
    params = stack.home / "params.yaml"
    knobs = yaml.safe_load(params.read_text())
    knobs["model"]["depth"] = 2 + LANGUAGES.index(locale)  # what has not changed is not trained again
    knobs["model"]["iterations"] = 40
    params.write_text(yaml.safe_dump(knobs))
    visitor = visit(locale=locale)
    page = visitor.open("/models")
    page.click("[data-do=train]")
    run = page.wait_for_selector("[data-part=run] [data-run]").get_attribute("data-run")
    page.wait_for_selector("[data-part=run] .pg-steps li", timeout=240_000)
    visitor.shoot("models-training-desktop-dark" + ("-pt" if locale == "pt-BR" else ""))
    verdict = page.wait_for_selector("[data-part=run] .pg-form-verdict", timeout=600_000)
    told = verdict.inner_text()
    assert "good" in verdict.get_attribute("class"), told
    (version,) = {model.version for model in registry.list_models(NAME)} - known
    assert told.startswith(f"{'Versão' if locale == 'pt-BR' else 'Version'} {version}:")
    report = client.report(run)
    assert (report["name"], report["version"]) == (NAME, version)
    page.click("[data-part=run] .pg-form-verdict a")
    page.locator(f"[data-version='{version}'] summary").click()
    page.wait_for_selector(f"[data-version='{version}'] .pg-gate li")


@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_schedule_is_turned_off_and_on(stack: Any, visit: Any, locale: str) -> None:
    visitor = visit(locale=locale)
    page = visitor.open("/flows")
    switch = page.locator("[data-schedule='ingest/ingest'] [role=switch]")
    switch.wait_for()
    assert switch.is_checked()
    filled = switch.evaluate("one => getComputedStyle(one).backgroundColor === getComputedStyle(one).borderColor")
    assert filled  # it is seen to be on
    for on in (False, True):
        switch.click()
        page.wait_for_function(
            "on => { const one = document.querySelector(`[data-schedule='ingest/ingest'] [role=switch]`);"
            " return one && !one.disabled && one.checked === on; }",
            arg=on,
        )
        found = next(one for one in overview.schedules() if one.deployment == client.INGEST)
        assert found.on is on


def test_a_key_goes_in_and_never_comes_out(stack: Any, visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/settings")
    submit = "[data-part=keys] button[type=submit]"
    page.click(submit)
    page.wait_for_selector("[data-field=value] .pg-error")
    page.select_option("[name=exchange]", "kraken")
    page.fill("[name=value]", "a-key-that-nobody-sees")
    page.click(submit)
    row = page.locator("[data-key=PREGAO_CCXT_KRAKEN_KEY]")
    row.wait_for()
    assert "a-key-that-nobody-sees" not in page.content()
    kept = stack.home / "var" / "private" / "keys.json"
    assert "a-key-that-nobody-sees" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    row.get_by_role("button").click()
    page.click("dialog button[type=submit]")
    row.wait_for(state="detached")
    assert "a-key-that-nobody-sees" not in kept.read_text()


@pytest.mark.parametrize("locale", LANGUAGES)
def test_notifications_are_off_until_there_is_a_place_and_a_test_arrives(stack: Any, visit: Any, locale: str) -> None:
    visitor = visit(locale=locale)
    page = visitor.open("/settings")
    page.check("[data-part=notifications] [name=on]")
    page.click("form:has([name=on]) button[type=submit]")
    page.wait_for_selector("[data-field=on] .pg-error")
    page.fill("[name=address]", "no address at all")
    page.click("form:has([name=address]) button[type=submit]")
    page.wait_for_selector("form:has([name=address]) :is(.pg-error, .bad)")
    visitor.forgive("422")
    with closing(Receiver()) as receiver:
        page.fill("[data-part=notifications] [name=name]", "my hook")
        page.fill("[name=address]", receiver.address)
        page.click("form:has([name=address]) button[type=submit]")
        row = page.locator("[data-target]")
        row.wait_for()
        row.get_by_role("button").first.click()
        row.locator(".good").wait_for()
        assert len(receiver.taken) == 1
    assert receiver.address not in page.content()
    row.get_by_role("button").last.click()
    page.click("dialog button[type=submit]")
    row.wait_for(state="detached")
