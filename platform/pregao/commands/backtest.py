"""``pregao backtest``: a strategy over history, with its figures beside buy and hold."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pregao.commands.backtest_options import GROUPS, Asked, backtest_options
from pregao.commands.grouped_help import GroupedCommand
from pregao.commands.output import print_json, progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregao.commands.backtest_setting import Setting
    from pregao.reporting.sheet import Sheet
    from pregao.simulation.backtest import Result
    from pregao.simulation.portfolio import PortfolioResult

_LANGUAGES = {"pt": "pt-BR"}


@click.command(cls=GroupedCommand, groups=GROUPS)
@backtest_options
@click.pass_context
def backtest(context: click.Context, /, list_fees: bool, **options: Any) -> None:
    """Run a strategy over stored history and judge it beside buy and hold.

    \b
    pregao backtest --strategy ma-cross --data BTC/USDT --fees binance-spot --report btc.html
    pregao backtest --strategy ma-cross --data AAPL --data MSFT --fees ibkr-us-fixed --since 2020-01-01
    pregao backtest --strategy ma-cross --data BTC-PERP --contract margin --margin 20 --maintenance 5 --path finer

    What the strategy decides at a bar's close fills at the next bar's open at the earliest. Several instruments share
    one account, and each has a strategy of its own. Splits and dividends that the store knows are applied.
    """
    if list_fees:
        from pregao.commands.backtest_text import list_fees as show_fees

        show_fees(options["as_json"])
        return
    for name in ("name", "keys"):
        if not options[name]:
            [option] = [p for p in context.command.params if p.name == name]
            raise click.MissingParameter(ctx=context, param=option)
    asked = Asked(**options)

    sheet, seconds, notes = _judged(asked)
    _write(sheet, asked)
    if asked.as_json:
        from pregao.reporting.document import document

        speed = len(sheet.close_ns) / seconds
        print_json(document(sheet) | {"seconds": seconds, "bars_per_second": speed, "notes": notes})
        return
    from pregao.commands.backtest_text import show as show_sheet

    show_sheet(sheet, seconds)
    if asked.trades_file is not None:
        progress(f"{len(sheet.trades):,} trades written to {asked.trades_file}")
    if asked.report is not None:
        progress(f"Tear sheet written to {asked.report}")


def _judged(asked: Asked) -> tuple[Sheet, float, list[str]]:
    """The sheet of the backtest, the seconds that it ran, and notes. Bars and events are let go: they may be large."""
    from pregao.commands.backtest_setting import setting_of
    from pregao.commands.long_work import long_work
    from pregao.reporting.gather import sheet_of

    setting = setting_of(asked)
    for note in setting.notes:
        progress(note)
    with long_work() as show:
        began = time.perf_counter()
        result = _closing(_run(setting, asked.seed, show))
        seconds = time.perf_counter() - began
        sheet = sheet_of(
            result, asked.name, held=_held(setting), data_version=_data_version(), model=_models(setting),
            settings={"profile": asked.profile, **setting.config, "seed": asked.seed}, command=_command(),
        )  # fmt: skip
    return sheet, seconds, setting.notes


def _run(setting: Setting, seed: int, show: Callable[[int, int], None]) -> Result | PortfolioResult:
    from pregao.strategies.backtest import backtest as run
    from pregao.strategies.backtest import backtest_many as run_many

    if setting.alone:
        return run(
            setting.strategies[0], setting.bars[0], setting.plans[0], seed=seed, model=setting.models[0],
            before=setting.before[0], finer=setting.finer[0], others=setting.others[0], progress=show,
        )  # fmt: skip
    return run_many(
        setting.strategies, setting.bars, setting.plans, cash=setting.cash, reporting=setting.reporting, seed=seed,
        models=setting.models, before=setting.before, finer=setting.finer, others=setting.others, progress=show,
    )  # fmt: skip


def _held(setting: Setting) -> Result | PortfolioResult:
    """Buy and hold over the same bars, which are forgotten then: they may be large."""
    from pregao.simulation.baselines import buy_and_hold, buy_and_hold_all

    if setting.alone:
        held = _closing(buy_and_hold(setting.bars[0], setting.plans[0]))
    else:
        held = _closing(buy_and_hold_all(setting.bars, setting.plans, setting.cash, setting.reporting))
    setting.forget_bars()
    return held


def _closing(result: Result | PortfolioResult) -> Result | PortfolioResult:
    """The result with the closes alone of its bars: all that a sheet looks at."""
    from pregao.simulation.backtest import Result

    if isinstance(result, Result):
        return replace(result, bars=result.bars.closing())
    return replace(result, bars=tuple(series.closing() for series in result.bars))


def _write(sheet: Sheet, asked: Asked) -> None:
    """The files that were asked for, each whole or not there."""
    from pregao.market.atomic import write_atomic

    if asked.trades_file is not None:
        from pregao.reporting.document import trades_bytes

        write_atomic(asked.trades_file, trades_bytes(sheet, asked.trades_file.suffix), _beside(asked.trades_file))
    if asked.report is not None:
        from pregao.reporting.tearsheet import tearsheet

        page = tearsheet(sheet, _LANGUAGES.get(asked.language, asked.language))
        write_atomic(asked.report, page.encode(), _beside(asked.report))


def _beside(path: Path) -> Path:
    return path.absolute().parent


def _models(setting: Setting) -> str:
    """Name and version of the models, each once."""
    return ", ".join(dict.fromkeys(f"{model.name} {model.version}" for model in setting.models if model is not None))


def _data_version() -> str:
    """The last recorded version of the data; empty if none was recorded."""
    from pregao.core.errors import NotFoundError
    from pregao.market.versions import Versions

    try:
        return Versions().current().short
    except NotFoundError:
        return ""


def _command() -> str:
    """The line that makes this again."""
    return shlex.join(["pregao", *sys.argv[1:]])
