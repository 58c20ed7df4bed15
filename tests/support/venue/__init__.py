"""A local exchange: the market-data protocol of Binance spot over generated markets, on loopback, faults on command.

    with Venue([Market("BTC/USDT")], start="2024-03-01") as venue:
        venue.fault(Status(429, retry_after=1), on="klines")
        venue.advance(minutes=5)        # the market's clock moves only when the test says so

What the venue serves over REST and websocket comes from one list of trades, so every candle of every length has one
truth (`Venue.truth`) to compare with. Private endpoints (orders, balances, the user-data stream) are added as another
module with a function ``routes(venue)``, as in `rest` and `stream`.
"""

from venue.clock import MarketClock
from venue.faults import Altered, Cut, Delay, Doubled, Malformed, Short, Shuffled, Status
from venue.frames import DroppedFrames, FrameFault, LateClose, Repeated, Swapped, Tampered
from venue.markets import Market, Revision
from venue.server import Venue

__all__ = [
    "Altered",
    "Cut",
    "Delay",
    "Doubled",
    "DroppedFrames",
    "FrameFault",
    "LateClose",
    "Malformed",
    "Market",
    "MarketClock",
    "Repeated",
    "Revision",
    "Short",
    "Shuffled",
    "Status",
    "Swapped",
    "Tampered",
    "Venue",
]
