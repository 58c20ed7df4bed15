"""The plots' series against plain arithmetic, and the page that shows them."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pregao.core.bars import Bars
from pregao.features.sets import feature_set
from pregao.learning.gate import Reason, Verdict, judge
from pregao.learning.labels import examples
from pregao.learning.page import page
from pregao.learning.params import Params, read_params
from pregao.learning.pictures import pictures
from pregao.learning.plots import PLOTS, draw
from pregao.learning.report import report
from pregao.simulation.backtest import Result

NAMES = feature_set("core25").names
FOLD = {
    "fold": 1, "start_ns": 1_700_000_000 * 10**9, "end_ns": 1_700_600_000 * 10**9, "fit_rows": 1_000, "trees": 30,
    "auc": 0.61, "log_loss": 0.6, "brier": 0.2, "ic": 0.1, "threshold": 0.004, "entries": 12,
}  # fmt: skip
META = {
    "importance": {name: 100.0 / 2 ** (i + 1) for i, name in enumerate(NAMES)}, "take_profit_ppm": 20_000,
    "stop_loss_ppm": 10_000, "fee_ppm": 1_000, "slippage_ppm": 200, "horizon_bars": 48,
}  # fmt: skip
FACTS = {
    "name": "pregao.test", "instrument": "synthetic/synthetic/<b>NOISE</b>", "timeframe": "15m", "data": "abcdef0123",
    "data_version": "abcdef0123456789.dir", "data_revision": "1" * 40, "code_version": "0.1+abc",
    "params_hash": "p" * 64, "feature_set": "core25", "feature_hash": "f" * 64, "model_digest": "d" * 64, "seed": "7",
    "thread_count": "2", "catboost": "1.2", "inference": "compiled",
}  # fmt: skip
VERDICT = Verdict(
    False, (Reason("costs", True, 0.1, 0.0, "net <i>return</i> 10 %"), Reason("trades", False, 3, 50, "3 trades"))
)
GATE = read_params(Path(__file__).parents[2] / "params.yaml").gate
Made = tuple[dict[str, Any], dict[str, Any], pd.DataFrame, Result]


@pytest.fixture(scope="module")
def made(market: Callable[..., Bars], params: Params) -> Made:
    """Report and pictures of a made-up model that foresees, over 3,000 bars."""
    bars = market("NOISE/USDT", bars=3_000)
    plan = params.plan.plan(bars.instrument, bars.timeframe)
    rows = examples(bars, plan, feature_set("core25"))
    rng = np.random.default_rng(5)
    net = rows.net[1_000:]
    probability = np.clip(np.where(net > 0, 0.6, 0.3) + rng.normal(0, 0.15, len(net)), 0.01, 0.99)
    value = probability * 0.017 - (1 - probability) * 0.012
    frame = pd.DataFrame({
        "at_ns": rows.at_ns[1_000:], "fold": 1, "probability": probability, "net": net, "expected_value": value,
        "threshold": 0.004, "enter": value >= 0.004,
    })  # fmt: skip
    document, trading = report(bars, plan, frame, [FOLD], 7, 30)
    return document, pictures(bars, plan, frame, document, 7), frame, trading


def test_equity_and_drawdown_are_those_of_the_trading(made: Made) -> None:
    document, shown, _, trading = made
    assert len(shown["ts_ns"]) == len(shown["model"]) == len(shown["drawdown"]["model"]) <= 400
    assert shown["ts_ns"][-1] == document["span"]["end_ns"]
    equity = trading.equity * float(trading.plan.instrument.quantum)
    assert (shown["model"][0], shown["model"][-1]) == (equity[0], equity[-1])
    # Thinned, but the deepest point is kept.
    assert -min(shown["drawdown"]["model"]) == pytest.approx(document["trading"]["max_drawdown"])
    assert -min(shown["drawdown"]["buy_and_hold"]) == pytest.approx(document["buy_and_hold"]["max_drawdown"])
    assert max(shown["drawdown"]["model"]) <= 0


def test_the_band_of_luck_is_where_random_entries_end(made: Made) -> None:
    document, shown, _, _ = made
    low, middle, high = (np.array(band) for band in shown["random"])
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert middle[-1] / middle[0] - 1 == pytest.approx(document["random"]["mean"], abs=0.01)
    assert shown["model"][-1] > high[-1]


def test_the_threshold_curve_is_the_mean_of_what_reaches_it(made: Made) -> None:
    _, shown, frame, _ = made
    known = frame[frame["net"].notna()]
    for point in shown["thresholds"]:
        taken = known.loc[known["expected_value"] >= point["least"], "net"]
        assert point["bars"] == len(taken)
        assert point["mean"] == pytest.approx(taken.mean())
        assert point["high"] - point["low"] == pytest.approx(4 * taken.std() / np.sqrt(len(taken)))
    assert shown["thresholds"][-1]["bars"] == len(known)
    assert shown["thresholds"][0]["mean"] > shown["thresholds"][-1]["mean"]


def test_pictures_are_plain_json_and_the_same_again(made: Made) -> None:
    assert json.loads(json.dumps(made[1], allow_nan=False)) == made[1]


def test_each_plot_is_a_picture(made: Made, tmp_path: Path) -> None:
    document, shown, _, _ = made
    draw(document, shown, META["importance"], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png" for name in PLOTS}
    for path in tmp_path.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")


class _Reader(HTMLParser):
    """What a page has: titles, links, scripts, and whether its tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.titles: list[str] = []
        self.outside: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "img", "iframe"):
            self.outside.append(tag)
        self.outside += [value for name, value in attrs if name in ("src", "href") and value and "data:" not in value]
        if tag not in ("meta", "link", "path", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "h2" and data.strip():
            self.titles.append(data.strip())

    @property
    def closed(self) -> bool:
        return not self._open


def test_the_page_has_all_of_it_and_needs_nothing_from_outside(made: Made) -> None:
    document, shown, _, _ = made
    text = page(document, shown, META, VERDICT, FACTS)
    assert page(document, shown, META, VERDICT, FACTS) == text
    reader = _Reader()
    reader.feed(text)
    assert reader.closed
    assert reader.outside == []
    assert reader.titles == [
        "The gate refused this model", "Equity out of sample", "Calibration", "Threshold", "Figures",
        "Blocks of the walk-forward", "What weighs in it", "Where it comes from",
    ]  # fmt: skip
    assert "<b>NOISE" not in text
    assert "<i>return" not in text
    assert "net &lt;i&gt;return" in text
    assert all(value in text for key, value in FACTS.items() if key not in ("instrument", "name"))
    assert "the return of the last bar" in text
    assert "return_1" in text
    assert text.count("<svg") == 5
    assert "nan" not in re.sub(r"<[^>]*>", "", text).casefold().replace("finance", "")


def test_the_page_speaks_portuguese_too(made: Made) -> None:
    """Each text is translated (a lack would raise), figures have a decimal comma, and so have the gate's reasons."""
    document, shown, _, _ = made
    reason = judge(document | {"overfitting": {"probability": 0.4, "splits": 15}}, GATE).reasons
    text = page(document, shown, META, Verdict(False, reason), FACTS, "pt-BR")
    assert '<html lang="pt-BR">' in text
    reader = _Reader()
    reader.feed(text)
    assert reader.titles[0] == "O crivo recusou este modelo"
    assert "Comprar e segurar" in text
    words = re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.S)
    assert not re.search(r"buy and hold|out of sample|must be|Net return|Trees", words)
    assert re.search(r"Retorno líquido -?\d+,\d\d%, custos pagos; precisa passar de 0,00%", words)


def test_a_model_that_never_traded_has_a_page_too(
    made: Made, market: Callable[..., Bars], params: Params, tmp_path: Path
) -> None:
    frame = made[2].assign(enter=False)
    bars = market("NOISE/USDT", bars=3_000)
    plan = params.plan.plan(bars.instrument, bars.timeframe)
    document, _ = report(bars, plan, frame, [{**FOLD, "auc": None, "ic": None, "entries": 0}], 7, 30)
    shown = pictures(bars, plan, frame, document, 7)
    assert shown["random"] == []
    text = page(document, shown, META, VERDICT, FACTS)
    assert "Random entries: 5" not in text
    draw(copy.deepcopy(document), shown, META["importance"], tmp_path)
    assert (tmp_path / "equity.png").stat().st_size > 5_000
