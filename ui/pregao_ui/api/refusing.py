"""Refusing a field for a reason that only a service can know, told like one of the form itself."""

from __future__ import annotations

from typing import NoReturn

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from pregao_ui.texts import language_of, text


def refuse(field: str, why: str) -> NoReturn:
    """Answer that a field is at fault, and why."""
    raise RequestValidationError([{"type": "value_error", "loc": ("body", field), "msg": why, "input": ...}])


def told(request: Request, key: str, **values: object) -> str:
    """A text in the language of the request."""
    return text(language_of(request.headers, request.cookies), key, **values)
