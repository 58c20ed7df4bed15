"""The rules of what Yahoo lists: which calendar an exchange keeps, in what an instrument is traded, on which grid."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pregao.core.errors import UsageError
from pregao.core.instrument import AssetClass, Instrument, folder_name
from pregao.market.sources import Listed

VENUE = "yahoo"
CLASSES: dict[str, AssetClass] = {
    "EQUITY": "stock",
    "ETF": "stock",
    "MUTUALFUND": "stock",
    "INDEX": "index",
    "CRYPTOCURRENCY": "crypto",
}
"""Yahoo's types of instruments that can be traded here."""
_DECIMAL = tuple(Decimal(1).scaleb(-decimals) for decimals in range(2, 13))
_FRACTIONS = tuple(Decimal(text) for text in ("0.01", "0.005", "0.0025", "0.00125"))
TICKS: dict[AssetClass, tuple[Decimal, ...]] = {
    "stock": (*_FRACTIONS, *_DECIMAL[1:]),
    "index": _DECIMAL,
    "crypto": _DECIMAL,
}
"""Grids of prices, the coarsest first. America traded in eighths of a dollar until 1997, in sixteenths (and now and
then in 32nds) until 2001: those and cents are multiples of 0.005, 0.0025 and 0.00125."""
_LOTS: dict[AssetClass, Decimal] = {"stock": Decimal(1), "index": Decimal("0.0001"), "crypto": Decimal("0.00001")}
_FRACTION = Decimal("0.0001")
_LEAST_MONEY = Decimal("1e-13")
"""A lot of a coin is worth this much at least for each tick, so that large sums fit into 64 bits."""
_EXCHANGES = {
    "XNYS": "NYQ NYS PCX ASE BTS PNK OQB OQX OEM OID IEX SNP DJI WCB CXI CBO",
    "XNAS": "NMS NGM NCM NIM NAS NSD",
    "BVMF": "SAO",
    "XLIS": "LIS",
    "XLON": "LSE IOB FGI",
    "XPAR": "PAR",
    "XAMS": "AMS",
    "XBRU": "BRU",
    "XETR": "GER",
    "XFRA": "FRA",
    "XMIL": "MIL",
    "XMAD": "MCE",
    "XSWX": "EBS ZRH",
    "XSTO": "STO",
    "XCSE": "CPH",
    "XHEL": "HEL",
    "XOSL": "OSL",
    "XWBO": "VIE",
    "XDUB": "ISE",
    "XWAR": "WSE",
    "XTSE": "TOR",
    "XTSX": "VAN",
    "XMEX": "MEX",
    "XBUE": "BUE",
    "XSGO": "SGO",
    "XTKS": "JPX OSA",
    "XHKG": "HKG",
    "XSHG": "SHH SHZ",
    "XKRX": "KSC KOE",
    "XTAI": "TAI TWO",
    "XSES": "SES",
    "XASX": "ASX",
    "XNZE": "NZE",
    "XBOM": "BSE NSI",
    "XIDX": "JKT",
    "XKLS": "KLS",
    "XBKK": "SET",
    "XTAE": "TLV",
    "XIST": "IST",
    "XJSE": "JNB",
    "24/7": "CCC",
}
CALENDARS = {code: calendar for calendar, codes in _EXCHANGES.items() for code in codes.split()}
"""Yahoo's code of an exchange -> the calendar of its trading days."""


def key_of(symbol: str) -> str:
    """The instrument's key in the store; Yahoo's symbols are unique over all exchanges."""
    return f"yfinance/{VENUE}/{folder_name(symbol)}"


def class_of(symbol: str, facts: Mapping[str, Any]) -> AssetClass:
    """What kind of instrument it is. Raises `UsageError` for one that is not traded here."""
    kind = str(facts.get("instrumentType"))
    if kind not in CLASSES:
        raise UsageError(
            f"{symbol} is of the type {kind}, which cannot be traded here.",
            "Stocks, funds, indices and coins (BTC-USD) can.",
        )
    return CLASSES[kind]


def listed_of(quote: Mapping[str, Any]) -> Listed | None:
    """An instrument that a search has found; None for a kind that is not traded here."""
    kind = CLASSES.get(str(quote.get("quoteType")))
    if kind is None:
        return None
    name = str(quote.get("longname") or quote.get("shortname") or "")
    exchange = str(quote.get("exchDisp") or quote.get("exchange") or "")
    return Listed(str(quote["symbol"]), " ".join(name.split()), exchange, kind)


def instrument_of(
    symbol: str, facts: Mapping[str, Any], tick_size: Decimal, known: Instrument | None, asked: Mapping[str, Any]
) -> Instrument:
    """The instrument's rules: what was asked for, else what the store knows, else what Yahoo's facts suggest.

    A stock is traded in whole shares unless ``fractional``, and not sold short unless ``allow_short``; a coin in
    1e-5 (in more where its price needs a tick below 1e-8), with a fee of 0.1 %; an index in 1e-4 as if it were a fund.

    Args:
        symbol: as Yahoo spells it.
        facts: as of `pregao.market.sources.yfinance_client.Answer.meta`.
        tick_size: the grid of the prices.
        known: the stored rules.
        asked: ``calendar``, ``lot_size``, ``fractional`` and ``allow_short``, each None unless asked for.

    Raises:
        UsageError: for a type of instrument that is not traded here, or an exchange whose calendar is not known.
    """
    asset_class = class_of(symbol, facts)
    currency = str(facts.get("currency") or "USD")
    exchange = str(facts.get("exchangeName"))
    calendar = asked["calendar"] or (known.calendar if known else CALENDARS.get(exchange))
    if calendar is None:
        raise UsageError(
            f"{symbol} is listed at {exchange}, whose trading days are not known here.",
            "Give a --calendar, for example XNYS or 24/7.",
        )
    usual = known.lot_size if known else max(_LOTS[asset_class], _LEAST_MONEY / tick_size)
    lot = asked["lot_size"] or (_FRACTION if asked["fractional"] else usual)
    short = asked["allow_short"] if asked["allow_short"] is not None else known.allow_short if known else False
    fee = 1_000 if asset_class == "crypto" else 0
    return Instrument(
        symbol=symbol,
        source="yfinance",
        venue=VENUE,
        asset_class=asset_class,
        base=symbol.removesuffix(f"-{currency}"),
        quote=currency,
        tick_size=tick_size,
        lot_size=lot,
        maker_fee_ppm=known.maker_fee_ppm if known else fee,
        taker_fee_ppm=known.taker_fee_ppm if known else fee,
        allow_short=short,
        calendar=calendar,
    )
