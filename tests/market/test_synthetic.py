"""The synthetic markets and the sample data: seeded, on their grid, with the edge where it is planted."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.core.timeframe import Timeframe
from pregao.market.quality import check
from pregao.market.sources import Request, read_options, source, source_names
from pregao.market.sources.synthetic import SyntheticOptions, market

M15 = Timeframe.parse("15m")


def bars_of(symbol: str, timeframe: str | None = None, **options: object) -> Bars:
    made = source("synthetic")
    wanted = Timeframe.parse(timeframe) if timeframe else None
    (series,) = made.fetch(Request((symbol,), wanted, None, None, read_options(made.Options, options)))
    assert series.whole
    return Bars.from_frame(series.frame, series.instrument, series.timeframe)


def digest(bars: Bars) -> str:
    return hashlib.sha256(bars.close.tobytes() + bars.volume.tobytes()).hexdigest()


def test_the_same_seed_gives_the_same_market_and_another_seed_another():
    assert digest(bars_of("EDGE/USDT")) == digest(bars_of("EDGE/USDT"))
    assert digest(bars_of("EDGE/USDT")) != digest(bars_of("EDGE/USDT", seed=8))
    assert digest(bars_of("EDGE/USDT")) != digest(bars_of("NOISE/USDT"))


@pytest.mark.parametrize("timeframe", ["1m", "15m", "1h", "4h"])
@pytest.mark.parametrize("symbol", ["EDGE/USDT", "NOISE/USDT"])
def test_markets_are_clean_continuous_and_named_synthetic(symbol, timeframe):
    bars = bars_of(symbol, timeframe, bars=3_000)
    assert len(bars) == 3_000
    assert bars.instrument.synthetic
    assert bars.instrument.key == f"synthetic/synthetic/{symbol.replace('/', '-')}"
    assert str(np.datetime64(int(bars.close_ns[-1]), "ns")).startswith("2025-01-01T00:00:00")
    assert np.array_equal(bars.open[1:], bars.close[:-1])
    assert check(bars.frame(), bars.instrument, bars.timeframe).clean


def test_planted_defects_are_found_each_where_it_is_and_nothing_else():
    made = source("synthetic")
    clean, spoilt = (
        next(iter(made.fetch(Request(("NOISE/USDT",), M15, None, None, read_options(made.Options, options)))))
        for options in ({"bars": 20_000}, {"bars": 20_000, "defects": 12})
    )
    found = {f.kind: f for f in check(spoilt.frame, spoilt.instrument, M15).findings}
    assert set(found) == {"gap", "spike", "duplicate", "order"}
    assert found["spike"].count == found["duplicate"].count == found["order"].count == 12
    both = clean.frame.merge(spoilt.frame.drop_duplicates(), on="timestamp", how="left", suffixes=("", "_spoilt"))
    assert both["close_spoilt"].isna().sum() == found["gap"].count
    assert "in 12 places" in found["gap"].text
    differs = both["close_spoilt"].notna() & (both["close"] != both["close_spoilt"])
    assert differs.sum() == 12
    with pytest.raises(UsageError, match="12 defects of each kind need at least 1,900 bars"):
        read_options(made.Options, {"bars": 1_000, "defects": 12})


def test_regimes_change_the_volatility_for_weeks_and_nothing_of_the_market_without_them():
    assert digest(bars_of("NOISE/USDT", regimes=False)) == digest(bars_of("NOISE/USDT"))
    plain, turns = bars_of("NOISE/USDT"), bars_of("NOISE/USDT", regimes=True)

    def spread_of_weeks(bars: Bars) -> float:
        move = np.diff(np.log(bars.close))
        weeks = move[: len(move) // 672 * 672].reshape(-1, 672).std(axis=1)
        return float(np.quantile(weeks, 0.9) / np.quantile(weeks, 0.1))

    assert spread_of_weeks(turns) > 1.7 * spread_of_weeks(plain)


def test_volatility_suits_brackets_of_a_few_percent_and_comes_in_clusters():
    bars = bars_of("NOISE/USDT")
    move = np.diff(np.log(bars.close))
    assert 0.0038 < move.std() < 0.0050
    size = np.abs(move) - np.abs(move).mean()
    assert (size[96:] * size[:-96]).mean() / size.var() > 0.03, "the day's season and the clusters persist"
    kurtosis = ((move - move.mean()) ** 4).mean() / move.var() ** 2
    assert kurtosis > 3.3


@pytest.mark.parametrize("seed", range(5))
def test_prices_stay_in_a_believable_range(seed):
    price = bars_of("EDGE/USDT", seed=seed).close / 100
    assert price.min() > 5_000
    assert price.max() < 500_000


def test_only_the_edge_can_be_foreseen():
    """The past hours' move foretells the next hours' move in EDGE/USDT, by its strength, not in NOISE/USDT."""

    def foresight(symbol: str, edge: float) -> float:
        found = []
        for seed in range(4):
            bars = bars_of(symbol, seed=seed, edge=edge)
            log = np.log(bars.close)
            past = log[32:-16] - log[:-48]
            future = log[48:] - log[32:-16]
            found.append(np.corrcoef(past, future)[0, 1])
        return float(np.mean(found))

    assert foresight("EDGE/USDT", 1.0) > 0.2
    assert 0.05 < foresight("EDGE/USDT", 0.5) < foresight("EDGE/USDT", 1.0)
    assert abs(foresight("EDGE/USDT", 0.0)) < 0.05
    assert abs(foresight("NOISE/USDT", 1.0)) < 0.05


def test_noise_is_a_martingale():
    returns = np.concatenate([np.expm1(np.diff(np.log(bars_of("NOISE/USDT", seed=s).close))) for s in range(8)])
    error = returns.std() / np.sqrt(len(returns))
    assert abs(returns.mean()) < 3 * error


def test_thirty_thousand_bars_take_well_under_two_seconds():
    import time

    market("EDGE/USDT", M15, SyntheticOptions())
    began = time.process_time()  # what others do on this machine is not counted
    market("EDGE/USDT", M15, SyntheticOptions(seed=1))
    assert time.process_time() - began < 0.5


def test_a_span_can_be_asked_for():
    made = source("synthetic")
    whole = bars_of("NOISE/USDT", bars=500)
    start, end = int(whole.open_ns[100]), int(whole.open_ns[200])
    (series,) = made.fetch(Request(("noise-usdt",), None, start, end, SyntheticOptions(bars=500)))
    assert len(series.frame) == 100


def test_wrong_requests_are_answered_clearly():
    made = source("synthetic")
    with pytest.raises(NotFoundError, match=r"EDGE/USDT, NOISE/USDT"):
        list(made.fetch(Request(("BTC/USDT",), None, None, None, SyntheticOptions())))
    with pytest.raises(UsageError, match="1m to 4h"):
        list(made.fetch(Request((), Timeframe.parse("1d"), None, None, SyntheticOptions())))
    with pytest.raises(UsageError, match="bars: Input should be greater"):
        read_options(made.Options, {"bars": 1})
    with pytest.raises(UsageError, match="no option 'sed'"):
        read_options(made.Options, {"sed": 1})


def test_sample_holds_two_real_indices_on_the_grid_of_cents():
    sample = source("sample")
    found = list(sample.fetch(Request((), None, None, None, sample.Options())))
    assert [s.instrument.symbol for s in found] == ["SPX", "NASDAQ"]
    for series in found:
        bars = Bars.from_frame(series.frame, series.instrument, series.timeframe)
        assert len(bars) == 5_031
        assert series.instrument.asset_class == "index"
        assert check(series.frame, series.instrument, series.timeframe).clean
    spx = Bars.from_frame(found[0].frame, found[0].instrument, found[0].timeframe)
    assert str(spx.instrument.price(spx.close[0])) == "1228.10"
    with pytest.raises(UsageError, match="no 1h bars"):
        list(sample.fetch(Request((), Timeframe.parse("1h"), None, None, sample.Options())))


def test_sources_of_plugins_are_found_by_entry_point(tmp_path, monkeypatch):
    package = tmp_path / "site"
    (package / "mine-1.0.dist-info").mkdir(parents=True)
    (package / "mine-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (package / "mine-1.0.dist-info" / "entry_points.txt").write_text(
        "[pregao.sources]\nmine = mine_source:Mine\nbroken = mine_source:Nothing\n"
    )
    (package / "mine_source.py").write_text(
        "from pregao.market.sources import SourceOptions\n"
        "class Mine:\n    name = 'mine'\n    Options = SourceOptions\n"
        "    def fetch(self, request):\n        return []\n"
    )
    monkeypatch.syspath_prepend(str(package))
    assert {"files", "sample", "synthetic", "mine"} <= set(source_names())
    assert source("mine").name == "mine"
    with pytest.raises(PregaoError, match="'broken' cannot be loaded: AttributeError"):
        source("broken")
    with pytest.raises(NotFoundError, match="mine"):
        source("nope")
