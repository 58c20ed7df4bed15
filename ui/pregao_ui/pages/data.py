"""The Data page: its script fills it from the API."""

from __future__ import annotations

from pregao_ui import widgets


def data_page() -> None:
    """The store of market data: what it covers, how good it is, its versions; bring more."""
    widgets.topbar()
    widgets.page("dataPage")
