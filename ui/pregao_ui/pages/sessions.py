"""The Sessions page: its script fills it from the API and keeps it up to date."""

from __future__ import annotations

from pregao_ui import widgets


def sessions_page() -> None:
    """All sessions, live and past: filtered, compared, audited, traced, exported, steered, cloned into the ticket."""
    widgets.topbar()
    widgets.page("sessionsPage")
