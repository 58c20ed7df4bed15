"""``pregao backtest``: a strategy over history, with its figures beside buy and hold."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pregao.commands.output import json_option, plain, print_json, print_table, progress
from pregao.commands.settings_option import set_option, strategy_settings

if TYPE_CHECKING:
    from pregao.simulation.backtest import Result

FIGURES = (
    ("net_return", "Net return", "{:+.2%}"),
    ("annual_return", "Annual return", "{:+.2%}"),
    ("volatility", "Volatility a year", "{:.2%}"),
    ("sharpe", "Sharpe ratio", "{:.2f}"),
    ("sortino", "Sortino ratio", "{:.2f}"),
    ("max_drawdown", "Maximum drawdown", "{:.2%}"),
    ("calmar", "Calmar ratio", "{:.2f}"),
    ("trades", "Trades", "{:.0f}"),
    ("hit_rate", "Hit rate", "{:.1%}"),
    ("profit_factor", "Profit factor", "{:.2f}"),
    ("mean_trade", "Mean trade, net", "{:+.3%}"),
    ("exposure", "Exposure", "{:.1%}"),
    ("turnover", "Turnover", "{:.1f}"),
    ("fees", "Fees paid", "{:,.2f}"),
)


def parse_time(text: str | None) -> int | None:
    """An ISO date or time, UTC unless it says otherwise, in ns since 1970; None stays None."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a date such as 2024-01-31 or 2024-01-31T12:00.") from None
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 1_000_000_000


@click.command()
@click.option("--strategy", "name", required=True, help="Name of an installed strategy; see `pregao plugins`.")
@click.option("--data", "key", required=True, metavar="KEY", help="Instrument: source/venue/symbol, or its symbol.")
@click.option("--timeframe", default=None, help="Default: the only one in the store, or else the finest.")
@click.option("--since", default=None, metavar="DATE", help="First bar, UTC.")
@click.option("--until", default=None, metavar="DATE", help="End, UTC; the bar that opens then is left out.")
@click.option("--cash", default="10000", show_default=True, help="Simulated money at the start.")
@click.option("--entry-value", default="1000", show_default=True, help="Spent on each entry.")
@click.option("--take-profit", default="2", show_default=True, help="Per cent of the entry price; 0 is none.")
@click.option("--stop-loss", default="1", show_default=True, help="Per cent of the entry price; 0 is none.")
@click.option("--horizon", default=0, show_default=True, help="Exit after this many bars; 0 is never.")
@click.option("--fee", default="0.1", show_default=True, help="Per cent of the notional, each side.")
@click.option("--slippage", default="0.02", show_default=True, help="Per cent of the price, market and stop orders.")
@click.option("--model", default=None, help="Model version or alias for the AI; default champion.")
@click.option("--seed", default=0, show_default=True, help="Seed of the strategy's own randomness.")
@click.option(
    "--trades", "trades_file", type=click.Path(dir_okay=False, path_type=Path), help="Write trades: .csv or .parquet."
)
@set_option
@json_option
def backtest(
    name: str,
    key: str,
    timeframe: str | None,
    since: str | None,
    until: str | None,
    cash: str,
    entry_value: str,
    take_profit: str,
    stop_loss: str,
    horizon: int,
    fee: str,
    slippage: str,
    model: str | None,
    seed: int,
    trades_file: Path | None,
    pairs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run a strategy over stored history and judge it beside buy and hold.

    What the strategy decides at a bar's close fills at the next bar's open at the earliest; where a bar reaches both
    exits, the stop counts.
    """
    from pregao.core.errors import UsageError
    from pregao.core.timeframe import Timeframe
    from pregao.market.store import Store
    from pregao.simulation.baselines import buy_and_hold
    from pregao.simulation.plan import Plan
    from pregao.strategies.backtest import backtest as run
    from pregao.strategies.registry import configured

    strategy = configured(name, strategy_settings(pairs))
    if trades_file is not None and trades_file.suffix not in (".csv", ".parquet"):
        raise UsageError(f"Trades cannot be written as {trades_file.name!r}.", "End the name in .csv or .parquet.")
    start, end = parse_time(since), parse_time(until)
    store = Store()
    instrument = store.instrument(key)
    frames = store.timeframes(instrument)
    frame = Timeframe.parse(timeframe) if timeframe else min(frames, key=lambda t: t.seconds)
    plan = Plan.of(
        instrument, frame, cash=cash, entry_value=entry_value, take_profit=take_profit, stop_loss=stop_loss,
        horizon=horizon, fee=fee, slippage=slippage,
    )  # fmt: skip
    bars = store.bars(instrument, frame, start, end)
    before = store.bars(instrument, frame, None, start) if start is not None else None
    if len(bars) == 0:
        raise UsageError(
            f"There are no bars of {instrument.symbol} {frame} in that range.",
            f"`pregao data show {instrument.key}` shows the range.",
        )
    loaded = _model(strategy, instrument, frame, model)

    began = time.perf_counter()
    result = run(strategy, bars, plan, seed=seed, model=loaded, before=before, progress=None if as_json else _bar())
    seconds = time.perf_counter() - began
    held = buy_and_hold(bars, plan)
    if trades_file is not None:
        _write(result, trades_file)
    if as_json:
        print_json(_finite(_document(result, held, name, seconds, loaded)))
        return
    _show(result, held, name, seconds, loaded)
    if trades_file is not None:
        progress(f"{len(result.trades)} trades written to {trades_file}")


def _model(strategy: Any, instrument: Any, frame: Any, version: str | None) -> Any:
    if not getattr(strategy, "needs_model", False):
        return None
    from pregao.learning.registry import load, model_name

    return load(model_name(instrument, frame), version or "champion")


def _bar() -> Any:
    """Progress on standard error, on a terminal only and only once it takes longer than a second."""
    import sys

    if not sys.stderr.isatty():
        return None
    began = time.perf_counter()

    def show(done: int, of: int) -> None:
        if time.perf_counter() - began > 1:
            click.echo(f"\r{done:,} of {of:,} bars", nl=False, err=True)

    return show


def _document(result: Result, held: Result, name: str, seconds: float, model: Any) -> dict[str, Any]:
    instrument = result.plan.instrument
    return {
        "strategy": name,
        "instrument": instrument.key,
        "synthetic": instrument.synthetic,
        "timeframe": result.bars.timeframe.name,
        "model": None if model is None else {"name": model.name, "version": model.version},
        "bars": len(result.bars),
        "from_ns": int(result.bars.open_ns[0]),
        "to_ns": int(result.bars.close_ns[-1]),
        "seconds": seconds,
        "bars_per_second": len(result.bars) / seconds,
        "final_equity": result.final_equity,
        "ambiguous_bars": int(result.engine.account.ambiguous),
        "digest": result.digest,
        "metrics": result.metrics(),
        "buy_and_hold": held.metrics(),
    }


def _finite(document: dict[str, Any]) -> Any:
    """JSON knows no NaN and no infinity: null."""
    return json.loads(json.dumps(document, default=plain), parse_constant=lambda _: None)


def _show(result: Result, held: Result, name: str, seconds: float, model: Any) -> None:
    instrument, bars = result.plan.instrument, result.bars
    first, last = (datetime.fromtimestamp(int(t) / 1e9, UTC) for t in (bars.open_ns[0], bars.close_ns[-1]))
    click.echo(
        f"{name} on {instrument.symbol} {bars.timeframe} ({instrument.key}), {len(bars):,} bars, "
        f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    )
    if model is not None:
        click.echo(f"Model {model.name}, version {model.version}")
    click.echo("Simulated money." + (" Synthetic data." if instrument.synthetic else ""))
    own, other = result.metrics(), held.metrics()
    print_table(
        "", ("", name, "buy and hold"), [(title, f.format(own[k]), f.format(other[k])) for k, title, f in FIGURES], ""
    )
    account = result.engine.account
    click.echo(
        f"Final equity {result.final_equity:,.2f} {instrument.quote}; bars that reached both exits: {account.ambiguous}"
    )
    click.echo(f"{len(bars) / seconds:,.0f} bars/s, digest {result.digest[:16]}")


def _write(result: Result, path: Path) -> None:
    if path.suffix == ".csv":
        result.trades.to_csv(path, index=False)
    else:
        result.trades.to_parquet(path, index=False)
