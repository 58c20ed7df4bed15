"""A market is found by a part of its name and followed, in Chromium: Yahoo's, which nobody can list."""

from __future__ import annotations

from typing import Any

import pytest
from waiting import wait
from yahoo import YahooServer

pytestmark = pytest.mark.browser

FIELD = "#f-instrument input"
HINT = "#m-instrument"
OPTIONS = "#found [role=option]"


def stocks(visitor: Any) -> Any:
    """The form, set to a live stock of Yahoo."""
    page = visitor.open("/?session=")
    page.wait_for_selector(".pg-verdict .first")
    page.click("#f-strategy input")
    page.click("[role=option]:has-text('Buy and hold')")
    page.click("#f-feed label:nth-of-type(2)")
    page.wait_for_selector(".pg-verdict >> text=Follows the market at Binance")
    page.click("#f-asset_class label:nth-of-type(2)")
    page.wait_for_selector(".pg-verdict >> text=Follows the market at Yahoo Finance")
    page.wait_for_selector(f"{HINT} >> text=/Type a part of a name or a symbol|Apple Inc/")  # if it was found before
    return page


def typed(page: Any, words: str) -> None:
    """The words stand in the field as if typed, letter by letter."""
    page.click(FIELD)
    page.keyboard.press("Control+A")
    page.keyboard.type(words, delay=40)


def test_a_company_is_found_by_its_name_followed_and_stopped(panel: Any, visit: Any, trading: YahooServer) -> None:
    yahoo = trading
    yahoo.searched.clear()
    visitor = visit()
    page = stocks(visitor)
    typed(page, "newc")
    page.wait_for_selector(f"{HINT} >> text=1 found at Yahoo Finance for “newc”: choose one")
    assert page.locator(OPTIONS).all_inner_texts() == ["NEWCO\nNewco Inc.\nNMS"]
    assert len(yahoo.searched) < 4  # not at every key
    page.click(OPTIONS)
    page.wait_for_selector(f"{HINT} >> text=Newco Inc. · NMS")
    page.wait_for_selector(".pg-verdict .first >> text=NEWCO")
    page.click("#start")
    visitor.wait_text("status", "waiting")
    session_id = visitor.session()
    spec = panel.journal.session(session_id).spec
    assert (spec.instrument, spec.feed.symbol) == ("yfinance/yahoo/NEWCO", "NEWCO")
    panel.run(session_id)
    visitor.wait_text("status", "running")
    page.wait_for_selector("[data-bind=title] >> text=NEWCO · 1m")
    bars = "() => Number(document.querySelector('.pg-live')?.dataset.bars)"
    page.wait_for_function(f"({bars})() > 0")  # those that it was warmed up on: the market is not in the store
    before = page.evaluate(bars)
    page.wait_for_selector("[data-chart=note] >> text=paler: before the session")
    yahoo.now += 10
    for count in (1, 2):
        yahoo.now += 60
        wait(lambda: panel.journal.session(session_id).bars >= count)  # noqa: B023
    page.wait_for_function(f"n => ({bars})() === n", arg=before + 2)
    page.reload()
    page.wait_for_function(f"n => ({bars})() === n", arg=before + 2)
    page.wait_for_selector("[data-chart=note] >> text=paler: before the session")
    page.click("[data-command=stop]")
    visitor.wait_text("status", "stopped")


def test_a_symbol_is_chosen_by_the_keys(visit: Any, yahoo: YahooServer) -> None:
    visitor = visit()
    page = stocks(visitor)
    typed(page, "co")  # Newco Inc., General Electric, Gone Corporation, Old Economy, Commonwealth Bank
    page.wait_for_selector(f"{HINT} >> text=found at Yahoo Finance for “co”")
    found = [line.split("\n")[0] for line in page.locator(OPTIONS).all_inner_texts()]
    assert {"NEWCO", "GONE", "CBA.AX"} <= set(found)
    assert page.get_attribute(FIELD, "aria-activedescendant") == "found-0"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.locator(f"{OPTIONS}[aria-selected=true]").inner_text().startswith(found[1])
    assert visitor.barriers() == []
    page.keyboard.press("Escape")
    assert page.locator(OPTIONS).count() == 0
    typed(page, "gone")
    page.wait_for_selector(f"{HINT} >> text=1 found at Yahoo Finance for “gone”")
    page.keyboard.press("Enter")
    assert page.input_value(FIELD) == "GONE"
    page.wait_for_selector(f"{HINT} >> text=Gone Corporation · PNK")
    page.reload()  # it is remembered
    page.wait_for_selector(f"{HINT} >> text=Gone Corporation · PNK")
    assert page.input_value(FIELD) == "GONE"


def test_what_was_found_stays_told_when_an_edit_of_before_is_answered(visit: Any, yahoo: YahooServer) -> None:
    visitor = visit()
    page = stocks(visitor)
    let_go = visitor.hold("765")
    with page.expect_request(lambda request: "765" in (request.post_data or "")):
        page.fill("#f-entry_value input", "765")
    typed(page, "newc")
    page.wait_for_selector(f"{HINT} >> text=1 found at Yahoo Finance for “newc”")
    let_go()
    assert "for “newc”" in page.inner_text(HINT)
    assert page.locator(OPTIONS).count() == 1


def test_further_companies_of_the_account_are_found_by_their_names(visit: Any, yahoo: YahooServer) -> None:
    visitor = visit()
    page = stocks(visitor)
    typed(page, "newc")
    page.wait_for_selector(f"{HINT} >> text=1 found at Yahoo Finance for “newc”")
    page.click(OPTIONS)
    page.wait_for_selector(".pg-verdict .first >> text=NEWCO")
    for words, every in (("general el", "NEWCO and GE"), ("penny m", "NEWCO, GE and PENNY")):
        page.click("#f-also input")
        page.keyboard.type(words, delay=40)
        page.wait_for_selector(f"#m-also >> text=1 found at Yahoo Finance for “{words}”")
        assert visitor.barriers() == []
        page.keyboard.press("Enter")
        page.wait_for_selector(f".pg-verdict .first >> text=in each of {every},")
        assert page.locator(OPTIONS).count() == 0
        assert page.input_value("#f-also input") == ""
    page.click("#f-also input")
    page.keyboard.type("old ec", delay=40)
    page.wait_for_selector("#m-also >> text=1 found at Yahoo Finance for “old ec”")  # not of a part of it
    page.click(OPTIONS)
    page.wait_for_selector(".pg-verdict .first >> text=in each of NEWCO, GE, PENNY and OLD,")
    page.reload()
    page.wait_for_selector(".pg-verdict .first >> text=in each of NEWCO, GE, PENNY and OLD,")


@pytest.mark.parametrize("key", ["Enter", "Tab"])
def test_a_further_symbol_that_is_typed_counts_as_one_that_was_chosen(visit: Any, yahoo: YahooServer, key: str) -> None:
    page = stocks(visit())
    typed(page, "NEWCO")
    page.keyboard.press("Tab")
    page.wait_for_selector(".pg-verdict .first >> text=NEWCO")
    page.click("#f-also input")
    page.keyboard.type("G")  # too short to be searched
    page.keyboard.press(key)
    page.wait_for_selector(".pg-verdict .first >> text=in each of NEWCO and G,")


def test_the_page_says_that_it_searches_that_there_is_nothing_and_why_there_was_no_answer(
    visit: Any, yahoo: YahooServer
) -> None:
    visitor = visit(locale="pt-BR")
    page = visitor.open("/?session=")
    page.wait_for_selector(".pg-verdict .first")
    page.click("#f-feed label:nth-of-type(2)")
    page.click("#f-asset_class label:nth-of-type(2)")
    page.wait_for_selector(f"{HINT} >> text=/Digite parte de um nome ou símbolo|Apple Inc/")
    yahoo.fail(search=True, wait_s=1.0)
    page.fill(FIELD, "xyzzy")  # at once: who types slowly searches for a part of it, too
    page.wait_for_selector(f"{HINT} >> text=Buscando na Yahoo Finance…")
    page.wait_for_selector(f"{HINT} >> text=A Yahoo Finance não tem nada desse tipo para “xyzzy”")
    assert page.locator(OPTIONS).count() == 0
    yahoo.fail(search=True, status=429, headers={"Retry-After": "60"})
    page.fill(FIELD, "penny")
    page.wait_for_selector(f"{HINT} >> text=Não dá para buscar na Yahoo Finance agora")
    said = page.inner_text(HINT)
    assert "pede que o deixem em paz por um tempo (429). Tente de novo em 60 s." in said
    yahoo.fail(search=True, times=100, hang_up=True)
    page.fill(FIELD, "commonwealth")
    page.wait_for_selector(f"{HINT} >> text=Verifique a rede e tente de novo mais tarde")
    yahoo.faults.clear()
    typed(page, "old ec")  # it answers again
    page.wait_for_selector("#found >> text=Old Economy")
    visitor.forgive("503")
