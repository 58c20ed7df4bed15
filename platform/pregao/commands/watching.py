"""A session as one screen of a terminal, written anew whenever something happened.

`Scene` is what has been heard so far and what to draw of it; `follow` shows it until the session ends.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pregao.sessions.telling import line, moment
from pregao.sessions.views import broker_of, standings

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from pregao.core.instrument import Instrument
    from pregao.sessions.journal import Journal
    from pregao.sessions.records import SessionRow

_BLOCKS = "▁▂▃▄▅▆▇█"
_KEPT = 4_000
"""Closes kept: enough for the widest screen at a few bars a mark."""
_PAUSE_S = 0.2
_FRAME = 5
"""Lines of the screen that say nothing: the frame, one before the events, the cursor's, one that may be wrapped."""
_STILL_S = 10.0
"""The screen is drawn anew after so long also when nothing happened: the runner may have gone."""


class Scene:
    """What a person sees of a session.

    Args:
        events: lines of what happened that are kept.
    """

    def __init__(self, events: int = 100) -> None:
        self.equity: deque[float] = deque(maxlen=_KEPT)
        self.events: deque[str] = deque(maxlen=events)
        self.bars: dict[int, dict[str, Any]] = {}

    def hear(self, shown: dict[str, Any], row: SessionRow) -> None:
        """A row of the journal, as `pregao.sessions.views.view` shows it."""
        if shown["k"] == "bar":
            self.bars[shown.get("b", 0)] = shown
            if "eq" in shown:
                self.equity.append(shown["eq"])
        told = line(shown, *row.instruments)
        if told is not None:
            self.events.append(told.split("\n", 1)[0])

    def drawn(self, row: SessionRow, attended: bool, width: int, height: int = 24) -> RenderableType:
        """The screen; as many of the events as there is room for, the newest.

        Args:
            attended: whether a process runs the session.
            width, height: of the terminal, in characters.
        """
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        quote = row.instrument.quote
        parts = [self._money(row, quote), Text(""), self._curve(width - 4), Text(""), *self._positions(row)]
        for proposal in row.proposals:
            which = f" of {row.names[proposal.get('b', 0)]}" if row.also else ""
            one = f" --proposal {proposal['id']}" if row.also else ""
            parts.append(
                Text(f"Proposal {proposal['id']}{which} waits: pregao trade approve {row.id}{one}", style="bold yellow")
            )
        parts += [Text(notice, style="yellow") for notice in row.details.get("notices", {}).values()]
        if row.error:
            parts.append(Text(row.error.splitlines()[0], style="bold red"))
        room = max(height - _FRAME - sum(_lines(part.plain, width - 4) for part in parts), 3)
        events = list(self.events)[-room:]
        parts += [Text(""), *(Text(event, no_wrap=True, overflow="ellipsis") for event in events)]
        state = row.status if attended or not row.active else f"{row.status}, but no process runs it"
        title = f" {row.market} {row.spec.timeframe} · {row.spec.strategy} · {row.spec.mode} · {state} "
        broker = broker_of(row.spec)
        money = "simulated money" if broker == "paper" else f"orders go to {broker}"
        simulated = f"synthetic data, {money}" if any(each.synthetic for each in row.instruments) else money
        return Panel(Group(*parts), title=title, title_align="left", subtitle=f" {row.id} · {simulated} ",
                     subtitle_align="left", border_style="dim" if attended else "yellow")  # fmt: skip

    def _money(self, row: SessionRow, quote: str) -> Text:
        from rich.text import Text

        style = "bold green" if row.pnl > 0 else "bold red" if row.pnl < 0 else "bold"
        of = f"/{row.bars_total:,}" if row.bars_total else ""
        won = f", {row.win_count} won" if row.trades_count else ""
        return Text.assemble(
            (f"{row.pnl:+,.2f} {quote}", style), f" ({row.pnl_percent:+.2f} %)   equity {row.equity:,.2f}   "
            f"{row.trades_count} trades{won}   fees {row.fees:,.2f}   bar {row.bars:,}{of}",
        )  # fmt: skip

    def _curve(self, width: int) -> Text:
        from rich.text import Text

        marks = spark(list(self.equity), max(width, 10))
        if not marks:
            return Text("waiting for the first bar", style="dim")
        return Text.assemble((marks, "cyan"), ("  equity", "dim"))

    def _positions(self, row: SessionRow) -> list[Text]:
        """What is held of each instrument; of several each has its name, and prices stand below each other."""
        if not row.also:
            return [self._position(row.instrument, self._now(row, 0))]
        names = max(map(len, row.names))
        shown = (row.instruments[number].price_text(bar["c"]) for number, bar in self.bars.items())
        prices = max(map(len, shown), default=0)
        return [
            self._position(each, self._now(row, number), f"{row.names[number]:<{names}}   ", prices)
            for number, each in enumerate(row.instruments)
        ]

    def _now(self, row: SessionRow, number: int) -> dict[str, Any] | None:
        """The last bar of an instrument with what is held of it now: fills come between two bars, too."""
        bar = self.bars.get(number)
        return None if bar is None else bar | dict(enumerate(standings(row))).get(number, {})

    def _position(self, instrument: Instrument, bar: dict[str, Any] | None, whose: str = "", wide: int = 0) -> Text:
        """What is held of an instrument.

        Args:
            whose: which it is, where there are several.
            wide: so many characters its price takes at least.
        """
        from rich.text import Text

        if not bar:
            return Text(f"{whose}no bar of late" if whose else "")
        price, quantity, quote = instrument.price_text, instrument.quantity_text, instrument.quote
        head = f"{whose}{moment(bar['t'])} UTC   price {price(bar['c']):>{wide}} {quote}   "
        if not bar["pos"]:
            return Text(f"{head}no position")
        levels = "   ".join(
            f"{name} {price(bar[key])} ({(bar[key] - bar['c']) / bar['c']:+.2%} away)"
            for name, key in (("take profit", "tp"), ("stop loss", "sl"))
            if bar[key] is not None
        )
        side = "long" if bar["pos"] > 0 else "short"
        held = f"{side} {quantity(abs(bar['pos']))} from {price(bar['ent'])}, {bar['upnl']:+,.2f} before fees"
        return Text(f"{head}{held}\n{' ' * len(whose)}{levels}" if levels else f"{head}{held}")


def _lines(text: str, width: int) -> int:
    """How many lines of a screen a text takes."""
    return sum(math.ceil(max(len(line), 1) / width) for line in text.split("\n"))


def spark(values: list[float], width: int) -> str:
    """A curve of at most ``width`` marks, the newest last, each the mean of as many values as it takes."""
    if not values:
        return ""
    each = math.ceil(len(values) / width)
    tail = values[len(values) % each :] if each > 1 else values
    means = [sum(tail[i : i + each]) / each for i in range(0, len(tail), each)]
    low, high = min(means), max(means)
    if high == low:
        return _BLOCKS[0] * len(means)
    return "".join(_BLOCKS[int((mean - low) / (high - low) * (len(_BLOCKS) - 1) + 0.5)] for mean in means)


def follow(journal: Journal, session_id: str, after: int, sleep: Callable[[float], None] = time.sleep) -> None:
    """Show a session on this terminal until it ends; Ctrl-C stops watching."""
    from rich.console import Console
    from rich.live import Live

    from pregao.sessions.views import view

    console = Console()
    scene, seq, drawn_at = Scene(), after, 0.0
    with Live(console=console, auto_refresh=False, screen=False) as screen:
        while True:
            row = journal.session(session_id)
            fresh = False
            while rows := journal.rows(session_id, seq):
                seq, fresh = rows[-1].seq, True
                for found in rows:
                    scene.hear(view(found, *row.instruments), row)
            ended = not row.active and seq >= row.last_seq
            if fresh or ended or time.monotonic() - drawn_at > _STILL_S:
                row = journal.session(session_id)
                drawn_at = time.monotonic()
                screen.update(scene.drawn(row, journal.attended(row), *console.size), refresh=True)
            if ended:
                return
            sleep(_PAUSE_S)
