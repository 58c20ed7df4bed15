"""``pregao demo``: the whole product at work, from nothing to a model that trades, without a network.

On a synthetic market with a planted edge a model is trained, judged and, if the gate says so, made champion; a paper
session then replays the part of that market that the model has never seen. On a market without an edge the gate has
to refuse. The second time all of it is there already: the session goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import yaml

import pregao
from pregao.core.errors import PregaoError
from pregao.operations.browsers import require_chromium, watch_value
from pregao.operations.footprint import Footprint
from pregao.operations.panel import Panel
from pregao.operations.prepare import prepare, template
from pregao.operations.project import lay_out
from pregao.operations.servers import Servers, running
from pregao.operations.up import announce, open_browser
from pregao.settings import Settings
from pregao_flows import client

SOURCE = "synthetic"
EDGE, NOISE = "EDGE/USDT", "NOISE/USDT"
TIMEFRAME = "15m"
SPEED = 10.0
"""Bars a second of the replay: something happens every second, and the unseen part lasts twelve minutes."""

AI, FALLBACK = "catboost-ai", "ma-cross"
INGEST_SECONDS, TRAIN_SECONDS, START_SECONDS = 300.0, 900.0, 120.0
MOVE_SECONDS = 300.0
"""The AI may hold nothing for some hundred bars."""
LOGS = "Read var/logs/flows.log."
CHANGES = 3
"""How many times ``--check`` wants to see the value of the operation move."""


class Demo:
    """One demonstration.

    Args:
        settings: the folder and the ports.
        say: prints one line; the seconds since the beginning are put before it.
        check: end after the browser has seen the value move, instead of waiting for a person.
        browser: open the panel in the person's browser.
        publish: called with the document of figures once everything runs (and again at the end of a check).
    """

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        publish: Callable[[dict[str, Any]], None],
        *,
        check: bool,
        browser: bool,
    ) -> None:
        self.settings = settings
        self.check = check
        self.browser = browser
        self.publish = publish
        self.figures: dict[str, Any] = {"seconds": {}}
        self._print = say
        self._footprint = Footprint()
        self._begun = time.monotonic()

    def run(self) -> None:
        """From start to end; raises `PregaoError` for whatever keeps it from working."""
        if self.check:
            require_chromium()
        lay_out(self.settings.home, self.say)
        if not template().exists():
            self.say("The first start in this environment, which `make` would have prepared: compiling …")
            prepare(self.say)
        stopped = self._begun
        try:
            with self._footprint, running(self.settings, "pregao demo", self.say) as servers:
                try:
                    self._show(servers)
                finally:
                    stopped = time.monotonic()
        except KeyboardInterrupt:
            self.say("Everything that was started has ended.")
            return
        self.figures["peak_memory_mb"] = self._footprint.peak // 1_000_000
        self.figures["seconds"]["shut_down"] = round(time.monotonic() - stopped, 1)
        self.say("Everything that was started has ended.")
        self.publish(self.figures)

    def say(self, text: str) -> None:
        """One line, with the seconds since the beginning."""
        self._print(f"[{time.monotonic() - self._begun:6.1f} s] {text}")

    def _reached(self, step: str) -> None:
        self.figures["seconds"][step] = round(time.monotonic() - self._begun, 1)

    def _show(self, servers: Servers) -> None:
        self.say("Starting the Prefect server, the flows and the panel …")
        panel = Panel(servers.addresses["panel"])
        known = self._receipt() == self._digest()
        if known:
            servers.start("prefect", "flows", "panel")
            servers.wait("flows", "panel")
        else:
            # The flows have work for half a minute before anyone looks at the panel: all to them first.
            servers.start("prefect", "flows")
            servers.wait("flows")
            servers.start("panel")
        self._reached("flows")
        known = known and self._there(panel)
        if known:
            self.say("The data and the judged models of last time are there: nothing to ingest or to train")
        else:
            self.say("The flows are served")
            self._ingest(SOURCE, [EDGE, NOISE], TIMEFRAME)
            self._reached("ingest")
            self._retrain(EDGE)
            self._reached("retrain")
        servers.wait("panel")
        self._reached("panel")
        session = self._session(panel)
        self._wait_for_bars(panel, session)
        servers.start("mlflow")  # its own pages are the last that anyone looks at; the registry does not need it
        page = f"{panel.address}/?session={session}"
        self.figures |= {"session": session, "addresses": servers.addresses, "page": page}
        self.say("It runs:")
        announce(servers, self._print)
        self._print(f"  {'This session':<16} {page}")
        rest = Thread(target=self._rest, args=(panel, session, servers, known), name="rest of the demo", daemon=True)
        rest.start()
        if self.check:
            self._check(page, rest, servers)
            return
        if self.browser:
            open_browser(page)
        self.say("Ctrl-C ends all of it.")
        servers.supervise(Event())

    def _ingest(self, source: str, symbols: list[str], timeframe: str | None) -> None:
        self.say(f"Flow ingest: {source} {' '.join(symbols)}".rstrip())
        self._finish(client.run_ingest(source, symbols, timeframe), INGEST_SECONDS)

    def _retrain(self, symbol: str) -> dict[str, Any]:
        self.say(f"Flow retrain: {symbol} {TIMEFRAME} (DVC stages features, evaluate, train; gate; MLflow)")
        report = self._finish(client.run_retrain(_key(symbol), TIMEFRAME), TRAIN_SECONDS)
        self.figures[symbol] = {key: report.get(key) for key in ("name", "version", "promoted", "gate", "summary")}
        return report

    def _finish(self, run_id: str, seconds: float) -> dict[str, Any]:
        run = client.wait(run_id, seconds)
        if run.state_type != "COMPLETED":
            raise PregaoError(
                f"The flow {run.flow} ({run.name}) is {run.state}: {run.message or 'no reason given'}",
                f"See it in Prefect at {self.settings.prefect_api.removesuffix('/api')}, or read var/logs/flows.log.",
            )
        self.say(f"  {run.message}")
        report: dict[str, Any] = client.report(run_id)
        return report

    def _session(self, panel: Panel) -> str:
        """A session of the demo's market: the one that has not ended goes on, else a new one starts."""
        key = _key(EDGE)
        for found in panel.sessions():
            if found["instrument"]["key"] == key and found["status"] in ("created", "running", "paused"):
                if found["status"] == "paused":
                    break
                session = panel.go_on(found["id"])
                self.say(f"Session {session} goes on at bar {found['bars']} of {found['bars_total']}")
                self.figures["strategy"] = found["strategy"]
                return session
        champion = any(
            m["name"].endswith(f"EDGE-USDT.{TIMEFRAME}") and "champion" in m["aliases"] for m in panel.models()
        )
        strategy = AI if champion else FALLBACK
        self.figures["strategy"] = strategy
        session = panel.start(self._spec(strategy))
        if champion:
            self.say(f"Session {session}: the champion trades, on bars that it has never seen, {SPEED:g} a second")
        else:
            self.say(f"Session {session}: the gate has passed no model, so {FALLBACK} trades, which needs none")
        return session

    def _spec(self, strategy: str) -> dict[str, Any]:
        """The operation that the model has learned to judge, replayed."""
        plan = yaml.safe_load((self.settings.home / "params.yaml").read_text())["plan"]
        money = {name: str(value) for name, value in plan.items() if name != "horizon"}
        feed = {"kind": "replay", "speed": SPEED}
        market = {"instrument": _key(EDGE), "timeframe": TIMEFRAME, "strategy": strategy, "mode": "auto"}
        return {**market, **money, "horizon": plan["horizon"], "feed": feed}

    def _wait_for_bars(self, panel: Panel, session: str) -> None:
        """Until the session's process is there and lives through bars."""
        first = panel.session(session)
        self._reached("session")
        self._until(panel, session, lambda now: now["bars"] > first["bars"], START_SECONDS)
        self._reached("first_bar")

    def _until(
        self, panel: Panel, session: str, there: Callable[[dict[str, Any]], bool], seconds: float
    ) -> dict[str, Any]:
        """The session as soon as ``there`` is true of it; raises if it ends or ``seconds`` pass before."""
        deadline = time.monotonic() + seconds
        while not there(now := panel.session(session)):
            if now["status"] in ("failed", "stopped", "finished"):
                raise PregaoError(f"Session {session} {now['status']}: {now['error'] or 'it said nothing'}", LOGS)
            if time.monotonic() > deadline:
                raise PregaoError(f"Session {session} stood still for {seconds:.0f} s at bar {now['bars']}.", LOGS)
            time.sleep(0.2)
        return now

    def _rest(self, panel: Panel, session: str, servers: Servers, known: bool) -> None:
        """What the person need not wait for: the first profit or loss, the real daily bars, and the market in which
        there is nothing to learn."""
        try:
            first = panel.session(session)["pnl"]
            now = self._until(panel, session, lambda now: now["pnl"] != first or now["position"] != 0, MOVE_SECONDS)
            self._reached("first_move")
            self.say(f"The operation is worth {now['pnl']:+.2f} {now['instrument']['quote']} (simulated money)")
            if not known:
                self._ingest("sample", [], None)
                report = self._retrain(NOISE)
                lucky = "passed it: luck, as happens to one in twenty" if report["gate"]["passed"] else "refused it"
                self.say(f"{NOISE} has no edge, and the gate {lucky}")
                self._write_receipt()
            if not self.check:
                self.figures["peak_memory_mb"] = self._footprint.peak // 1_000_000
                self.publish(self.figures)
        except PregaoError as error:
            # Ending everything cuts short what still goes on: that is no failure.
            if not servers.abort.is_set():
                self.say(f"Not all of the demo worked: {error}")
                self.figures["rest_error"] = str(error)

    def _check(self, page: str, rest: Thread, servers: Servers) -> None:
        self.say("Opening the page in Chromium without a screen")
        seen = watch_value(page, CHANGES, MOVE_SECONDS, os.environ.get("PREGAO_PANEL_TOKEN"))
        self._reached("seen_moving")
        self.say(f"The page showed {' → '.join(seen.values)} within {seen.seconds:.1f} s of opening")
        self.figures["page_showed"] = seen.values
        if seen.outside or seen.errors:
            raise PregaoError(
                f"The page asked for {seen.outside} and complained of {seen.errors}.", "It should do neither."
            )
        servers.wait()
        self._reached("all_servers")
        rest.join(TRAIN_SECONDS)
        if "rest_error" in self.figures:
            raise PregaoError(str(self.figures["rest_error"]))
        self._reached("all_done")

    def _there(self, panel: Panel) -> bool:
        """Whether the store has both markets and the registry a judged model of each."""
        stored = {found["symbol"] for found in panel.instruments()}
        judged = {model["name"] for model in panel.models()}
        return all(
            symbol in stored and any(name.endswith(f"{_folder(symbol)}.{TIMEFRAME}") for name in judged)
            for symbol in (EDGE, NOISE)
        )

    def _digest(self) -> str:
        """Changes with the knobs, the pipeline and the code: what was judged before may then be judged differently."""
        hasher = hashlib.sha256()
        code = sorted(Path(pregao.__file__).parent.rglob("*.py"))
        for path in (self.settings.home / "params.yaml", self.settings.home / "dvc.yaml", *code):
            hasher.update(path.read_bytes())
        return hasher.hexdigest()

    @property
    def _receipt_path(self) -> Path:
        return self.settings.var / "demo.json"

    def _receipt(self) -> str | None:
        try:
            return str(json.loads(self._receipt_path.read_text())["digest"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write_receipt(self) -> None:
        temporary = self._receipt_path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"digest": self._digest()}))
        os.replace(temporary, self._receipt_path)


def _folder(symbol: str) -> str:
    return symbol.replace("/", "-")


def _key(symbol: str) -> str:
    return f"{SOURCE}/synthetic/{_folder(symbol)}"
