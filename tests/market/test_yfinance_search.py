"""Instruments are found by words as one types them: at Yahoo, by its own client, whatever it answers."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from terminal import typed
from yahoo.fixtures import yahoo

from pregao.core.errors import PregaoError, UsageError
from pregao.market.sources import Listed, ListedSource, read_options
from pregao.market.sources.yfinance import YFinance

__all__ = ["yahoo"]


def found(server: Any, words: str, **given: Any) -> list[Listed]:
    options = read_options(YFinance.Options, {"address": server.address, "pause_s": 0.01, **given})
    return YFinance().listed(options, words)


@pytest.mark.parametrize("words", ["apple", "Apple Inc", "aapl", "  APPL "])
def test_a_company_is_found_by_a_part_of_its_name_or_symbol(yahoo, words):
    assert found(yahoo, words) == [Listed("AAPL", "Apple Inc.", "NMS", "stock")]


def test_what_is_found_tells_its_class_and_what_cannot_be_traded_here_is_left_out(yahoo):
    assert isinstance(YFinance(), ListedSource)
    assert found(yahoo, "S&P 500") == [Listed("^GSPC", "S&P 500", "SNP", "index")]
    assert {one.symbol: one.asset_class for one in found(yahoo, "usd")} == {"SHIB-USD": "crypto", "BTC-USD": "crypto"}
    assert found(yahoo, "EUR/USD") == []  # a currency


def test_words_that_nothing_has_find_nothing(yahoo):
    assert found(yahoo, "zzyzx") == []
    assert yahoo.searched == ["zzyzx"]


def test_all_of_yahoo_cannot_be_listed(yahoo):
    for nothing in ("", "  "):
        with pytest.raises(UsageError, match="too many symbols to list them all"):
            found(yahoo, nothing)
    assert yahoo.searched == []


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503, "text": "<html>down</html>"},
        {"status": 429, "headers": {"Retry-After": "0.05"}},
        {"hang_up": True},
        {"cut": 0.5},
        {"text": "<html><body>*** Will be right back... ***</body></html>"},
        {"text": '{"finance": {"result": null, "error": null}}'},
        {"text": '{"quotes": null}'},
        {"text": '{"quotes": [3]}'},
        {"text": "[]"},
        {"text": ""},
        {"wait_s": 5.0},
    ],
    ids=lambda fault: json.dumps(fault)[:40],
)
def test_what_passes_is_asked_again(yahoo, fault):
    yahoo.fail(search=True, **fault)
    assert [one.symbol for one in found(yahoo, "newco", timeout_s=4.0)] == ["NEWCO"]
    assert not yahoo.faults


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 502}, r"its server failed \(502\)"),
        ({"status": 404}, r"it refuses \(404\)"),
        ({"hang_up": True}, "it cannot be reached"),
        ({"text": "<html>"}, "it answered nonsense"),
        ({"text": '{"quotes": "all"}'}, "it answered nonsense"),
    ],
)
def test_what_does_not_pass_is_told(yahoo, fault, said):
    yahoo.fail(search=True, times=100, **fault)
    with pytest.raises(PregaoError, match=f"Yahoo gave no answer to 'newco' after 2 attempts: {said}") as told:
        found(yahoo, "newco")
    assert told.value.mend.startswith("Check the network, and try again later")


def test_whoever_types_does_not_wait_for_as_long_as_yahoo_asks(yahoo):
    yahoo.fail(search=True, status=429, headers={"Retry-After": "30"})
    begun = time.monotonic()
    with pytest.raises(PregaoError, match=r"it asks to be left alone for a while \(429\)") as told:
        found(yahoo, "newco")
    assert told.value.mend == "Try again in 30 s."
    assert time.monotonic() - begun < 20  # Yahoo asks for thirty


def test_no_network_says_so(yahoo):
    yahoo.address = "http://127.0.0.1:9"
    with pytest.raises(PregaoError, match="Yahoo gave no answer to 'newco' after 2 attempts: it cannot be reached"):
        found(yahoo, "newco")


def test_the_command_tells_what_was_found_and_what_was_not(yahoo, capsys):
    there = ("--option", f"address={yahoo.address}", "--option", "pause_s=0.01")
    status, out, _ = typed(capsys, "data", "search", "apple", "inc", "--source", "yfinance", *there)
    assert status == 0
    assert "AAPL" in out
    assert "Apple Inc." in out
    status, out, _ = typed(capsys, "data", "search", "bitcoin", "--source", "yfinance", "--json", *there)
    assert json.loads(out) == [{"symbol": "BTC-USD", "name": "Bitcoin USD", "exchange": "CCC", "asset_class": "crypto"}]
    status, out, _ = typed(capsys, "data", "search", "zzyzx", "--source", "yfinance", *there)
    assert (status, out) == (0, "yfinance has nothing like 'zzyzx'.\n")
    status, _, err = typed(capsys, "data", "search", "--source", "yfinance", *there)
    assert status == 2
    assert "Give a part of a symbol or of a name." in err
    status, _, err = typed(capsys, "data", "search", "x", "--source", "sample")
    assert status == 2
    assert "The source 'sample' does not tell what it has." in err
    yahoo.fail(search=True, times=100, status=500)
    status, _, err = typed(capsys, "data", "search", "apple", "--source", "yfinance", *there)
    assert status == 1
    assert "its server failed (500)" in err
