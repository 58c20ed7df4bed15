"""The Sessions and Models pages: tables that their scripts fill from the API and keep up to date."""

from __future__ import annotations

from pregao_ui import widgets


def sessions_page() -> None:
    """All sessions with their status and P&L; opened, paused, resumed and stopped from here."""
    widgets.topbar()
    widgets.page("sessionsPage")


def models_page() -> None:
    """The registered versions, what the gate said of each, and what each was made from."""
    widgets.topbar()
    widgets.page("modelsPage")
