"""The tear sheet: whole, safe, alone, and the same in either language."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pregao.core.errors import NotFoundError, UsageError
from pregao.reporting.sheet import INSTRUMENT_COLUMNS, Interval, Luck, Sheet
from pregao.reporting.tearsheet import tearsheet, write_tearsheet
from pregao.reporting.texts import TEXTS

ROOT = Path(__file__).parents[2]
EVIL = "<script>alert('x')</script>\"'&{{ 7 * 7 }}"
VOID = {"meta", "link", "br", "path"}


class Page(HTMLParser):
    """Elements with their attributes and the texts in them; raises where a tag is not closed in its place."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attributes}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attributes}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((tuple(self._open), " ".join(data.split())))

    def said(self) -> str:
        return " ".join(text for where, text in self.texts if "style" not in where)

    def all(self, tag: str) -> Iterator[dict[str, str]]:
        return (attributes for name, attributes in self.elements if name == tag)


@pytest.fixture(scope="module")
def english(sheet: Sheet) -> str:
    return tearsheet(sheet)


def test_it_is_well_formed_and_tells_the_main_things(english: str, sheet: Sheet) -> None:
    page = Page(english)
    said = page.said()
    for text in (
        "ma-cross", "A/USD, B/USD · 15m", "simulated money", "synthetic data", "2024-01-01 00:00 to 2024-03-03 12:00",
        "6,000 bars", "2f1c9a77", "edge 3", "pessimistic: the stop first", "fees 0.02 % maker, 0.10 % taker",
        "slippage 0.02 % + volume-share:0.1", "12 bars reached both exits", "200 runs of random entries",
        "beats the best of 24 by luck", sheet.digest, "pregao backtest --strategy ma-cross --data A/USD",
        "Made by Pregão", "Market impact", "Funding (received)", "of it, dividends", "By instrument",
    ):  # fmt: skip
        assert text in said, text


def test_the_same_sheet_gives_the_same_page(english: str, sheet: Sheet) -> None:
    assert tearsheet(sheet) == english


@pytest.mark.parametrize("language", ["en", "pt-BR"])
def test_it_needs_nothing_but_itself(sheet: Sheet, language: str) -> None:
    html = tearsheet(sheet, language)
    page = Page(html)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<script|javascript:|<iframe|<img|\son[a-z]+=", html, re.I)
    assert {a.get("href") for a in page.all("link")} == {"data:,"}
    assert not [a for _, a in page.elements if "src" in a or "xlink:href" in a]
    [policy] = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert len(html) < 600_000


def test_both_languages_have_the_same_page(sheet: Sheet, english: str) -> None:
    there, here = Page(english), Page(tearsheet(sheet, "pt-BR"))
    assert [tag for tag, _ in there.elements] == [tag for tag, _ in here.elements]
    assert next(here.all("html"))["lang"] == "pt-BR"
    said = here.said()
    for key in ("simulated", "equity", "drawdowns", "monthly", "costs", "interval", "proof", "rolling_sharpe"):
        assert TEXTS[key][1] in said
    english_only = {e for k, (e, p) in TEXTS.items() if e != p and len(e) > 12 and e not in p and "{" not in e}
    assert not [text for text in english_only if text in said]


def test_every_text_is_escaped(sheet: Sheet) -> None:
    """Whatever comes from outside, in every place that shows it, stays text."""
    trades = sheet.trades.copy()
    for name in ("instrument", "entry_order", "exit_role", "exit_rule", "entry_liquidity", "side"):
        trades[name] = EVIL
    instruments = sheet.per_instrument.assign(instrument=EVIL)
    evil = dataclasses.replace(
        sheet, strategy=EVIL, instruments=(EVIL, "B"), timeframe=EVIL, currency=EVIL, digest=EVIL, slippage=(EVIL,),
        path=EVIL, data_version=EVIL, model=EVIL, settings={EVIL: EVIL}, command=EVIL, trades=trades,
        per_instrument=instruments, exposure={EVIL: sheet.exposure["A/USD"], "B": sheet.exposure["B/USD"]},
    )  # fmt: skip
    html = tearsheet(evil)
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.elements}
    assert {k for _, a in page.elements for k in a} == {k for _, a in Page(tearsheet(sheet)).elements for k in a}
    assert page.said().count("<script>alert('x')</script>") > 200
    assert "49" not in re.findall(r"&#34;&#39;&amp;(\d+)", html)
    assert "{{ 7 * 7 }}" in html


def test_plots_and_tables_can_be_read_without_seeing_them(english: str) -> None:
    page = Page(english)
    plots = [a for a in page.all("svg") if a.get("role") == "img"]
    ids = Counter(a["id"] for _, a in page.elements if "id" in a)
    assert len(plots) == 6  # equity, drawdown, two positions, rolling Sharpe, distribution
    assert max(ids.values()) == 1
    for plot in plots:
        title, description = plot["aria-labelledby"].split()
        assert ids[title] == ids[description] == 1
    described = [text for where, text in page.texts if where[-1] == "desc"]
    assert any(re.match(r"From [\d,.]+ USD to .* lowest .* highest", text) for text in described)
    assert any("60 trades from −1.00" in text for text in described)
    for a in page.all("th"):
        assert a.get("scope") in ("col", "row") or a.get("aria-hidden") == "true"
    headings = [tag for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    named = {a["aria-labelledby"] for tag, a in page.elements if tag in ("section", "div") and "aria-labelledby" in a}
    assert named <= set(ids)


def test_the_trades_say_why(english: str) -> None:
    said = Page(english).said()
    assert "market, at the open from 99.98, slipped 0.02, taker" in said
    assert "stop loss, stop, within the bar both exits in reach from 101.00, slipped 0.03, taker" in said
    assert "take profit, limit, within the bar from 101.00, maker" in said


def test_prices_have_the_decimals_of_their_instrument(sheet: Sheet) -> None:
    """References lie on the grid of the prices; a mean of several fills may have any number of decimals."""
    trades = sheet.trades.copy()
    trades["quantity"], trades["entry_price"] = 1.5, 100 + 1 / 3
    trades.loc[trades["instrument"] == "B/USD", ["quantity", "entry_reference"]] = [0.125, 0.00012345]
    said = Page(tearsheet(dataclasses.replace(sheet, trades=trades))).said()
    assert "A/USD Long 100.33 " in said
    assert "B/USD Short 100.33333333 " in said
    assert " 1.5 " in said
    assert " 0.125 " in said


def test_a_day_that_closes_at_midnight_is_not_the_next(make_sheet: Callable[..., Sheet]) -> None:
    """With bars of a day, an exit within the bar of the 3rd is told at its close: the 4th, 00:00."""
    sheet = make_sheet(trades=1)
    trades = sheet.trades.copy()
    trades["entry_time"] = pd.Timestamp("2024-01-02", tz="UTC")
    trades["exit_time"] = pd.Timestamp("2024-01-04", tz="UTC")
    said = Page(tearsheet(dataclasses.replace(sheet, trades=trades, intraday=False))).said()
    assert "100.00 2024-01-02 market, at the open" in said
    assert "99.00 2024-01-03 stop loss" in said


def test_the_first_and_the_last_trades_are_listed(sheet: Sheet) -> None:
    def numbers(html: str) -> list[int]:
        return [int(n) for n in re.findall(r'<th scope="row" class="n">(\d+)</th>', html)]

    assert numbers(tearsheet(sheet, head=2, tail=3)) == [1, 2, 58, 59, 60]
    assert "55 trades between them are not shown" in tearsheet(sheet, head=2, tail=3)
    whole = tearsheet(sheet, head=30, tail=30)
    assert numbers(whole) == list(range(1, 61))
    assert "not shown" not in whole


def test_without_trades_and_with_one_bar(make_sheet: Callable[..., Sheet]) -> None:
    bare = make_sheet(n=1, trades=0, held=None, held_figures=None, luck=None, interval=None, data_version="", model="",
                      settings={}, command="", slippage=(), fee_ppm=(0, 0), instruments=("A/USD",), synthetic=False,
                      exposure={"A/USD": np.zeros(1)}, per_instrument=pd.DataFrame(columns=list(INSTRUMENT_COLUMNS)),
                      dividends=0.0, costs={})  # fmt: skip
    page = Page(tearsheet(bare))
    said = page.said()
    assert "No trade was closed" in said
    assert "never fell below a peak" in said
    assert "not versioned" in said
    assert "Too few bars for a window" in said
    assert "synthetic" not in said
    assert "nan" not in said.lower().split()


def test_many_instruments_share_one_strip(sheet: Sheet) -> None:
    names = [f"I{i}" for i in range(12)]
    many = dataclasses.replace(
        sheet, instruments=tuple(names), exposure=dict.fromkeys(names, sheet.exposure["A/USD"] / 12)
    )
    assert tearsheet(many).count('id="in_market_') == 2 * 1
    assert tearsheet(sheet).count('id="in_market_') == 2 * 2


@pytest.mark.parametrize(
    ("interval", "text", "track"),
    [
        (Interval(-5.0, 5.0, 0), "does not depend on the path", False),
        (Interval(-5.0, 5.0, 1), "1 bar reached both exits", True),
        (Interval(-5.0, 5.0, 1_234), "1,234 bars reached both exits", True),
        (Interval(np.nan, np.nan, 3), "what the other path would have made is not known", False),
    ],
)
def test_the_interval(sheet: Sheet, interval: Interval, text: str, track: bool) -> None:
    html = tearsheet(dataclasses.replace(sheet, interval=interval))
    assert text in html
    assert ('class="track"' in html) == track


def test_an_account_that_is_used_up_is_still_told(sheet: Sheet) -> None:
    equity = np.linspace(10_000, -500, len(sheet.close_ns))
    Page(tearsheet(dataclasses.replace(sheet, equity=equity)))


def test_it_is_written_as_utf8(sheet: Sheet, tmp_path: Path) -> None:
    write_tearsheet(sheet, tmp_path / "sheet.html", "pt-BR")
    assert "Patrimônio" in (tmp_path / "sheet.html").read_bytes().decode("utf-8")


def test_what_does_not_fit_is_refused(sheet: Sheet) -> None:
    with pytest.raises(UsageError, match=r"6000 bars but held of shape \(3,\)"):
        dataclasses.replace(sheet, held=np.ones(3))
    with pytest.raises(UsageError, match="lack the columns exit_rule"):
        dataclasses.replace(sheet, trades=sheet.trades.drop(columns="exit_rule"))
    with pytest.raises(UsageError, match="no bars"):
        dataclasses.replace(sheet, close_ns=sheet.close_ns[:0])
    with pytest.raises(NotFoundError, match="language"):
        tearsheet(sheet, "de")


def test_its_colours_are_the_panels() -> None:
    """The panel's palette is read, not imported: Gradio takes seconds."""
    theme = ast.parse((ROOT / "ui" / "pregao_ui" / "theme.py").read_text(encoding="utf-8"))
    palettes = [
        ast.literal_eval(node.value)
        for node in theme.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("LIGHT", "DARK")
    ]
    style = files("pregao.reporting").joinpath("tearsheet.css").read_text(encoding="utf-8")
    blocks = [dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", part)) for part in style.split("@media screen", 2)[:2]]
    for palette, block in zip(palettes, blocks, strict=True):
        shared = set(palette) & set(block)
        assert len(shared) > 9
        assert {name: block[name] for name in shared} == {name: palette[name] for name in shared}


def test_luck_is_a_permutation_test() -> None:
    luck = Luck.of(np.array([-0.1, 0.0, 0.1, 0.2]), net_return=0.1)
    assert luck.p == pytest.approx(3 / 5)
    assert (luck.runs, luck.mean) == (4, pytest.approx(0.05))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    import shutil

    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        running = playwright.chromium.launch(executable_path=path, args=options)
        yield running
        running.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_in_a_browser(browser: Any, sheet: Sheet, tmp_path: Path, width: int, scheme: str) -> None:
    """Nothing is asked of any network, nothing complains, nothing sticks out, and the colours are the scheme's."""
    path = tmp_path / "sheet.html"
    write_tearsheet(sheet, path, "pt-BR")
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(244, 245, 247)", "dark": "rgb(11, 14, 19)"}[scheme]
    line = page.locator("path.line.own").first
    assert line.bounding_box()["width"] > 0.6 * min(width, 1_088)
    page.close()
