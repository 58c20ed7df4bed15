"""From what a person asked for to what can be run: every wrong value is refused here, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from pregao.commands.actions_files import actions_of
from pregao.commands.backtest_options import Asked, parse_time
from pregao.commands.settings_option import strategy_settings
from pregao.core.adjustment import refuse_adjusted
from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.money import PPM, decimal_of
from pregao.core.timeframe import Timeframe
from pregao.market.store import Store
from pregao.simulation import fees, slippage
from pregao.simulation.plan import Plan
from pregao.simulation.terms import Terms, profile
from pregao.simulation.world import build
from pregao.strategies.registry import configured

_ENDINGS = {"report": (".html", ".htm"), "trades_file": (".csv", ".parquet")}
_WORDS = {"report": "A tear sheet", "trades_file": "Trades"}


@dataclass(slots=True, kw_only=True)
class Setting:
    """All that a backtest is made of; the lists are in the order of the instruments.

    Attributes:
        cash, reporting: None where one instrument is traded with its own quote currency only.
        notes: what a person should know before reading the result.
    """

    plans: list[Plan]
    bars: list[Bars]
    before: list[Bars | None]
    finer: list[Bars | None]
    strategies: list[Any]
    models: list[Any]
    others: list[dict[str, Bars]]
    cash: dict[str, Decimal] | None = None
    reporting: str | None = None
    config: dict[str, object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def alone(self) -> bool:
        """Whether it is one instrument in one currency, which needs no account for several."""
        return len(self.plans) == 1 and self.cash is None

    def forget_bars(self) -> None:
        """Let go of the bars, when all has been run."""
        for series in (self.bars, self.before, self.finer):
            series.clear()


def setting_of(asked: Asked) -> Setting:
    """Everything checked and read.

    Raises:
        UsageError: naming what is wrong, and the mend.
    """
    _check_files(asked)
    config = strategy_settings(asked.pairs)
    strategies = [configured(asked.name, config) for _ in asked.keys]
    start, end = parse_time(asked.since), parse_time(asked.until)
    if start is not None and end is not None and start >= end:
        raise UsageError(f"--since {asked.since} is not before --until {asked.until}.")
    notes: list[str] = []
    terms = _terms(asked)
    store = Store()
    instruments = [_allowed(store.instrument(key), asked) for key in asked.keys]
    for i, instrument in enumerate(instruments):
        if instrument.key in [other.key for other in instruments[:i]]:
            raise UsageError(f"--data names {instrument.key} twice.", "Name each instrument once.")
    timeframe = _timeframe(asked, store, instruments)
    actions = actions_of(asked.actions, store, instruments)
    reporting = asked.currency or instruments[0].quote
    cash = _cash(asked, reporting)
    plain = not asked.currency and len(cash) == 1 and reporting in cash and len(instruments) == 1
    notes += _foreign_fees(asked, instruments)

    bars, before = _bars(store, instruments, timeframe, start, end)
    plans = [
        Plan.of(
            instrument, timeframe, cash=_own_cash(instrument, cash), entry_value=asked.entry_value,
            take_profit=asked.take_profit, stop_loss=asked.stop_loss, horizon=asked.horizon,
            terms=replace(_with_volume(terms, asked, series, notes), actions=own),
        )
        for instrument, series, own in zip(instruments, bars, actions, strict=True)
    ]  # fmt: skip
    for series, own in zip(bars, actions, strict=True):
        refuse_adjusted(series, own)
    build(plans, None if plain else cash, None if plain else reporting)  # refuses currencies without a rate
    finer = _finer(asked, terms, store, bars, notes)
    models = [_model(strategy, plan, asked.model) for strategy, plan in zip(strategies, plans, strict=True)]
    return Setting(
        plans=plans, bars=bars, before=before, finer=finer, strategies=strategies, config=dict(config), notes=notes,
        models=models, others=[_others(model, timeframe, store) for model in models],
        cash=None if plain else cash, reporting=None if plain else reporting,
    )  # fmt: skip


def _check_files(asked: Asked) -> None:
    for what, endings in _ENDINGS.items():
        path: Path | None = getattr(asked, what)
        if path is None:
            continue
        if path.suffix.lower() not in endings:
            raise UsageError(
                f"{_WORDS[what]} cannot be written as {path.name!r}.", f"End the name in {' or '.join(endings)}."
            )
        if not path.absolute().parent.is_dir():
            raise UsageError(f"There is no folder {str(path.parent)!r} to write {path.name} into.", "Make it first.")


def _terms(asked: Asked) -> Terms:
    """The profile's rules, changed by what was given."""
    models = [model for text in asked.slippage for model in slippage.parse(text)]
    slippage.encode(models)
    changes: dict[str, Any] = {"fees": fees.parse(asked.fees), "slippage": tuple(models), "seed": asked.seed % 2**31}
    changes["contract"] = asked.contract or _venue_contract(asked.fees)
    path = asked.path
    if asked.finer is not None:
        if path not in (None, "finer"):
            raise UsageError(
                f"--finer {asked.finer} and --path {path} contradict each other.", "Leave out one of the two."
            )
        path = "finer"
    if path is not None:
        changes["path"] = path
    if asked.touch is not None:
        known = {"through": 0, "touch": PPM}
        touch = asked.touch.strip().lower()
        changes["touch_ppm"] = known[touch] if touch in known else _ppm(asked.touch, "--touch", most=100)
    for name, option, text, least, most in (
        ("participation_ppm", "--participation", asked.participation, "0", 100),
        ("initial_margin_ppm", "--margin", asked.margin, "0.0001", 100),
        ("maintenance_margin_ppm", "--maintenance", asked.maintenance, "0", 50),
        ("liquidation_fee_ppm", "--liquidation-fee", asked.liquidation_fee, "0", 10),
        ("borrow_ppm", "--borrow", asked.borrow, "0", 100),
    ):
        if text is not None:
            changes[name] = _ppm(text, option, least, most)
    if asked.latency:
        changes["latency_ns"] = tuple(_latency(part) for text in asked.latency for part in text.split(","))
    return profile(asked.profile, **changes)


def _ppm(text: str, option: str, least: str = "0", most: int = 100) -> int:
    percent = decimal_of(text.strip().removesuffix("%"), option)
    ppm = percent * 10_000
    if not Decimal(least) <= percent <= most or ppm != ppm.to_integral_value():
        raise UsageError(
            f"{option} must be between {least} and {most} %, with at most four decimals, not {text.strip()!r}."
        )
    return int(ppm)


def _latency(text: str) -> int:
    ns = decimal_of(text, "--latency") * 1_000_000
    if not 0 <= ns < 2**53:
        raise UsageError(f"--latency must be a number of milliseconds that is not negative, not {text.strip()!r}.")
    return int(ns)


def _venue(text: str) -> fees.Preset | None:
    return fees.presets().get(text.strip().lower())


def _venue_contract(text: str) -> str:
    venue = _venue(text)
    return "cash" if venue is None else venue.contract


def _foreign_fees(asked: Asked, instruments: Sequence[Instrument]) -> list[str]:
    """Where a venue's amounts are in a currency that an instrument is not quoted in."""
    venue = _venue(asked.fees)
    if venue is None or not (venue.schedule.tiers or venue.schedule.per_unit or venue.schedule.minimum):
        return []
    others = dict.fromkeys(i.quote for i in instruments if i.quote != venue.money)
    return [f"The amounts of {venue.name} are in {venue.money}; here they count as {quote}." for quote in others]


def _allowed(instrument: Instrument, asked: Asked) -> Instrument:
    """The instrument, with short sales where they were asked for or the venue has them."""
    venue = _venue(asked.fees)
    if asked.short or (venue is not None and venue.allow_short):
        return instrument.model_copy(update={"allow_short": True})
    return instrument


def _timeframe(asked: Asked, store: Store, instruments: Sequence[Instrument]) -> Timeframe:
    """The one that was asked for, or the finest that all instruments have."""
    if asked.timeframe is not None:
        return Timeframe.parse(asked.timeframe)
    stored = {instrument.key: store.timeframes(instrument) for instrument in instruments}
    shared = set.intersection(*(set(frames) for frames in stored.values()))
    if not shared:
        have = "; ".join(f"{key} has {', '.join(map(str, frames)) or 'none'}" for key, frames in stored.items())
        raise UsageError(
            f"The instruments have no timeframe in common: {have}.",
            "In one account all bars are of one timeframe: ingest one that all have.",
        )
    return min(shared, key=lambda frame: frame.seconds)


def _cash(asked: Asked, reporting: str) -> dict[str, Decimal]:
    """Cash by currency, the reporting one first where there is any of it."""
    cash: dict[str, Decimal] = {}
    for text in asked.cash:
        name, equals, amount = (part.strip() for part in text.rpartition("="))
        currency = name if equals else reporting
        if not currency:
            raise UsageError(f"--cash {text!r} names no currency.", "For example: --cash USD=5000")
        if currency in cash:
            raise UsageError(f"--cash is given twice for {currency}.", "Give it once for each currency, as USD=5000.")
        cash[currency] = decimal_of(amount, "--cash")
        if cash[currency] <= 0:
            raise UsageError(f"--cash must be positive, not {text!r}.")
    return dict(sorted(cash.items(), key=lambda item: item[0] != reporting))


def _own_cash(instrument: Instrument, cash: dict[str, Decimal]) -> Decimal:
    if instrument.quote not in cash:
        raise UsageError(
            f"There is no {instrument.quote} in the account, and {instrument.symbol} is paid in it.",
            f"Give some: --cash {instrument.quote}=AMOUNT beside the other currencies.",
        )
    return cash[instrument.quote]


def _bars(
    store: Store, instruments: Sequence[Instrument], timeframe: Timeframe, start: int | None, end: int | None
) -> tuple[list[Bars], list[Bars | None]]:
    """The bars to trade over, and those before them."""
    bars: list[Bars] = []
    before: list[Bars | None] = []
    for instrument in instruments:
        whole = store.bars(instrument, timeframe, None, end)
        series = whole.between(start, None)
        if not len(series):
            series = store.bars(instrument, timeframe, start, end)  # says which bars there are
        bars.append(series)
        earlier = len(whole) - len(series)
        before.append(whole[:earlier] if earlier else None)
    return bars, before


def _with_volume(terms: Terms, asked: Asked, bars: Bars, notes: list[str]) -> Terms:
    """Without volumes a part of the volume is nothing: no limit then, unless it was asked for."""
    if not terms.participation_ppm or asked.participation is not None or bool(np.any(bars.volume)):
        return terms
    notes.append(f"{bars.instrument.symbol} has no volumes: orders fill whole, as with --participation 0.")
    return replace(terms, participation_ppm=0)


def _finer(asked: Asked, terms: Terms, store: Store, bars: Sequence[Bars], notes: list[str]) -> list[Bars | None]:
    """For the path rule ``finer`` the finer bars of each instrument, over the same time."""
    if terms.path != "finer":
        return [None] * len(bars)
    found: list[Bars | None] = []
    for series in bars:
        instrument, frame = series.instrument, series.timeframe
        stored = [t for t in store.timeframes(instrument) if t.ns < frame.ns and frame.ns % t.ns == 0]
        if asked.finer is not None:
            wanted = Timeframe.parse(asked.finer)
            if wanted.ns >= frame.ns or frame.ns % wanted.ns:
                raise UsageError(f"--finer {wanted} does not divide the bars of {frame}.", "Name a shorter timeframe.")
        elif stored:
            wanted = stored[0]
        else:
            raise UsageError(
                f"The store has no bars of {instrument.symbol} finer than {frame}.",
                "Ingest some, as 1m, or choose another --path.",
            )
        within = store.bars(instrument, wanted, int(series.open_ns[0]), int(series.close_ns[-1]))
        edges = [np.searchsorted(within.open_ns, edge) for edge in (series.open_ns, series.close_ns)]
        bare = int(np.sum(edges[0] == edges[1]))
        if bare:
            notes.append(
                f"{bare:,} of {len(series):,} bars of {instrument.symbol} have no {wanted} bars within them: there "
                "the path is the rule shortest."
            )
        found.append(within)
    return found


def _others(model: Any, timeframe: Timeframe, store: Store) -> dict[str, Bars]:
    """What a model's features look at besides, see `pregao.learning.others`."""
    if model is None:
        return {}
    from pregao.learning.others import bars_of, keys_of

    return bars_of(keys_of(model.meta), timeframe, store)


def _model(strategy: Any, plan: Plan, version: str | None) -> Any:
    if not getattr(strategy, "needs_model", False):
        return None
    from pregao.learning.registry import load, model_name

    return load(model_name(plan.instrument, plan.timeframe), version or "champion")
