"""The outcomes dataset: every decision with what was seen and what came of it, from real sessions of a real model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from trained_market import KEY, market, session, trained

from pregao.learning import outcomes, registry
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.sessions.decisions import decisions
from pregao.sessions.journal import Journal
from pregao.sessions.outcomes import collect, frame_of, skews

pytestmark = pytest.mark.slow
LATE = 200
"""Bars that come after the sessions."""


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from trained(tmp_path_factory.mktemp("home"), market(bars=3_000)[:-LATE])


@pytest.fixture(scope="module")
def journal(name: str) -> Iterator[Journal]:
    opened = Journal()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def traded(journal: Journal) -> str:
    return session(journal)


@pytest.fixture(scope="module")
def observed(journal: Journal) -> str:
    return session(journal, mode="observe")


def test_what_was_traded_carries_the_net_of_its_fills(journal: Journal, traded: str) -> None:
    frame = frame_of(decisions(journal, traded), Store())
    trades = journal.trades(traded)
    mine = frame[frame["how"] == "traded"]
    assert len(mine) == len(trades) > 3
    assert list(mine["net"]) == [t.pnl_quanta / t.paid_quanta for t in trades]
    assert list(mine["end_ns"]) == [t.exit_ns for t in trades]
    assert mine["acted"].all()
    # The engine that simulates is the engine that traded.
    assert np.array_equal(mine["simulated"], mine["net"])


def test_what_was_not_traded_is_labelled_by_the_same_engine(journal: Journal, traded: str, observed: str) -> None:
    auto = frame_of(decisions(journal, traded), Store()).set_index("at_ns")
    watched = frame_of(decisions(journal, observed), Store()).set_index("at_ns")
    assert not watched["acted"].any()
    assert set(watched["how"]) == {"simulated", ""}  # the last ones have not ended
    assert list(auto.index) == list(watched.index)  # every bar: nothing has chosen among them
    pd.testing.assert_series_equal(auto["net"], watched["net"])
    assert (watched["end_ns"][watched["how"] == "simulated"] > watched.index[watched["how"] == "simulated"]).all()


def test_what_was_seen_gives_the_logged_chance_to_the_last_bit(journal: Journal, traded: str, name: str) -> None:
    frame = frame_of(decisions(journal, traded), Store())
    assert frame["reproduced"].all()
    assert frame["unseen"].all()
    model = registry.load(name)
    assert (frame["threshold"] == model.meta["threshold"]).all()
    seen = frame[[f"f:{feature}" for feature in model.meta["features"]]].to_numpy()
    assert np.array_equal(model.probabilities(np.ascontiguousarray(seen)), frame["probability"])
    assert not np.isnan(seen).any()
    entered = frame["action"] == "enter"
    assert (frame.loc[entered, "expected_value"] >= frame.loc[entered, "threshold"]).all()


def test_later_bars_end_what_was_open_and_what_is_known_is_left_alone(
    journal: Journal, traded: str, observed: str
) -> None:
    store, versions = Store(), Versions()
    first = collect(journal, store)
    assert {one["session"] for one in first["sessions"]} == {traded, observed}
    assert all(one["open"] > 0 and one["changed"] for one in first["sessions"])
    bars_before = versions.current()
    md5 = versions.commit_outcomes("Outcomes")
    assert collect(journal, store) == {"sessions": [], "unchanged": 2}
    assert versions.commit_outcomes("Outcomes") == md5

    store.write(market(bars=3_000))
    second = collect(journal, store)
    assert [one["open"] for one in second["sessions"]] == [0, 0]
    assert versions.commit_outcomes("Outcomes") != md5
    assert versions.current() == bars_before  # it is no version of the bars
    assert collect(journal, store) == {"sessions": [], "unchanged": 2}

    path = outcomes.path_of(store.root, KEY, "15m", traded)
    content = path.read_bytes()
    path.unlink()
    collect(journal, store)
    assert path.read_bytes() == content

    every = outcomes.read(store.root)
    assert len(every) == len(frame_of(decisions(journal, traded), store))  # the same moments, once
    assert (every["how"] == "traded").sum() == len(journal.trades(traded))
    assert not every["net"].isna().any()


def test_skew_is_found_where_stored_bars_are_not_those_that_were_traded_on(
    journal: Journal, traded: str, tmp_path: Path
) -> None:
    [same] = skews(journal, Store(), traded).values()
    assert not same.skewed
    assert (same.missing, same.absent) == (0, 0)
    assert same.compared == len(decisions(journal, traded).frame)

    stored = Store().bars(Store().instrument(KEY), decisions(journal, traded).timeframe)
    at = len(stored) - LATE - 100
    close = stored.close.copy()
    close[at] = stored.high[at] if stored.close[at] != stored.high[at] else stored.low[at]
    other = Store(tmp_path / "revised")
    other.write(replace(stored, close=close))
    [revised] = skews(journal, other, traded).values()
    assert (revised.bars, revised.absent, revised.missing) == (1, 0, 0)
    assert 0 < revised.differing < revised.compared
    assert revised.worst_ns >= stored.close_ns[at]

    short = Store(tmp_path / "short")
    short.write(stored[: at + 1])
    [lacking] = skews(journal, short, traded).values()
    assert lacking.absent > 0
    assert lacking.missing == lacking.absent
    assert not lacking.skewed  # what is there is right; what was not ingested is no difference


def test_a_session_whose_model_is_gone_keeps_its_outcomes_and_says_so(
    journal: Journal, traded: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pregao.settings import settings

    decided = decisions(journal, traded)
    store = Store()
    monkeypatch.setenv("PREGAO_MLFLOW_URI", f"sqlite:///{tmp_path}/empty.db")
    settings.cache_clear()
    try:
        frame = frame_of(decided, store)
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert not frame["reproduced"].any()
    assert frame["threshold"].isna().all()
    assert (frame["how"] == "traded").sum() == len(journal.trades(traded))


def test_a_session_of_several_is_learnt_from_instrument_by_instrument(journal: Journal, name: str) -> None:
    further = market("NOISE/USDT", bars=3_000, seed=8)
    Store().write(further[:-LATE])
    both = session(journal, also=[further.instrument.key], model=name)
    row, trades = journal.session(both), journal.trades(both)
    for book, instrument in enumerate(row.instruments):
        decided = decisions(journal, both, book)
        assert (decided.instrument, decided.model) == (instrument, name)
        frame = frame_of(decided, Store())
        own = [t for t in trades if t.book == book]
        mine = frame[frame["how"] == "traded"]
        assert list(mine["net"]) == [t.pnl_quanta / t.paid_quanta for t in own]
        assert len(own) > 3
        assert np.array_equal(mine["simulated"], mine["net"])
        assert frame["reproduced"].all()  # of each instrument's own bars
    told = [each for each in collect(journal, Store())["sessions"] if each["session"] == both]
    assert len(told) == 2
    for instrument in row.instruments:
        assert outcomes.path_of(Store().root, instrument.key, "15m", both).exists()
