"""The Trade page: the ticket on the left, the live view on the right.

The server is asked only when a person changes something: to fill a list, to check the ticket, to start. What
moves by itself comes by the stream, past Gradio. Values that must outlive a reload are in the browser
(`gr.BrowserState`), values of lists that change are passed as they are (``preprocess=False``), since Gradio keeps
the choices of a list in the server's memory and would refuse every value after a restart.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pregao.core.errors import PregaoError
from pregao_ui import forms, widgets
from pregao_ui.fast_gradio import gr
from pregao_ui.pages import filling, starting
from pregao_ui.refusals import refusal
from pregao_ui.services import Services
from pregao_ui.texts import label, language_of, of_plugin
from pregao_ui.ticket import BEGINNING, DATE, LIVE, PERCENT, PRICE, REPLAY, UNSEEN, Ticket, review

MODES = ("observe", "approve", "auto")
PROFILES = ("none", "conservative", "balanced", "aggressive")
SPEEDS = (0.5, 1, 2, 5, 10, 50, 200, 0)
# BrowserState encrypts what it stores; a fixed word keeps it readable after the panel restarts. It holds no secret.
STORAGE_WORD = "the-ticket-of-this-browser"
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}


@dataclass(slots=True)
class _Form:
    """The ticket's components, in the order in which events pass their values."""

    feed: Any
    asset_class: Any
    venue: Any
    instrument: Any
    also: Any
    timeframe: Any
    strategy: Any
    mode: Any
    cash: Any
    entry_value: Any
    exits: Any
    take_profit: Any
    stop_loss: Any
    trailing: Any
    horizon: Any
    risk: Any
    start: Any
    date: Any
    speed: Any
    fee: Any
    slippage: Any
    meta: Any
    shadow: Any
    settings: Any
    """Per strategy its settings, as edited; a `gr.BrowserState`."""

    def inputs(self) -> list[Any]:
        return [getattr(self, name) for name in NAMES]

    def some(self, names: Sequence[str]) -> list[Any]:
        return [getattr(self, name) for name in names]


NAMES = tuple(_Form.__slots__)


def trade_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page inside ``blocks`` and wire it."""
    widgets.topbar()
    saved = gr.BrowserState({}, storage_key="pregao.ticket", secret=STORAGE_WORD)
    with gr.Row(elem_id="trade"):
        with gr.Column(elem_id="ticket"):
            lacking = gr.Markdown(visible=False, elem_id="left-out", elem_classes="pg-hint")
            form = _layout(services)
            with gr.Column(elem_id="ticket-foot"):
                verdict = widgets.verdict()
                start = gr.Button(label("start"), variant="primary", size="lg", elem_id="start")
        with gr.Column(elem_id="live-column"):
            widgets.live()
    _wire(services, blocks, form, saved, lacking, verdict, start)


def _layout(services: Services) -> _Form:
    gr.HTML(label("ticket"), html_template="<h2>${value}</h2>", apply_default_css=False)
    part: dict[str, Any] = {}

    def add(name: str, kind: Any, *args: Any, **named: Any) -> None:
        key = {"start": "start_at", "feed": "feed_of", "meta": "meta_veto", "shadow": "shadow_on"}.get(name, name)
        part[name] = kind(*args, **{"label": label(key), "elem_id": f"f-{name}", "min_width": 80, **named})

    def choice(name: str, words: Sequence[str], prefix: str = "", **named: Any) -> None:
        kind = named.pop("kind", gr.Radio)
        add(name, kind, [(label(f"{prefix}{word}"), word) for word in words], **named)

    add("feed", gr.Radio, [(label("replay"), REPLAY), (label("live_feed"), LIVE)], value=REPLAY)
    choice("asset_class", filling.ASSET_CLASSES, value="crypto")
    add("venue", gr.Dropdown, [])
    add("instrument", gr.Dropdown, [], allow_custom_value=True)
    add("also", gr.Dropdown, [], multiselect=True, allow_custom_value=True)
    with gr.Row():
        add("timeframe", gr.Dropdown, [], scale=1)
        add("strategy", gr.Dropdown, [], scale=2)
    # Outside the accordion: what is inside a closed one is not there yet when the page loads.
    part["settings"] = gr.BrowserState({}, storage_key="pregao.settings", secret=STORAGE_WORD)
    with gr.Accordion(label("strategy_settings"), open=False, elem_id="settings"):
        _settings_form(services, part["strategy"], part["settings"])
        for name, wanted in (("meta", False), ("shadow", True)):
            add(name, gr.Checkbox, wanted, info=label(f"{name}_long"))
    choice("mode", MODES, value="auto")
    with gr.Row():
        add("cash", gr.Number, 10_000, step=100)
        add("entry_value", gr.Number, 1_000, step=50)
    choice("exits", (PERCENT, PRICE), "exits_", value=PERCENT)
    with gr.Row():
        add("take_profit", gr.Number, 2, step=0.1)
        add("stop_loss", gr.Number, 1, step=0.1)
    with gr.Row(elem_id="ends-row"):
        add("horizon", gr.Number, 0, step=1)
        add("trailing", gr.Checkbox, False)
    choice("risk", PROFILES, "risk_", value="none", kind=gr.Dropdown)
    choice("start", (UNSEEN, BEGINNING, DATE), "start_", value=UNSEEN, kind=gr.Dropdown)
    with gr.Row(elem_id="replay-row"):
        add("date", gr.Textbox, "", placeholder="2024-05-31")  # shown when it is wanted
        add("speed", gr.Dropdown, [(_speed(speed), speed) for speed in SPEEDS], value=2)
    with gr.Accordion(label("costs"), open=False, elem_id="costs"), gr.Row():
        add("fee", gr.Number, 0.1, step=0.01)
        add("slippage", gr.Number, 0.02, step=0.01)
    return _Form(**part)


def _speed(speed: float) -> Any:
    return label("speed_max" if speed == 0 else f"speed_{speed:g}".replace(".", "_"))


def _settings_form(services: Services, strategy: Any, settings: Any) -> None:
    """The chosen strategy's own form. An edit goes into ``settings`` in the browser, without the server."""

    @gr.render(inputs=[strategy, settings], triggers=[strategy.change], queue=False, show_progress="hidden")
    def form(name: str | None, edited: Mapping[str, Any] | None, request: gr.Request) -> None:
        chosen = services.strategies.usable(name)
        if chosen is None or chosen.settings is None:
            return
        language = _language(request)
        gr.Markdown(of_plugin(language, chosen.summary), elem_classes="pg-hint")
        made = forms.fields(chosen.settings, (edited or {}).get(chosen.name, {}), language)
        if not made:
            gr.Markdown(label("no_settings"), elem_classes="pg-hint")
        for field in made:
            path = f"{json.dumps(chosen.name)}, {json.dumps(field.name)}"
            forms.edited(field.component)(
                None, [settings, field.component], settings, js=f"(all, value) => Pregao.edited(all, value, {path})"
            )


def _wire(
    services: Services, blocks: gr.Blocks, form: _Form, saved: Any, lacking: Any, verdict: Any, start: Any
) -> None:
    inputs = form.inputs()
    keep = f"(...values) => Object.fromEntries({json.dumps(list(NAMES))}.map((name, i) => [name, values[i]]))"

    def check(request: gr.Request, *values: Any) -> dict[str, Any]:
        at, ticket = time.time_ns(), _ticket(values)
        if ticket.strategy is None and ticket.timeframe is None:  # the form has not been filled in yet
            return {"waiting": True}
        try:
            return starting.verdict(review(ticket, services, _language(request))) | {"at": at}
        except PregaoError as error:  # the store cannot be read
            return {"problem": refusal(_language(request), str(error)), "at": at}

    def begin(request: gr.Request, *values: Any) -> dict[str, Any]:
        told = starting.start(_ticket(values), services, _language(request))
        return told | {"at": (done := time.time_ns()), "asked": done}

    def filled(name: str) -> Any:
        """What a change of one field brings into others."""

        def fill(request: gr.Request, *values: Any) -> list[Any]:
            found = filling.after(name, _ticket(values), services)
            return [found.get(each, gr.skip()) for each in filling.FOLLOWS[name]]

        return fill

    def ask(*values: Any) -> None:
        filling.ask(_ticket(values), services)

    def listed(*values: Any) -> Any:
        ticket = _ticket(values)
        return [filling.listed(ticket, services), filling.also_listed(ticket, services)]

    def ask_venue(after: Any) -> None:
        """Once the form is there: what a live market's venue trades, which may take a while.

        Another venue may have been chosen meanwhile: what is listed is that of the form as it is then.
        """
        answered = after.then(ask, inputs, None, preprocess=False, **QUIET)
        filled = answered.then(listed, inputs, [form.instrument, form.also], preprocess=False, **QUIET)
        filled.then(check, inputs, verdict, preprocess=False, **QUIET)

    for name in NAMES:
        component = getattr(form, name)
        if name == "settings":
            component.change(check, inputs, verdict, preprocess=False, **QUIET)
            continue
        event = forms.edited(component)
        if name in filling.FOLLOWS:
            event = event(filled(name), inputs, form.some(filling.FOLLOWS[name]), preprocess=False, **QUIET).then
        event(None, inputs, saved, js=keep, trigger_mode="always_last")  # before the server answers: one may reload
        told = event(check, inputs, verdict, preprocess=False, trigger_mode="always_last", **QUIET)
        if name in ("feed", "asset_class", "venue"):
            ask_venue(told)
    start.click(begin, inputs, verdict, preprocess=False, js="(...values) => Pregao.starting(values)", **QUIET)

    def arrive(remembered: Mapping[str, Any] | None, request: gr.Request) -> list[Any]:
        try:
            found = filling.first(remembered or {}, services, _language(request))
        except PregaoError:  # told by the check that follows
            found = {}
        told = filling.left_out(remembered or {}, services, _language(request))
        return [*(found.get(name, gr.skip()) for name in NAMES), gr.Markdown(told, visible=bool(told))]

    arrived = blocks.load(arrive, saved, [*inputs, lacking], js="(saved) => PregaoArrive(saved)", **QUIET)
    ask_venue(arrived.then(check, inputs, verdict, preprocess=False, **QUIET))


def _language(request: gr.Request) -> str:
    return language_of(request.headers, request.cookies)


def _ticket(values: Sequence[Any]) -> Ticket:
    """The values of the components, in their order; of the settings those of the chosen strategy."""
    given = dict(zip(NAMES, values, strict=True))
    every = given["settings"] if isinstance(given["settings"], dict) else {}
    own = every.get(str(given["strategy"]))
    return Ticket(**given | {"settings": own if isinstance(own, dict) else {}})
