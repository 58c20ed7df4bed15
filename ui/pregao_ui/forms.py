"""A form from the JSON schema of a strategy's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pregao_ui.fast_gradio import gr
from pregao_ui.numbers import number
from pregao_ui.texts import of_plugin

Schema = Mapping[str, Any]


class Field(NamedTuple):
    """One setting and the component that edits it."""

    name: str
    component: Any


def fields(schema: Schema, values: Mapping[str, Any], language: str = "en") -> list[Field]:
    """Components for each property, made in the current layout; ``values`` win over the defaults.

    Bounds are said under the label and checked by the strategy's own `Config`: Gradio's ``minimum=`` would answer
    with a message that names no field.
    """
    made = []
    for name, raw in schema.get("properties", {}).items():
        rules = _resolved(raw, schema)
        value = values.get(name, rules.get("default"))
        make = _component(rules)
        title = of_plugin(language, rules.get("title") or name.replace("_", " ").capitalize())
        component = make(
            value, label=title, info=_hint(rules, language), elem_id=f"f-settings-{name}", interactive=True
        )
        made.append(Field(name, component))
    return made


def edited(component: Any) -> Any:
    """The event of a person's edit. By ``input`` a `gr.Textbox` does not tell of what is pasted, nor a list of several
    of what was typed and entered."""
    by_change = isinstance(component, gr.Textbox) or getattr(component, "multiselect", False)
    return component.change if by_change else component.input


def _resolved(rules: Schema, root: Schema) -> dict[str, Any]:
    """The rules of one property: references followed, ``Optional[X]`` taken as X."""
    merged = dict(rules)
    if "$ref" in merged:
        target: Any = root
        for part in merged.pop("$ref").removeprefix("#/").split("/"):
            target = target[part]
        merged = {**_resolved(target, root), **merged}
    if "anyOf" in merged:
        real = [option for option in merged["anyOf"] if option.get("type") != "null"]
        if len(real) == 1:
            del merged["anyOf"]
            merged = {**_resolved(real[0], root), **merged}
    return merged


def _hint(rules: Schema, language: str) -> str | None:
    parts = [of_plugin(language, rules.get("description") or ""), _bounds(rules, language)]
    return " · ".join(part for part in parts if part) or None


def _bounds(rules: Schema, language: str) -> str:
    low = rules.get("minimum", rules.get("exclusiveMinimum"))
    high = rules.get("maximum", rules.get("exclusiveMaximum"))
    unit = f" {of_plugin(language, rules['unit'])}" if rules.get("unit") else ""
    if low is None and high is None:
        return unit.strip()
    least, most = (None if bound is None else number(language, bound, None) for bound in (low, high))
    if least is None:
        return f"≤ {most}{unit}"
    return f"≥ {least}{unit}" if most is None else f"{least} – {most}{unit}"


def _component(rules: Schema) -> Callable[..., Any]:
    """How to make the component for a property's rules."""
    kind = rules.get("type")
    if "enum" in rules:
        return lambda value, **named: gr.Dropdown(list(rules["enum"]), value=value, **named)
    if kind == "boolean":
        return lambda value, **named: gr.Checkbox(bool(value), **named)
    if kind in ("number", "integer"):
        step = rules.get("multipleOf") or (1 if kind == "integer" else 0.01)
        return lambda value, **named: gr.Number(value, step=step, **named)
    return lambda value, **named: gr.Textbox("" if value is None else str(value), **named)
