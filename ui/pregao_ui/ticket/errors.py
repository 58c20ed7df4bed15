"""What pydantic refuses, in a person's words and language, by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from pregao.core.rules import RULE
from pregao.sessions.control import SpecError, path_of
from pregao_ui.numbers import number
from pregao_ui.refusals import refusal
from pregao_ui.texts import text

_SAID = {
    "greater_than": ("err_gt", "gt"), "greater_than_equal": ("err_ge", "ge"),
    "less_than": ("err_lt", "lt"), "less_than_equal": ("err_le", "le"),
    "decimal_max_places": ("err_decimals", "decimal_places"),
    "decimal_max_digits": ("err_digits", ""), "decimal_whole_digits": ("err_digits", ""),
    "int_parsing_size": ("err_digits", ""),
    "int_type": ("err_integer", ""), "int_parsing": ("err_integer", ""), "int_from_float": ("err_integer", ""),
    "decimal_type": ("err_number", ""), "decimal_parsing": ("err_number", ""), "float_type": ("err_number", ""),
    "float_parsing": ("err_number", ""), "finite_number": ("err_number", ""),
    "bool_type": ("err_bool", ""), "bool_parsing": ("err_bool", ""),
    "literal_error": ("err_choice", "expected"), "enum": ("err_choice", "expected"),
    "union_tag_invalid": ("err_choice", "expected_tags"),
    "string_type": ("err_text", ""), "string_unicode": ("err_text", ""),
    "string_too_long": ("err_long", "max_length"), "string_too_short": ("err_short", "min_length"),
    "string_pattern_mismatch": ("err_pattern", "pattern"),
    "too_long": ("err_most", "max_length"), "too_short": ("err_least", "min_length"),
    "list_type": ("err_list", ""), "tuple_type": ("err_list", ""),
    "dict_type": ("err_object", ""), "model_type": ("err_object", ""), "model_attributes_type": ("err_object", ""),
    "extra_forbidden": ("err_extra", ""),
}  # fmt: skip
"""What is said to each kind of pydantic's errors, and which of its context's values is the limit in it."""


def field_errors(errors: Sequence[Any], language: str, *, skip: int = 0, within: str = "") -> dict[str, str]:
    """Pydantic's errors as texts by field, the first of each; ``skip`` leading parts of the place are left out, and
    ``within`` is the field that they are parts of."""
    found: dict[str, str] = {}
    for error in errors:
        parts = path_of({**error, "loc": error["loc"][skip:]})
        found.setdefault("-".join([within, *parts] if within else parts), _told(error, language))
    return found


def spec_errors(error: SpecError, language: str) -> dict[str, str]:
    """What a start was refused for, by field: a part of one is named with a dash, as in ``feed-speed``."""
    told: dict[str, str] = {}
    for path, cause in error.causes.items():
        name = path.replace(".", "-")
        told |= field_errors(cause.found, language, within=name) or {name: refusal(language, str(cause))}
    return told


def _told(error: Mapping[str, Any], language: str) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind != "extra_forbidden" and (error.get("input", 0) in (None, "") or kind == "missing"):
        return text(language, "err_required")
    if kind in _SAID:
        key, name = _SAID[kind]
        return text(language, key, limit=_limit(str(context.get(name, "")), language))
    if kind == RULE:
        said = str(context["said"])
        return refusal(language, f"{said[:1].upper()}{said[1:]}.")
    message = str(error["msg"])
    said = message.removeprefix("Value error, ")
    # What begins with a file's name stays so.
    return refusal(language, message if said == message else said[:1].upper() + said[1:])


def _limit(given: str, language: str) -> str:
    """A number in the person's way of writing; of what is none (choices, a date, a pattern) the words."""
    try:
        return number(language, Decimal(given), None)
    except (InvalidOperation, ValueError):
        return given.replace("' or '", f"'{text(language, 'or')}'")
