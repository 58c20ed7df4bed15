"""Feeds: what brings a session its bars, one by one, and tells it what happens to them.

A `ReplayFeed` plays stored bars back, a `LiveFeed` follows a market. Both say the same things, in
`pregao.market.feeds.events`.
"""

from pregao.market.calendars import Gap
from pregao.market.feeds.events import (
    Acted,
    Closed,
    Ended,
    Event,
    Feed,
    Forming,
    Held,
    Recovered,
    Revised,
    Skewed,
    Stale,
    Traded,
)
from pregao.market.feeds.live import LiveFeed, Watch
from pregao.market.feeds.replay import ReplayFeed

__all__ = [
    "Acted",
    "Closed",
    "Ended",
    "Event",
    "Feed",
    "Forming",
    "Gap",
    "Held",
    "LiveFeed",
    "Recovered",
    "ReplayFeed",
    "Revised",
    "Skewed",
    "Stale",
    "Traded",
    "Watch",
]
