"""Every kind of flaw and what is done with it: refused with its row named, put aside, or kept and reported."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pregao.cli import main
from pregao.core.actions import Split
from pregao.core.errors import UsageError
from pregao.core.timeframe import Timeframe
from pregao.market.findings import QUARANTINE_MOST, quarantined, stored
from pregao.market.ingest import ingest
from pregao.market.policies import ALLOWED, DEFAULTS, policies
from pregao.market.reports import IngestReport
from pregao.market.sift import BAD_KINDS
from pregao.market.store import Store
from pregao.settings import settings

T0 = 1_709_287_200  # Friday, 1 March 2024, 10:00 UTC
COLUMNS = ["timestamp", "open", "high", "low", "close", "volume"]


def rows(n: int, first: int = 0, step: int = 60, price: float = 1000.0) -> pd.DataFrame:
    """Quiet rows of one-minute bars; every row depends on its time only."""
    k = first + np.arange(n)
    close = price + (k % 7) - (k % 3)
    return pd.DataFrame(
        {
            "timestamp": T0 + step * k,
            "open": close,
            "high": close + 2,
            "low": close - 2,
            "close": close,
            "volume": 5 + k % 4,
        }
    )


@pytest.fixture
def bring(home, tmp_path) -> Callable[..., IngestReport]:
    def call(frame: pd.DataFrame, timeframe: str = "1m", **how: object) -> IngestReport:
        path = tmp_path / "prices.csv"
        frame.to_csv(path, index=False)
        options = {"paths": [path], "tick_size": "0.01", **how.pop("options", {})}
        return ingest("files", ["A/B"], timeframe, options, **how)

    return call


def series(timeframe: str = "1m"):
    store = Store()
    return store, store.instrument("A/B"), Timeframe.parse(timeframe)


def kinds(report: IngestReport) -> dict[str, int]:
    return {f.kind: f.count for f in report.series[0].quality.findings}


SPOIL = {
    "no time": {"timestamp": np.nan},
    "no number": {"close": np.nan},
    "bad price": {"low": 0.0},
    "off grid": {"close": 1000.005},
    "bad range": {"high": 1.0},
    "bad volume": {"volume": -1},
    "spike": dict.fromkeys(COLUMNS[1:5], 1700.0),
    "zero volume": {"volume": 0},
}


@pytest.mark.parametrize("kind", SPOIL)
def test_each_kind_is_refused_put_aside_or_kept_as_its_policy_says(bring, kind):
    frame = rows(60).astype(float)
    for column, value in SPOIL[kind].items():
        frame.loc[30, column] = value
    for action in ALLOWED[kind]:
        if action == "reject":
            with pytest.raises(UsageError, match=r"prices.csv, line 32 ") as caught:
                bring(frame, policies={kind: "reject"})
            assert "quarantine" in caught.value.mend
        else:
            report = bring(frame, policies={kind: action}, anew=True)
            assert report.series[0].quality.bars == (59 if action == "quarantine" else 60)
            aside = quarantined(*series())
            assert [row.where for row in aside] == (["prices.csv, line 32"] if action == "quarantine" else [])
            assert kind in kinds(report) or (kind in BAD_KINDS and kinds(report)["bad row"] == 1)
        if Store().instruments():
            break_store(Store().root)


def break_store(root: Path) -> None:
    """Start again from nothing."""
    import shutil

    shutil.rmtree(root)


def test_every_kind_has_its_policy():
    assert set(ALLOWED) >= {
        *BAD_KINDS,
        *SPOIL,
        "gap",
        "jump",
        "split-like jump",
        "stale",
        "closed day",
        "revised",
        "re-based",
    }
    assert {kind for kind, action in DEFAULTS.items() if action == "reject"} == {*BAD_KINDS, "re-based"}


def test_policies_come_from_the_settings_and_the_ingest(bring, monkeypatch):
    frame = rows(60).astype(float)
    frame.loc[30, COLUMNS[1:5]] = 1700.0
    monkeypatch.setenv("PREGAO_QUALITY", json.dumps({"spike": "reject"}))
    settings.cache_clear()
    with pytest.raises(UsageError, match="line 32 is far from the bars on both sides"):
        bring(frame)
    assert bring(frame, policies={"spike": "keep"}).added == 60
    assert policies({"zero_volume": "reject"}, {"Zero-Volume": "quarantine"})["zero volume"] == "quarantine"
    assert {policies({"bad row": "quarantine"})[kind] for kind in BAD_KINDS} == {"quarantine"}
    with pytest.raises(UsageError, match=r"no kind of flaw named 'spikes'"):
        policies({"spikes": "keep"})
    with pytest.raises(UsageError, match=r"'no time' cannot be met with 'keep'.*reject or quarantine"):
        policies({"bad-row": "keep"})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("QUALITY", "{oops", "PREGAO_QUALITY is not JSON"),
        ("QUALITY", '{"spike": 3}', "PREGAO_QUALITY is 3"),
        ("PANEL_PORT", "abc", "PREGAO_PANEL_PORT is 'abc'"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(monkeypatch, capsys, name, value, says):
    monkeypatch.setenv(f"PREGAO_{name}", value)
    settings.cache_clear()
    with pytest.raises(SystemExit) as ended:
        main(["data", "list"])
    settings.cache_clear()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


def test_order_and_duplicates_can_be_refused(bring):
    with pytest.raises(UsageError, match=r"not in order of time.*line 3"):
        bring(rows(20).iloc[::-1], policies={"order": "reject"})
    with pytest.raises(UsageError, match=r"came twice.*line 22"):
        bring(pd.concat([rows(20), rows(1, 19)]), policies={"duplicate": "reject"})
    assert kinds(bring(pd.concat([rows(20), rows(1, 3)]))) == {"order": 1, "duplicate": 1}
    assert stored(*series()).bars == 20


def test_bars_that_have_not_closed_are_left_out_and_told(bring):
    now = pd.Timestamp.now("UTC").floor("min").timestamp()
    frame = rows(5).assign(timestamp=[now + 60 * k for k in (-3, -2, -1, 0, 5)])
    with pytest.raises(UsageError, match="line 5 is of a bar that has not closed yet"):
        bring(frame, policies={"unfinished": "reject"})
    report = bring(frame)
    assert kinds(report) == {"unfinished": 2}
    assert report.series[0].quality.bars == 3


def test_gaps_and_jumps_can_be_refused_also_after_what_is_stored(bring):
    bring(rows(60))
    with pytest.raises(UsageError, match=r"Missing bars: 10 .*2024-03-01 11:00: 10 missing"):
        bring(rows(30, 70), policies={"gap": "reject"})
    with pytest.raises(UsageError, match="look like splits"):
        bring(rows(30, 60, price=500.0), policies={"split-like jump": "reject"})
    with pytest.raises(UsageError, match=r"Moves of more than 15%.*2024-03-01 11:00"):
        bring(rows(30, 60, price=1330.0), policies={"jump": "reject"})
    assert stored(*series()).bars == 60
    assert kinds(bring(rows(30, 70))) == {"gap": 10}


def test_a_jump_at_a_known_split_is_no_flaw(bring):
    day = 86_400
    bring(rows(100, step=day), "1d")
    store, instrument, _ = series("1d")
    halved = rows(50, 100, step=day, price=500.0)
    assert kinds(bring(halved, "1d")) == {"split-like jump": 1}
    ex = pd.Timestamp(T0 + 100 * day, unit="s", tz="UTC").normalize()
    store.write_actions(instrument, pd.DataFrame({"timestamp": [ex], "split": ["2:1"], "dividend": [0.0]}))
    assert [type(action) for action in store.actions(instrument)] == [Split]
    assert kinds(bring(rows(1, 150, step=day, price=500.0), "1d")) == {}


def test_a_stored_bar_that_comes_back_different_is_replaced_put_aside_or_refused(bring):
    bring(rows(60))
    other = rows(10, 55).assign(volume=77)
    with pytest.raises(UsageError, match="line 2 differs from the stored bar of its time"):
        bring(other, policies={"revised": "reject"})
    report = bring(other, policies={"revised": "quarantine"})
    assert (report.series[0].written.added, report.series[0].written.replaced) == (5, 0)
    assert len(quarantined(*series())) == 5
    report = bring(other)
    assert (report.series[0].written.added, report.series[0].written.replaced) == (0, 5)
    assert kinds(report) == {"revised": 5}


@pytest.mark.parametrize("factor", [0.5, 0.1, 4, 0.9732])
def test_a_history_that_was_re_based_is_never_mixed_with_the_stored_one(bring, factor):
    bring(rows(60))
    again = rows(30, 50)
    again[COLUMNS[1:5]] = (again[COLUMNS[1:5]] * factor).round(2)
    before = {p.name: p.read_bytes() for p in Store().bars_root.rglob("*.parquet")}
    with pytest.raises(UsageError, match=r"re-based, as for a split.*Nothing was stored.*--anew"):
        bring(again)
    report = bring(again, policies={"re-based": "quarantine"})
    assert report.series[0].written.added == 0
    assert {p.name: p.read_bytes() for p in Store().bars_root.rglob("*.parquet")} == before
    assert len(quarantined(*series())) == 30
    whole = rows(80)
    whole[COLUMNS[1:5]] = (whole[COLUMNS[1:5]] * factor).round(2)
    report = bring(whole)
    assert (report.series[0].written.replaced, report.series[0].written.added) == (60, 20)
    assert "All of it was replaced" in str(report.series[0].quality.findings)
    assert "jump" not in str(kinds(report))


def test_bars_on_another_grid_than_the_stored_ones_are_bad_rows(bring):
    bring(rows(60))
    shifted = rows(5, 58).assign(timestamp=lambda f: f["timestamp"] + 30)
    with pytest.raises(UsageError, match="line 2 begins less than 1m before or after a stored bar"):
        bring(shifted)
    assert bring(shifted, bad_rows="quarantine").series[0].written.added == 3
    assert len(quarantined(*series())) == 2


def test_what_was_put_aside_stays_whatever_is_brought_later(bring):
    frame = rows(60).astype(float)
    frame.loc[7, "close"] = np.nan
    for _ in range(2):
        bring(frame, bad_rows="quarantine")
    bring(rows(5, 60))
    [row] = quarantined(*series())
    assert row.where == "prices.csv, line 9"
    assert "no number as close" in row.why
    assert "open=999.0" in row.content


def test_the_wrong_file_is_refused_not_put_aside(bring):
    frame = rows(QUARANTINE_MOST + 10).assign(high=1.0)
    with pytest.raises(UsageError, match=r"20,010 of 20,010 rows cannot be stored.*line 2 has a high below"):
        bring(frame, bad_rows="quarantine")
    with pytest.raises(UsageError, match=r"None of the 5 rows of A/B can be stored"):
        bring(rows(5).assign(high=1.0), bad_rows="quarantine")
    assert not Store().instruments()


def test_an_ingest_that_brings_nothing_new_leaves_the_report_and_the_version(bring):
    frame = rows(60).astype(float)
    frame.loc[7, "close"] = np.nan
    first = bring(frame, bad_rows="quarantine")
    again = bring(rows(20, 20))
    assert again.version == first.version
    assert again.series[0].quality == first.series[0].quality
    assert kinds(first) == {"bad row": 1, "gap": 1}


MANGLINGS = ("drop", "again", "conflict", "no number", "swap", "minus", "off grid", "late", "half", "text", "unclosed")


@hypothesis_settings(max_examples=8)
@given(
    plan=st.lists(st.tuples(st.sampled_from(MANGLINGS), st.integers(0, 119)), max_size=12),
    cut=st.integers(1, 119),
    shuffled=st.booleans(),
)
def test_whatever_comes_the_store_holds_true_bars_only(plan, cut, shuffled):
    """Rows lost, repeated, changed, cut short, out of order, in two overlapping parts: nothing is invented."""
    truth = rows(120).astype(float)
    now = int(pd.Timestamp.now("UTC").floor("min").timestamp())
    frame, spoilt = truth.astype(object), set()
    extra = []
    for what, row in plan:
        if what == "again":
            extra.append(truth.iloc[row])
        elif what == "conflict":
            extra.append(truth.iloc[row].replace({truth.loc[row, "volume"]: 999.0}))
        elif what == "unclosed":
            extra.append(truth.iloc[row].replace({truth.loc[row, "timestamp"]: float(now)}))
        elif what == "late":
            extra.append(truth.iloc[row].replace({truth.loc[row, "timestamp"]: truth.loc[row, "timestamp"] + 30}))
        else:
            spoilt.add(row)
            column, value = {
                "drop": ("timestamp", None), "no number": ("open", None), "swap": ("high", 1.0),
                "minus": ("low", -1.0), "off grid": ("close", 1000.0051), "half": ("volume", None),
                "text": ("close", "n/a"),
            }[what]  # fmt: skip
            frame.loc[row, column] = value
    frame = pd.concat([frame, pd.DataFrame(extra).astype(object)], ignore_index=True) if extra else frame
    frame = frame.sample(frac=1, random_state=1) if shuffled else frame
    frame = frame.dropna(subset=["timestamp"])
    with tempfile.TemporaryDirectory() as folder:
        store, path = Store(Path(folder) / "data"), Path(folder) / "a.csv"
        for part in (frame.iloc[: cut + 10], frame.iloc[max(cut - 10, 0) :]):
            part.to_csv(path, index=False)
            with suppress(UsageError):  # of a part without one good row
                ingest("files", ["A/B"], "1m", {"paths": [path], "tick_size": "0.01"}, store, bad_rows="quarantine")
        if not store.instruments():
            return
        held = store.bars(store.instrument("A/B"), Timeframe.parse("1m")).frame()
        stamps = (
            held["timestamp"].astype("int64") // 1_000_000_000
            if held["timestamp"].dt.unit == "ns"
            else (held["timestamp"].dt.as_unit("s").astype("int64"))
        )
        true = truth.set_index("timestamp")
        shifted = {truth.loc[row, "timestamp"] + 30 for what, row in plan if what == "late"}
        changed = {truth.loc[row, "timestamp"] for what, row in plan if what == "conflict"}
        assert stamps.is_monotonic_increasing
        assert stamps.is_unique
        for stamp, bar in zip(stamps, held[COLUMNS[1:]].itertuples(index=False), strict=True):
            assert stamp < now, "an unfinished bar"
            if stamp in shifted or stamp in changed:
                continue  # such a row is a bar like any other: nothing tells it from a true one
            assert tuple(bar) == tuple(true.loc[float(stamp)]), "an invented bar"
        assert len(held) > 60
        lost = {truth.loc[row, "timestamp"] for row in range(120) if row not in spoilt} - set(stamps.astype(float))
        near = {t for s in shifted for t in (s - 30, s + 30)}
        assert lost <= near | changed, "a good row was lost"
