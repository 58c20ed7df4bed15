"""``pregao sweep``: many settings of a strategy over history, and whether the best of them is more than luck."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pregao.commands.backtest import backtest
from pregao.commands.backtest_options import GROUPS, Asked
from pregao.commands.grouped_help import GroupedCommand
from pregao.commands.output import json_option, plain, print_json, print_table, progress
from pregao.commands.settings_option import strategy_settings

if TYPE_CHECKING:
    from pregao.strategies.sweeping.judging import Verdict
    from pregao.strategies.sweeping.resuming import Give, Make
    from pregao.strategies.sweeping.runs import Market, Row, Sweep
    from pregao.strategies.sweeping.space import Space

FIGURES = (
    ("sharpe", "sharpe", "{:.2f}"),
    ("net_return", "return", "{:+.2%}"),
    ("max_drawdown", "drawdown", "{:.2%}"),
    ("trades", "trades", "{}"),
    ("hit_rate", "hit rate", "{:.1%}"),
    ("fees", "fees", "{:,.2f}"),
)
_TYPED = ("entry_value", "take_profit", "stop_loss", "horizon")

_NOT_HERE = ("list_fees", "currency", "report", "language", "trades_file", "as_json")
SHARED = {h: kept for h, names in GROUPS.items() if (kept := tuple(n for n in names if n not in _NOT_HERE))}
"""Options that mean what they mean for ``pregao backtest``, under their headings."""
OWN = {
    "What is tried": ("ranges", "count", "by", "top"),
    "Where it runs and what is kept": ("out", "jobs", "cluster", "as_json"),
}


@click.command(
    cls=GroupedCommand,
    groups={**OWN, **SHARED},
    params=[p for p in backtest.params if p.name != "keys" and any(p.name in names for names in SHARED.values())],
)
@click.option(
    "--data", "keys", multiple=True, metavar="INSTRUMENT",
    help="source/venue/symbol, or the symbol alone; repeat it to try the settings on several.  [required]",
)  # fmt: skip
@click.option(
    "--grid", "ranges", multiple=True, metavar="NAME=VALUES",
    help="What to try of a setting, or of the plan: FROM:TO:STEP, or A,B,C; repeat it for all combinations.",
)  # fmt: skip
@click.option("--random", "count", type=int, metavar="N", help="Draw N settings instead of trying all.")
@click.option(
    "--by", type=click.Choice(["sharpe", "net_return", "max_drawdown", "hit_rate"]), default="sharpe",
    show_default=True, help="What the best are best at.",
)  # fmt: skip
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="How many of the best to show.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Keep all results there as Parquet; the same command goes on where it was interrupted.",
)  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Processes.  [default: one for each core]")
@click.option("--cluster", metavar="ADDRESS", help="Dask scheduler to run on, such as tcp://host:8786.")
@json_option
@click.pass_context
def sweep(
    context: click.Context,
    /,
    ranges: tuple[str, ...],
    count: int | None,
    by: str,
    top: int,
    out: Path | None,
    jobs: int | None,
    cluster: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Try many settings of a strategy, on each instrument by itself, and say whether the best is more than luck.

    \b
    pregao sweep --strategy ma-cross --data BTC/USDT --grid fast=5:15:1 --grid slow=20,30,40 --grid take_profit=1,2,3
    pregao sweep --strategy ma-cross --data BTC/USDT --data ETH/USDT --random 500 --grid stop_loss=0.5:3.0 --out tried

    Of the plan entry_value, take_profit, stop_loss, horizon, cash, fee and slippage can be tried. With --random,
    settings that are not named are drawn within their own bounds. What the strategy refuses is left out and counted.
    Each run is exactly what `pregao backtest` does with that setting and that instrument alone.
    """
    for name in ("name", "keys"):
        if not options[name]:
            [option] = [p for p in context.command.params if p.name == name]
            raise click.MissingParameter(ctx=context, param=option)
    asked = Asked(**options, currency=None, report=None, language="en", trades_file=None, as_json=as_json)
    from pregao.commands.long_work import long_work
    from pregao.strategies.registry import load
    from pregao.strategies.sweeping.judging import judge, ranked
    from pregao.strategies.sweeping.results import Folder
    from pregao.strategies.sweeping.resuming import carry_out
    from pregao.strategies.sweeping.runs import Sweep
    from pregao.strategies.sweeping.space import dimension, grid, random

    config = load(asked.name).Config
    fixed = strategy_settings(asked.pairs)
    dimensions = [dimension(text, config) for text in ranges]
    if count is None:
        space = grid(asked.name, config, fixed, dimensions)
    else:
        space = random(asked.name, config, fixed, dimensions, count, asked.seed)
    work = Sweep(space, _markets(asked, space), asked.seed)
    make = _maker(work, cluster, jobs or _cores())
    _announce(work)

    began = time.perf_counter()
    with Folder.held(out, work) if out is not None else nullcontext() as folder, long_work("runs") as show:
        rows = carry_out(work, make, folder, _from_now(show))
    seconds = time.perf_counter() - began
    verdict = judge(work, rows, by)
    best = ranked(rows, by)[:top]
    if as_json:
        print_json(_finite(_document(work, rows, best, by, verdict, seconds, out)))
    else:
        _tell(work, rows, best, by, verdict, seconds, out)


def _markets(asked: Asked, space: Space) -> tuple[Market, ...]:
    """Each instrument's bars and terms, read as for a backtest of it alone with the first setting."""
    from pregao.commands.backtest_setting import setting_of
    from pregao.core.errors import UsageError
    from pregao.strategies.sweeping.runs import Market

    first = space.settings[0]
    plan = {k: int(v) if k == "horizon" else str(v) for k, v in first.plan.items() if k in _TYPED}  # type: ignore[arg-type]
    if "cash" in first.plan:
        plan["cash"] = (str(first.plan["cash"]),)  # type: ignore[assignment]
    pairs = tuple(f"{k}={json.dumps(v)}" for k, v in first.strategy.items())
    found = []
    for key in asked.keys:
        setting = setting_of(replace(asked, keys=(key,), pairs=pairs, **plan))  # type: ignore[arg-type]
        for note in setting.notes:
            progress(note)
        base, money = setting.plans[0], setting.plans[0].instrument.quantum
        if not setting.alone:
            raise UsageError(
                f"A sweep trades each instrument in its own currency, {base.instrument.quote}.", "Give one --cash."
            )
        given = {
            "cash": base.cash_quanta * money, "entry_value": asked.entry_value, "take_profit": asked.take_profit,
            "stop_loss": asked.stop_loss, "horizon": asked.horizon, "terms": base.terms,
        }  # fmt: skip
        found.append(
            Market(setting.bars[0], given, setting.before[0], setting.finer[0], setting.models[0], setting.others[0])
        )
    return tuple(found)


def _from_now(show: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Progress of what is still to be done, not of what an earlier start did."""
    first: list[int] = []

    def shown(done: int, of: int) -> None:
        first[:] = first or [done]
        show(done - first[0], of - first[0])

    return shown


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _maker(asked: Sweep, cluster: str | None, jobs: int) -> Make:
    """Where the runs are made: on a cluster, or here."""
    if cluster is not None:
        from pregao_flows.sweep import on_cluster

        made: Make = on_cluster(asked, cluster)
        return made
    from pregao.strategies.sweeping.local import run

    def here(runs: list[int], give: Give) -> None:
        for rows in run(asked, runs, jobs):
            give(rows)

    return here


def _announce(work: Sweep) -> None:
    space, count = work.space, len(work.markets)
    on = work.markets[0].bars.instrument.symbol if count == 1 else f"{count} instruments"
    progress(f"{len(work.runs):,} runs: {len(space.settings):,} settings of {space.strategy} on {on}")
    if space.refused:
        progress(f"{space.refused:,} combinations left out: {space.refusal}")
    if work.refusals:
        progress(f"{len(work.refusals):,} runs left out: {next(iter(work.refusals.values()))}")


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
    several = ("instrument",) if len(asked.markets) > 1 else ()
    print_table(
        f"Best by {by}",
        (*several, *names, *(title for _, title, _ in FIGURES)),
        [
            (
                *(asked.of(run)[0].bars.instrument.symbol for _ in several),
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
