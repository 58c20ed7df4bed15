"""The Settings page: its script fills it from the API."""

from __future__ import annotations

from pregao_ui import widgets


def settings_page() -> None:
    """Language and colours, keys, notifications, limits."""
    widgets.topbar()
    widgets.page("settingsPage")
