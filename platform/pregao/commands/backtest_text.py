"""What ``pregao backtest`` says in words: its notes, its figures in text, the venues whose fees it knows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from pregao.commands.output import print_json, print_table
from pregao.reporting.figures import rows_of
from pregao.reporting.sheet import Sheet
from pregao.simulation.fees import presets

FIGURES = (
    ("net_return", "Net return", "{:+z.2%}"),
    ("annual_return", "Annual return", "{:+z.2%}"),
    ("volatility", "Volatility a year", "{:z.2%}"),
    ("sharpe", "Sharpe ratio", "{:z.2f}"),
    ("sortino", "Sortino ratio", "{:z.2f}"),
    ("max_drawdown", "Maximum drawdown", "{:z.2%}"),
    ("calmar", "Calmar ratio", "{:z.2f}"),
    ("value_at_risk", "Value at risk, 95 %, a day", "{:z.2%}"),
    ("expected_shortfall", "Expected shortfall, 95 %, a day", "{:z.2%}"),
    ("trades", "Trades", "{:.0f}"),
    ("hit_rate", "Hit rate", "{:z.1%}"),
    ("profit_factor", "Profit factor", "{:.2f}"),
    ("mean_trade", "Mean trade, net", "{:+z.3%}"),
    ("exposure", "Exposure", "{:z.1%}"),
    ("turnover", "Turnover", "{:.1f}"),
    ("fees", "Fees paid", "{:,.2f}"),
)
_INSTRUMENT = (
    ("trades", "trades", "{:.0f}"),
    ("pnl", "result", "{:+,.2f}"),
    ("hit_rate", "hit rate", "{:z.1%}"),
    ("profit_factor", "profit factor", "{:.2f}"),
    ("fees", "fees", "{:,.2f}"),
    ("exposure", "exposure", "{:z.1%}"),
    ("market_return", "market", "{:+z.2%}"),
)
_HELD_ALONE = frozenset({"trades", "hit_rate", "profit_factor", "mean_trade", "turnover", "fees"})
"""Figures of trades: a purchase that is never sold is none."""


def show(sheet: Sheet, seconds: float | None = None) -> None:
    """The account's figures beside buy and hold, a row for each of several instruments, and how sure the result is."""
    first, last = (datetime.fromtimestamp(int(t) / 1e9, UTC) for t in (sheet.open_ns, sheet.close_ns[-1]))
    n = len(sheet.close_ns)
    click.echo(
        f"{sheet.strategy} on {', '.join(sheet.instruments)} {sheet.timeframe}, {n:,} bars, "
        f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    )
    if sheet.model:
        click.echo(f"Model {sheet.model}")
    click.echo("Simulated money." + (" Synthetic data." if sheet.synthetic else ""))
    held = sheet.held_figures or {}
    rows = [
        (title, _told(form, sheet.figures[name]), "" if name in _HELD_ALONE else _told(form, held.get(name)))
        for name, title, form in FIGURES
    ]
    print_table("", ("", sheet.strategy, "buy and hold"), rows, "")
    if len(sheet.per_instrument):
        click.echo("")
        table = [
            (row.instrument, *(_told(form, getattr(row, name)) for name, _, form in _INSTRUMENT))
            for row in rows_of(sheet.per_instrument)
        ]
        print_table("", ("instrument", *(title for _, title, _ in _INSTRUMENT)), table, "")
        click.echo("")
    click.echo(f"Final equity {sheet.equity[-1]:,.2f} {sheet.currency}, costs {sheet.total_costs:,.2f}")
    click.echo(_doubt(sheet))
    speed = "" if seconds is None else f"{n / seconds:,.0f} bars/s, "
    click.echo(f"{speed}digest {sheet.digest[:16]}")


def _doubt(sheet: Sheet) -> str:
    """Between what the result lies, because bars do not tell their path."""
    found = sheet.interval
    if found is None or not found.bars:
        return "No bar reached both exits of a trade: the result does not depend on the path within bars."
    one = found.bars == 1
    return (
        f"{found.bars:,} {'bar' if one else 'bars'} reached both exits: the result of {sheet.pnl:+,.2f} lies between "
        f"{found.worst:+,.2f} (worst path) and {found.best:+,.2f} (best path) {sheet.currency}"
    )


def _told(form: str, value: float | None) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None or value != value else form.format(value)


def list_fees(as_json: bool) -> None:
    """Every venue whose fees are known: rates, date and source."""
    every = presets().values()
    if as_json:
        print_json([_preset(each) for each in every])
        return
    rows = [(p.name, p.title, f"{_rates(p)}", p.money, p.date, p.contract) for p in every]
    print_table("", ("--fees", "venue", "maker / taker", "money", "as of", "contract"), rows, "")
    for each in every:
        click.echo(f"\n{each.name}: {each.source}.\n  {each.notes}")


def _rates(preset: Any) -> str:
    """The rates below the first tier, and what comes on top."""
    fees = preset.schedule
    parts = []
    if fees.maker_ppm or fees.taker_ppm or fees.tiers:
        parts.append(f"{fees.maker_ppm / 10_000:g} % / {fees.taker_ppm / 10_000:g} %")
    if fees.tiers:
        parts.append(f"{len(fees.tiers)} lower {'tier' if len(fees.tiers) == 1 else 'tiers'}")
    if fees.per_unit:
        parts.append(f"{fees.per_unit} a share, at least {fees.minimum}")
    if fees.sell_ppm:
        parts.append(f"{fees.sell_ppm / 10_000:g} % of sales")
    return ", ".join(parts)


def _preset(preset: Any) -> dict[str, Any]:
    fees = preset.schedule
    return {
        "name": preset.name, "title": preset.title, "date": preset.date, "source": preset.source,
        "notes": preset.notes, "money": preset.money, "calendar": preset.calendar, "contract": preset.contract,
        "allow_short": preset.allow_short, "maker_ppm": fees.maker_ppm, "taker_ppm": fees.taker_ppm,
        "tiers": [{"volume": t.volume, "maker_ppm": t.maker_ppm, "taker_ppm": t.taker_ppm} for t in fees.tiers],
        "flat": fees.flat, "per_unit": fees.per_unit, "minimum": fees.minimum, "cap_ppm": fees.cap_ppm,
        "sell_ppm": fees.sell_ppm, "currency": fees.currency, "discount_ppm": fees.discount_ppm,
    }  # fmt: skip
