"""The report on a model as one HTML page that needs nothing but itself: kept with each version, shown by the panel.

It stands on the tear sheet's style and plots (`pregao.reporting`), and on what the stages left: nothing is computed
here but what a table shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from pregao import __version__
from pregao.features.words import noun
from pregao.learning.gate import Verdict
from pregao.learning.pictures import RUNS
from pregao.reporting.figures import sign_of
from pregao.reporting.plots import Frame, Line, across, over_time
from pregao.reporting.wording import Words

_WORDS = Words("en")
_SHOWN = 20
"""Features that are listed, the weightiest first."""
_FIGURES = (
    ("Net return", "net_return", "percent"),
    ("Volatility", "volatility", "percent"),
    ("Sharpe ratio", "sharpe", "number"),
    ("Sortino ratio", "sortino", "number"),
    ("Calmar ratio", "calmar", "number"),
    ("Maximum drawdown", "max_drawdown", "percent"),
    ("Exposure", "exposure", "percent"),
    ("Turnover", "turnover", "number"),
    ("Trades", "trades", "count"),
    ("Hit rate", "hit_rate", "percent"),
    ("Profit factor", "profit_factor", "number"),
)
_LINEAGE = (
    ("Data version (DVC md5)", "data_version"),
    ("Data revision (git)", "data_revision"),
    ("Code version", "code_version"),
    ("Params hash", "params_hash"),
    ("Feature set", "feature_set"),
    ("Feature-set hash", "feature_hash"),
    ("Model digest", "model_digest"),
    ("Seed", "seed"),
    ("Threads", "thread_count"),
    ("CatBoost", "catboost"),
    ("Evaluated live by", "inference"),
)


def page(
    report: Mapping[str, Any],
    pictures: Mapping[str, Any],
    meta: Mapping[str, Any],
    verdict: Verdict,
    facts: Mapping[str, str],
) -> str:
    """The page as HTML text; the same arguments give the same text.

    Args:
        report: of `pregao.learning.report.report`.
        pictures: of `pregao.learning.pictures.pictures`.
        meta: the model's, see `pregao.learning.stages`.
        verdict: the gate's.
        facts: the version's tags (`pregao.learning.lineage.tags_of`), with ``name`` and ``data`` (short).
    """
    importance = list(meta["importance"].items())
    most = max([weight for _, weight in importance], default=0.0) or 1.0
    return _template().render(
        style=Markup(files("pregao.reporting").joinpath("tearsheet.css").read_text(encoding="utf-8")),
        facts=facts,
        verdict=verdict,
        synthetic=str(facts["instrument"]).startswith("synthetic/"),
        period=_period(report["span"]),
        bars=_WORDS.number(report["span"]["bars"], 0),
        label=_label(meta),
        cards=_cards(report),
        equity=_equity(pictures),
        drawdown=_drawdown(pictures),
        luck=bool(pictures["random"]),
        runs=RUNS,
        calibration=_calibration(report["calibration"]),
        threshold=_threshold(pictures["thresholds"]),
        asked=", ".join(_shown(fold["threshold"], "percent") for fold in report["folds"]) or "nothing",
        figures=[
            (title, *(_shown(report[part].get(key), kind) for part in ("trading", "doubled_costs", "buy_and_hold")))
            for title, key, kind in _FIGURES
        ],
        folds=[_fold(fold) for fold in report["folds"]],
        importance=[
            (noun(name), name, _WORDS.number(weight, 1), 100 * weight / most) for name, weight in importance[:_SHOWN]
        ],
        unused=max(len(importance) - _SHOWN, 0),
        lineage=[(title, facts[key]) for title, key in _LINEAGE],
        version=__version__,
    )


@cache
def _template() -> Template:
    # Every value is escaped unless it is Markup, which only the plots and the style sheet are.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files("pregao.learning").joinpath("page.html").read_text(encoding="utf-8"))


def _shown(value: float | None, kind: str) -> str:
    number = math.nan if value is None else float(value)
    if kind == "percent":
        return _WORDS.percent(number)
    return _WORDS.number(number, 0 if kind == "count" else 2)


def _period(span: Mapping[str, int]) -> str:
    return f"{_WORDS.moment(span['start_ns'])} to {_WORDS.moment(span['end_ns'])}"


def _label(meta: Mapping[str, Any]) -> str:
    profit, loss, fee, slip = (
        _WORDS.percent(meta[key] / 1e6) for key in ("take_profit_ppm", "stop_loss_ppm", "fee_ppm", "slippage_ppm")
    )
    return (
        f"whether {profit} are won before {loss} are lost, within {meta['horizon_bars']} bars, "
        f"fees of {fee} and slippage of {slip} a side paid"
    )


def _cards(report: Mapping[str, Any]) -> list[tuple[str, str, int, str]]:
    own, held, said, luck = report["trading"], report["buy_and_hold"], report["prediction"], report["random"]
    return [
        (
            "Net return", _WORDS.percent(own["net_return"] or 0.0, sign=True), sign_of(own["net_return"] or 0.0),
            f"buy and hold {_shown(held['net_return'], 'percent')}",
        ),
        ("Sharpe ratio", _shown(own["sharpe"], "number"), 0, f"buy and hold {_shown(held['sharpe'], 'number')}"),
        (
            "Maximum drawdown", _shown(own["max_drawdown"], "percent"), 0,
            f"buy and hold {_shown(held['max_drawdown'], 'percent')}",
        ),
        ("AUC", _shown(said["auc"], "number"), 0, f"Brier score {_shown(said['brier'], 'number')}"),
        (
            "Chance that luck does as well", "–" if luck["p"] is None else _WORDS.number(luck["p"], 3), 0,
            f"of {_shown(own['trades'], 'count')} trades",
        ),
    ]  # fmt: skip


def _frame(name: str, title: str, said: str, height: int, *, percent: bool, **more: Any) -> Frame:
    def label(value: float, decimals: int) -> str:
        return _WORDS.percent(value, max(0, decimals - 2)) if percent else _WORDS.number(value, decimals)

    return Frame(name, title, said, height, label, _WORDS.tick, **more)


def _series(values: Sequence[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([math.nan if value is None else value for value in values], np.float64)


def _equity(pictures: Mapping[str, Any]) -> Markup:
    own, held = _series(pictures["model"]), _series(pictures["buy_and_hold"])
    said = f"From {_WORDS.money(own[0])} to {_WORDS.money(own[-1])}; buy and hold ends at {_WORDS.money(held[-1])}."
    lines = [Line(_series(band), "luck") for band in pictures["random"]]
    lines += [Line(held, "held"), Line(own, "own", filled=True)]
    times = np.array(pictures["ts_ns"], np.int64)
    frame = _frame("equity", "Equity out of sample", said, 270, percent=False, about=5, times=False)
    return over_time(frame, times, lines, rule=float(own[0]))


def _drawdown(pictures: Mapping[str, Any]) -> Markup:
    own, held = (_series(pictures["drawdown"][name]) for name in ("model", "buy_and_hold"))
    said = f"At the deepest {_WORDS.percent(-float(own.min()))}; buy and hold {_WORDS.percent(-float(held.min()))}."
    frame = _frame("drawdown", "Drawdown out of sample", said, 110, percent=True, about=3)
    lines = [Line(held, "held"), Line(own, "fall", filled=True)]
    return over_time(frame, np.array(pictures["ts_ns"], np.int64), lines, within=(None, 0.0))


def _calibration(bins: Sequence[Mapping[str, float]]) -> Markup:
    predicted, won = _series([b["predicted"] for b in bins]), _series([b["won"] for b in bins])
    said = f"{len(bins)} bins of equally many bars, foretold and what came of them."
    frame = _frame("calibration", "Calibration out of sample", said, 200, percent=True)
    return across(frame, predicted, [Line(predicted, "perfect"), Line(won, "own")], _percent_label)


def _threshold(points: Sequence[Mapping[str, float]]) -> Markup:
    ordered = sorted(points, key=lambda point: point["least"])
    least, mean, low, high = (_series([p[key] for p in ordered]) for key in ("least", "mean", "low", "high"))
    said = f"From {_WORDS.percent(float(mean[0]))} of all bars to {_WORDS.percent(float(mean[-1]))} of the best."
    frame = _frame("threshold", "Mean net result by threshold", said, 200, percent=True)
    return across(frame, least, [Line(low, "held"), Line(high, "held"), Line(mean, "own")], _percent_label, rule=0.0)


def _percent_label(value: float, decimals: int) -> str:
    return _WORDS.percent(value, max(0, decimals - 2))


def _fold(fold: Mapping[str, Any]) -> tuple[str, ...]:
    def number(key: str, decimals: int) -> str:
        value = fold[key]
        return _WORDS.number(math.nan if value is None else value, decimals)

    return (
        str(fold["fold"]), _WORDS.day(fold["start_ns"]), _WORDS.day(fold["end_ns"]), number("fit_rows", 0),
        number("trees", 0), number("auc", 3), number("log_loss", 4), number("brier", 4), number("ic", 3),
        _shown(fold["threshold"], "percent"), number("entries", 0),
    )  # fmt: skip
