"""freqtrade's ``Backtesting`` class on feather files, offline: the markets are given, its exchange client is not made.

Its take profit counts fees (``minimal_roi``): the job's 2 % is the gain after both fees here. Its size is what the
stake buys at the fill. Shorts need its futures mode, whose funding rates and leverage tiers are nothing here.
What is timed: `backtest_one_strategy` (signals and simulation); loading the files is set-up.
"""

from __future__ import annotations

import time

began = time.perf_counter()
import json  # noqa: E402
import logging  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402
from unittest.mock import MagicMock, PropertyMock, patch  # noqa: E402

import freqtrade  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from freqtrade.configuration import Configuration  # noqa: E402
from freqtrade.data.history import get_datahandler  # noqa: E402
from freqtrade.enums import CandleType, RunMode  # noqa: E402
from freqtrade.optimize.backtesting import Backtesting  # noqa: E402

took = time.perf_counter() - began

from benchmarks.peers.runners.timed import Timed, report, rows, task  # noqa: E402

logging.disable(logging.WARNING)
TICK = 1e-8
"""Grid of its prices: fine enough that the exact levels lie on it."""
TIER = {"minNotional": 0, "maxNotional": 1e12, "maintenanceMarginRate": 0.0, "maxLeverage": 1.0, "maintAmt": 0.0}
STRATEGY = """
import numpy as np
from freqtrade.strategy import IStrategy

SIGNALS = np.load({signals!r})


class Follow(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "1m"
    startup_candle_count = 0
    can_short = {can_short}
    minimal_roi = {{"0": {take}}}
    stoploss = -{stop}
    use_exit_signal = False
    process_only_new_candles = True
    order_types = {{"entry": "market", "exit": "market", "stoploss": "market", "stoploss_on_exchange": False}}

    def populate_indicators(self, frame, metadata):
        return frame

    def populate_entry_trend(self, frame, metadata):
        signal = SIGNALS[metadata["pair"].split("/")[0]]
        frame["enter_long"] = (signal > 0).astype(int)
        frame["enter_short"] = (signal < 0).astype(int)
        return frame

    def populate_exit_trend(self, frame, metadata):
        frame["exit_long"] = 0
        return frame
"""


def market(pair: str, fee: float, futures: bool) -> dict:
    """An entry of the exchange's table of markets, as its client would give it."""
    base = pair.split("/")[0]
    return {
        "id": f"{base}USDT", "symbol": pair, "base": base, "quote": "USDT", "settle": "USDT" if futures else None,
        "active": True, "spot": not futures, "swap": futures, "future": False, "option": False, "contract": futures,
        "linear": True if futures else None, "type": "swap" if futures else "spot", "margin": False,
        "contractSize": 1.0 if futures else None, "taker": fee, "maker": fee,
        "precision": {"amount": 1.0, "price": TICK}, "info": {},
        "limits": {
            "amount": {"min": 1, "max": 1e9}, "price": {"min": None, "max": None}, "cost": {"min": 1, "max": None},
            "leverage": {"min": None, "max": None},
        },
    }  # fmt: skip


def main() -> None:
    """Run the job and report."""
    given = task()
    job = given.job
    futures = bool((job.signal < 0).any())
    home = Path(tempfile.mkdtemp(prefix="peers_freqtrade_"))
    data = home / "data" / "binance"
    data.mkdir(parents=True)
    (home / "strategies").mkdir()
    kind = CandleType.FUTURES if futures else CandleType.SPOT
    pairs = [f"S{s}/USDT" + (":USDT" if futures else "") for s in range(job.instruments)]
    handler = get_datahandler(data, "feather")
    date = pd.to_datetime(job.time_s, unit="s", utc=True)
    for s, pair in enumerate(pairs):
        frame = pd.DataFrame(
            {"date": date} | {k: job.prices(k)[s] for k in ("open", "high", "low", "close")} | {"volume": job.volume[s]}
        )
        handler.ohlcv_store(pair, "1m", frame, kind)
        if futures:
            rates = pd.DataFrame({"date": date[::60], "funding_rate": 0.0})
            handler.ohlcv_store(pair, "1h", rates, CandleType.FUNDING_RATE)
            handler.ohlcv_store(pair, "1h", frame.iloc[::60].reset_index(drop=True), CandleType.MARK)
    signals = home / "signals.npz"
    np.savez(signals, **{pair.split("/")[0]: job.signal[s] for s, pair in enumerate(pairs)})
    (home / "strategies" / "follow.py").write_text(
        STRATEGY.format(signals=str(signals), take=job.take, stop=job.stop, can_short=futures)
    )
    (home / "config.json").write_text(json.dumps({
        "stake_currency": "USDT", "stake_amount": job.value, "dry_run": True, "dry_run_wallet": job.cash,
        "max_open_trades": len(pairs), "timeframe": "1m", "trading_mode": "futures" if futures else "spot",
        "margin_mode": "isolated" if futures else "", "strategy": "Follow",
        "strategy_path": str(home / "strategies"), "fee": job.fee,
        "exchange": {"name": "binance", "key": "", "secret": "", "pair_whitelist": pairs, "pair_blacklist": []},
        "pairlists": [{"method": "StaticPairList"}], "entry_pricing": {"price_side": "other"},
        "exit_pricing": {"price_side": "other"}, "dataformat_ohlcv": "feather",
    }))  # fmt: skip
    exchange = "freqtrade.exchange.exchange.Exchange"
    markets = {pair: market(pair, job.fee, futures) for pair in pairs}
    for what, by in {
        "validate_config": {"new": MagicMock()},
        "validate_timeframes": {"new": MagicMock()},
        "_load_async_markets": {"return_value": {}},
        "reload_markets": {"new": MagicMock()},
        "markets": {"new": PropertyMock(return_value=markets)},
        "precisionMode": {"new": PropertyMock(return_value=4)},
        "precision_mode_price": {"new": PropertyMock(return_value=4)},
        "get_fee": {"return_value": job.fee},
        "_init_ccxt": {"new": MagicMock()},
        "timeframes": {"new": PropertyMock(return_value=["1m", "1h"])},
        "fill_leverage_tiers": {"new": MagicMock()},
    }.items():
        patch(f"{exchange}.{what}", **by).start()
    patch("freqtrade.exchange.binance.Binance.fill_leverage_tiers", new=MagicMock()).start()
    patch("freqtrade.exchange.binance.Binance.additional_exchange_init", new=MagicMock()).start()
    patch("freqtrade.optimize.backtesting.Backtesting.cleanup", new=MagicMock()).start()

    config = Configuration(
        {
            "config": [str(home / "config.json")], "user_data_dir": str(home), "datadir": str(data),
            "backtest_cache": "none", "export": "none", "strategy": "Follow",
            "strategy_path": str(home / "strategies"),
        },
        RunMode.BACKTEST,
    ).get_config()  # fmt: skip

    def setup():
        test = Backtesting(config)
        test.exchange._leverage_tiers = {pair: [TIER] for pair in pairs}
        candles, span = test.load_bt_data()
        test.price_pair_prec = {}  # it would guess a coarser grid from the digits of the month's prices
        return test, candles, span

    def run(state):
        test, candles, span = state
        strategy = test.strategylist[0]
        test.backtest_one_strategy(strategy, candles, span)
        return test.all_bt_content[strategy.get_strategy_name()]

    timed = Timed()
    result = timed.repeat(given.repeats, setup, run)
    found, equity = [], job.cash
    start = int(job.time_s[0])
    for t in result["results"].itertuples():
        s = pairs.index(t.pair)
        entry, leave = (int(at.timestamp() - start) // 60 for at in (t.open_date, t.close_date))
        size = -t.amount if t.is_short else t.amount
        if t.exit_reason == "force_exit":
            # it sells what is left at the last bar's open: mark it at the last close instead
            last = job.prices("close")[s, -1]
            found.append(
                (s, entry, -1, t.open_rate, last, size, size * (last - t.open_rate) - t.amount * t.open_rate * job.fee)
            )
        else:
            found.append((s, entry, leave, t.open_rate, t.close_rate, size, t.profit_abs))
        equity += found[-1][-1]
    report(
        given, "freqtrade", freqtrade.__version__, timed, rows(found), equity, import_s=took,
        final_balance=float(result["final_balance"]), rejected_signals=int(result["rejected_signals"]),
    )  # fmt: skip


if __name__ == "__main__":
    main()
