"""Exact money: rounding happens in two functions, and agrees with fractions."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.core.errors import UsageError
from pregao.core.money import CEIL, FLOOR, MAX_QUANTA, NEAREST, decimal_of, mul_ppm, percent_to_ppm, round_div

amounts = st.integers(-MAX_QUANTA + 1, MAX_QUANTA - 1)


@given(amounts, st.integers(-1_000_000, 1_000_000), st.sampled_from([FLOOR, CEIL, NEAREST]))
def test_mul_ppm_agrees_with_fractions(amount: int, ppm: int, mode: int) -> None:
    exact = Fraction(amount) * ppm / 1_000_000
    expected = {FLOOR: floor(exact), CEIL: ceil(exact), NEAREST: floor(exact + Fraction(1, 2))}[mode]
    assert mul_ppm(amount, ppm, mode) == expected


@given(st.integers(-(2**60), 2**60), st.integers(1, 2**31), st.sampled_from([FLOOR, CEIL, NEAREST]))
def test_round_div_agrees_with_fractions(n: int, d: int, mode: int) -> None:
    exact = Fraction(n, d)
    expected = {FLOOR: floor(exact), CEIL: ceil(exact), NEAREST: floor(exact + Fraction(1, 2))}[mode]
    assert round_div(n, d, mode) == expected


def test_per_cent_is_exact_or_refused() -> None:
    assert percent_to_ppm("0.02") == 200
    assert percent_to_ppm(0.1) == 1_000
    with pytest.raises(UsageError, match="finer than"):
        percent_to_ppm("0.00001")


@pytest.mark.parametrize("text", ["", "abc", "nan", "inf", "1e", "--1"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        decimal_of(text)
