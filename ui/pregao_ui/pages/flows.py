"""The Flows page: its script fills it from the API and keeps it up to date."""

from __future__ import annotations

from pregao_ui import widgets


def flows_page() -> None:
    """The latest runs, what runs by itself, a training on demand."""
    widgets.topbar()
    widgets.page("flowsPage")
