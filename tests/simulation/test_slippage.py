"""Slippage models, as they are written on a command line and as the kernel gets them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.core.errors import UsageError
from pregao.simulation.slippage import (
    EstimatedSpread,
    FixedSlippage,
    HalfSpread,
    Slippage,
    SquareRootImpact,
    VolumeShare,
    encode,
    parse,
)

NONE = {
    "fixed_ppm": 0, "half_spread_ppm": 0, "spread_method": 0, "spread_window": 0, "share_k": 0.0, "impact_k": 0.0,
    "impact_window": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("", ()),
        ("0", ()),
        ("0%", ()),
        (" none ", ()),
        ("0.02%", (FixedSlippage(200),)),
        ("0.02", (FixedSlippage(200),)),
        (".5 %", (FixedSlippage(5_000),)),
        ("spread:0.05%", (HalfSpread(250),)),
        ("spread:0.0001%", (HalfSpread(1),)),  # half a ppm, rounded up
        ("corwin-schultz", (EstimatedSpread("corwin_schultz", 60),)),
        ("Corwin_Schultz:21", (EstimatedSpread("corwin_schultz", 21),)),
        ("abdi-ranaldo:250", (EstimatedSpread("abdi_ranaldo", 250),)),
        ("volume-share", (VolumeShare(0.1),)),
        ("volume-share:0.25", (VolumeShare(0.25),)),
        ("sqrt-impact:1", (SquareRootImpact(1.0, 60),)),
        ("sqrt-impact:0.8:30", (SquareRootImpact(0.8, 30),)),
        ("0.01% + spread:0.02% + volume-share:0.1", (FixedSlippage(100), HalfSpread(100), VolumeShare(0.1))),
    ],
)
def test_what_can_be_written(text: str, models: tuple[Slippage, ...]) -> None:
    assert parse(text) == models


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("fixed", "no slippage named 'fixed'"),
        ("cs:20", "corwin-schultz"),
        ("0.02%+", "no slippage named ''"),
        ("0.02%+0.03%", "2 models of the kind FixedSlippage"),
        ("corwin-schultz+abdi-ranaldo", "2 models of the kind EstimatedSpread"),
        ("spread:0.1%+corwin-schultz", "either known or estimated"),
        ("spread", "lacks its size"),
        ("spread:wide", "not a number"),
        ("spread:0.05%:3", "too many values"),
        ("0.00001%", "finer than 0.0001 %"),
        ("-1%", "0 to 100,000"),
        ("11%", "0 to 100,000"),
        ("spread:30%", "0 to 100,000"),
        ("1x%", "not a number"),
        ("corwin-schultz:0", "window of the spread"),
        ("corwin-schultz:2.5", "whole number of bars"),
        ("corwin-schultz:", "whole number of bars"),
        ("volume-share:-0.1", "0 to 100"),
        ("volume-share:nan", "finite"),
        ("sqrt-impact:1:-5", "whole number of bars"),
        ("sqrt-impact:1:5:5", "too many values"),
        ("sqrt-impact:101", "0 to 100"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse(text)


@pytest.mark.parametrize(
    ("models", "numbers"),
    [
        ((), {}),
        ((FixedSlippage(200),), {"fixed_ppm": 200}),
        ((HalfSpread(250),), {"half_spread_ppm": 250}),
        ((EstimatedSpread("corwin_schultz", 21),), {"spread_method": 1, "spread_window": 21}),
        ((EstimatedSpread("abdi_ranaldo", 22),), {"spread_method": 2, "spread_window": 22}),
        ((VolumeShare(1),), {"share_k": 1.0}),
        ((SquareRootImpact(0.5, 30),), {"impact_k": 0.5, "impact_window": 30}),
        ((FixedSlippage(1), VolumeShare(0.2)), {"fixed_ppm": 1, "share_k": 0.2}),
    ],
)
def test_what_the_kernel_gets(models: tuple[Slippage, ...], numbers: dict[str, int | float]) -> None:
    found = encode(models)
    assert found == NONE | numbers
    assert {key for key, value in found.items() if type(value) is float} == {"share_k", "impact_k"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: FixedSlippage(1.5), lambda: FixedSlippage(True), lambda: HalfSpread(-1), lambda: HalfSpread(100_001),
        lambda: EstimatedSpread("roll"), lambda: EstimatedSpread(window=0), lambda: VolumeShare("0.1"),
        lambda: VolumeShare(float("inf")), lambda: SquareRootImpact(-1.0), lambda: SquareRootImpact(1.0, 1.0),
    ],
)  # fmt: skip
def test_what_is_no_model(make) -> None:
    with pytest.raises(UsageError):
        make()


@given(st.integers(0, 100_000), st.integers(1, 100_000))
def test_every_rate_and_window_reads_back(ppm: int, window: int) -> None:
    half = encode(parse(f"spread:{2 * ppm / 10_000:.4f}%+sqrt-impact:2:{window}"))
    assert (half["half_spread_ppm"], half["impact_window"]) == (ppm, window)
    assert encode(parse(f"{ppm / 10_000:.4f}%"))["fixed_ppm"] == ppm
