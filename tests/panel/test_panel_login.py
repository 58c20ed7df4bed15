"""The page that asks for the password, in Chromium: both languages, by keyboard, on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from panel_process import PASSWORD
from visitors import DESKTOP, PHONE
from waiting import wait

from pregao_ui.pace import FREE_GUESSES

pytestmark = pytest.mark.browser

SAID = {
    "en-US": ("Password", "That is not the password.", r"Too many guesses\. Try again in (\d+) seconds\."),
    "pt-BR": ("Senha", "A senha não é esta.", r"Tentativas demais\. Tente de novo em (\d+) segundos\."),
}


@pytest.fixture
def guessed(locked: Any) -> Iterator[Any]:
    """The panel with a password, at which nobody has guessed yet: the right one makes it forget."""
    _forget(locked)
    yield locked
    _forget(locked)


def _forget(locked: Any) -> None:
    """Say the right password, as soon as it is listened to: others may have guessed."""
    wait(lambda: locked.http.post("/login", data={"password": PASSWORD}).status_code != 429)
    locked.http.cookies.clear()


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("locale", SAID)
def test_a_wrong_password_is_told_under_the_field_and_the_right_one_opens(
    guessed: Any, visit: Any, locale: str, scheme: str
) -> None:
    label, wrong, _ = SAID[locale]
    visitor = visit(locale=locale, color_scheme=scheme)
    page = visitor.open("/models")
    assert page.get_attribute("html", "lang") == ("pt-BR" if locale == "pt-BR" else "en")
    field = page.get_by_label(label)
    assert page.evaluate("document.activeElement.id") == "password"
    page.keyboard.type("the wrong words")
    page.keyboard.press("Enter")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert alert.inner_text() == wrong
    assert field.get_attribute("aria-invalid") == "true"
    assert field.get_attribute("aria-describedby") == alert.get_attribute("id")
    box, below = field.bounding_box(), alert.bounding_box()
    assert 0 <= below["y"] - (box["y"] + box["height"]) < 20
    assert "the wrong words" not in page.content()
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        assert visitor.barriers() == []
        assert visitor.overflow() <= 0
        assert field.bounding_box()["height"] >= 44  # a thumb's width
    page.set_viewport_size(DESKTOP)
    visitor.shoot(f"login-desktop-{scheme}" + ("-pt" if locale == "pt-BR" else ""))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"
    field.fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#topbar")
    page.wait_for_selector(".pg-verdict >> text=TEST/USDT")
    visitor.forgive("401")


def _guess(page: Any) -> str:
    """What is said to a wrong password."""
    page.fill("#password", "a guess")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    return str(page.get_by_role("alert").inner_text())


@pytest.mark.parametrize("locale", SAID)
def test_who_guesses_on_is_told_how_long_to_wait_and_may_enter_then(guessed: Any, visit: Any, locale: str) -> None:
    visitor = visit(locale=locale)
    page = visitor.open("/")
    said = [_guess(page) for _ in range(FREE_GUESSES)]
    assert said == [SAID[locale][1]] * FREE_GUESSES
    for _ in range(6):  # the first wait is a second: who is slower than that may guess once more, and waits longer
        told = re.fullmatch(SAID[locale][2], _guess(page))
        if told is not None:
            break
    assert told is not None
    page.wait_for_timeout(1_000 * int(told[1]))
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#topbar")
    visitor.forgive("401", "429")


def test_inside_all_works_and_who_leaves_is_outside_in_the_chosen_language(guessed: Any, visit: Any) -> None:
    visitor = visit()
    page = visitor.open("/")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#topbar")
    session_id = guessed.session(feed={"speed": 10})
    guessed.run(session_id)
    page.goto(f"{guessed.address}/?session={session_id}")
    page.wait_for_function("Number(document.querySelector('.pg-live')?.dataset.seq) > 20")
    page.click("[data-language='pt-BR']")
    visitor.wait_text("status", "rodando")
    page.click("text=Sair")
    page.wait_for_selector("label >> text=Senha")
    page.go_back()
    page.wait_for_selector("label >> text=Senha")
    assert "pregao_panel" not in {cookie["name"] for cookie in visitor.context.cookies()}
    visitor.forgive("401")
