"""``pregao backtest``: what it says, what it writes, and how it answers every kind of nonsense before it runs."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest

from pregao.cli import main
from pregao.commands.backtest import backtest
from pregao.commands.backtest_options import GROUPS, Asked
from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.store import Store
from pregao.settings import settings
from pregao.simulation import layout, slippage
from pregao.simulation.fees import presets
from pregao.simulation.terms import PROFILES

START = 1_704_067_200 * 10**9  # 2024-01-01
MA = ("backtest", "--strategy", "ma-cross", "--set", "fast=5", "--set", "slow=12")
ONE = (*MA, "--data", "ONE/USD")
TWO = (*MA, "--data", "ONE/USD", "--data", "TWO/USD", "--timeframe", "1h")


def market(symbol: str, timeframe: str, n: int, seed: int, *, volume: float = 1_000.0, **more: Any) -> Bars:
    """A random walk on the grid of cents; minutes and hours of one seed show the same market."""
    base, _, quote = symbol.partition("/")
    rules = {"asset_class": "crypto", "base": base, "quote": quote or "USD", "lot_size": Decimal("0.001")} | more
    instrument = Instrument(symbol=symbol, source="test", venue="test", tick_size=Decimal("0.01"), **rules)
    frame = Timeframe.parse(timeframe)
    steps = n * frame.seconds // 60 if frame.intraday else n
    rng = np.random.default_rng(seed)
    close = np.rint(10_000 * np.exp(np.cumsum(rng.normal(0, 0.0015, steps)))).astype(np.int64)
    opened = np.concatenate([close[:1], close[:-1]])
    per = steps // n
    high, low = np.maximum(opened, close).reshape(n, per), np.minimum(opened, close).reshape(n, per)
    times = START + np.arange(n, dtype=np.int64) * frame.ns
    return Bars(
        instrument,
        frame,
        times,
        opened[::per],
        high.max(axis=1),
        low.min(axis=1),
        close[per - 1 :: per],
        np.full(n, volume),
    )


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two instruments in hours, the first in minutes too, one in euro, one without volumes, one in days."""
    folder = tmp_path_factory.mktemp("stocked")
    store = Store(folder / "data")
    store.write(market("ONE/USD", "1h", 600, 1))
    store.write(market("ONE/USD", "1m", 36_000, 1))
    store.write(market("TWO/USD", "1h", 600, 2))
    store.write(market("EUR/USD", "1h", 600, 3))
    store.write(market("SAP", "1h", 600, 4, quote="EUR", base="SAP", asset_class="stock"))
    store.write(market("INDEX", "1h", 600, 5, volume=0.0, asset_class="index"))
    store.write(market("DAY", "1d", 300, 6, asset_class="stock"))
    return folder


Run = Callable[..., tuple[str, str]]
Refused = Callable[..., str]


@pytest.fixture
def run(stocked: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command that works; gives what it wrote to standard output and to standard error."""
    monkeypatch.setenv("PREGAO_HOME", str(stocked))
    settings.cache_clear()

    def command(*arguments: object) -> tuple[str, str]:
        capfd.readouterr()
        main([str(a) for a in arguments])
        said = capfd.readouterr()
        return said.out, said.err

    yield command
    settings.cache_clear()


@pytest.fixture
def refused(run: Run, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Run a command that must be refused before anything runs; gives what it said."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it ran")

    monkeypatch.setattr("pregao.commands.backtest._run", never)

    def command(*arguments: object) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        said = capfd.readouterr()
        assert end.value.code == 2
        assert "Traceback" not in said.err
        assert said.out == ""
        return " ".join(said.err.split())

    return command


def test_every_option_is_under_a_heading_and_asked_for() -> None:
    names = {p.name for p in backtest.params}
    assert {name for group in GROUPS.values() for name in group} == names
    assert set(inspect.signature(Asked).parameters) == names - {"list_fees"}
    text = backtest.get_help(click.Context(backtest, info_name="backtest"))
    for heading in GROUPS:
        assert f"\n{heading}:\n" in text


def test_the_help_names_every_rule_profile_and_model() -> None:
    """They are written out there, so that the help imports nothing heavy."""
    text = " ".join(backtest.get_help(click.Context(backtest, info_name="backtest")).split())
    for name in [*layout.PATHS, *PROFILES]:
        assert name in text
    for form in slippage.FORMS:
        assert form.replace("RATE%", "").partition("[")[0].rstrip(":") in text


def test_the_text_report(run: Run) -> None:
    out, _ = run(*ONE, "--timeframe", "1h")
    for words in ("ma-cross on ONE/USD 1h, 600 bars", "Simulated money.", "buy and hold", "Sharpe ratio", "digest"):
        assert words in out
    assert "nan" not in out


def test_json_and_text_tell_the_same(run: Run) -> None:
    out, _ = run(*ONE, "--timeframe", "1h")
    told = json.loads(run(*ONE, "--timeframe", "1h", "--json")[0])
    assert told["schema"] == "pregao.backtest/1"
    assert told["digest"][:16] in out
    assert f"Final equity {told['final_equity']:,.2f} USD" in out
    assert told["settings"]["fast"] == "5"
    assert told["settings"]["profile"] == "realistic"
    assert told["settings"]["participation_ppm"] == "10 %"
    assert told["metrics"]["trades"] == told["trades"] > 10
    assert told["interval"]["worst"] - 1e-6 <= told["pnl"] <= told["interval"]["best"] + 1e-6


def test_the_finest_timeframe_and_the_range(run: Run) -> None:
    told = json.loads(run(*ONE, "--since", "2024-01-10", "--until", "2024-01-12", "--json")[0])
    assert (told["timeframe"], told["bars"]) == ("1m", 2 * 1_440)
    assert told["from_ns"] == START + 9 * 86_400 * 10**9


def test_since_the_very_first_bar(run: Run) -> None:
    told = json.loads(run(*ONE, "--timeframe", "1h", "--since", "2020-01-01", "--json")[0])
    assert told["bars"] == 600


def test_files_that_were_asked_for(run: Run, tmp_path: Path) -> None:
    page, csv, parquet = tmp_path / "sheet.html", tmp_path / "trades.csv", tmp_path / "trades.parquet"
    _, err = run(*ONE, "--timeframe", "1h", "--report", page, "--language", "pt", "--trades", csv)
    told = json.loads(run(*ONE, "--timeframe", "1h", "--trades", parquet, "--json")[0])
    text = page.read_text()
    assert '<html lang="pt-BR">' in text
    assert told["digest"] in text
    assert "Patrimônio" in text
    assert str(page) in err
    first, second = pd.read_csv(csv), pd.read_parquet(parquet)
    assert len(first) == len(second) == told["trades"]
    assert second["pnl"].tolist() == pytest.approx(first["pnl"].tolist())
    assert str(second["entry_time"].dt.tz) == "UTC"
    assert {path.name for path in tmp_path.iterdir()} == {"sheet.html", "trades.csv", "trades.parquet"}


def test_venues_with_their_dates_and_sources(run: Run) -> None:
    out, _ = run("backtest", "--list-fees")
    listed = {each["name"]: each for each in json.loads(run("backtest", "--list-fees", "--json")[0])}
    assert set(listed) == set(presets())
    for name, preset in presets().items():
        assert name in out
        assert preset.date in out
        assert preset.source in out
        assert listed[name]["maker_ppm"] == preset.schedule.maker_ppm


@pytest.mark.parametrize(
    ("fees", "told"),
    [
        ("0.1", "maker 0.1 %, taker 0.1 %"),
        ("0.02,0.05", "maker 0.02 %, taker 0.05 %"),
        ("-0.01,0.05%", "maker -0.01 %, taker 0.05 %"),
        ("none", "0"),
        ("kraken-spot", "maker 0.25 %, taker 0.4 %, tiers 3"),
        ("us-zero-commission", "on sales 0.0028 %"),
    ],
)
def test_fees(run: Run, fees: str, told: str) -> None:
    document = json.loads(run(*ONE, "--timeframe", "1h", "--fees", fees, "--json")[0])
    assert document["settings"]["fees"] == told
    assert (document["costs"]["fees"] == 0) == (fees == "none")


def test_slippage_models_add_up(run: Run) -> None:
    models = ("--slippage", "0.01%", "--slippage", "spread:0.05%+volume-share:0.1")
    told = json.loads(run(*ONE, "--timeframe", "1h", *models, "--json")[0])
    assert told["rules"]["slippage"] == ["0.01%", "spread:0.05%", "volume-share:0.1"]
    assert all(told["costs"][name] > 0 for name in ("slippage", "spread", "impact"))
    free = json.loads(run(*ONE, "--timeframe", "1h", "--slippage", "none", "--json")[0])
    assert free["costs"]["slippage"] == 0


def test_a_profile_and_what_changes_it(run: Run) -> None:
    told = json.loads(
        run(*ONE, "--timeframe", "1h", "--profile", "vectorbt", "--path", "shortest", "--touch", "30",
            "--participation", "5", "--latency", "20,50", "--latency", "300", "--json")[0]
    )  # fmt: skip
    expected = {
        "profile": "vectorbt", "path": "shortest", "touch_ppm": "30 %", "participation_ppm": "5 %",
        "latency_ns": "20 ms, 50 ms, 300 ms", "children_next_bar": "True",
    }  # fmt: skip
    assert {name: told["settings"][name] for name in expected} == expected


def test_without_volumes_orders_fill_whole_and_it_is_said(run: Run) -> None:
    out, err = run(*MA, "--data", "INDEX", "--json")
    assert "INDEX has no volumes" in err
    told = json.loads(out)
    assert told["trades"] > 0
    assert told["notes"] == ["INDEX has no volumes: orders fill whole, as with --participation 0."]
    strict = json.loads(run(*MA, "--data", "INDEX", "--participation", "10", "--json")[0])
    assert strict["trades"] == 0


def test_short_sales_and_perpetuals(run: Run) -> None:
    plain, allowed, perpetual = (
        json.loads(run(*ONE, "--timeframe", "1h", *more, "--json")[0])["settings"]
        for more in (
            (),
            ("--short", "--borrow", "5"),
            ("--fees", "binance-usdm-futures", "--margin", "20", "--maintenance", "5", "--liquidation-fee", "1"),
        )
    )
    assert "contract" not in plain
    assert allowed["borrow_ppm"] == "5 %"
    expected = {
        "contract": "margin", "initial_margin_ppm": "20 %", "maintenance_margin_ppm": "5 %",
        "liquidation_fee_ppm": "1 %",
    }  # fmt: skip
    assert {name: perpetual[name] for name in expected} == expected


def test_actions_from_a_file(run: Run, tmp_path: Path) -> None:
    """A dividend of 2 a share on each of 20 days while the shares are held."""
    days = pd.date_range("2024-02-01", periods=20, freq="D")
    path = tmp_path / "actions.csv"
    pd.DataFrame({"timestamp": days, "dividend": "2", "split": "1"}).to_csv(path, index=False)
    hold = ("backtest", "--strategy", "buy-and-hold", "--data", "DAY", "--take-profit", "0", "--stop-loss", "0")
    bare, paid = (json.loads(run(*hold, *more, "--json")[0]) for more in ((), ("--actions", str(path))))
    assert paid["dividends"] > 0
    assert paid["settings"]["actions"] == "20"
    assert paid["final_equity"] - bare["final_equity"] == pytest.approx(paid["dividends"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("timestamp,dividend\n2024-02-01,1\n2024-02-02,\n", "Row 1"),
        ("timestamp,dividend\nsoon,1\n", "Row 0"),
        ("timestamp,dividend\n2024-02-01,-1\n", "Row 0"),
        ("timestamp,split\n2024-02-01,many\n", "Row 0"),
        ("when,what\n1,2\n", "columns timestamp"),
        ("", "no table"),
    ],
)
def test_a_file_of_actions_that_is_wrong(refused: Refused, tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(content)
    said = refused(*MA, "--data", "DAY", "--actions", path)
    assert words in said
    assert "wrong.csv" in said


def test_prices_that_are_adjusted_already_are_not_split_again(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_text("timestamp,split\n2024-05-01,7:1\n")
    assert "already adjusted" in refused(*MA, "--data", "DAY", "--actions", path)


def test_finer_bars_tell_the_path(run: Run) -> None:
    told = [
        json.loads(run(*ONE, "--timeframe", "1h", *more, "--take-profit", "0.5", "--stop-loss", "0.5", "--json")[0])
        for more in (("--path", "finer"), ("--finer", "1m"), ("--path", "shortest"))
    ]
    assert told[0]["rules"]["path"] == told[1]["rules"]["path"] == "finer"
    assert told[0]["digest"] == told[1]["digest"] != told[2]["digest"]


def test_several_instruments_in_one_account(run: Run, tmp_path: Path) -> None:
    page, parquet = tmp_path / "two.html", tmp_path / "two.parquet"
    out, _ = run(*TWO, "--report", page, "--trades", parquet)
    told = json.loads(run(*TWO, "--json")[0])
    assert told["instruments"] == ["ONE/USD", "TWO/USD"]
    rows = {row["instrument"]: row for row in told["by_instrument"]}
    assert sum(row["pnl"] for row in rows.values()) == pytest.approx(told["pnl"])
    assert sum(row["trades"] for row in rows.values()) == told["trades"]
    assert sum(row["fees"] for row in rows.values()) == pytest.approx(told["costs"]["fees"])
    for name, row in rows.items():
        [line] = [line for line in out.splitlines() if line.startswith(f"{name} ")]
        assert f"{row['pnl']:+,.2f}" in line
    trades = pd.read_parquet(parquet)
    assert set(trades["instrument"]) == {"ONE/USD", "TWO/USD"}
    assert trades["exit_time"].is_monotonic_increasing
    assert told["digest"] in page.read_text()


def test_an_account_in_two_currencies(run: Run) -> None:
    cash = ("--cash", "EUR=2000", "--cash", "USD=5000", "--currency", "USD")
    told = json.loads(run(*MA, "--data", "EUR/USD", "--data", "SAP", *cash, "--json")[0])
    assert told["currency"] == "USD"
    assert told["settings"]["cash"] == "5000 USD, 2000 EUR"
    assert told["cash"] > 5_000


def test_each_of_several_instruments_has_its_own_actions(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text("timestamp,funding\n2024-01-05T08:00,0.0001\n2024-01-05T16:00,-0.0001\n")
    told = json.loads(run(*TWO, "--actions", f"TWO/USD={path}", "--contract", "margin", "--json")[0])
    assert told["settings"]["actions"] == "TWO/USD: 2"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fees", "binance"), "There is no venue named 'binance'"),
        (("--fees", "50"), "must be between 0 and 10 %"),
        (("--fees", "0.1,0.2,0.3"), "3 rates"),
        (("--fees", "-0.1"), "must be between 0 and 10 %"),
        (("--slippage", "magic"), "There is no slippage named 'magic'"),
        (("--slippage", "0.1", "--slippage", "0.2"), "2 models of the kind"),
        (("--path", "lucky"), "There is no path rule named 'lucky'"),
        (("--profile", "metatrader"), "There is no fill profile named 'metatrader'"),
        (("--touch", "perhaps"), "--touch is not a number: 'perhaps'"),
        (("--touch", "101"), "--touch must be between 0 and 100 %"),
        (("--participation", "-1"), "--participation must be between 0 and 100 %"),
        (("--latency", "soon"), "--latency is not a number: 'soon'"),
        (("--latency", "-1"), "--latency must be a number of milliseconds"),
        (("--contract", "futures"), "paid in cash or on margin"),
        (("--margin", "0"), "--margin must be between"),
        (("--contract", "margin", "--margin", "5", "--maintenance", "5"), "not below the initial one"),
        (("--maintenance", "nan"), "--maintenance must be a finite number"),
        (("--borrow", "200"), "--borrow must be between 0 and 100 %"),
        (("--cash", "0"), "--cash must be positive"),
        (("--cash", "a lot"), "--cash is not a number"),
        (("--cash", "100", "--cash", "200"), "--cash is given twice for USD"),
        (("--cash", "EUR=5000"), "There is no USD in the account"),
        (("--cash", "USD=5000", "--cash", "GBP=1"), "Nothing in the account tells what GBP is worth in USD"),
        (("--currency", "GBP"), "There is no USD in the account"),
        (("--cash", "500"), "The entry value 1000 is more than the cash 500"),
        (("--take-profit", "abc"), "take profit is not a number"),
        (("--horizon", "-1"), "horizon must be between"),
        (("--data", "ONE/USD"), "--data names test/test/ONE-USD twice"),
        (("--data", "DAY"), "no timeframe in common"),
        (("--timeframe", "2m"), "'2m' is not a timeframe"),
        (("--timeframe", "15m"), "no 15m bars of ONE/USD"),
        (("--since", "2030-01-01"), "It has 36000 bars from 2024-01-01"),
        (("--since", "2024-01-02", "--until", "2024-01-01"), "is not before"),
        (("--finer", "1h"), "does not divide the bars of 1m"),
        (("--path", "finer"), "no bars of ONE/USD finer than 1m"),
        (("--finer", "1m", "--path", "ohlc"), "contradict each other"),
        (("--report", "sheet.pdf"), "cannot be written as 'sheet.pdf'"),
        (("--report", "nowhere/sheet.html"), "There is no folder 'nowhere'"),
        (("--trades", "trades.xlsx"), "cannot be written as 'trades.xlsx'"),
        (("--language", "fr"), "'fr' is not one of"),
        (("--actions", "missing.csv"), "missing.csv cannot be read"),
        (("--actions", "actions.xml"), "cannot be read from 'actions.xml'"),
        (("--actions", "NOPE=a.csv"), "There is no instrument named 'NOPE'"),
        (("--actions", "TWO/USD=a.csv"), "--actions names TWO/USD, which --data does not"),
        (("--seed", "x"), "'x' is not a valid integer"),
        (("--strategy", "magic"), "There is no strategy named 'magic'"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, tuple) else "",
)
def test_nonsense_is_refused_before_anything_runs(refused: Refused, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(*ONE, *arguments)


def test_actions_of_several_instruments_say_whose(refused: Refused) -> None:
    assert "does not say of which instrument" in refused(*TWO, "--actions", "a.csv")


def test_a_folder_that_cannot_be_written(run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(SystemExit) as end:
        main([*ONE, "--timeframe", "1h", "--report", str(tmp_path / "sheet.html")])
    assert end.value.code == 1
    assert "cannot be written" in capfd.readouterr().err
