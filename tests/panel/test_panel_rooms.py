"""The rooms while Prefect and MLflow are away and nothing is trained: each says so, and what is wrong is told."""

from __future__ import annotations

from http.client import HTTPConnection
from typing import Any

import pytest
from visitors import PHONE

pytestmark = pytest.mark.browser


SAYS = {
    "models": (".pg-blank >> text=pregao retrain", ".pg-head >> text=MLflow"),
    "data": ("tr[data-series$='TEST-USDT 1m']", "[data-part=versions] >> text=Nada foi registrado ainda."),
    "flows": ("[data-part=down] >> text=pregao up", "[data-part=runs] >> text=tenta de novo sozinha"),
    "settings": ("[data-part=limits] [data-profile=balanced]", "[data-part=keys] >> text=Nenhuma chave guardada."),
}
"""What a page shows; and what it says in Portuguese."""


@pytest.mark.parametrize("name", SAYS)
def test_a_page_says_what_is_away_and_is_of_use(visit: Any, name: str) -> None:
    visitor = visit(locale="pt-BR")
    page = visitor.open(f"/{name}")
    for selector in SAYS[name]:
        page.wait_for_selector(selector)
    visitor.forgive("503")
    found = {}
    for theme in ("dark", "light"):
        visitor.theme(theme)
        found[theme] = visitor.barriers()
    assert found == {"dark": [], "light": []}
    page.set_viewport_size(PHONE)
    assert visitor.overflow() <= 0


def test_what_needs_the_flow_server_is_refused_beside_the_button(panel: Any, visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/data")
    page.select_option("[name=source]", "synthetic")
    page.click("form:has([name=source]) button[type=submit]")
    page.wait_for_selector("form:has([name=source]) .pg-form-verdict.bad >> text=Prefect")
    page.goto(f"{panel.address}/flows")
    page.click("form:has([name=instrument]) button[type=submit]")
    page.wait_for_selector("form:has([name=instrument]) .pg-form-verdict.bad >> text=Prefect")
    visitor.forgive("503")


def test_a_form_is_filled_in_and_sent_by_the_keyboard_alone(visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/settings")
    page.focus("[data-part=keys] [name=exchange]")
    for key in ("Tab", "Tab"):
        page.keyboard.press(key)
    page.keyboard.type("typed-by-keyboard")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-key=PREGAO_CCXT_BINANCE_KEY]")
    page.locator("[data-key=PREGAO_CCXT_BINANCE_KEY] button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")  # it stays
    page.wait_for_selector("dialog", state="detached")
    assert page.locator("[data-key=PREGAO_CCXT_BINANCE_KEY]").count() == 1
    page.locator("[data-key=PREGAO_CCXT_BINANCE_KEY] button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] button[type=submit]")
    page.focus("dialog button[type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-key=PREGAO_CCXT_BINANCE_KEY]", state="detached")


def test_a_schedule_that_was_turned_off_is_not_shown_as_it_was_before(visit: Any) -> None:
    visitor = visit()
    plan = {"deployment": "ingest/ingest", "flow": "ingest", "cron": "0 3 * * *", "seconds": None, "next": None}
    asked: list[Any] = []
    on = True

    def answer(route: Any) -> None:
        nonlocal on
        on = on and route.request.method == "GET"
        if route.request.method == "GET":
            asked.append(route)
        if route.request.method == "POST" or len(asked) != 2:  # the second is answered late
            route.fulfill(json=[plan | {"on": on, "served": True}])

    visitor.page.route("**/api/flows/runs?*", lambda route: route.fulfill(json=[]))
    visitor.page.route("**/api/flows/schedules", answer)
    page = visitor.open("/flows")
    switch = page.locator("[data-schedule='ingest/ingest'] [role=switch]")
    switch.wait_for()
    page.wait_for_event("request", lambda request: request.url.endswith("/schedules"))
    switch.click()
    page.wait_for_selector("[data-schedule='ingest/ingest'] [role=switch]:enabled:not(:checked)")
    with page.expect_event("requestfinished", lambda request: request == asked[1].request):
        asked[1].fulfill(json=[plan | {"on": True, "served": True, "next": 1}])  # as of before
    page.wait_for_timeout(500)  # nothing comes of it
    assert not switch.is_checked()


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("file=x.csv&symbol=A,B", 422, "symbol"),
        ("file=..%2F..%2Fpasswd&symbol=MINE", 422, "file"),
        ("file=x.csv&symbol=MINE&timeframe=7m", 422, "timeframe"),
        ("file=x.csv&symbol=MINE", 422, "file"),
    ],
)
def test_an_upload_that_cannot_be_is_refused_by_its_field(panel: Any, query: str, status: int, field: str) -> None:
    answer = panel.http.post(f"/api/data/uploads?{query}", content=b"not,a\ntable,at all\n")
    assert (answer.status_code, list(answer.json()["fields"])) == (status, [field])
    assert not list((panel.home / "var").glob("uploads/*"))


def test_an_upload_that_is_too_long_is_refused_before_it_is_read(panel: Any) -> None:
    connection = HTTPConnection("127.0.0.1", panel.port, timeout=20)
    connection.putrequest("POST", "/api/data/uploads?file=x.csv&symbol=MINE")
    connection.putheader("content-length", str(30_000_000))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"source": "nowhere"}, ["source"]),
        ({"source": "files"}, ["source"]),
        ({"source": "ccxt"}, ["symbols"]),
        ({"source": "synthetic", "timeframe": "7m"}, ["timeframe"]),
        ({"source": "synthetic", "since": "soon"}, ["since"]),
        ({"source": "synthetic", "more": 1}, ["more"]),
    ],
)
def test_an_ingest_that_cannot_be_is_refused_by_its_field(panel: Any, body: dict[str, Any], fields: list[str]) -> None:
    answer = panel.http.post("/api/data/ingests", json=body)
    assert (answer.status_code, list(answer.json()["fields"])) == (422, fields)


def test_an_ingest_that_can_be_waits_for_the_flow_server(panel: Any) -> None:
    answer = panel.http.post("/api/data/ingests", json={"source": "synthetic", "since": "31/05/2024"})
    assert answer.status_code == 503
    assert "Prefect" in answer.json()["message"]
