"""Plugins that were published for an earlier day of the contract still load, and trade the same trades."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pregao.features.conformance import market
from pregao.simulation.plan import Plan
from pregao.strategies.backtest import backtest, desk_for
from pregao.strategies.conformance import Case, form, past, signals, state
from pregao.strategies.contract import API, APIS
from pregao.strategies.registry import BrokenPluginError, configured, discover, load

TRADES = "1c63cf377b4c6f0d"
"""SHA-256 of the trades of the plugin of the first day, as they were on that day."""


@pytest.fixture(autouse=True)
def first_day(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "api_1"))
    yield
    sys.modules.pop("pregao_first_day", None)


def test_a_plugin_of_the_first_day_loads_and_its_settings_make_a_form() -> None:
    (plugin,) = [p.inspected() for p in discover() if p.name == "first-day"]
    assert (plugin.state, plugin.title, plugin.error) == ("ok", "First day", "")
    field = load("first-day").Config.model_json_schema()["properties"]["span"]
    assert (field["title"], field["unit"], field["live"], field["minimum"]) == ("Span", "bars", True, 2)


def test_it_makes_the_trades_that_it_made_on_that_day_over_history_and_live() -> None:
    bars = market(600)
    plan = Plan.of(bars.instrument, bars.timeframe)
    result = backtest(configured("first-day", {"span": 4}), bars, plan, seed=1)
    trades = result.trades[["entry_ns", "exit_ns"]].astype("int64").to_csv(index=False)
    assert len(result.trades) > 20
    assert hashlib.sha256(trades.encode()).hexdigest()[:16] == TRADES
    desk = desk_for(plan, configured("first-day", {"span": 4}), seed=1)
    events = [event for i in range(len(bars)) for event in desk.on_bar(bars.bar(i))[0]]
    assert events == result.history()


def test_it_keeps_the_contract_of_today() -> None:
    case = Case(load("first-day"), {"span": 4})
    for check in (form.keeps_the_contract, form.settings_make_a_form, past.sees_only_the_past,
                  state.saves_all_its_state, signals.signals_agree):  # fmt: skip
        check(case)


def test_a_plugin_of_a_newer_contract_is_refused_with_the_advice_to_upgrade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "of_tomorrow-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: of-tomorrow\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pregao.strategies]\nof-tomorrow = of_tomorrow:Mine\n")
    (tmp_path / "of_tomorrow.py").write_text(f"class Mine:\n    api = {API + 1}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {p.name: p.inspected() for p in discover()}
    assert (found["of-tomorrow"].state, found["first-day"].state) == ("broken", "ok")
    words = f"written for api {API + 1} of the contract, and this platform speaks {API}; upgrade"
    assert words in found["of-tomorrow"].error
    with pytest.raises(BrokenPluginError, match=words):
        load("of-tomorrow")


def test_the_version_of_today_is_one_of_those_that_load() -> None:
    assert max(APIS) == API
