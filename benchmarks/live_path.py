"""The live path: a candle's frame comes in over a websocket, the event comes out of the feed.

The real client (ccxt.pro, its JSON, its dispatch) against the local exchange of the tests in a process of its own, the
real `LiveFeed` with its thread, its checks and its mailbox, one frame at a time. Each event is compared with the frame
that it was made of before a time is believed. Prints medians and 99th percentiles in us, of the quietest of several
rounds:

- ``message_to_event``: from the moment that the client has taken a frame off the socket, still as text, until the
  thread that reads the feed has the event in its hands;
- ``sent_to_event``: from before the exchange writes the frame, so with both ends of the socket;
- ``floor``: the same way through the socket without us: from before the exchange writes the frame until the client has
  taken it off the socket.

    python benchmarks/live_path.py [--frames 500] [--rounds 6]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from decimal import Decimal
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from live_event import quantiles

SYMBOL = "BTC/USDT"
STEPS_S = (9.9, 10, 10, 10, 10, 10, 0.1)
"""Market time from frame to frame: six trades, each a new state of the candle that forms, and the end of the minute."""


def exchange(pipe: Connection) -> None:
    """The local exchange, stepped by messages: each step answers with the frames it sends and when it began to."""
    from venue import Market, Venue

    sent: list[tuple[int, dict[str, Any]]] = []

    def note(frame: dict[str, Any]) -> list[dict[str, Any]]:
        if frame["e"] == "kline":
            sent.append((time.perf_counter_ns(), frame["k"]))
        return [frame]

    with Venue([Market(SYMBOL)]) as venue:
        pipe.send(venue.url)
        pipe.recv()
        venue.subscribed("btcusdt@kline_1m")
        venue.streams.faults.append(note)
        pipe.send("subscribed")
        steps = cycle(STEPS_S)
        while pipe.recv() == "step":
            venue.advance(next(steps))
            pipe.recv()
            pipe.send(sent.pop())


def tapped() -> list[int]:
    """When each message was taken off the socket, in ns; filled as they come."""
    from ccxt.async_support.base.ws.client import Client

    times: list[int] = []
    handle = Client.handle_text_or_binary_message

    def noted(self: Any, data: Any) -> None:
        times.append(time.perf_counter_ns())
        handle(self, data)

    Client.handle_text_or_binary_message = noted
    return times


def main() -> None:
    """Compare events, then time them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=500, help="Frames in a round.")
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    from pregao.core.timeframe import Timeframe
    from pregao.market.feeds import Closed, Forming
    from pregao.market.sources.ccxt import Ccxt, CcxtOptions
    from pregao.market.sources.ccxt.client import match, open_client
    from pregao.market.sources.ccxt.rules import instrument_of

    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=exchange, args=(there,), daemon=True)
    process.start()
    options = CcxtOptions(base_url=here.recv())
    client = open_client(options)
    client.load_markets()
    instrument = instrument_of(client, match(client, SYMBOL, "spot"), None, None)
    client.session.close()
    tick = Decimal(instrument.tick_size)
    rounds = []
    with Ccxt().live(instrument, Timeframe.parse("1m"), options) as feed:
        arrived = tapped()
        here.send("subscribed?")
        here.recv()
        while feed.next_event(0.2) is not None:
            pass
        for _ in range(arguments.rounds):
            ways: dict[str, dict[str, list[int]]] = {
                kind: {"message_to_event": [], "sent_to_event": [], "floor": []} for kind in ("closed", "forming")
            }
            rounds.append(ways)
            for _ in range(arguments.frames):
                arrived.clear()
                here.send("step")
                event = feed.next_event(5.0)
                out = time.perf_counter_ns()
                here.send("what was sent?")
                left, kline = here.recv()
                (came,) = arrived
                assert isinstance(event, Closed if kline["x"] else Forming), "the event is another one"
                told = (event.bar.open, event.bar.high, event.bar.low, event.bar.close)
                assert told == tuple(int(Decimal(kline[name]) / tick) for name in "ohlc"), "the event is another one"
                assert (event.bar.open_ns, event.bar.volume) == (kline["t"] * 1_000_000, float(kline["v"]))
                of = ways["closed" if kline["x"] else "forming"]
                of["message_to_event"].append(out - came)
                of["sent_to_event"].append(out - left)
                of["floor"].append(came - left)
                time.sleep(0.002)
        here.send("enough")
    process.join(10)
    found: dict[str, Any] = {"rounds": arguments.rounds}
    for kind in rounds[0]:
        quiet = min((ways[kind] for ways in rounds), key=lambda of: statistics.median(of["sent_to_event"]))
        found[kind] = {"events": len(quiet["floor"]), **{name: quantiles(times) for name, times in quiet.items()}}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
