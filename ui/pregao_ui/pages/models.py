"""The Models page: its script fills it from the API."""

from __future__ import annotations

from pregao_ui import widgets


def models_page() -> None:
    """The registered versions, what the gate said of each, and what each was made from."""
    widgets.topbar()
    widgets.page("modelsPage")
