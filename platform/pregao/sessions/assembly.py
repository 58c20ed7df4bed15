"""From what a person asked for to the parts of a session, every value checked, each problem named by its field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np
from pydantic import ValidationError

from pregao import __version__
from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.core.instrument import Instrument, folder_name
from pregao.core.timeframe import Timeframe
from pregao.learning.others import bars_of, keys_of
from pregao.market.store import Store
from pregao.sessions import champion, following
from pregao.sessions.beside import Stored
from pregao.sessions.brokers.account import VenueAccount
from pregao.sessions.brokers.joining import join
from pregao.sessions.isolation import Facts, Isolated, Limits, StrategyFault, UnusableError, look_up
from pregao.sessions.machine import Machine
from pregao.sessions.records import Body
from pregao.sessions.spec import ExchangeBroker, Live, Replay, SessionSpec, Shadow
from pregao.settings import settings
from pregao.simulation.plan import Plan
from pregao.strategies.backtest import desk_for
from pregao.strategies.contract import Model
from pregao.strategies.desk import Desk
from pregao.strategies.registry import configured, discover

_TAGS = ("replay", "live", "shadow", "paper", "exchange")


class SpecError(UsageError):
    """A session cannot be what was asked for. ``problems`` has one sentence, with its mend, for each wrong field, and
    ``causes`` what was raised there: whoever tells it in another language looks at its kind. ``traceback`` says where a
    strategy that cannot be made has failed; it is empty if that is not why."""

    def __init__(self, problems: Mapping[str, PregaoError]) -> None:
        super().__init__(
            " ".join(problem.message for problem in problems.values()),
            " ".join(dict.fromkeys(problem.mend for problem in problems.values() if problem.mend)),
        )
        self.causes = dict(problems)
        self.problems = {name: str(problem) for name, problem in problems.items()}
        shown = (problem for problem in problems.values() if isinstance(problem, StrategyFault))
        self.traceback = "\n".join(fault.traceback for fault in shown if fault.traceback != fault.told)


def spec_of(values: Mapping[str, Any]) -> SessionSpec:
    """A spec from raw values, as a form, a command line or a request gives them.

    Raises:
        SpecError: naming each field that is out of range, unknown or not a number.
    """
    try:
        return SessionSpec.model_validate(dict(values))
    except ValidationError as error:
        problems: dict[str, PregaoError] = {}
        for found in error.errors():
            # A union's own tags are not fields.
            path = ".".join(str(part) for at, part in enumerate(found["loc"]) if at == 0 or part not in _TAGS)
            said = found["msg"].removeprefix("Value error, ").rstrip(".")
            if path:
                given = "" if found["type"] == "missing" else f" (given: {found['input']!r})"
                problem = UsageError(f"{path.replace('_', ' ').capitalize()}: {said}{given}.")
            else:
                # A rule between fields is told at the one that should change.
                path = "trailing" if "trails" in said else "broker" if "exchange" in said else "entry_value"
                problem = UsageError(f"{said[:1].upper()}{said[1:]}.", "Lower it." if path == "entry_value" else "")
            problems.setdefault(path, problem)
        raise SpecError(problems) from None


@dataclass(frozen=True, eq=False)
class Assembly:
    """The parts of a session.

    Attributes:
        spec: with nothing left open: the instrument's key, the first and last moment of a replay, the model.
        bars: what will be replayed; None if the market is followed live.
        before: the bars that end where these begin, to warm up on; None live, where the journal keeps them.
        model: None for strategies without one.
        made: what a strategy in a process of its own said of itself; None for one that lives here.
        others: what the store has of the other instruments that the model's features look at, by what they are to it.
    """

    spec: SessionSpec
    instrument: Instrument
    timeframe: Timeframe
    plan: Plan
    bars: Bars | None
    before: Bars | None
    model: Model | None
    made: Facts | None
    others: Mapping[str, Bars] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many bars there will be; 0 if that is not known."""
        return 0 if self.bars is None else len(self.bars)

    def desk(self) -> Desk:
        """A new desk with a new strategy; for a replay it is warmed up on the bars before the first."""
        spec, strategy = self.spec, None
        if self.made is None:
            strategy = configured(spec.strategy, spec.config)
        else:
            strategy = Isolated(self.made, spec.strategy, spec.config, Limits(spec.deadline, spec.memory))
        account = VenueAccount(self.plan) if isinstance(self.spec.broker, ExchangeBroker) else None
        desk = desk_for(self.plan, strategy, self.spec.seed, self.model, account, self.others)
        if self.before is not None:
            tail = self.before[max(len(self.before) - desk.history, 0) :]
            warm = [tail.bar(i) for i in range(len(tail))]
            desk.warm(warm, Stored(self.others).along(warm) if self.others else ())
        return desk

    def machine(self) -> Machine:
        """A session with these parts at its beginning."""
        return Machine(self.spec, self.desk(), self.total)

    def facts(self) -> Body:
        """What the journal's first row tells of the parts: which code, model and data."""
        name = self.spec.strategy
        plugin = next((p for p in discover() if name in (p.name, f"{p.distribution}:{p.entry.name}")), None)
        meta = self.model.meta if self.model is not None else {}
        facts: Body = {
            "pregao": __version__,
            "instrument": self.instrument.key,
            "timeframe": self.timeframe.name,
            "strategy": name,
            "distribution": plugin.distribution if plugin else "",
            "strategy_version": plugin.version if plugin else "",
            "mode": self.spec.mode,
            "model": self.model.name if self.model is not None else None,
            "model_version": str(self.model.version) if self.model is not None else None,
            "trained_until_ns": _optional_int(meta.get("train_end_ns")),
            "trained_on": meta.get("data_version"),
            "inference": getattr(self.model, "inference", None),
            "synthetic": self.instrument.synthetic,
        }
        feed, broker = self.spec.feed, self.spec.broker
        if isinstance(broker, ExchangeBroker):
            facts |= {"broker": broker.exchange, "sandbox": broker.sandbox}
        if isinstance(feed, Shadow):
            return facts | {"shadow_of": feed.of}
        if isinstance(feed, Live) or self.bars is None:
            return facts | {"live": True}
        return facts | {
            "data_version": feed.version or _data_version(),
            "first_ns": int(self.bars.open_ns[0]),
            "last_ns": int(self.bars.open_ns[-1]),
            "bars": len(self.bars),
        }


def assemble(spec: SessionSpec, model_version: str | None = None, instrument: Instrument | None = None) -> Assembly:
    """The parts that a spec asks for, and what its model's features look at besides.

    Args:
        model_version: of the spec's model, for a session that has begun; None takes the champion of now.
        instrument: the rules of a market that is followed live, if they are known; else its venue is asked.

    Raises:
        SpecError: naming every field that cannot be satisfied.
        PregaoError: if the store or a plugin is broken.
    """
    parts = _parts(spec, model_version, instrument)
    keys = keys_of(parts.model.meta) if parts.model is not None else {}
    if not keys:
        return parts
    problems: dict[str, PregaoError] = {}
    with _noting(problems, "model"):
        feed = parts.spec.feed
        store = _store(parts.spec, feed, keys.values()) if isinstance(feed, Replay) else Store()
        others = bars_of(keys, parts.timeframe, store)
        if isinstance(feed, Live):
            _same_venue(parts.instrument, others)
    if problems:
        raise SpecError(problems)
    return replace(parts, others=others)


def _same_venue(instrument: Instrument, others: Mapping[str, Bars]) -> None:
    """Live, all that a model looks at is heard from the session's own venue."""
    own = f"{instrument.source}/{instrument.venue}"
    for name, bars in others.items():
        if f"{bars.instrument.source}/{bars.instrument.venue}" != own:
            raise UsageError(
                f"The model looks at {bars.instrument.key} as its {name}, and live only {own} is heard.",
                f"Train it with an instrument of {own} (params.yaml: features), or replay stored bars.",
            )


def _parts(spec: SessionSpec, model_version: str | None, instrument: Instrument | None) -> Assembly:
    problems: dict[str, PregaoError] = {}
    timeframe = plan = None
    strategy: Any = None
    made: Facts | None = None
    model: Model | None = None
    latest: Bars | None = None
    feed = spec.feed
    with _noting(problems, "timeframe"):
        timeframe = Timeframe.parse(spec.timeframe)
    if isinstance(feed, Shadow):
        with _noting(problems, "feed"):
            if instrument is None:
                raise UsageError("A shadow is not started: the session that it follows makes it.", "Start a session.")
    elif isinstance(feed, Live):
        with _noting(problems, "instrument"):
            if instrument is None and timeframe is not None:
                latest = following.history(feed, timeframe, following.LEAST)
                instrument = latest.instrument
    else:
        with _noting(problems, "feed.version"):
            store = _store(spec, feed)
        with _noting(problems, "instrument"):
            if "feed.version" not in problems:
                instrument = store.instrument(spec.instrument)
    if spec.isolated:
        try:
            strategy = made = look_up(spec.strategy, spec.config, Limits(spec.deadline, spec.memory))
        except StrategyFault as error:
            problems[error.field if isinstance(error, UnusableError) else "strategy"] = error
    else:
        with _noting(problems, "strategy"):
            strategy = configured(spec.strategy, {})
        with _noting(problems, "config"):
            if strategy is not None:
                strategy = configured(spec.strategy, spec.config)
    if instrument is not None and timeframe is not None:
        with _noting(problems, "entry_value"):
            plan = _plan(spec, instrument, timeframe)
        if strategy is not None:
            with _noting(problems, "model"):
                model = _model(spec, strategy, instrument, timeframe, model_version)
    if problems or instrument is None or timeframe is None or plan is None:
        raise SpecError(problems)
    name = model.name if model is not None else None
    with _noting(problems, "take_profit_price"):
        _price(instrument, spec.take_profit_price, "take profit")
    with _noting(problems, "stop_loss_price"):
        _price(instrument, spec.stop_loss_price, "stop loss")
    if problems:
        raise SpecError(problems)
    if isinstance(feed, Live | Shadow):
        if latest is not None:
            with _noting(problems, "entry_value"):
                _one_lot(spec, instrument, int(latest.close[-1]))
            with _noting(problems, "broker"):
                if isinstance(spec.broker, ExchangeBroker):
                    join(spec, instrument)
            if problems:
                raise SpecError(problems)
        complete = spec.model_copy(update={"instrument": instrument.key, "model": name})
        return Assembly(complete, instrument, timeframe, plan, None, None, model, made)
    with _noting(problems, "timeframe"):
        every = store.bars(instrument, timeframe)
    if problems:
        raise SpecError(problems)
    with _noting(problems, "feed.start"):
        bars, before = _span(feed, every, model)
    if problems:
        raise SpecError(problems)
    with _noting(problems, "entry_value"):
        _one_lot(spec, instrument, int(bars.open[0]))
    if problems:
        raise SpecError(problems)
    start, end = int(bars.open_ns[0]), int(bars.open_ns[-1]) + 1
    span = feed.model_copy(update={"start": start, "end": end})
    complete = spec.model_copy(update={"instrument": instrument.key, "feed": span, "model": name})
    return Assembly(complete, instrument, timeframe, plan, bars, before, model, made)


@contextmanager
def _noting(problems: dict[str, PregaoError], name: str) -> Iterator[None]:
    """Keep an error in this block as the problem of a field, so that the next field is checked too."""
    try:
        yield
    except champion.RegistryAwayError:
        raise  # that is no fault of what was asked for
    except PregaoError as error:
        problems[name] = error


def _store(spec: SessionSpec, feed: Replay, others: Iterable[str] = ()) -> Store:
    """The store as it is now, or a plain copy of the version that is asked for, with these others."""
    if feed.version is None:
        return Store()
    from pregao.market.versions import Versions

    versions = Versions()
    version = versions.find(feed.version)
    keys = list(dict.fromkeys((spec.instrument, *others)))
    series = folder_name(f"{'+'.join(keys)}_{spec.timeframe}")
    target = settings().var / "snapshots" / version.short / series
    versions.snapshot(version, target, [(key, spec.timeframe) for key in keys])
    return Store(target)


def _plan(spec: SessionSpec, instrument: Instrument, timeframe: Timeframe) -> Plan:
    return Plan.of(
        instrument,
        timeframe,
        cash=spec.cash,
        entry_value=spec.entry_value,
        take_profit=spec.take_profit,
        stop_loss=spec.stop_loss,
        horizon=spec.horizon,
        fee=spec.fee,
        slippage=spec.slippage,
    )


def _model(
    spec: SessionSpec, strategy: Any, instrument: Instrument, timeframe: Timeframe, version: str | None
) -> Model | None:
    if not getattr(strategy, "needs_model", False):
        if spec.model is not None:
            raise UsageError(f"The strategy {spec.strategy!r} uses no model.", "Leave the model out.")
        return None
    from pregao.learning import registry

    name = spec.model or registry.model_name(instrument, timeframe)
    chosen = version or registry.champion(name)
    if chosen is None:
        raise NotFoundError(
            f"There is no champion of the model {name!r}, which {spec.strategy!r} needs.",
            f"Train one with `pregao retrain {instrument.key} --timeframe {timeframe}`, or choose another strategy.",
        )
    return champion.loaded(name, str(chosen))


def _span(feed: Replay, every: Bars, model: Model | None) -> tuple[Bars, Bars]:
    """The bars to play and those before them. A model plays by default only what it has not been trained on."""
    start = feed.start
    seen = _optional_int(model.meta.get("train_end_ns")) if model is not None else None
    if start is None and seen is not None:
        start = seen
    bars = every.between(start, feed.end)
    if len(bars) == 0:
        raise UsageError(
            "There are no bars between the replay's start and end.",
            f"The store has {every.timeframe} bars from {_day(int(every.open_ns[0]))} to "
            f"{_day(int(every.open_ns[-1]))} UTC"
            + (f"; the model has seen those before {_day(seen)}." if seen is not None else "."),
        )
    return bars, every.between(None, int(bars.open_ns[0]))


def _one_lot(spec: SessionSpec, instrument: Instrument, ticks: int) -> None:
    lot = instrument.price(ticks) * instrument.lot_size
    if spec.entry_value < lot:
        raise UsageError(
            f"The entry value {spec.entry_value} buys less than the least quantity of {instrument.symbol}, "
            f"{instrument.lot_size}, worth {lot.normalize():f} {instrument.quote} at the start.",
            "Raise the entry value.",
        )


def _price(instrument: Instrument, price: Decimal | None, what: str) -> None:
    if price is not None and price % instrument.tick_size:
        raise UsageError(
            f"The price of the {what}, {price}, is no multiple of the tick size of {instrument.symbol}, "
            f"{instrument.tick_size}.",
            "Round it.",
        )


def _data_version() -> str | None:
    """The last recorded version of the data; None if none was recorded."""
    from pregao.market.versions import Versions

    try:
        return Versions().current().md5
    except NotFoundError:
        return None


def _optional_int(value: Any) -> int | None:
    return None if value is None else int(value)


def _day(ns: int) -> str:
    return str(np.datetime64(ns, "ns").astype("datetime64[m]")).replace("T", " ")
