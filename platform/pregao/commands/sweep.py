"""``pregao sweep``: many settings of a strategy over history, and whether the best of them is more than luck."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pregao.commands.backtest import parse_time
from pregao.commands.output import json_option, plain, print_json, print_table, progress
from pregao.commands.settings_option import set_option, strategy_settings

if TYPE_CHECKING:
    from pregao.strategies.sweeping.judging import Verdict
    from pregao.strategies.sweeping.runs import Market, Row, Sweep

FIGURES = (
    ("sharpe", "sharpe", "{:.2f}"),
    ("net_return", "return", "{:+.2%}"),
    ("max_drawdown", "drawdown", "{:.2%}"),
    ("trades", "trades", "{}"),
    ("hit_rate", "hit rate", "{:.1%}"),
    ("fees", "fees", "{:,.2f}"),
    ("ambiguous", "ambiguous", "{}"),
    ("final_equity", "equity", "{:,.2f}"),
)
Tick = Callable[[int, int], None]


@click.command()
@click.option("--strategy", "name", required=True, help="Name of an installed strategy; see `pregao plugins`.")
@click.option(
    "--data", "keys", required=True, multiple=True, metavar="KEY", help="Instrument, as for backtest; may be repeated."
)
@click.option(
    "--grid", "ranges", multiple=True, metavar="NAME=FROM:TO:STEP",
    help="Values to try of a setting or of the plan, or NAME=A,B,C; may be repeated.",
)  # fmt: skip
@click.option("--random", "count", type=int, default=None, metavar="N", help="Draw so many settings instead of all.")
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
@click.option("--seed", default=0, show_default=True, help="Seed of the draws and of the strategy's own randomness.")
@click.option("--jobs", type=click.IntRange(1), default=None, help="Processes; default one for each core.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=None, metavar="FOLDER",
    help="Keep results there as Parquet; the same command goes on where it was interrupted.",
)  # fmt: skip
@click.option(
    "--by", type=click.Choice(["sharpe", "net_return", "max_drawdown", "hit_rate"]), default="sharpe",
    show_default=True, help="What the best are best at.",
)  # fmt: skip
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="How many of the best to show.")
@click.option("--cluster", default=None, metavar="ADDRESS", help="Dask scheduler to run on, such as tcp://host:8786.")
@set_option
@json_option
def sweep(
    name: str,
    keys: tuple[str, ...],
    ranges: tuple[str, ...],
    count: int | None,
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
    jobs: int | None,
    out: Path | None,
    by: str,
    top: int,
    cluster: str | None,
    pairs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Try many settings of a strategy, on each instrument by itself, and say whether the best is more than luck.

    --grid tries all combinations: --grid fast=5:15:1 --grid slow=20,30,40 --grid take_profit=1,2,3. With --random N
    that many are drawn, within the ranges and within the bounds of the strategy's other settings. Combinations that
    the strategy refuses are left out and counted. Each run is exactly what `pregao backtest` does with that setting.
    """
    from pregao.strategies.registry import load
    from pregao.strategies.sweeping.judging import judge, ranked
    from pregao.strategies.sweeping.results import Folder
    from pregao.strategies.sweeping.resuming import carry_out
    from pregao.strategies.sweeping.runs import Sweep
    from pregao.strategies.sweeping.space import dimension, grid, random

    strategy = load(name)
    fixed = strategy_settings(pairs)
    dimensions = [dimension(text, strategy.Config) for text in ranges]
    if count is None:
        space = grid(name, strategy.Config, fixed, dimensions)
    else:
        space = random(name, strategy.Config, fixed, dimensions, count, seed)
    plan = {
        "cash": cash, "entry_value": entry_value, "take_profit": take_profit, "stop_loss": stop_loss,
        "horizon": horizon, "fee": fee, "slippage": slippage,
    }  # fmt: skip
    span = parse_time(since), parse_time(until)
    asked = Sweep(space, _markets(strategy, keys, timeframe, span, plan, model), seed)
    _announce(asked, as_json)

    began = time.perf_counter()
    with Folder.held(out, asked) if out is not None else nullcontext() as folder, _shown(as_json) as show:
        rows = carry_out(asked, _maker(asked, cluster, jobs or os.cpu_count() or 1), folder, show)
    seconds = time.perf_counter() - began
    verdict = judge(asked, rows, by)
    best = ranked(rows, by)[:top]
    if as_json:
        print_json(_finite(_document(asked, rows, best, by, verdict, seconds, out)))
    else:
        _tell(asked, rows, best, by, verdict, seconds, out)


def _markets(
    strategy: Any, keys: tuple[str, ...], timeframe: str | None, span: tuple[int | None, int | None],
    plan: dict[str, Any], model: str | None,
) -> tuple[Market, ...]:  # fmt: skip
    from pregao.core.errors import UsageError
    from pregao.core.timeframe import Timeframe
    from pregao.market.store import Store
    from pregao.strategies.sweeping.runs import Market

    store, found = Store(), []
    for key in keys:
        instrument = store.instrument(key)
        frames = store.timeframes(instrument)
        frame = Timeframe.parse(timeframe) if timeframe else min(frames, key=lambda t: t.seconds)
        bars = store.bars(instrument, frame, *span)
        if len(bars) == 0:
            raise UsageError(
                f"There are no bars of {instrument.symbol} {frame} in that range.",
                f"`pregao data show {instrument.key}` shows the range.",
            )
        before = store.bars(instrument, frame, None, span[0]) if span[0] is not None else None
        loaded = None
        if getattr(strategy, "needs_model", False):
            from pregao.learning.registry import load as load_model
            from pregao.learning.registry import model_name

            loaded = load_model(model_name(instrument, frame), model or "champion")
        found.append(Market(bars, plan, before, loaded))
    return tuple(found)


def _maker(asked: Sweep, cluster: str | None, jobs: int) -> Any:
    """Where the runs are made: on a cluster, or here."""
    if cluster is not None:
        from pregao_flows.sweep import on_cluster

        return on_cluster(asked, cluster)
    from pregao.strategies.sweeping.local import run

    def here(runs: list[int], give: Callable[[list[Row]], None]) -> None:
        for rows in run(asked, runs, jobs):
            give(rows)

    return here


def _announce(asked: Sweep, as_json: bool) -> None:
    space = asked.space
    progress(
        f"{len(asked.runs):,} runs: {len(space.settings):,} settings of {space.strategy} on "
        f"{len(asked.markets)} {'instrument' if len(asked.markets) == 1 else 'instruments'}"
    )
    if space.refused and not as_json:
        progress(f"{space.refused:,} combinations left out: {space.refusal}")
    if asked.refusals and not as_json:
        progress(f"{len(asked.refusals):,} runs left out: {next(iter(asked.refusals.values()))}")


@contextmanager
def _shown(as_json: bool) -> Iterator[Tick | None]:
    """A bar with rate and time left, on a terminal only."""
    if as_json or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f} runs/s")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    # No thread draws it: processes are forked beside it.
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as bar:
        task = bar.add_task("sweep", total=None)
        first: list[int] = []
        drawn = 0.0

        def show(done: int, of: int) -> None:
            nonlocal drawn
            first[:] = first or [done]
            now = time.monotonic()
            if now - drawn > 0.1 or done == of:
                bar.update(task, completed=done - first[0], total=of - first[0], refresh=True)
                drawn = now

        yield show


def _settings(asked: Sweep, run: int) -> dict[str, Any]:
    from pregao.strategies.sweeping.results import column_of

    return {column_of(d): asked.of(run)[1].value(d) for d in asked.space.dimensions}


def _document(
    asked: Sweep, rows: list[Row], best: list[Row], by: str, verdict: Verdict, seconds: float, out: Path | None
) -> dict[str, Any]:
    def one(row: Row) -> dict[str, Any]:
        run, figures = row
        key = asked.of(run)[0].bars.instrument.key
        return {"run": run, "instrument": key, "settings": _settings(asked, run), **figures._asdict()}

    return {
        "strategy": asked.space.strategy,
        "instruments": [m.bars.instrument.key for m in asked.markets],
        "synthetic": any(m.bars.instrument.synthetic for m in asked.markets),
        "timeframe": asked.markets[0].bars.timeframe.name,
        "bars": sum(len(m.bars) for m in asked.markets),
        "settings": len(asked.space.settings),
        "runs": len(rows),
        "refused": asked.space.refused + len(asked.refusals),
        "seed": asked.seed,
        "seconds": seconds,
        "by": by,
        "best": [one(row) for row in best],
        "verdict": {
            "trials": verdict.trials,
            "sharpe_spread": verdict.spread,
            "sharpe_by_luck": verdict.by_luck,
            "probabilistic_sharpe": verdict.probabilistic.value,
            "deflated_sharpe": verdict.deflated.value,
            "flaw": verdict.deflated.flaw,
            "sentence": verdict.sentence,
        },
        "results": None if out is None else out / "results.parquet",
    }


def _finite(document: dict[str, Any]) -> Any:
    """JSON knows no NaN and no infinity: null."""
    return json.loads(json.dumps(document, default=plain), parse_constant=lambda _: None)


def _number(form: str, value: float) -> str:
    return "" if math.isnan(value) else form.format(value)


def _tell(
    asked: Sweep, rows: list[Row], best: list[Row], by: str, verdict: Verdict, seconds: float, out: Path | None
) -> None:
    synthetic = any(m.bars.instrument.synthetic for m in asked.markets)
    click.echo("Simulated money." + (" Synthetic data." if synthetic else ""))
    names = list(_settings(asked, rows[0][0]))
    print_table(
        f"Best by {by}",
        ("instrument", *names, *(title for _, title, _ in FIGURES)),
        [
            (
                asked.of(run)[0].bars.instrument.symbol,
                *_settings(asked, run).values(),
                *(_number(form, getattr(figures, key)) for key, _, form in FIGURES),
            )
            for run, figures in best
        ],
        "",
    )
    run, figures = best[0]
    setting = ", ".join(f"{k}={v}" for k, v in _settings(asked, run).items())
    click.echo(f"Best by {by}: {setting} on {asked.of(run)[0].bars.instrument.symbol}")
    deflated = verdict.deflated
    shown = f"{deflated.value:.3f}" if deflated.flaw is None else f"none ({deflated.flaw})"
    click.echo(f"Sharpe ratio {_number('{:.2f}', figures.sharpe) or 'none'}, deflated Sharpe ratio {shown}")
    alone = verdict.probabilistic
    click.echo(
        f"{verdict.trials:,} trials, Sharpe ratios spread by {_number('{:.2f}', verdict.spread) or 'nothing'}; "
        f"probabilistic Sharpe ratio, as if it were the only one, "
        f"{f'{alone.value:.3f}' if alone.flaw is None else f'none ({alone.flaw})'}"
    )
    click.echo(verdict.sentence)
    click.echo(f"{len(rows):,} runs in {seconds:.1f} s, digest of the best {figures.digest[:16]}")
    if out is not None:
        progress(f"All results in {out / 'results.parquet'}")
