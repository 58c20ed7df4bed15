"""Chromium: where it is, and a page in it that says whether the value of an operation moves."""

from __future__ import annotations

import os
import shutil
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")

MEND = "Install Chromium (Debian: apt install chromium), or name one: PREGAO_CHROMIUM=/path/to/chromium"

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
