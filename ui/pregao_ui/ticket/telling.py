"""What a ticket means, told before Start: one sentence, and beside each field its money, time or bars."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from pregao.core.money import PPM
from pregao.sessions.risk import PROFILES
from pregao.sessions.spec import Replay, SessionSpec
from pregao.strategies.contract import Model
from pregao_ui.numbers import day, money, number, signed_money, span
from pregao_ui.services import Span
from pregao_ui.texts import text
from pregao_ui.ticket.form import Review
from pregao_ui.ticket.market import Market
from pregao_ui.ticket.several import listed


def tell(
    spec: SessionSpec,
    markets: Sequence[Market],
    played: Span | None,
    models: Sequence[Model],
    language: str,
    told: Review,
) -> None:
    """Fill in the hints, the summary and the warnings of a review; ``models`` are the markets' own, if they have."""
    market = markets[0]
    costs = 2 * (spec.fee + spec.slippage)  # per cent of the entry value, both sides
    gain = spec.entry_value * (spec.take_profit - costs) / 100
    loss = -spec.entry_value * (spec.stop_loss + costs) / 100
    known = spec.take_profit_price is None or market.price is not None
    _hints(spec, market, played, (gain, loss) if known else None, language, told)
    _summary(spec, markets, (gain, loss) if known else None, bool(models), language, told)
    _details(spec, markets, played, models, language, told)
    if gain <= 0 and spec.mode != "observe":
        told.warnings.append(text(language, "warn_costs", costs=f"{number(language, costs, None)} %"))
    if spec.mode == "approve" and isinstance(spec.feed, Replay) and not spec.feed.speed:
        told.warnings.append(text(language, "warn_no_time"))
    for model in models:
        _warn_of_other_exits(spec, model, language, told)
    _warn_of_prices(spec, market, language, told)
    _warn_of_limits(spec, market, language, told)
    _warn_of_cash(spec, market, language, told)


def exits_of(model: Model) -> tuple[Decimal, Decimal, int]:
    """Take profit and stop loss (per cent) and horizon (bars) that a model was trained for."""
    meta = model.meta
    take_profit, stop_loss = (Decimal(int(meta[f"{name}_ppm"])) / 10_000 for name in ("take_profit", "stop_loss"))
    return take_profit, stop_loss, int(meta["horizon_bars"])


def _hints(
    spec: SessionSpec,
    market: Market,
    played: Span | None,
    outcome: tuple[Decimal, Decimal] | None,
    language: str,
    told: Review,
) -> None:
    quote, hints = market.quote, told.hints
    part = 100 * spec.entry_value / spec.cash
    share, together = (f"{number(language, round(n * part, 1), None)} %" for n in (1, 1 + len(spec.also)))
    hints["entry_value"] = text(language, "hint_share", share=share)
    if spec.also:
        hints["entry_value"] = text(language, "hint_share_each", share=share, together=together)
    if outcome is not None:
        for name, amount, given in zip(
            ("take_profit", "stop_loss"), outcome, (spec.take_profit_price, spec.stop_loss_price), strict=True
        ):
            shown = text(language, "hint_about", amount=signed_money(language, amount, quote))
            if given is not None and market.price:
                away = 100 * (given / market.price - 1)
                shown = f"{_signed(language, away)} · {shown}"
            hints[name] = shown
    if spec.trailing:
        hints["trailing"] = text(language, "hint_trailing", stop=f"{number(language, spec.stop_loss, None)} %")
    if spec.horizon:
        hints["horizon"] = span(spec.horizon * market.timeframe.seconds)
    each = spec.entry_value / 100
    for name in ("fee", "slippage"):
        hints[name] = text(language, "hint_about", amount=money(language, each * getattr(spec, name), quote))
    hints["risk"] = _limits(spec, market, language)
    if played is not None and isinstance(spec.feed, Replay):
        hints["start"] = text(
            language, "hint_bars", count=number(language, played.count, 0), first=day(language, played.first_ns)
        )
        if spec.feed.speed > 0:
            hints["speed"] = text(language, "hint_lasts", time=span(played.count / spec.feed.speed))


def _limits(spec: SessionSpec, market: Market, language: str) -> str:
    """The limits of the chosen profile, in money of the cash it begins with."""
    rules = PROFILES[spec.risk.profile]
    if not any(rules):
        return text(language, "hint_risk_none")

    def amount(ppm: int) -> str:
        return money(language, spec.cash * ppm / PPM, market.quote).strip()

    parts = []
    if rules.position_ppm:
        parts.append(text(language, "hint_risk_position", amount=amount(rules.position_ppm)))
    if rules.daily_loss_ppm:
        parts.append(text(language, "hint_risk_day", amount=amount(rules.daily_loss_ppm)))
    if rules.drawdown_ppm:
        parts.append(text(language, "hint_risk_drawdown", amount=amount(rules.drawdown_ppm)))
    if rules.cool_down_bars:
        rest = span(rules.cool_down_bars * market.timeframe.seconds)
        parts.append(text(language, "hint_risk_rest", bars=rules.cool_down_bars, time=rest))
    return " ".join(parts)


def _summary(
    spec: SessionSpec,
    markets: Sequence[Market],
    outcome: tuple[Decimal, Decimal] | None,
    thinks: bool,
    language: str,
    told: Review,
) -> None:
    """The sentence to read before Start, such as "Up to 1,000 USDT in BTC/USDT, exits at +2 % or −1 %, the AI decides
    alone, simulated money."."""
    market = markets[0]
    symbols = listed(language, [each.symbol for each in markets])
    parts = []
    if spec.mode == "observe":
        parts.append(text(language, "summary_observe", symbol=symbols))
    else:
        entry, total = (f"**{money(language, n * spec.entry_value, market.quote).strip()}**" for n in (1, len(markets)))
        if spec.also:
            limits = "" if spec.risk.profile == "none" else text(language, "summary_limits")
            size = text(language, "summary_size_each", entry=entry, symbols=symbols, total=total)
            parts.append(f"{size} {limits}".strip())
        else:
            parts.append(text(language, "summary_size", entry=entry, symbol=symbols))
        parts.append(_exits(spec, market, outcome, language))
        if spec.horizon:
            parts.append(text(language, "summary_horizon", time=span(spec.horizon * market.timeframe.seconds)))
        who = text(language, "who_ai" if thinks else "who_strategy")
        parts.append(text(language, f"summary_{spec.mode}", who=who))
    parts.append(text(language, "summary_money"))
    told.summary.append(f"{', '.join(parts)}.")


def _exits(spec: SessionSpec, market: Market, outcome: tuple[Decimal, Decimal] | None, language: str) -> str:
    at = []
    for price, percent in (
        (spec.take_profit_price, spec.take_profit),
        (spec.stop_loss_price, -spec.stop_loss),
    ):
        if price is None:
            at.append(_signed(language, percent))
        else:
            at.append(number(language, price, _decimals(market)))
    if outcome is not None:
        at = [f"{where} (**{signed_money(language, a, '').strip()}**)" for where, a in zip(at, outcome, strict=True)]
    return text(language, "summary_trailing" if spec.trailing else "summary_exits", gain=at[0], loss=at[1])


def _details(
    spec: SessionSpec,
    markets: Sequence[Market],
    played: Span | None,
    models: Sequence[Model],
    language: str,
    told: Review,
) -> None:
    if len(models) == 1:
        told.summary.append(text(language, "summary_model", version=models[0].version))
    elif models:
        versions = [f"{model.version} ({market.symbol})" for model, market in zip(models, markets, strict=False)]
        told.summary.append(text(language, "summary_models", versions=listed(language, versions)))
    if played is not None:
        told.summary.append(
            text(
                language,
                "summary_feed",
                count=number(language, played.count, 0),
                first=day(language, played.first_ns),
            )
        )
    else:
        told.summary.append(text(language, "summary_live", venue=markets[0].venue))
    if spec.mode != "observe":
        told.summary.append(text(language, "summary_costs"))


def _warn_of_other_exits(spec: SessionSpec, model: Model, language: str, told: Review) -> None:
    """The model's odds are those of the exits it was trained for."""
    trained = exits_of(model)
    asked = (spec.take_profit, spec.stop_loss, spec.horizon)
    if asked != trained or spec.trailing or spec.take_profit_price is not None:
        take_profit, stop_loss, horizon = trained
        shown = {"tp": number(language, take_profit, None), "sl": number(language, stop_loss, None)}
        warning = text(language, "warn_model_other", bars=horizon, **shown)
        if warning not in told.warnings:  # the models of several markets may have been trained alike
            told.warnings.append(warning)


def _warn_of_prices(spec: SessionSpec, market: Market, language: str, told: Review) -> None:
    """Between fixed prices only: outside of them an entry would have its exit on the wrong side."""
    profit, stop, price = spec.take_profit_price, spec.stop_loss_price, market.price
    if profit is None or stop is None or price is None:
        return
    if not stop < price < profit:
        shown = number(language, price, _decimals(market))
        told.warnings.append(text(language, "warn_outside", price=shown))


def _most(spec: SessionSpec) -> Decimal:
    """What the risk profile lets a position be worth at the beginning; 0 is anything."""
    return PROFILES[spec.risk.profile].position_ppm * spec.cash / PPM


def _warn_of_limits(spec: SessionSpec, market: Market, language: str, told: Review) -> None:
    most = _most(spec)
    if most and spec.entry_value > most:
        told.warnings.append(text(language, "warn_limit", amount=money(language, most, market.quote)))


def _warn_of_cash(spec: SessionSpec, market: Market, language: str, told: Review) -> None:
    together = min(spec.entry_value, _most(spec) or spec.entry_value) * (1 + len(spec.also))
    if spec.also and together > spec.cash and spec.mode != "observe":
        shown = {
            name: money(language, value, market.quote) for name, value in (("total", together), ("cash", spec.cash))
        }
        told.warnings.append(text(language, "warn_together", **shown))


def _signed(language: str, percent: Decimal) -> str:
    sign = "+" if percent > 0 else "\u2212" if percent < 0 else ""
    shown = abs(percent.quantize(Decimal("0.01"))) if percent % Decimal("0.01") else abs(percent)
    return f"{sign}{number(language, shown, None)} %"


def _decimals(market: Market) -> int:
    return 2 if market.instrument is None else market.instrument.price_decimals
