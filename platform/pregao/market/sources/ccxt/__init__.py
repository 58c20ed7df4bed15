"""The source ``ccxt``: any exchange that ccxt knows, history by pages, rules from its markets, live by websocket."""

from pregao.market.sources.ccxt.client import CcxtOptions
from pregao.market.sources.ccxt.source import Ccxt

__all__ = ["Ccxt", "CcxtOptions"]
