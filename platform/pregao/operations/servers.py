"""The four servers of a running Pregão: how each is started, when it is ready, in which order they end."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any

from pregao.core.errors import PregaoError
from pregao.operations import ports
from pregao.operations.interrupts import Interrupts
from pregao.operations.lock import Holder, Record, only_one, same_process
from pregao.operations.prepare import seed
from pregao.operations.processes import Child, answers, end_recorded
from pregao.settings import Settings
from pregao_flows import client

LOOPBACK = "127.0.0.1"
"""Prefect and MLflow have no passwords, so they listen here whatever the panel's address is."""

NAMES = ("prefect", "flows", "panel", "mlflow")
TITLES = {
    "prefect": "Prefect server",
    "flows": "runner of the flows",
    "panel": "panel",
    "mlflow": "MLflow server",
    "mlflow-database": "preparation of MLflow's database",
}

RESTARTS = 3
"""How many times a server that dies is started again before everything is ended."""

FREE_LEAST = 500e6
"""Bytes on the disk: with less nothing is started."""

READY_SECONDS = 120.0
CANCEL_SECONDS = 40.0


class Servers:
    """Prefect, the flows' runner, MLflow and the panel, started together and ended in the right order.

    Args:
        settings: where and on which ports.
        say: prints one line for the person.
        interrupts: tells when the person is in a hurry.
        record, holder: of the lock that is held; children are recorded there as they start.
        names: which servers, of `NAMES`; prefect always.
    """

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        interrupts: Interrupts,
        record: Record,
        holder: Holder,
        names: Sequence[str] = NAMES,
    ) -> None:
        self.settings = settings
        self._interrupts = interrupts
        self.say = say
        self.abort = Event()
        self._record, self._holder = record, holder
        self._recording = Lock()
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="starting")
        self.ready: dict[str, Future[None]] = {}
        prefect = f"http://{LOOPBACK}:{settings.prefect_port}"
        mlflow = f"http://{LOOPBACK}:{settings.mlflow_port}"
        panel_host = LOOPBACK if settings.host in ("0.0.0.0", "::") else settings.host
        panel = f"http://{panel_host}:{settings.panel_port}"
        self.addresses = {"panel": panel, "prefect": prefect, "mlflow": mlflow}
        logs = settings.var / "logs"
        shared = {
            "PREGAO_HOME": str(settings.home),
            "PREFECT_API_URL": f"{prefect}/api",
            "PREFECT_HOME": str(settings.var / "prefect"),
        }
        # What this process itself asks of Prefect has to reach the server that it starts.
        os.environ["PREFECT_API_URL"] = shared["PREFECT_API_URL"]

        def child(name: str, arguments: list[str], extra: dict[str, str], health: str | None = None) -> Child:
            argv, environment = [sys.executable, *arguments], {**shared, **extra}
            return Child(
                name, argv, logs=logs, environment=environment, cwd=settings.home, health=health, title=TITLES[name]
            )

        children = {
            "prefect": child(
                "prefect",
                ["-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(settings.prefect_port)],
                prefect_environment(prefect),
                f"{prefect}/api/health",
            ),
            "flows": child("flows", ["-m", "pregao_flows.serve"], {}),
            "mlflow": child(
                "mlflow",
                ["-m", "mlflow", "server", *mlflow_arguments(settings)],
                # Its job runner and workers would be seven more processes and half a gigabyte.
                {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                f"{mlflow}/health",
            ),
            "panel": child("panel", ["-m", "pregao_ui", "--port", str(settings.panel_port)], {}, panel),
        }
        if settings.tracking_uri.startswith("http"):  # somebody else runs that server
            self.addresses["mlflow"] = settings.tracking_uri
            del children["mlflow"]
        self.children = {name: children[name] for name in names if name in children}
        self._migration = child(
            "mlflow-database", ["-c", "from pregao.learning.registry import prepare; prepare()"], {}
        )
        self._restarts = dict.fromkeys(self.children, 0)

    def claim(self) -> None:
        """Check that there is room on the disk and that all ports are free; record where everything will be."""
        check_room(self.settings)
        needs = ports_needed(self.settings)
        ports.check([need for name, need in needs.items() if name in self.children])
        self._holder.addresses = dict(self.addresses)
        self._record.write(self._holder)

    def start(self, *names: str) -> None:
        """Start these (all, if none is named) at once and return; `ready` holds a future for each."""
        starters = {"prefect": self._start_prefect, "flows": self._start_flows, "mlflow": self._start_mlflow}
        for name in names or NAMES:
            if name in self.children:
                self.ready[name] = self._pool.submit(starters.get(name, self._start_healthy), name)

    def _launch(self, child: Child) -> None:
        with self._recording:
            if self.abort.is_set():
                raise PregaoError(f"The {child.title} was not started: stopping.")
            child.start()
            self._holder.children[child.name] = (child.pid, child.started_at)
            self._record.write(self._holder)

    def _start_healthy(self, name: str) -> None:
        self._launch(self.children[name])
        self.children[name].wait_until_healthy(READY_SECONDS, self.abort)

    def _start_prefect(self, name: str) -> None:
        seed(self.settings.var / "prefect")
        self._start_healthy(name)

    def _start_flows(self, name: str) -> None:
        child = self.children[name]
        self._launch(child)
        self.ready["prefect"].result()
        deadline = time.monotonic() + READY_SECONDS
        while not client.served():
            if self.abort.wait(0.2):
                raise PregaoError("The flows were not waited for: stopping.")
            if not child.running:
                raise child.died("while starting")
            if time.monotonic() > deadline:
                raise PregaoError(
                    f"The flows were not served within {READY_SECONDS:.0f} seconds.", f"Read {child.log}."
                )

    def _start_mlflow(self, name: str) -> None:
        # Two processes that migrate one new database at once break it: migrate first, alone.
        self._launch(self._migration)
        self._migration.wait_until_done(READY_SECONDS, self.abort)
        self._start_healthy(name)

    def wait(self, *names: str) -> None:
        """Return when these (all started, if none is named) are ready; raise what kept any from becoming so."""
        waiting = {name: self.ready[name] for name in names or self.ready}
        while waiting:
            for future in self.ready.values():
                if future.done():
                    future.result()
            waiting = {name: future for name, future in waiting.items() if not future.done()}
            time.sleep(0.05)

    def supervise(self, until: Event) -> None:
        """Start a server again that dies, at most `RESTARTS` times each; return when ``until`` is set.

        Raises the reason if one that is still starting does not get ready.
        """
        while not until.wait(0.5):
            for name, starting in self.ready.items():
                child = self.children[name]
                if not starting.done() or starting.result() or child.running:
                    continue
                self._restarts[name] += 1
                if self._restarts[name] > RESTARTS:
                    raise child.died(f"for the {self._restarts[name]}th time")
                self.say(f"The {child.title} ended (status {child.status}); starting it again. Its log: {child.log}")
                (self._start_flows if name == "flows" else self._start_healthy)(name)
                self.say(f"The {child.title} is back.")

    def stop(self) -> None:
        """End what was started: the runs first, through the API, then the runner, the panel, MLflow, and Prefect.

        A signal to the runner would kill the runs' processes without a chance to end cleanly.
        """
        self.say("Stopping …")
        self.abort.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        prefect = self.children["prefect"]
        others = [child for name, child in self.children.items() if name in ("panel", "mlflow")]
        try:
            with ThreadPoolExecutor(max_workers=8) as pool:
                ends = [pool.submit(child.end) for child in (*others, self._migration)]
                if prefect.running and answers(str(prefect.health)):
                    self._cancel_runs()
                if "flows" in self.children:
                    ends.append(pool.submit(self.children["flows"].end))
                for end in ends:
                    end.result()
        finally:
            prefect.end()
        with self._recording:
            self._holder.children.clear()

    def _cancel_runs(self) -> None:
        try:
            left = client.cancel_all(0)
            if left:
                self.say(f"Ending {len(left)} flow run{'s' if len(left) > 1 else ''} cleanly: {_names(left)}")
            deadline = time.monotonic() + CANCEL_SECONDS
            while left and not self._interrupts.hurry.is_set() and time.monotonic() < deadline:
                left = client.cancel_all(0.5)
            if left:
                self.say(f"Not waited for any longer, so killed: {_names(left)}")
        except PregaoError as error:
            self.say(f"The runs could not be cancelled: {error}")


def _names(runs: list[Any]) -> str:
    return ", ".join(f"{run.flow} {run.name}" for run in runs)


def prefect_environment(address: str) -> dict[str, str]:
    """Settings of the Prefect server: its pages as of version 1 (no banner, no outside request), itself as origin.

    Any page of any site may otherwise call the API of a local server that has no password.
    """
    own = address.replace(LOOPBACK, "localhost")
    return {
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_UI_API_URL": f"{address}/api",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": f"{address},{own}",
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
        # A new or changed schedule is taken up within this, and a run that waits for another's slot tries again.
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "10",
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
    }


def room(settings: Settings) -> int:
    """Free bytes on the disk of the folder."""
    return shutil.disk_usage(next(p for p in (settings.home, *settings.home.parents) if p.exists())).free


def check_room(settings: Settings) -> None:
    """Raise a `PregaoError` if the disk is so full that databases would break off in the middle."""
    free = room(settings)
    if free < FREE_LEAST:
        raise PregaoError(
            f"Only {free / 1e6:,.0f} MB are free on the disk of {settings.home}; {FREE_LEAST / 1e6:,.0f} are needed.",
            "Free some space, or set PREGAO_HOME to a folder on a larger disk.",
        )


def ports_needed(settings: Settings) -> dict[str, ports.Need]:
    """Name of a server -> the port that it needs."""
    return {
        "panel": ports.Need("panel", settings.host, settings.panel_port, "PREGAO_PANEL_PORT"),
        "prefect": ports.Need("Prefect server", LOOPBACK, settings.prefect_port, "PREGAO_PREFECT_PORT"),
        "mlflow": ports.Need("MLflow server", LOOPBACK, settings.mlflow_port, "PREGAO_MLFLOW_PORT"),
    }


def mlflow_arguments(settings: Settings) -> list[str]:
    """Arguments of ``mlflow server``: the registry's own database and artifacts."""
    return [
        *("--host", LOOPBACK, "--port", str(settings.mlflow_port), "--workers", "1"),
        *("--backend-store-uri", settings.tracking_uri),
        *("--artifacts-destination", str(settings.mlruns / "artifacts")),
    ]


@contextmanager
def running(
    settings: Settings, command: str, say: Callable[[str], None], names: Sequence[str] = NAMES
) -> Iterator[Servers]:
    """The folder's servers, to be started: at most one set a folder; all ended when the block is left, however it is.

    Raises:
        PregaoError: another command runs them, or a port is taken.
    """
    with only_one(settings.var, command) as (record, holder, left), Interrupts() as interrupts:
        if left is not None:
            end_leftovers(left, say)
        servers = Servers(settings, say, interrupts, record, holder, names)
        try:
            servers.claim()
            yield servers
        finally:
            interrupts.stopping()
            servers.stop()


def end_leftovers(left: Holder, say: Callable[[str], None]) -> None:
    """End the servers of a command that was itself killed; each is known by its process id and creation time."""
    alive = {name: child for name, child in left.children.items() if same_process(*child)}
    if alive:
        say(f"`{left.command}` was killed and left these running, now ended: {', '.join(alive)}")
    for name in sorted(alive, key=lambda name: name == "prefect"):
        end_recorded(*alive[name])
