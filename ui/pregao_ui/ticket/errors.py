"""What pydantic refuses, in a person's words and language, by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pregao_ui.numbers import number
from pregao_ui.texts import text

_LIMITS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
_NUMBERS = ("decimal_type", "decimal_parsing", "float_type", "float_parsing", "finite_number")
_INTEGERS = ("int_type", "int_parsing", "int_from_float")


def field_errors(errors: Sequence[Any], language: str, *, skip: int = 0, prefix: str = "") -> dict[str, str]:
    """Pydantic's errors as texts by field, the first of each; ``skip`` leading parts of the place are left out."""
    found: dict[str, str] = {}
    for error in errors:
        # Which of the two feeds it is stands in the place, too, and is no field.
        name = prefix + "-".join(str(part) for part in error["loc"][skip:] if part not in ("replay", "live"))
        found.setdefault(name, _told(error, language))
    return found


def _told(error: Mapping[str, Any], language: str) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if error.get("input", 0) is None or error.get("input") == "" or kind == "missing":
        return text(language, "err_required")
    if kind in _LIMITS:
        name = _LIMITS[kind]
        return text(language, f"err_{name}", limit=number(language, context[name], None))
    if kind == "decimal_max_places":
        return text(language, "err_decimals", limit=context["decimal_places"])
    if kind in ("decimal_max_digits", "decimal_whole_digits"):
        return text(language, "err_digits")
    if kind in _INTEGERS:
        return text(language, "err_integer")
    if kind in _NUMBERS:
        return text(language, "err_number")
    if kind in ("literal_error", "enum"):
        return text(language, "err_choice", limit=context["expected"])
    if kind == "string_too_long":
        return text(language, "err_long", limit=context["max_length"])
    if kind == "string_type":
        return text(language, "err_text")
    message = str(error["msg"])
    said = message.removeprefix("Value error, ")
    return message if said == message else said[:1].upper() + said[1:]  # what begins with a file's name stays so
