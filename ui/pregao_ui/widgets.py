"""The live parts of the page: plain `gr.HTML` components, filled and kept up to date by the scripts in ``web/``.

They are made by functions: a subclass of a Gradio component would make Gradio write a ``.pyi`` beside this file.
The templates hold no ``${value}`` and no ``{{value}}``: Gradio renders a template again only when its text
changes, so a constant one is never touched again and what the scripts made of it stays.
"""

from __future__ import annotations

from typing import Any

from pregao_ui.fast_gradio import gr

SCRIPTS = (
    "texts.js",
    "lightweight-charts.js",
    "core.js",
    "stream.js",
    "chart.js",
    "bar.js",
    "cards.js",
    "books.js",
    "trades.js",
    "decisions.js",
    "proposal.js",
    "live.js",
    "ticket.js",
    "search.js",
    "topbar.js",
    "keys.js",
    "record.js",
    "comparison.js",
    "sessions.js",
    "room.js",
    "plots.js",
    "models.js",
    "runs.js",
    "data.js",
    "flows.js",
    "settings.js",
)
# Gradio waits for the scripts of a component's head before it runs js_on_load; the same head twice loads once.
_HEAD = "".join(f'<script src="/ui/{name}"></script>' for name in SCRIPTS)

PAGES = {
    "/": "trade",
    "/sessions": "sessions",
    "/models": "models",
    "/data": "data",
    "/flows": "flows",
    "/settings": "settings",
}
"""The pages of the top bar: path -> key of the text."""

_TOPBAR = """
<a class="pg-skip" href="#live-column" data-t="skip"></a>
<div class="pg-bar">
  <a class="name" href="/" aria-label="Pregão"><svg viewBox="0 0 18 18" aria-hidden="true" fill="none"
    stroke="currentColor" stroke-width="2"><path d="M4 3v12M9 1v16M14 5v8"/><path stroke-width="5"
    d="M4 7v5M9 4v6M14 7v4"/></svg><span>Pregão</span></a>
  <nav>NAV</nav>
  <span class="pg-badge money" data-t="money_simulated" data-t-title="money_simulated_long"></span>
  <div class="side" role="group" data-t-label="language">
    <button type="button" data-language="en" lang="en">EN</button>
    <button type="button" data-language="pt-BR" lang="pt-BR">PT</button>
    <button type="button" data-do="keys" data-t-label="keys" data-t-title="keys">?</button>
    <button type="button" data-do="theme" data-t-label="theme" data-t-title="theme"><svg viewBox="0 0 16 16"
      aria-hidden="true"><circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" stroke-width="1.5"/><path
      d="M8 1.5a6.5 6.5 0 0 1 0 13z" fill="currentColor"/></svg></button>
    <form method="post" action="/logout" data-part="leave" hidden><button data-t="leave"></button></form>
  </div>
</div>
<p class="pg-banner" data-part="banner" role="status" hidden></p>
"""

_LIVE = """
<div class="pg-live without" data-markers="0" data-bars="0">
  <div class="pg-sessionbar">
    <select data-part="choice" data-t-label="session"></select>
    <span class="pg-pill" data-bind="status" role="status"></span>
    <span class="pg-badge" data-part="money" hidden></span>
    <span class="pg-badge" data-part="synthetic" data-t="synthetic" data-t-title="synthetic_long" hidden></span>
    <span class="gap"></span>
    <button type="button" class="primary" data-command="start" data-t="run" hidden></button>
    <button type="button" data-command="pause" data-t="pause" data-t-title="pause_long" hidden></button>
    <button type="button" class="primary" data-command="resume" data-t="resume" hidden></button>
    <button type="button" data-command="flatten" data-t="flatten" data-t-title="flatten_long" hidden></button>
    <button type="button" class="danger" data-command="stop" data-t="stop" data-t-title="stop_long" hidden></button>
    <button type="button" class="pg-only-phone" data-do="new" data-t="new_session"></button>
  </div>
  <p class="pg-notice" data-part="notice" role="status" hidden></p>
  <div class="pg-blank" data-part="blank" hidden><b data-t="no_data_title"></b><span data-t="no_data"></span>
    <p><code>pregao ingest --source synthetic</code></p>
    <p><code>pregao ingest --source sample</code></p></div>
  <div class="pg-proposal" data-part="proposal" role="alert" hidden></div>
  <div class="pg-cards">
    <div class="pg-card main wide"><span data-t="equity"></span>
      <div><b data-bind="equity">–</b><i data-bind="unit"></i></div><small data-bind="cash"></small></div>
    <div class="pg-card main wide"><span data-t="pnl"></span>
      <div><b data-bind="pnl">–</b><i data-bind="pnl-percent"></i></div>
      <small data-bind="today" data-t-title="today_long"></small></div>
    <div class="pg-card full"><span data-t="position"></span>
      <div><b class="words" data-bind="position">–</b></div><small data-bind="open"></small></div>
    <div class="pg-card"><span data-t="win_rate"></span>
      <div><b data-bind="win-rate">–</b></div><small data-bind="trades"></small></div>
    <div class="pg-card"><span data-t="fees"></span>
      <div><b data-bind="fees">–</b></div><small data-bind="fees-percent"></small></div>
    <div class="pg-card"><span data-t="model"></span>
      <div><b class="words" data-bind="model">–</b></div><small data-bind="model-name"></small></div>
    <div class="pg-card"><span><span data-t="feed"></span> · <span data-bind="speed"></span></span>
      <div><b class="feed" data-bind="feed">–</b></div><small data-bind="market-time"></small></div>
  </div>
  <section class="pg-panel pg-chart">
    <header><h3 data-bind="title"></h3><div class="legend" data-chart="legend"></div>
      <span class="note" data-chart="note"></span></header>
    <div class="pg-plot candles" data-chart="candles"></div>
    <div class="pg-sub"><span data-t="chart_equity"></span><b data-chart="equity-value"></b>
      <i data-chart="drawdown"></i><a class="credit" href="https://www.tradingview.com/" target="_blank"
      rel="noopener noreferrer" data-t="chart_credit"></a></div>
    <div class="pg-plot equity" data-chart="equity"></div>
  </section>
  <div class="pg-lower">
    <section class="pg-panel"><header><div class="pg-tabs" role="tablist" data-t-label="account">
        <button type="button" role="tab" id="tab-position" aria-controls="pane-position"
          data-t="position_orders"></button>
        <button type="button" role="tab" id="tab-trades" aria-controls="pane-trades" data-t="trades"></button>
      </div></header>
      <div class="pg-scroll" id="pane-position" data-part="position" tabindex="0" role="tabpanel"
        aria-labelledby="tab-position"><dl class="pg-facts" hidden></dl><table class="pg-table"><thead><tr>
        <th scope="col" data-t="col_order"></th><th scope="col" data-t="col_side"></th>
        <th scope="col" class="n" data-t="col_qty"></th><th scope="col" class="n" data-t="col_price"></th>
        <th scope="col" data-t="col_kind"></th></tr></thead><tbody></tbody></table>
        <p class="pg-empty" data-t="no_orders"></p></div>
      <div class="pg-scroll" id="pane-trades" data-part="trades" tabindex="0" role="tabpanel"
        aria-labelledby="tab-trades" hidden><table class="pg-table"><thead><tr>
        <th scope="col" data-t="col_time"></th><th scope="col" class="n" data-t="col_pnl"></th>
        <th scope="col" class="n" data-t="col_return"></th><th scope="col" data-t="col_side"></th>
        <th scope="col" data-t="col_why"></th><th scope="col" class="n" data-t="col_qty"></th>
        <th scope="col" class="n" data-t="col_entry"></th><th scope="col" class="n" data-t="col_exit"></th>
      </tr></thead><tbody></tbody></table><p class="pg-empty" data-t="no_trades"></p></div></section>
    <section class="pg-panel" data-part="decisions"><header><h3 data-t="decisions"></h3></header>
      <div class="pg-scroll" tabindex="0" role="region" data-t-label="decisions"><ol class="pg-decisions"></ol>
        <p class="pg-empty" data-t="no_decisions"></p></div></section>
  </div>
</div>
"""


def _widget(template: str, script: str, value: Any = None, **options: Any) -> gr.HTML:
    return gr.HTML(value, html_template=template, js_on_load=script, head=_HEAD, apply_default_css=False, **options)


def topbar() -> gr.HTML:
    """The bar of every page: pages, a badge that says whose money it is, language, colours. Own, not `gr.Navbar`,
    which does not translate the names of the pages."""
    links = "".join(f'<a href="{path}" data-t="{key}"></a>' for path, key in PAGES.items())
    return _widget(_TOPBAR.replace("NAV", links), "Pregao.topbar(element)", elem_id="topbar")


def live() -> gr.HTML:
    """The live view of the chosen session; the scripts feed it from the stream."""
    return _widget(_LIVE, "Pregao.live(element.querySelector('.pg-live'))", elem_id="live")


def verdict() -> gr.HTML:
    """What the ticket comes to: a value of `pregao_ui.pages.starting.verdict`. Errors and hints go under their fields,
    the rest above the button.
    """
    return _widget(
        '<div class="pg-verdict" role="status" aria-live="polite"></div>',
        "Pregao.verdict(element.querySelector('.pg-verdict'), props, watch)",
        value={},
        elem_id="verdict",
    )


def page(script: str) -> gr.HTML:
    """A page that one script fills from the API, such as ``sessionsPage``."""
    return _widget('<div class="pg-page"></div>', f"Pregao.{script}(element.querySelector('.pg-page'))", elem_id="page")
