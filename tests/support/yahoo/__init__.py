"""A Yahoo of our own on loopback: its chart protocol, cookies, crumbs, search and stream, well-behaved or not."""

from yahoo.market import Stock, a_market
from yahoo.server import YahooServer

__all__ = ["Stock", "YahooServer", "a_market"]
