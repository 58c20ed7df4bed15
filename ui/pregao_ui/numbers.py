"""Numbers and dates in sentences that the server writes, in the person's language."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

_SWAP = str.maketrans({",": ".", ".": ","})
Number = int | float | Decimal


def number(language: str, value: Number, decimals: int | None = 2) -> str:
    """``1234.5`` as 1,234.50 or 1.234,50; with ``decimals=None`` as many as it has, at most eight."""
    shown = f"{Decimal(str(value)):,.8f}".rstrip("0").rstrip(".") if decimals is None else f"{value:,.{decimals}f}"
    return shown.translate(_SWAP) if language == "pt-BR" else shown


def money(language: str, value: Number, currency: str) -> str:
    """An amount with its currency, two decimals."""
    return f"{number(language, value)} {currency}"


def signed_money(language: str, value: Number, currency: str) -> str:
    """An amount with its sign."""
    sign = "+" if value > 0 else "\u2212" if value < 0 else ""
    return f"{sign}{money(language, -value if value < 0 else value, currency)}"


def day(language: str, ns: int) -> str:
    """A date (UTC) from ns since 1970: 2024-05-31 or 31/05/2024."""
    moment = datetime.fromtimestamp(ns / 1e9, UTC)
    return moment.strftime("%d/%m/%Y" if language == "pt-BR" else "%Y-%m-%d")


def parse_day(text: str) -> int | None:
    """Ns since 1970 of a date typed in either form, with an optional time (``2024-05-31 14:30``); UTC."""
    text = " ".join(text.replace("T", " ").split())
    for form in ("%Y-%m-%d", "%d/%m/%Y"):
        for clock in ("", " %H:%M", " %H:%M:%S"):
            try:
                moment = datetime.strptime(text, form + clock).replace(tzinfo=UTC)
            except ValueError:
                continue
            return int(moment.timestamp()) * 10**9
    return None


def span(seconds: float) -> str:
    """A length of time, roughly: 90 min, 12 h, 20 d."""
    for limit, unit, name in ((7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} d"
