"""The files of the page, all from this machine: our scripts and styles, the texts, the chart library.

The chart is TradingView's lightweight-charts. Its script comes out of the installed wheel of that name, which is
found without being imported: the package itself would ask for a desktop web view.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from jinja2 import ChoiceLoader, DictLoader

from pregao.core.errors import PregaoError
from pregao_ui import texts
from pregao_ui.theme import variables

WEB = Path(__file__).parent / "web"
CHART = "lightweight-charts.js"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}


@cache
def _content(name: str) -> bytes:
    """A file of the page by its name; raises `KeyError` for a name that is none."""
    if name == CHART:
        return _chart_script()
    if name == "texts.js":
        return texts.script().encode()
    if name == "palette.css":
        return variables().encode()
    path = WEB / name
    if path.parent != WEB or path.suffix not in _TYPES or not path.is_file():
        raise KeyError(name)
    return path.read_bytes()


def _chart_script() -> bytes:
    """The library's script as it is in the wheel, its licence notice at the top.

    Raises:
        PregaoError: if the wheel is not installed, or is without the script or the notice.
    """
    mend = "Install it again: pip install --force-reinstall lightweight-charts"
    try:
        found = [file for file in files("lightweight-charts") or () if file.name == CHART]
    except PackageNotFoundError:
        raise PregaoError("The chart library lightweight-charts is not installed.", mend) from None
    if not found:
        raise PregaoError("The installed lightweight-charts has no script.", mend)
    script = Path(str(found[0].locate())).read_bytes()
    if b"@license" not in script[:400]:
        raise PregaoError("The script of lightweight-charts lacks its licence notice.", mend)
    return script


def router() -> APIRouter:
    """Serves the files under ``/ui``. A browser asks each time whether its copy is still good (by ETag)."""
    files_router = APIRouter()

    @files_router.get("/ui/{name}", include_in_schema=False)
    def file(name: str, request: Request) -> Response:
        try:
            content = _content(name)
        except KeyError:
            return Response("There is no such file.", 404)
        tag = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        kind = _TYPES[Path(name).suffix]
        return Response(content, headers=headers, media_type=kind if kind == "image/png" else f"{kind}; charset=utf-8")

    return files_router


def prepend_to_page() -> None:
    """Put our first script and our styles at the top of Gradio's page.

    `mount_gradio_app` has ``head=``, but that is inserted by Gradio's script after it has read language and colours.

    Raises:
        PregaoError: if Gradio's page is not as expected.
    """
    from gradio import routes

    name = "frontend/index.html"
    environment = routes.templates.env
    assert environment.loader is not None
    page, *_ = environment.loader.get_source(environment, name)
    styles = ("palette.css", "page.css", "live.css", "pages.css", "sessions.css", "room.css", "models.css", "rooms.css")
    ours = '<script src="/ui/early.js"></script>' + "".join(
        f'<link rel="stylesheet" href="/ui/{style}">' for style in styles
    )
    if ours in page:
        return
    if page.count("<head>") != 1:
        raise PregaoError("Gradio's page is not as expected.", "Install the versions of requirements.lock.")
    page = page.replace("<head>", f"<head>{ours}")
    environment.loader = ChoiceLoader([DictLoader({name: page}), environment.loader])
