"""A person's browser: windows of Chromium that note what went wrong, take pictures and ask axe about barriers."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import TimeoutError as TooLongError

from pregao.operations.browsers import FLAGS, chromium

ROOT = Path(__file__).parents[2]
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
COLOURS = 128
"""Of a picture: flat areas and thin text need no more, and the file is a third of the size."""
_axe = Axe()


def pictures() -> Path | None:
    """Where pictures are kept: the documents' folder if ``PREGAO_SHOTS`` is set, else nowhere."""
    return ROOT / "docs" / "images" / "panel" if os.environ.get("PREGAO_SHOTS") else None


@contextmanager
def launched() -> Iterator[Any]:
    """Chromium without a screen; the test is skipped where there is none."""
    path = chromium()
    if path is None:
        pytest.skip("Chromium is not installed")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield found
        found.close()


class Visitor:
    """A browser window of its own memory, and what went wrong in it.

    Args:
        browser: of `launched`.
        address: of the panel.
        options: of a context of Playwright: viewport, locale, …
    """

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.address = address
        usual = {"viewport": DESKTOP, "locale": "en-US", "color_scheme": "dark"}
        self.context = browser.new_context(**usual | options)
        self.outside: list[str] = []
        self._said: list[str] = []
        self._forgiven: tuple[str, ...] = ()
        self.page = self.window()

    @property
    def errors(self) -> list[str]:
        """What the console said that was not forgiven."""
        return [said for said in self._said if not any(part in said for part in self._forgiven)]

    def window(self) -> Any:
        page = self.context.new_page()
        page.set_default_timeout(60_000)  # a busy machine draws slowly
        page.on("request", lambda request: self._check(request.url))
        page.on("pageerror", lambda error: self._said.append(str(error)))
        page.on("console", lambda said: self._said.append(said.text) if said.type == "error" else None)
        page.on("dialog", lambda dialog: dialog.accept())
        return page

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            self.outside.append(url)

    def open(self, path: str) -> Any:
        self.page.goto(self.address + path)
        return self.page

    def text(self, name: str) -> str:
        return str(self.page.locator(f"[data-bind={name}]").first.inner_text())

    def wait_text(self, name: str, pattern: str) -> str:
        found = (
            "([name, pattern]) => { const text = document.querySelector(`[data-bind=${name}]`)?.innerText ?? '';"
            " return new RegExp(pattern).test(text) && { text }; }"
        )
        try:
            return str(self.page.wait_for_function(found, arg=[name, pattern]).json_value()["text"])
        except TooLongError as error:
            said = [each.inner_text() for each in self.page.locator("[data-part=notice], #pg-say").all()]
            told = f"{name} is {self.text(name)!r}, not {pattern!r}; the page says {said}; the console {self.errors}"
            raise AssertionError(told) from error

    def wait_row(self, number: int) -> None:
        """Wait until the row of that number is the last that the page has of its session; it may load itself again."""
        last = "number => window.Pregao?.streams?.values().next().value?.seq === number"
        self.page.wait_for_function(last, arg=number)

    def session(self) -> str:
        """The id of the session that the address names, once it names one."""
        named = "new URLSearchParams(location.search).get('session')"
        return str(self.page.wait_for_function(named).json_value())

    def no_longer_named(self, name: str) -> None:
        """Wait until the address has no such parameter."""
        self.page.wait_for_function("name => !new URLSearchParams(location.search).has(name)", arg=name)

    def hold(self, word: str) -> Callable[[], None]:
        """Hold back the answer to the next request of the ticket with that word in it; returns what lets it go."""
        met: list[Any] = []
        held: list[tuple[Any, Any]] = []

        def keep(route: Any) -> None:
            if met or word not in (route.request.post_data or ""):
                route.continue_()
                return
            met.append(route)
            held.append((route, route.fetch()))

        def let_go() -> None:
            while not held:
                self.page.wait_for_timeout(20)
            [(late, answer)] = held
            with self.page.expect_event("requestfinished", lambda request: request == late.request):
                late.fulfill(response=answer)
            self.page.wait_for_timeout(500)  # what comes of it has come: nothing may

        self.page.route("**/gradio_api/**", keep)
        return let_go

    def forgive(self, *parts: str) -> None:
        """What the console says of something that the test itself took away, or asked for in vain, is no error: a page
        may ask for it again at any moment."""
        self._forgiven += parts

    def theme(self, name: str) -> None:
        """Dark or light, as by the button."""
        if self.page.evaluate("PregaoPreferences.theme") != name:
            self.page.click("[data-do=theme]")

    def barriers(self) -> list[str]:
        """What axe finds serious or critical on the page as it stands: rule, impact, element."""
        moves = "document.getAnimations().some((one) => one instanceof CSSTransition && one.playState === 'running')"
        self.page.wait_for_function(f"!{moves}")  # colours change gradually
        found = _axe.run(self.page).response["violations"]
        return [
            f"{rule['id']} ({rule['impact']}): {node['html'][:160]}: {_why(node)}"
            for rule in found
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        drawn = "new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
        self.page.evaluate(drawn)  # a chart takes the size of its place a frame later
        return int(self.page.evaluate("document.documentElement.scrollWidth")) - int(self.page.viewport_size["width"])

    def shoot(self, name: str, full_page: bool = False) -> None:
        """Take a picture for the documents, if pictures are asked for: few colours, small files."""
        folder = pictures()
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self.page.mouse.move(0, 899)  # nothing is pointed at
        self.page.wait_for_timeout(500)
        taken = Image.open(io.BytesIO(self.page.screenshot(full_page=full_page))).convert("RGB")
        small = taken.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
        small.save(folder / f"{name}.png", optimize=True)


def _why(node: dict[str, Any]) -> str:
    return "; ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])[:200]


@contextmanager
def visitors(browser: Any, address: str) -> Iterator[Any]:
    """Make visitors; at the end none of them has seen an error or asked for anything from outside."""
    made: list[Visitor] = []

    def visitor(**options: Any) -> Visitor:
        made.append(Visitor(browser, address, **options))
        return made[-1]

    try:
        yield visitor
    finally:
        for each in made:
            each.context.close()
    outside, errors = ([one for each in made for one in getattr(each, name)] for name in ("outside", "errors"))
    assert not outside, outside
    assert not errors, errors
