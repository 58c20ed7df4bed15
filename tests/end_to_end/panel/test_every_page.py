"""Every page of the panel over the whole product: no barrier, nothing wider than a phone, pictures when asked for."""

from __future__ import annotations

from typing import Any

import pytest
from visitors import DESKTOP, PHONE

pytestmark = [pytest.mark.browser, pytest.mark.servers]

PAGES = {
    "trade": ("/", ".pg-live [data-bind=equity]:has-text('.')"),
    "sessions": ("/sessions", "#page tr[data-session]"),
    "models": ("/models", "#page [data-version]"),
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
        visitor.shoot(f"{name}-phone-{theme}", full_page=True)
        assert visitor.overflow() <= 0
    assert found == {"dark": [], "light": []}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_in_portuguese_fits_a_phone(stack: Any, visit: Any, name: str) -> None:
    visitor = visit(locale="pt-BR")
    page = _open(visitor, stack, name)
    assert page.get_attribute("html", "lang") == "pt-BR"
    visitor.shoot(f"{name}-desktop-dark-pt")
    page.set_viewport_size(PHONE)
    assert visitor.overflow() <= 0
