"""The panel's process: FastAPI with the API, the stream and the files, and Gradio's pages at ``/``."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from pregao import __version__
from pregao.settings import settings
from pregao_ui import api, assets, texts
from pregao_ui.fast_gradio import gr
from pregao_ui.pages.data import data_page
from pregao_ui.pages.flows import flows_page
from pregao_ui.pages.models import models_page
from pregao_ui.pages.sessions import sessions_page
from pregao_ui.pages.settings import settings_page
from pregao_ui.pages.trade import trade_page
from pregao_ui.security import Guard
from pregao_ui.services import Services
from pregao_ui.stream import Hub
from pregao_ui.theme import theme

LOCAL = ("127.0.0.1", "localhost")


def create_app(hosts: tuple[str, ...] = LOCAL) -> FastAPI:
    """The application.

    Args:
        hosts: the names under which it may be asked for; any other is refused (DNS rebinding).
    """
    services = Services()
    hub = Hub(services)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        hub.start()
        ended = threading.Event()
        services.settings.start_courier(ended)
        threading.Thread(target=services.warm_up, name="warm-up", daemon=True).start()
        yield
        ended.set()
        hub.stop()

    app = FastAPI(
        title="Pregão",
        version=__version__,
        description="Paper-trading sessions: start, steer, follow. Simulated money only.",
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,  # Swagger's page would load its script from outside
        redoc_url=None,
    )
    app.state.hub = hub
    api.answer_errors(app)
    # Before Gradio: mounted at "/", it answers every path that is not taken yet.
    app.include_router(api.router(services, hub))
    app.include_router(assets.router())
    app.add_middleware(Guard, hosts=hosts, rate=settings().panel_rate)
    assets.prepend_to_page()
    options: dict[str, Any] = {
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": False,
        "enable_monitoring": False,
        "run_history": False,
        "footer_links": [],
        "max_file_size": "1kb",
        "allowed_paths": [],
        "server_name": "127.0.0.1",
        "i18n": texts.i18n(),
        "theme": theme(),
        "favicon_path": str(assets.WEB / "favicon.png"),
        "app_kwargs": {"docs_url": None, "redoc_url": None, "openapi_url": None},
    }
    with warnings.catch_warnings():  # it says that rendering on the server is off, as was asked
        warnings.filterwarnings("ignore", "SSR mode is not supported", UserWarning)
        gr.mount_gradio_app(app, _pages(services), path="/", **options)
    return app


def _pages(services: Services) -> Any:
    with gr.Blocks(title="Pregão", analytics_enabled=False, fill_width=True) as blocks:
        trade_page(services, blocks)
    with blocks.route("Sessions", "/sessions", show_in_navbar=False):
        sessions_page()
    with blocks.route("Models", "/models", show_in_navbar=False):
        models_page()
    with blocks.route("Data", "/data", show_in_navbar=False):
        data_page()
    with blocks.route("Flows", "/flows", show_in_navbar=False):
        flows_page()
    with blocks.route("Settings", "/settings", show_in_navbar=False):
        settings_page()
    # Gradio's queue looks for work every millisecond, 7 % of a core when idle; every 20 ms cannot be felt.
    queue: Any = getattr(blocks, "_queue", None)
    if hasattr(queue, "sleep_when_free"):
        queue.sleep_when_free = 0.02
    return blocks


class Server(uvicorn.Server):
    """Ends the streams at the first signal: uvicorn would wait for them before it shuts down."""

    def __init__(self, config: uvicorn.Config, hub: Hub, ready: str) -> None:
        super().__init__(config)
        self._hub = hub
        self._ready = ready

    async def startup(self, sockets: Any = None) -> None:
        """Say when the panel answers."""
        await super().startup(sockets)
        if self.started:
            print(self._ready, flush=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGINT or SIGTERM."""
        self._hub.stop()
        super().handle_exit(sig, frame)


def serve(host: str, port: int, names: tuple[str, ...] = ()) -> None:
    """Run the panel until it is told to end.

    Args:
        names: further host names under which it may be asked for.
    """
    app = create_app((*LOCAL, host, *names))
    gc.collect()
    gc.freeze()  # a page of thousands of rows sets off collections, which would go through all that was imported
    # Headers of a proxy are not believed: anybody could write another address into them and guess on.
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=3, proxy_headers=False
    )
    Server(config, app.state.hub, f"Panel ready at http://{host}:{port}").run()
