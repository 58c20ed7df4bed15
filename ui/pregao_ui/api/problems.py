"""How the API refuses: errors of the platform and of a request's form become a `Problem`."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.sessions.control import SpecError
from pregao_ui.schemas.problems import Problem
from pregao_ui.texts import language_of
from pregao_ui.ticket import field_errors

NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Problem}}
WRONG: dict[int | str, dict[str, Any]] = {422: {"model": Problem}}


def answer_errors(app: FastAPI) -> None:
    """Errors of the platform and of a request's form become a `Problem`, in the person's language where known."""

    @app.exception_handler(PregaoError)
    def platform(request: Request, error: Exception) -> Response:
        assert isinstance(error, PregaoError)
        fields = error.problems if isinstance(error, SpecError) else {}
        code = 404 if isinstance(error, NotFoundError) else 422 if isinstance(error, UsageError) else 503
        return problem(code, Problem(message=error.message, mend=error.mend, fields=fields))

    @app.exception_handler(RequestValidationError)
    def form(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        fields = field_errors(error.errors(), language_of(request.headers, request.cookies), skip=1)
        told = "; ".join(f"{name}: {why}" if name else why for name, why in fields.items())
        named = {name: why for name, why in fields.items() if name}
        return problem(422, Problem(message=told or "The request is malformed.", fields=named))


def problem(code: int, told: Problem) -> Response:
    """The answer that tells of a problem; never kept by a cache."""
    return JSONResponse(told.model_dump(), code, headers={"Cache-Control": "no-store"})
