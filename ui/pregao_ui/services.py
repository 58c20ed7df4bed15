"""What the panel reads and does, in one place: the sessions' database, the store, the plugins, the registry, Prefect.

Nothing is kept here that is not elsewhere: reload the page or restart the panel, and it shows the same. The two
exceptions are caches that refresh themselves: the plugins' forms (installed code does not change under a running
process) and the registry's list (a few seconds).
"""

from __future__ import annotations

import contextlib
import threading
import time
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pregao import __version__
from pregao.core.errors import PregaoError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.store import Store
from pregao.sessions import control
from pregao.sessions.journal import Journal
from pregao.sessions.spec import SessionSpec
from pregao.sessions.views import view
from pregao.settings import settings
from pregao.strategies import registry as strategies
from pregao.strategies.contract import Model
from pregao_ui.schemas import (
    BarOut,
    CommandIn,
    Health,
    InstrumentOut,
    Launched,
    ModelOut,
    SeriesOut,
    SessionOut,
    StoredInstrument,
    StrategyOut,
    TradeOut,
)

REGISTRY_FRESH_S = 3.0
SPANS_KEPT = 64
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Span:
    """What a replay plays: open time and opening price of its first bar, and how many bars."""

    first_ns: int
    open_ticks: int
    count: int


class Services:
    """Everything that a page or a request may ask for. Methods may be called from several threads.

    They read the installation's own data, see `pregao.settings`.
    """

    def __init__(self) -> None:
        self.journal = Journal()
        self.store = Store()
        self._models: tuple[float, list[ModelOut]] | None = None
        self._champions: dict[str, tuple[float, Model | None]] = {}
        self._registry_lock = threading.Lock()
        self._instruments: dict[str, Instrument] = {}
        self._spans: dict[tuple[Any, ...], Span] = {}

    # ---- sessions

    def sessions(self) -> list[SessionOut]:
        """All sessions, newest first."""
        return [SessionOut.of(row) for row in self.journal.sessions()]

    def session(self, session_id: str) -> SessionOut:
        """One session; raises `NotFoundError`."""
        return SessionOut.of(self.journal.session(session_id))

    def rows(self, session_id: str, after: int, limit: int) -> list[dict[str, Any]]:
        """The rows with a number above ``after``, as `pregao.sessions.views` shows them."""
        if session_id not in self._instruments:  # a session's instrument never changes
            self._instruments[session_id] = self.journal.session(session_id).instrument
        instrument = self._instruments[session_id]
        return [view(row, instrument) for row in self.journal.rows(session_id, after, limit)]

    def tail_start(self, session_id: str, n: int) -> int:
        """The number after which the last ``n`` rows come."""
        return self.journal.tail_start(session_id, n)

    def trades(self, session_id: str, limit: int) -> list[TradeOut]:
        """The last ``limit`` round trips, oldest first."""
        instrument = self.journal.session(session_id).instrument
        return [TradeOut.of(trade, instrument) for trade in self.journal.trades(session_id)[-limit:]]

    def command(self, session_id: str, command: CommandIn) -> int:
        """Put a command into a session's inbox; its number."""
        body = {} if command.proposal is None else {"proposal": command.proposal}
        return control.command(session_id, command.kind, body, journal=self.journal)

    def start(self, spec: SessionSpec) -> Launched:
        """Create a session and ask for a runner; without Prefect the session waits as it is.

        Raises:
            UsageError: what is wrong with the spec.
        """
        return self.launch(control.start(spec, journal=self.journal))

    def launch(self, session_id: str) -> Launched:
        """Ask Prefect to run a session, unless a run of it is already under way."""
        from pregao_flows import client

        self.journal.session(session_id)
        try:
            if not client.session_runs(session_id):
                client.launch(session_id)
        except client.ServerDownError:
            return Launched(session=session_id, launched=False)
        except PregaoError as error:
            return Launched(session=session_id, launched=False, message=str(error))
        return Launched(session=session_id, launched=True)

    # ---- the market

    def instruments(self) -> list[StoredInstrument]:
        """The store's instruments that have bars."""
        found = []
        for instrument in self.store.instruments():
            series = []
            for timeframe in self.store.timeframes(instrument):
                have = self.store.coverage(instrument, timeframe)
                series.append(
                    SeriesOut(
                        timeframe=timeframe.name, bars=have.count, first=have.first_ns / 1e9, last=have.last_ns / 1e9
                    )
                )
            if series:
                found.append(StoredInstrument(**InstrumentOut.of(instrument).model_dump(), series=series))
        return found

    def bars(self, key: str, timeframe: str, end: float | None, limit: int) -> list[BarOut]:
        """The last ``limit`` bars that open before ``end`` (seconds since 1970; None: all there are); may be none."""
        instrument, length = self.store.instrument(key), Timeframe.parse(timeframe)
        end_ns = None if end is None else int(end * 1e9)
        have = self.store.coverage(instrument, length)
        if end_ns is not None and end_ns <= have.first_ns:
            return []
        last_ns = have.last_ns if end_ns is None else min(end_ns, have.last_ns)
        # Twice the span, and two weeks: room for nights, weekends and holidays without reading all there is.
        start_ns = last_ns - 2 * limit * length.ns - 14 * 86_400 * 10**9
        bars = self.store.bars(instrument, length, start_ns, end_ns)
        bars = bars[max(0, len(bars) - limit) :]
        tick = float(instrument.tick_size)
        columns = [np.round(getattr(bars, name) * tick, 10).tolist() for name in ("open", "high", "low", "close")]
        times = (bars.open_ns // 10**9).tolist()
        return [
            BarOut(t=t, o=o, h=h, l=low, c=c, v=v)
            for t, o, h, low, c, v in zip(times, *columns, bars.volume.tolist(), strict=True)
        ]

    def span(self, instrument: Instrument, timeframe: Timeframe, start_ns: int | None) -> Span:
        """What a replay from a time plays; ``start_ns=None`` is from the first bar."""
        key = (instrument.key, timeframe.name, start_ns, self.store.coverage(instrument, timeframe))
        if key not in self._spans:
            bars = self.store.bars(instrument, timeframe, start_ns)
            if len(self._spans) >= SPANS_KEPT:
                self._spans.clear()
            self._spans[key] = Span(int(bars.open_ns[0]), int(bars.open[0]), len(bars))
        return self._spans[key]

    # ---- strategies and models

    @cached_property
    def strategies(self) -> list[StrategyOut]:
        """Every installed strategy, the broken ones with their error. Importing them takes a moment, once."""
        found = []
        for plugin in strategies.discover():
            known = plugin.inspected()
            schema = None if known.state == "broken" else known.load().Config.model_json_schema()
            found.append(
                StrategyOut(
                    name=known.name,
                    title=known.title or known.name,
                    summary=known.summary,
                    distribution=known.distribution,
                    version=known.version,
                    state=known.state,
                    error=known.error,
                    needs_model=known.needs_model,
                    settings=schema,
                )
            )
        return found

    def strategy(self, name: str | None) -> StrategyOut | None:
        """A usable strategy by its name."""
        return next((s for s in self.strategies if s.name == name and s.state != "broken"), None)

    def models(self) -> list[ModelOut]:
        """The registered versions, newest first, as of three seconds ago at most."""
        with self._registry_lock:
            if self._models is None or time.monotonic() - self._models[0] > REGISTRY_FRESH_S:
                from pregao.learning.registry import list_models

                self._models = (time.monotonic(), [ModelOut.of(info) for info in list_models()])
            return self._models[1]

    def report(self, name: str, version: str) -> str:
        """The page on a version of a model; raises `NotFoundError`."""
        from pregao.learning.registry import report_page

        return report_page(name, version)

    def champion(self, instrument: Instrument, timeframe: Timeframe) -> Model | None:
        """The model that trades an instrument, as of a few seconds ago; None if the gate has passed none."""
        with self._registry_lock:
            from pregao.learning import registry

            name = registry.model_name(instrument, timeframe)
            asked, found = self._champions.get(name, (-REGISTRY_FRESH_S, None))
            if time.monotonic() - asked > REGISTRY_FRESH_S:
                found = registry.load(name) if registry.champion(name) is not None else None
                self._champions[name] = (time.monotonic(), found)
            return found

    def warm_up(self) -> None:
        """Import and read what the first visitor would wait for: the plugins and the registry.

        What is broken is not told here but where it is asked for.
        """
        with contextlib.suppress(PregaoError):
            self.strategies  # noqa: B018  # reading it is the point
            for instrument in self.store.instruments():
                for timeframe in self.store.timeframes(instrument):
                    self.champion(instrument, timeframe)
            self.models()

    # ---- the servers

    def health(self) -> Health:
        """What answers."""
        config = settings()
        mlflow = f"http://{config.host}:{config.mlflow_port}"
        return Health(
            version=__version__,
            prefect=_answers(f"{config.prefect_api}/health"),
            prefect_address=config.prefect_api.removesuffix("/api"),
            mlflow=_answers(f"{mlflow}/health"),
            mlflow_address=mlflow,
            instruments=len(self.store.instruments()),
            sessions=len(self.journal.sessions()),
        )


def _answers(url: str) -> bool:
    """Whether a server answers there within a second."""
    try:
        with _direct.open(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
