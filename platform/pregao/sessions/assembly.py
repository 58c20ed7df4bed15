"""From what a person asked for to the parts of a session, every value checked, each problem named by its field."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregao import __version__
from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.core.instrument import Instrument, folder_name, quantum_of
from pregao.core.timeframe import Timeframe
from pregao.learning.others import bars_of, keys_of
from pregao.market.store import Store
from pregao.sessions import champion, following
from pregao.sessions.beside import Stored
from pregao.sessions.brokers.account import VenueAccount
from pregao.sessions.brokers.joining import lines
from pregao.sessions.isolation import Facts, Isolated, Limits, StrategyFault, UnusableError, look_up
from pregao.sessions.machine import Machine
from pregao.sessions.problems import SpecError, check_lot, check_price, noting
from pregao.sessions.records import Body, Further, SessionRow
from pregao.sessions.spec import ExchangeBroker, Live, Replay, SessionSpec, Shadow
from pregao.settings import settings
from pregao.simulation.engine import Engine
from pregao.simulation.execution import Execution
from pregao.simulation.plan import Plan
from pregao.strategies.backtest import desk_for
from pregao.strategies.contract import Model
from pregao.strategies.desk import Desk
from pregao.strategies.registry import configured, discover

LONGEST_NAME = 120
"""Characters of a folder's name."""


@dataclass(frozen=True, eq=False)
class Part:
    """One instrument of a session.

    Attributes:
        plan: the operation that each entry is.
        bars: what will be replayed; None if the market is followed live.
        before: the bars that end where these begin, to warm up on; None live, where the journal keeps them.
        model: None for strategies without one.
        others: what the store has of the other instruments that the model's features look at, by what they are to it.
    """

    instrument: Instrument
    plan: Plan
    bars: Bars | None = None
    before: Bars | None = None
    model: Model | None = None
    others: Mapping[str, Bars] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Assembly:
    """The parts of a session.

    Attributes:
        spec: with nothing left open: the instruments' keys, the first and last moment of a replay, the model.
        parts: of each instrument, all with their money counted in the account's quanta.
        made: what a strategy in a process of its own said of itself; None for one that lives here.
    """

    spec: SessionSpec
    timeframe: Timeframe
    parts: tuple[Part, ...]
    made: Facts | None

    @property
    def first(self) -> Part:
        """The first instrument's."""
        return self.parts[0]

    @cached_property
    def moments(self) -> NDArray[np.int64]:
        """Open times of what will be replayed, ns since 1970 UTC, ascending, shape ``(n,)``; empty live."""
        played = [part.bars.open_ns for part in self.parts if part.bars is not None]
        return reduce(np.union1d, played) if played else np.empty(0, np.int64)

    def desks(self) -> list[Desk]:
        """New desks with new strategies at one account; for a replay warmed up on the bars before the first."""
        spec, plans = self.spec, [part.plan for part in self.parts]
        account: Execution = VenueAccount(plans) if isinstance(spec.broker, ExchangeBroker) else Engine(plans)
        return [self._desk(part, account, number) for number, part in enumerate(self.parts)]

    def _desk(self, part: Part, account: Execution, number: int) -> Desk:
        spec = self.spec
        if self.made is None:
            strategy = configured(spec.strategy, spec.config)
        else:
            strategy = Isolated(self.made, spec.strategy, spec.config, Limits(spec.deadline, spec.memory))
        desk = desk_for(part.plan, strategy, spec.seed, part.model, account, part.others, number)
        if part.before is not None:
            tail = part.before[max(len(part.before) - desk.history, 0) :]
            warm = [tail.bar(i) for i in range(len(tail))]
            desk.warm(warm, Stored(part.others).along(warm) if part.others else ())
        return desk

    def machine(self) -> Machine:
        """A session with these parts at its beginning."""
        return Machine(self.spec, self.desks(), len(self.moments))

    def also(self) -> tuple[Further, ...]:
        """The instruments after the first, as the session's row keeps them."""
        return tuple(Further(part.instrument, *_named(part.model)) for part in self.parts[1:])

    def facts(self) -> Body:
        """What the journal's first row tells of the parts: which code, models and data."""
        name, first = self.spec.strategy, self.first
        plugin = next((p for p in discover() if name in (p.name, f"{p.distribution}:{p.entry.name}")), None)
        facts: Body = {
            "pregao": __version__,
            "timeframe": self.timeframe.name,
            "strategy": name,
            "distribution": plugin.distribution if plugin else "",
            "strategy_version": plugin.version if plugin else "",
            "mode": self.spec.mode,
            "synthetic": any(part.instrument.synthetic for part in self.parts),
            **_facts(first),
        }
        if len(self.parts) > 1:
            facts["also"] = [_facts(part) for part in self.parts[1:]]
        feed, broker = self.spec.feed, self.spec.broker
        if isinstance(broker, ExchangeBroker):
            facts |= {"broker": broker.exchange, "sandbox": broker.sandbox}
        if isinstance(feed, Shadow):
            return facts | {"shadow_of": feed.of}
        if isinstance(feed, Live) or first.bars is None:
            return facts | {"live": True}
        return facts | {
            "data_version": feed.version or _data_version(),
            "first_ns": int(self.moments[0]),
            "last_ns": int(self.moments[-1]),
            "bars": len(self.moments),
        }


def _named(model: Model | None) -> tuple[str | None, str | None]:
    return (model.name, str(model.version)) if model is not None else (None, None)


def _facts(part: Part) -> Body:
    """What is known of an instrument's model."""
    meta = part.model.meta if part.model is not None else {}
    name, version = _named(part.model)
    return {
        "instrument": part.instrument.key,
        "model": name,
        "model_version": version,
        "trained_until_ns": _optional_int(meta.get("train_end_ns")),
        "trained_on": meta.get("data_version"),
        "inference": getattr(part.model, "inference", None),
    }


def assemble(spec: SessionSpec, known: Sequence[Further] | None = None) -> Assembly:
    """The parts that a spec asks for, and what its models' features look at besides.

    Args:
        known: the instruments, each with its model and the version of it, of a session that there is or is made of
            another one; None looks the instruments up and takes the champions of now.

    Raises:
        SpecError: naming every field that cannot be satisfied.
        PregaoError: if the store or a plugin is broken.
    """
    return _beside(_parts(spec, known))


def assembled(row: SessionRow) -> Assembly:
    """The parts of a session that there is, with the models that it began with; raises like `assemble`."""
    return assemble(row.spec, (Further(row.instrument, row.spec.model, row.model_version), *row.also))


def _beside(parts: Assembly) -> Assembly:
    """With what the models' features look at."""
    problems: dict[str, PregaoError] = {}
    found = []
    for part in parts.parts:
        keys = keys_of(part.model.meta) if part.model is not None else {}
        others: Mapping[str, Bars] = {}
        with noting(problems, "model"):
            if keys:
                feed = parts.spec.feed
                store = _store(parts.spec, feed, keys.values()) if isinstance(feed, Replay) else Store()
                others = bars_of(keys, parts.timeframe, store)
                if isinstance(feed, Live):
                    _same_venue(part.instrument, others)
        found.append(replace(part, others=others))
    if problems:
        raise SpecError(problems)
    return replace(parts, parts=tuple(found))


def _same_venue(instrument: Instrument, others: Mapping[str, Bars]) -> None:
    """Live, all that a model looks at is heard from the session's own venue."""
    own = f"{instrument.source}/{instrument.venue}"
    for name, bars in others.items():
        if f"{bars.instrument.source}/{bars.instrument.venue}" != own:
            raise UsageError(
                f"The model looks at {bars.instrument.key} as its {name}, and live only {own} is heard.",
                f"Train it with an instrument of {own} (params.yaml: features), or replay stored bars.",
            )


def _parts(spec: SessionSpec, known: Sequence[Further] | None) -> Assembly:
    """The parts, without what is looked at besides."""
    problems: dict[str, PregaoError] = {}
    timeframe = None
    feed = spec.feed
    with noting(problems, "timeframe"):
        timeframe = Timeframe.parse(spec.timeframe)
    found = _instruments(spec, known, timeframe, problems)
    strategy, made = _strategy(spec, problems)
    parts: list[Part] = []
    if found is not None and timeframe is not None:
        quantum = quantum_of(each.instrument for each in found)
        for number, each in enumerate(found):
            instrument = each.instrument.counted(quantum)
            plan = model = None
            with noting(problems, "entry_value"):
                plan = _plan(spec, instrument, timeframe)
            if strategy is not None:
                with noting(problems, "model"):
                    name, version = (known[number].model, known[number].version) if known else (spec.model, None)
                    model = _model(spec.strategy, strategy, name, version, instrument, timeframe)
            if plan is not None:
                parts.append(Part(instrument, plan, model=model))
    if problems or found is None or timeframe is None or not parts:
        raise SpecError(problems)
    first = parts[0].instrument
    with noting(problems, "take_profit_price"):
        check_price(first, spec.take_profit_price, "take profit")
    with noting(problems, "stop_loss_price"):
        check_price(first, spec.stop_loss_price, "stop loss")
    if problems:
        raise SpecError(problems)
    keys = {"instrument": first.key, "also": tuple(part.instrument.key for part in parts[1:])}
    complete = spec.model_copy(update={**keys, "model": _named(parts[0].model)[0] if len(parts) == 1 else spec.model})
    whole = Assembly(complete, timeframe, tuple(parts), made)
    if isinstance(feed, Live | Shadow):
        with noting(problems, "entry_value"):
            for part, each in zip(parts, found, strict=True):
                if each.latest is not None:
                    check_lot(spec, part.instrument, int(each.latest.close[-1]))
        with noting(problems, "broker"):
            if found[0].latest is not None and isinstance(spec.broker, ExchangeBroker):
                line = lines(spec, [part.instrument for part in parts])
                for number in range(len(parts)):
                    line(number)
        if problems:
            raise SpecError(problems)
        return whole
    return _played(whole, feed, [each.store for each in found])


class _Found(NamedTuple):
    """An instrument, and where it was found: in a store, or at its venue, with the last bars there."""

    instrument: Instrument
    store: Store | None = None
    latest: Bars | None = None


def _instruments(
    spec: SessionSpec, known: Sequence[Further] | None, timeframe: Timeframe | None, problems: dict[str, PregaoError]
) -> list[_Found] | None:
    """What is to be traded; None if that cannot be said, and the problems tell why."""
    feed = spec.feed
    found: list[_Found] = []
    if isinstance(feed, Shadow):
        with noting(problems, "feed"):
            if known is None:
                raise UsageError("A shadow is not started: the session that it follows makes it.", "Start a session.")
            found = [_Found(each.instrument) for each in known]
    elif isinstance(feed, Live):
        if known is not None:
            return [_Found(each.instrument) for each in known]
        for number in range(1 + len(feed.also)):
            with noting(problems, "also" if number else "instrument"):
                if timeframe is not None:
                    latest = following.history(market_of(feed, number), timeframe, following.LEAST)
                    found.append(_Found(latest.instrument, latest=latest))
    else:
        store = None
        with noting(problems, "feed.version"):
            store = _store(spec, feed)
        for number, key in enumerate((spec.instrument, *spec.also)):
            with noting(problems, "also" if number else "instrument"):
                if store is not None:
                    found.append(_Found(store.instrument(key), store))
    with noting(problems, "also"):
        _one_currency([each.instrument for each in found])
    return found if found and not {"feed", "feed.version", "instrument", "also"} & set(problems) else None


def _one_currency(instruments: Sequence[Instrument]) -> None:
    """An account is kept in one currency, and has each instrument once."""
    for each in instruments[1:]:
        if each.quote != instruments[0].quote:
            raise UsageError(
                f"{each.symbol} is quoted in {each.quote}, and {instruments[0].symbol} in {instruments[0].quote}.",
                "One account trades instruments of one currency; start a session for each currency.",
            )
    if len({each.key for each in instruments}) < len(instruments):
        raise UsageError("An instrument is named twice.", "An account has each one once.")


def market_of(feed: Live, number: int) -> Live:
    """One of the markets of a live session, by its place there."""
    return feed.model_copy(update={"symbol": (feed.symbol, *feed.also)[number], "also": ()})


def _strategy(spec: SessionSpec, problems: dict[str, PregaoError]) -> tuple[Any, Facts | None]:
    """The strategy, or what its process said of it; None if it cannot be had."""
    strategy: Any = None
    if spec.isolated:
        try:
            made = look_up(spec.strategy, spec.config, Limits(spec.deadline, spec.memory))
            return made, made
        except StrategyFault as error:
            problems[error.field if isinstance(error, UnusableError) else "strategy"] = error
            return None, None
    with noting(problems, "strategy"):
        strategy = configured(spec.strategy, {})
    with noting(problems, "config"):
        if strategy is not None:
            strategy = configured(spec.strategy, spec.config)
    return strategy, None


def _played(whole: Assembly, feed: Replay, stores: Sequence[Store | None]) -> Assembly:
    """With the bars of a replay, of all instruments over one span."""
    problems: dict[str, PregaoError] = {}
    every: list[Bars] = []
    for part, store in zip(whole.parts, stores, strict=True):
        with noting(problems, "timeframe"):
            assert store is not None
            every.append(store.bars(part.instrument, whole.timeframe))
    if problems:
        raise SpecError(problems)
    parts = []
    seen = [int(part.model.meta["train_end_ns"]) for part in whole.parts if part.model is not None
            and part.model.meta.get("train_end_ns") is not None]  # fmt: skip
    for part, bars in zip(whole.parts, every, strict=True):
        with noting(problems, "feed.start"):
            played, before = _span(feed, bars, max(seen, default=None))
            parts.append(replace(part, bars=played, before=before))
    if problems:
        raise SpecError(problems)
    for part in parts:
        with noting(problems, "entry_value"):
            assert part.bars is not None
            check_lot(whole.spec, part.instrument, int(part.bars.open[0]))
    if problems:
        raise SpecError(problems)
    whole = replace(whole, parts=tuple(parts))
    span = feed.model_copy(update={"start": int(whole.moments[0]), "end": int(whole.moments[-1]) + 1})
    return replace(whole, spec=whole.spec.model_copy(update={"feed": span}))


def _store(spec: SessionSpec, feed: Replay, others: Iterable[str] = ()) -> Store:
    """The store as it is now, or a plain copy of the version that is asked for, with these others."""
    if feed.version is None:
        return Store()
    from pregao.market.versions import Versions

    versions = Versions()
    version = versions.find(feed.version)
    keys = list(dict.fromkeys((spec.instrument, *spec.also, *others)))
    target = settings().var / "snapshots" / version.short / _folder(keys, spec.timeframe)
    versions.snapshot(version, target, [(key, spec.timeframe) for key in keys])
    return Store(target)


def _folder(keys: Sequence[str], timeframe: str) -> str:
    """Where the copy of some series is kept; a name that no file system takes is cut, with what tells it apart."""
    every = "+".join(keys)
    name = folder_name(f"{every}_{timeframe}")
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:80]}-{hashlib.sha256(every.encode()).hexdigest()[:16]}_{timeframe}"


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
    named: str, strategy: Any, name: str | None, version: str | None, instrument: Instrument, timeframe: Timeframe
) -> Model | None:
    """The model that a strategy is to ask: the one of this name and version, else the instrument's champion."""
    if not getattr(strategy, "needs_model", False):
        if name is not None:
            raise UsageError(f"The strategy {named!r} uses no model.", "Leave the model out.")
        return None
    from pregao.learning import registry

    name = name or registry.model_name(instrument, timeframe)
    chosen = version or registry.champion(name)
    if chosen is None:
        raise NotFoundError(
            f"There is no champion of the model {name!r}, which {named!r} needs.",
            f"Train one with `pregao retrain {instrument.key} --timeframe {timeframe}`, or choose another strategy.",
        )
    return champion.loaded(name, str(chosen))


def _span(feed: Replay, every: Bars, seen: int | None) -> tuple[Bars, Bars]:
    """The bars to play and those before them. A model plays by default only what it has not been trained on.

    Args:
        seen: end of what the models have been trained on, ns since 1970 UTC.
    """
    start = feed.start
    if start is None and seen is not None:
        start = seen
    bars = every.between(start, feed.end)
    if len(bars) == 0:
        raise UsageError(
            f"There are no bars of {every.instrument.symbol} between the replay's start and end.",
            f"The store has {every.timeframe} bars from {_day(int(every.open_ns[0]))} to "
            f"{_day(int(every.open_ns[-1]))} UTC"
            + (f"; the model has seen those before {_day(seen)}." if seen is not None else "."),
        )
    return bars, every.between(None, int(bars.open_ns[0]))


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
