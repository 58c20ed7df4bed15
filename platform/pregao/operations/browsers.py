"""Chromium: where it is, and a page in it that says whether the value of an operation moves."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

from pregao.core.errors import PregaoError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")

MEND = "Install Chromium (Debian: apt install chromium), or name one: PREGAO_CHROMIUM=/path/to/chromium"

VALUE = "[data-bind=pnl]"
"""Where the panel's page shows the value of the operation."""

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def chromium() -> str | None:
    """Path of a browser of the Chromium family: ``PREGAO_CHROMIUM``, else the first found; None if there is none."""
    named = os.environ.get("PREGAO_CHROMIUM")
    if named:
        return shutil.which(named)
    if sys.platform == "darwin":
        mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
        if os.path.exists(mac):
            return mac
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass(frozen=True)
class Watched:
    """What a browser saw.

    Attributes:
        values: the shown values of the operation, each different from the one before.
        seconds: from opening the page to the last of them.
        outside: addresses on other machines that the page asked for; there should be none.
        errors: what the page complained of.
    """

    values: list[str]
    seconds: float
    outside: list[str]
    errors: list[str]


def require_chromium() -> str:
    """Path of Chromium; a `PregaoError` with the mend if it or its driver is missing."""
    if find_spec("playwright") is None:
        raise PregaoError("The browser check needs the package playwright.", "Install what is locked: make set-up")
    path = chromium()
    if path is None:
        raise PregaoError("The browser check needs Chromium, and none was found.", MEND)
    return path


def watch_value(address: str, changes: int, timeout: float, token: str | None = None) -> Watched:
    """Open a session's page without a screen and watch the value of its operation until it has changed often enough.

    Args:
        address: of the page.
        changes: how many times the shown value must change.
        timeout: seconds for all of it.

    Raises:
        PregaoError: no Chromium, the page shows no value, or it does not move in time.
    """
    path = require_chromium()
    from playwright.sync_api import Error, sync_playwright

    host = urlsplit(address).netloc
    outside: list[str] = []
    errors: list[str] = []
    values: list[str] = []
    begun = time.monotonic()
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=path, args=list(FLAGS), handle_sigint=False, handle_sigterm=False, handle_sighup=False
            )
            headers = {"Authorization": f"Bearer {token}"} if token else None
            page = browser.new_page(extra_http_headers=headers)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("request", lambda request: outside.append(request.url) if _leaves(request.url, host) else None)
            page.goto(address, wait_until="commit", timeout=timeout * 1000)
            node = page.locator(VALUE).first
            node.wait_for(timeout=timeout * 1000)
            while len(values) <= changes:
                shown = node.inner_text().strip()
                if any(c.isdigit() for c in shown) and (not values or shown != values[-1]):
                    values.append(shown)
                if time.monotonic() - begun > timeout:
                    raise PregaoError(
                        f"The page at {address} showed {len(values)} different values in {timeout:.0f} s: {values}.",
                        f"Errors of the page: {errors or 'none'}. See also var/logs/panel.log and var/logs/flows.log.",
                    )
                page.wait_for_timeout(50)
            browser.close()
    except Error as error:
        raise PregaoError(f"Chromium failed: {str(error).splitlines()[0]}", MEND) from error
    return Watched(values, time.monotonic() - begun, outside, errors)


def _leaves(url: str, host: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != host
