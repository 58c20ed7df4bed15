"""The Trade page: the ticket on the left, the live view on the right.

The server is asked only when a person changes something: to fill a list, to check the ticket, to start. What
moves by itself comes by the stream, past Gradio. Values that must outlive a reload are in the browser
(`gr.BrowserState`), values of lists that change are passed as they are (``preprocess=False``), since Gradio keeps
the choices of a list in the server's memory and would refuse every value after a restart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pregao.core.errors import PregaoError
from pregao.core.timeframe import Timeframe
from pregao.sessions.control import SpecError
from pregao.strategies.contract import Model
from pregao_ui import forms, widgets
from pregao_ui.fast_gradio import gr
from pregao_ui.schemas.market import StoredInstrument
from pregao_ui.services import Services
from pregao_ui.texts import label, language_of, text
from pregao_ui.ticket import BEGINNING, DATE, UNSEEN, Review, Ticket, exits_of, review

ASSET_CLASSES = ("crypto", "stock", "index")
MODES = ("observe", "approve", "auto")
SPEEDS = (0.5, 1, 2, 5, 10, 50, 200, 0)
# BrowserState encrypts what it stores; a fixed word keeps it readable after the panel restarts. It holds no secret.
STORAGE_WORD = "the-ticket-of-this-browser"
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}


@dataclass(slots=True)
class _Ticket:
    """The ticket's components, in the order in which events pass their values."""

    asset_class: Any
    instrument: Any
    timeframe: Any
    strategy: Any
    mode: Any
    cash: Any
    entry_value: Any
    take_profit: Any
    stop_loss: Any
    horizon: Any
    fee: Any
    slippage: Any
    start: Any
    date: Any
    speed: Any
    settings: Any
    """Per strategy its settings, as edited; a `gr.BrowserState`."""

    def inputs(self) -> list[Any]:
        return [getattr(self, name) for name in NAMES]


NAMES = tuple(_Ticket.__slots__)
TYPED = tuple(name for name in NAMES if name not in ("asset_class", "instrument", "timeframe", "strategy", "settings"))


def trade_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page inside ``blocks`` and wire it."""
    widgets.topbar()
    saved = gr.BrowserState({}, storage_key="pregao.ticket", secret=STORAGE_WORD)
    with gr.Row(elem_id="trade"):
        with gr.Column(elem_id="ticket"):
            form = _layout(services)
            with gr.Column(elem_id="ticket-foot"):
                verdict = widgets.verdict()
                start = gr.Button(label("start"), variant="primary", size="lg", elem_id="start")
        with gr.Column(elem_id="live-column"):
            widgets.live()
    _wire(services, blocks, form, saved, verdict, start)


def _layout(services: Services) -> _Ticket:
    gr.HTML(label("ticket"), html_template="<h2>${value}</h2>", apply_default_css=False)
    part: dict[str, Any] = {}

    def add(name: str, kind: Any, *args: Any, **named: Any) -> None:
        key = {"start": "start_at"}.get(name, name)
        part[name] = kind(*args, label=label(key), elem_id=f"f-{name}", min_width=80, **named)

    add("asset_class", gr.Radio, [(label(name), name) for name in ASSET_CLASSES], value="crypto")
    add("instrument", gr.Dropdown, [])
    with gr.Row():
        add("timeframe", gr.Dropdown, [], scale=1)
        add("strategy", gr.Dropdown, [], scale=2)
    # Outside the accordion: what is inside a closed one is not there yet when the page loads.
    part["settings"] = gr.BrowserState({}, storage_key="pregao.settings", secret=STORAGE_WORD)
    with gr.Accordion(label("strategy_settings"), open=False, elem_id="settings"):
        _settings_form(services, part["strategy"], part["settings"])
    add("mode", gr.Radio, [(label(mode), mode) for mode in MODES], value="auto")
    with gr.Row():
        add("cash", gr.Number, 10_000, step=100)
        add("entry_value", gr.Number, 1_000, step=50)
    with gr.Row():
        add("take_profit", gr.Number, 2, step=0.1)
        add("stop_loss", gr.Number, 1, step=0.1)
    with gr.Row():
        add("horizon", gr.Number, 0, step=1)
        add("speed", gr.Dropdown, [(_speed(speed), speed) for speed in SPEEDS], value=2)
    add("start", gr.Dropdown, [(label(f"start_{name}"), name) for name in (UNSEEN, BEGINNING, DATE)], value=UNSEEN)
    add("date", gr.Textbox, "", placeholder="2024-05-31")  # shown by the verdict when it is wanted
    with gr.Accordion(label("costs"), open=False, elem_id="costs"), gr.Row():
        add("fee", gr.Number, 0.1, step=0.01)
        add("slippage", gr.Number, 0.02, step=0.01)
    return _Ticket(**part)


def _speed(speed: float) -> Any:
    return label("speed_max" if speed == 0 else f"speed_{speed:g}".replace(".", "_"))


def _settings_form(services: Services, strategy: Any, settings: Any) -> None:
    """The chosen strategy's own form. An edit goes into ``settings`` in the browser, without the server."""

    @gr.render(inputs=[strategy, settings], triggers=[strategy.change], queue=False, show_progress="hidden")
    def form(name: str | None, edited: Mapping[str, Any] | None) -> None:
        chosen = services.strategies.usable(name)
        if chosen is None or chosen.settings is None:
            return
        gr.Markdown(chosen.summary, elem_classes="pg-hint")
        made = forms.fields(chosen.settings, (edited or {}).get(chosen.name, {}))
        if not made:
            gr.Markdown(label("no_settings"), elem_classes="pg-hint")
        for field in made:
            path = f"{json.dumps(chosen.name)}, {json.dumps(field.name)}"
            forms.edited(field.component)(
                None, [settings, field.component], settings, js=f"(all, value) => Pregao.edited(all, value, {path})"
            )


def _wire(services: Services, blocks: gr.Blocks, form: _Ticket, saved: Any, verdict: Any, start: Any) -> None:
    inputs = form.inputs()
    keep = f"(...values) => Object.fromEntries({json.dumps(list(NAMES))}.map((name, i) => [name, values[i]]))"

    def check(request: gr.Request, *values: Any) -> dict[str, Any]:
        try:
            return _verdict(review(_ticket(values), services, _language(request)))
        except PregaoError as error:  # the store or the registry cannot be read
            return {"problem": str(error)}

    def begin(request: gr.Request, *values: Any) -> dict[str, Any]:
        return _start(_ticket(values), services, _language(request))

    def arrive(remembered: Mapping[str, Any] | None, request: gr.Request) -> list[Any]:
        try:
            return _filled(services, remembered or {}, _language(request))
        except PregaoError:  # told by the check that follows
            return [gr.skip()] * len(filled)

    def market(asset_class: str, strategy: str | None) -> list[Any]:
        names = _instruments(services, asset_class)
        value = names[0][1] if names else None
        return [gr.Dropdown(choices=names, value=value), *series(value, strategy)]

    def series(instrument: str | None, strategy: str | None) -> list[Any]:
        names = _timeframes(services, instrument)
        value = names[0] if names else None
        return [gr.Dropdown(choices=names, value=value), *exits(instrument, value, strategy)]

    def exits(instrument: str | None, timeframe: str | None, strategy: str | None) -> list[Any]:
        found = _trained_exits(services, instrument, timeframe, strategy)
        return [gr.skip()] * 3 if found is None else list(found)

    three = [form.take_profit, form.stop_loss, form.horizon]
    fill = {
        "asset_class": (market, [form.asset_class, form.strategy], [form.instrument, form.timeframe, *three]),
        "instrument": (series, [form.instrument, form.strategy], [form.timeframe, *three]),
        "timeframe": (exits, [form.instrument, form.timeframe, form.strategy], three),
        "strategy": (exits, [form.instrument, form.timeframe, form.strategy], three),
    }
    for name in NAMES:
        component = getattr(form, name)
        if name == "settings":
            component.change(check, inputs, verdict, preprocess=False, **QUIET)
            continue
        event = forms.edited(component)
        if name in fill:
            event = event(*fill[name], preprocess=False, **QUIET).then
        event(check, inputs, verdict, preprocess=False, trigger_mode="always_last", **QUIET).then(
            None, inputs, saved, js=keep
        )
    start.click(begin, inputs, verdict, preprocess=False, **QUIET)
    filled = [getattr(form, name) for name in NAMES if name != "settings"]
    blocks.load(arrive, saved, filled, **QUIET).then(check, inputs, verdict, preprocess=False, **QUIET)


def _language(request: gr.Request) -> str:
    return language_of(request.headers, request.cookies)


def _ticket(values: Sequence[Any]) -> Ticket:
    """The values of the components, in their order; of the settings those of the chosen strategy."""
    given = dict(zip(NAMES, values, strict=True))
    every = given["settings"] if isinstance(given["settings"], dict) else {}
    own = every.get(str(given["strategy"]))
    return Ticket(**given | {"settings": own if isinstance(own, dict) else {}})


def _verdict(told: Review, **more: Any) -> dict[str, Any]:
    shown = {name: getattr(told, name) for name in ("errors", "summary", "warnings", "market", "empty", "dated")}
    return {**shown, **more}


def _start(ticket: Ticket, services: Services, language: str) -> dict[str, Any]:
    """Start what the ticket says; every error is told beside its field, or above the button."""
    told = Review()
    try:
        told = review(ticket, services, language)
        if told.spec is None:
            return _verdict(told, asked=True)
        launched = services.sessions.start(told.spec)
    except SpecError as error:
        names = {"config": "strategy", "model": "strategy", "feed.start": "start", "feed.version": "start"}
        told.errors = {names.get(name, name): why for name, why in error.problems.items()}
        told.summary = []
        return _verdict(told, asked=True)
    except PregaoError as error:
        return _verdict(told, problem=str(error))
    if launched.launched:
        return _verdict(told, session=launched.session)
    why = launched.message or text(language, "servers_down")
    return _verdict(told, session=launched.session, problem=text(language, "not_launched", why=why))


# ---- what the lists hold


def _stored(services: Services) -> list[StoredInstrument]:
    try:
        return services.market.instruments()
    except PregaoError:  # told by the check that follows
        return []


def _instruments(services: Services, asset_class: str | None) -> list[tuple[str, str]]:
    every = [i for i in _stored(services) if i.asset_class == asset_class]
    twice = {i.symbol for i in every if sum(j.symbol == i.symbol for j in every) > 1}
    return [(f"{i.symbol} · {i.key}" if i.symbol in twice else i.symbol, i.key) for i in every]


def _timeframes(services: Services, key: str | None) -> list[str]:
    return [series.timeframe for i in _stored(services) if i.key == key for series in i.series]


def _trained_exits(
    services: Services, key: str | None, timeframe: str | None, strategy: str | None
) -> tuple[float, float, int] | None:
    """The exits that a strategy's model was trained for; None for a strategy without one."""
    chosen = services.strategies.usable(strategy)
    model = _trained(services, key, timeframe) if chosen is not None and chosen.needs_model else None
    if model is None:
        return None
    take_profit, stop_loss, horizon = exits_of(model)
    return float(take_profit), float(stop_loss), horizon


def _trained(services: Services, key: str | None, timeframe: str | None) -> Model | None:
    """The champion of a series; None if there is none, or it cannot be read."""
    if not key or not timeframe:
        return None
    try:
        return services.models.champion(services.store.instrument(key), Timeframe.parse(timeframe))
    except PregaoError:  # told by the review, beside its field
        return None


def _filled(services: Services, remembered: Mapping[str, Any], language: str) -> list[Any]:
    """The form as this browser left it, or sensible values: a market with a champion, the exits it was trained for."""
    stored = services.market.instruments()
    known = {i.key: i for i in stored}
    usable = [s for s in services.strategies.all if s.state != "broken"]
    key = remembered.get("instrument")
    if key not in known:
        key = next(iter(_with_champion(services, known)), None) or next(iter(known), None)
    timeframes = _timeframes(services, key)
    timeframe = remembered.get("timeframe")
    if timeframe not in timeframes:
        timeframe = next(iter(timeframes), None)
    strategy = remembered.get("strategy")
    if strategy not in [s.name for s in usable]:
        judged = _trained(services, key, timeframe) is not None
        strategy = next((s.name for s in sorted(usable, key=lambda s: s.needs_model != judged)), None)
    asset_class = known[key].asset_class if key else "crypto"
    values = {name: remembered[name] for name in TYPED if name in remembered}
    found = None if "take_profit" in values else _trained_exits(services, key, timeframe, strategy)
    if found is not None:
        values |= dict(zip(("take_profit", "stop_loss", "horizon"), found, strict=True))
    titles = [(s.title if s.state == "ok" else text(language, "ambiguous", name=s.name), s.name) for s in usable]
    updates: dict[str, Any] = {
        "asset_class": asset_class,
        "instrument": gr.Dropdown(choices=_instruments(services, asset_class), value=key),
        "timeframe": gr.Dropdown(choices=timeframes, value=timeframe),
        "strategy": gr.Dropdown(choices=titles, value=strategy, info=_broken(services, language)),
    }
    updates |= {name: values.get(name, gr.skip()) for name in TYPED}
    return [updates[name] for name in NAMES if name != "settings"]


def _broken(services: Services, language: str) -> str | None:
    """What to say of plugins that cannot be used; None if there are none."""
    names = [s.name for s in services.strategies.all if s.state == "broken"]
    return text(language, "broken_plugins", names=", ".join(names)) if names else None


def _with_champion(services: Services, known: Mapping[str, StoredInstrument]) -> Iterator[str]:
    """The instruments whose model has passed the gate."""
    try:
        champions = {m.name for m in services.models.all() if "champion" in m.aliases}
    except PregaoError:  # the registry cannot be read: the Models page says why
        return
    for key in known:
        if any(name.startswith(f"pregao.{key.replace('/', '.')}.") for name in champions):
            yield key
