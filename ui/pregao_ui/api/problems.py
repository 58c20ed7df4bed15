"""How the API refuses: errors of the platform, of a request's form and of the panel itself become a `Problem`."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.sessions.control import SpecError
from pregao_ui.refusals import refusal
from pregao_ui.schemas.problems import CODES, Problem
from pregao_ui.texts import language_of, text
from pregao_ui.ticket import field_errors, spec_errors

log = logging.getLogger("pregao.panel")

Responses = dict[int | str, dict[str, Any]]
NOT_FOUND: Responses = {404: {"model": Problem, "description": "There is no such thing"}}
CONFLICT: Responses = {409: {"model": Problem, "description": "It stands against something that is there"}}
ALWAYS: Responses = {
    400: {"model": Problem, "description": "The request is malformed, or for another host"},
    401: {"model": Problem, "description": "A password or a token is needed"},
    403: {"model": Problem, "description": "The request comes from another site"},
    413: {"model": Problem, "description": "The body is too long"},
    422: {"model": Problem, "description": "Something that was asked for cannot be; the fields at fault are named"},
    429: {"model": Problem, "description": "Too many requests; `Retry-After` says when to ask again"},
    503: {"model": Problem, "description": "A part that is needed does not answer"},
}
"""What any route may answer."""


class ConflictError(UsageError):
    """What is asked for stands against something that is there already."""


def answer_errors(app: FastAPI) -> None:
    """Errors become a `Problem`, in the person's language where it is known."""

    @app.exception_handler(PregaoError)
    def platform(request: Request, error: Exception) -> Response:
        assert isinstance(error, PregaoError)
        language = language_of(request.headers, request.cookies)
        message, mend, fields = refusal(language, error.message), refusal(language, error.mend), {}
        if isinstance(error, SpecError):
            fields = spec_errors(error, language)
            if any(cause.found for cause in error.causes.values()):  # told like what a request's form refuses
                message, mend = "; ".join(f"{name}: {why}" for name, why in fields.items()), ""
        return problem(_status(error), message, mend, fields)

    @app.exception_handler(RequestValidationError)
    def form(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        language = language_of(request.headers, request.cookies)
        errors = error.errors()
        if any(one["type"] == "json_invalid" for one in errors):
            return problem(422, text(language, "err_json"))
        fields = field_errors(errors, language, skip=1)
        told = "; ".join(f"{name}: {why}" if name else why for name, why in fields.items())
        named = {name: why for name, why in fields.items() if name}
        mend = "" if told else text(language, "err_malformed_mend")
        return problem(422, told or text(language, "err_malformed"), mend, named)

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        language = language_of(request.headers, request.cookies)
        status = error.status_code if error.status_code in CODES else 400
        key = {404: "err_nothing", 405: "err_method"}.get(status, "err_malformed")
        return problem(status, text(language, key), text(language, f"{key}_mend"))

    @app.exception_handler(DBAPIError)
    def database(request: Request, error: Exception) -> Response:
        log.warning("the database does not answer: %s", error)
        language = language_of(request.headers, request.cookies)
        return problem(503, text(language, "err_database"), text(language, "err_database_mend"))

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Response:
        language = language_of(request.headers, request.cookies)
        return problem(500, text(language, "err_internal"), text(language, "err_internal_mend"))


def problem(status: int, message: str, mend: str = "", fields: dict[str, str] | None = None) -> Response:
    """The answer that tells of a problem; never kept by a cache."""
    fields = fields or {}
    told = Problem(code=CODES[status], message=message, mend=mend, field=next(iter(fields), None), fields=fields)
    return JSONResponse(told.model_dump(), status, headers={"Cache-Control": "no-store"})


def _status(error: PregaoError) -> int:
    if isinstance(error, NotFoundError):
        return 404
    if isinstance(error, ConflictError):
        return 409
    return 422 if isinstance(error, UsageError) else 503
