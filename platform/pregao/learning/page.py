"""The report on a model as one HTML page that needs nothing but itself: kept with each version, shown by the panel.

It stands on the tear sheet's style and plots (`pregao.reporting`), and on what the stages left: nothing is computed
here but what a table shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from pregao import __version__
from pregao.features.words import noun
from pregao.learning.gate import Verdict
from pregao.learning.gate_words import told
from pregao.learning.page_words import Say
from pregao.learning.pictures import RUNS
from pregao.reporting.figures import sign_of
from pregao.reporting.plots import Frame, Line, across, over_time

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
    language: str = "en",
) -> str:
    """The page as HTML text; the same arguments give the same text.

    Args:
        report: of `pregao.learning.report.report`.
        pictures: of `pregao.learning.pictures.pictures`.
        meta: the model's, see `pregao.learning.stages`.
        verdict: the gate's.
        facts: the version's tags (`pregao.learning.lineage.tags_of`), with ``name`` and ``data`` (short).
        language: of `pregao.learning.gate_words.LANGUAGES`.
    """
    say = Say(language)
    importance = list(meta["importance"].items())
    most = max([weight for _, weight in importance], default=0.0) or 1.0
    return _template().render(
        style=Markup(files("pregao.reporting").joinpath("tearsheet.css").read_text(encoding="utf-8")),
        facts=facts,
        verdict=verdict,
        reasons=[(reason.passed, *told(reason.to_json(), language)) for reason in verdict.reasons],
        t=say.t,
        language=language,
        synthetic=str(facts["instrument"]).startswith("synthetic/"),
        period=_period(say, report["span"]),
        bars=say.number(report["span"]["bars"], 0),
        label=_label(say, meta),
        cards=_cards(say, report),
        equity=_equity(say, pictures),
        drawdown=_drawdown(say, pictures),
        luck=bool(pictures["random"]),
        runs=RUNS,
        calibration=_calibration(say, report["calibration"]),
        threshold=_threshold(say, pictures["thresholds"]),
        asked=", ".join(_shown(say, fold["threshold"], "percent") for fold in report["folds"]) or say.t("nothing"),
        figures=[
            (
                say.t(title),
                *(_shown(say, report[part].get(key), kind) for part in ("trading", "doubled_costs", "buy_and_hold")),
            )
            for title, key, kind in _FIGURES
        ],
        folds=[_fold(say, fold) for fold in report["folds"]],
        importance=[
            (noun(name), name, say.number(weight, 1), 100 * weight / most) for name, weight in importance[:_SHOWN]
        ],
        unused=max(len(importance) - _SHOWN, 0),
        lineage=[(say.t(title), facts[key]) for title, key in _LINEAGE],
        version=__version__,
    )


@cache
def _template() -> Template:
    # Every value is escaped unless it is Markup, which only the plots and the style sheet are.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files("pregao.learning").joinpath("page.html").read_text(encoding="utf-8"))


def _shown(say: Say, value: float | None, kind: str) -> str:
    number = math.nan if value is None else float(value)
    if kind == "percent":
        return say.percent(number)
    return say.number(number, 0 if kind == "count" else 2)


def _period(say: Say, span: Mapping[str, int]) -> str:
    return f"{say.moment(span['start_ns'])} {say.t('to')} {say.moment(span['end_ns'])}"


def _label(say: Say, meta: Mapping[str, Any]) -> str:
    profit, loss, fee, slip = (
        say.percent(meta[key] / 1e6) for key in ("take_profit_ppm", "stop_loss_ppm", "fee_ppm", "slippage_ppm")
    )
    return say.t(
        "whether {profit} are won before {loss} are lost, within {bars} bars, fees of {fee} and slippage of {slip} a "
        "side paid",
        profit=profit, loss=loss, bars=meta["horizon_bars"], fee=fee, slip=slip,
    )  # fmt: skip


def _cards(say: Say, report: Mapping[str, Any]) -> list[tuple[str, str, int, str]]:
    own, held, said, luck = report["trading"], report["buy_and_hold"], report["prediction"], report["random"]
    hold, brier = say.t("buy and hold"), say.t("Brier score")
    return [
        (
            say.t("Net return"), say.percent(own["net_return"] or 0.0, sign=True), sign_of(own["net_return"] or 0.0),
            f"{hold} {_shown(say, held['net_return'], 'percent')}",
        ),
        (
            say.t("Sharpe ratio"), _shown(say, own["sharpe"], "number"), 0,
            f"{hold} {_shown(say, held['sharpe'], 'number')}",
        ),
        (
            say.t("Maximum drawdown"), _shown(say, own["max_drawdown"], "percent"), 0,
            f"{hold} {_shown(say, held['max_drawdown'], 'percent')}",
        ),
        ("AUC", _shown(say, said["auc"], "number"), 0, f"{brier} {_shown(say, said['brier'], 'number')}"),
        (
            say.t("Chance that luck does as well"), "–" if luck["p"] is None else say.number(luck["p"], 3), 0,
            say.t("of {trades} trades", trades=_shown(say, own["trades"], "count")),
        ),
    ]  # fmt: skip


def _frame(say: Say, name: str, title: str, said: str, height: int, *, percent: bool, **more: Any) -> Frame:
    def label(value: float, decimals: int) -> str:
        return say.percent(value, max(0, decimals - 2)) if percent else say.number(value, decimals)

    return Frame(name, title, said, height, label, say.tick, **more)


def _series(values: Sequence[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([math.nan if value is None else value for value in values], np.float64)


def _equity(say: Say, pictures: Mapping[str, Any]) -> Markup:
    own, held = _series(pictures["model"]), _series(pictures["buy_and_hold"])
    said = say.t(
        "From {first} to {last}; buy and hold ends at {held}.",
        first=say.money(own[0]), last=say.money(own[-1]), held=say.money(held[-1]),
    )  # fmt: skip
    lines = [Line(_series(band), "luck") for band in pictures["random"]]
    lines += [Line(held, "held"), Line(own, "own", filled=True)]
    times = np.array(pictures["ts_ns"], np.int64)
    frame = _frame(say, "equity", say.t("Equity out of sample"), said, 270, percent=False, about=5, times=False)
    return over_time(frame, times, lines, rule=float(own[0]))


def _drawdown(say: Say, pictures: Mapping[str, Any]) -> Markup:
    own, held = (_series(pictures["drawdown"][name]) for name in ("model", "buy_and_hold"))
    said = say.t(
        "At the deepest {own}; buy and hold {held}.",
        own=say.percent(-float(own.min())), held=say.percent(-float(held.min())),
    )  # fmt: skip
    frame = _frame(say, "drawdown", say.t("Drawdown out of sample"), said, 110, percent=True, about=3)
    lines = [Line(held, "held"), Line(own, "fall", filled=True)]
    return over_time(frame, np.array(pictures["ts_ns"], np.int64), lines, within=(None, 0.0))


def _calibration(say: Say, bins: Sequence[Mapping[str, float]]) -> Markup:
    predicted, won = _series([b["predicted"] for b in bins]), _series([b["won"] for b in bins])
    said = say.t("{bins} bins of equally many bars, foretold and what came of them.", bins=len(bins))
    frame = _frame(say, "calibration", say.t("Calibration out of sample"), said, 200, percent=True)
    return across(frame, predicted, [Line(predicted, "perfect"), Line(won, "own")], _percent_label(say))


def _threshold(say: Say, points: Sequence[Mapping[str, float]]) -> Markup:
    ordered = sorted(points, key=lambda point: point["least"])
    least, mean, low, high = (_series([p[key] for p in ordered]) for key in ("least", "mean", "low", "high"))
    said = say.t(
        "From {all} of all bars to {best} of the best.",
        all=say.percent(float(mean[0])), best=say.percent(float(mean[-1])),
    )  # fmt: skip
    frame = _frame(say, "threshold", say.t("Mean net result by threshold"), said, 200, percent=True)
    return across(
        frame, least, [Line(low, "held"), Line(high, "held"), Line(mean, "own")], _percent_label(say), rule=0.0
    )


def _percent_label(say: Say) -> Callable[[float, int], str]:
    return lambda value, decimals: say.percent(value, max(0, decimals - 2))


def _fold(say: Say, fold: Mapping[str, Any]) -> tuple[str, ...]:
    def number(key: str, decimals: int) -> str:
        value = fold[key]
        return say.number(math.nan if value is None else value, decimals)

    return (
        str(fold["fold"]), say.day(fold["start_ns"]), say.day(fold["end_ns"]), number("fit_rows", 0),
        number("trees", 0), number("auc", 3), number("log_loss", 4), number("brier", 4), number("ic", 3),
        _shown(say, fold["threshold"], "percent"), number("entries", 0),
    )  # fmt: skip
