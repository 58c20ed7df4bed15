"""The Sessions page: its script fills it from the API and keeps it up to date."""

from __future__ import annotations

from pregao_ui import widgets


def sessions_page() -> None:
    """All sessions with their status and P&L; opened, paused, resumed and stopped from here."""
    widgets.topbar()
    widgets.page("sessionsPage")
