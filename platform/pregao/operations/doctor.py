"""``pregao doctor``: look at this machine and this folder, and say the mend of what is wrong."""

from __future__ import annotations

import platform
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from threading import Thread
from typing import Literal

from pregao import __version__
from pregao.core.errors import PregaoError
from pregao.operations import browsers, ports, servers
from pregao.operations.lock import Record
from pregao.settings import Settings

Level = Literal["ok", "warn", "fail"]

PYTHONS = ((3, 11), (3, 13))
FREE_WARN = 3e9
"""Bytes on the disk: a year of minute bars, their versions and some models need about this."""

MEMORY_WARN = 3e9
NETWORK_SECONDS = 3.0


@dataclass(frozen=True)
class Finding:
    """One row: what was looked at, how it stands, what was found, and the mend (empty if there is none)."""

    check: str
    level: Level
    found: str
    mend: str = ""


def examine(settings: Settings) -> list[Finding]:
    """All checks, in the order in which they matter. A check that itself breaks is a failed one, never a traceback."""
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings.extend(check(settings))
        except PregaoError as error:
            findings.append(Finding(_name(check), "fail", error.message, error.mend))
        except Exception as error:  # a doctor has to finish its round whatever one check meets
            findings.append(Finding(_name(check), "fail", f"{type(error).__name__}: {error}", "Report this as a bug."))
    return findings


def this_pregao(settings: Settings) -> Iterator[Finding]:
    """Which Pregão this is, and on what: the first question of a bug report."""
    yield Finding("Pregão", "ok", f"{__version__}, {platform.platform()}")


def python_version(settings: Settings) -> Iterator[Finding]:
    """Python 3.11 to 3.13."""
    version = sys.version.split()[0]
    if PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        yield Finding("Python", "ok", f"{version}, {sys.prefix}")
    else:
        yield Finding("Python", "fail", version, "Use Python 3.11, 3.12 or 3.13: make clean set-up PYTHON=python3.12")


def packages(settings: Settings) -> Iterator[Finding]:
    """What is installed against ``requirements.lock``."""
    lock = settings.home / "requirements.lock"
    if not lock.exists():
        yield Finding("Packages", "ok", "installed without a lock: nothing to compare with")
        return
    wrong = []
    checked = 0
    for name, version in locked(lock.read_text()):
        checked += 1
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "missing"
        if installed != version:
            wrong.append(f"{name} {installed} (locked {version})")
    if wrong:
        more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        yield Finding("Packages", "fail", ", ".join(wrong[:4]) + more, "Install what is locked: make clean set-up")
    else:
        yield Finding("Packages", "ok", f"{checked}, all as locked")


def locked(text: str) -> Iterator[tuple[str, str]]:
    """Name and version of each requirement of a lock file that is meant for this Python and system."""
    from packaging.markers import Marker

    for name, version, marker in re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)(?: ; ([^\\\n]+))?", text, re.M
    ):
        if not marker or Marker(marker.strip()).evaluate():
            yield name, version


def command_git(settings: Settings) -> Iterator[Finding]:
    """git, which versions the market data."""
    path = shutil.which("git")
    if path is None:
        yield Finding("git", "fail", "not found", "Install git: the market data is versioned with it.")
        return
    version = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    yield Finding("git", "ok", version.strip().removeprefix("git version "))


def dvc(settings: Settings) -> Iterator[Finding]:
    """DVC, which versions and caches the bars."""
    try:
        yield Finding("DVC", "ok", metadata.version("dvc"))
    except metadata.PackageNotFoundError:
        yield Finding("DVC", "fail", "not installed", "Install what is locked: make set-up")


def folders(settings: Settings) -> Iterator[Finding]:
    """Whether the folders can be written, and how much space is left."""
    for folder in (settings.data, settings.var, settings.mlruns):
        place = next(p for p in (folder, *folder.parents) if p.exists())
        try:
            with tempfile.TemporaryFile(dir=place) as probe:
                probe.write(b"pregao")
        except OSError as error:
            yield Finding(
                f"Folder {folder.name}",
                "fail",
                f"{place} cannot be written: {error.strerror}",
                "Mend its permissions, or set PREGAO_HOME to a folder of your own.",
            )
        else:
            yield Finding(f"Folder {folder.name}", "ok", str(folder))
    free = servers.room(settings)
    level: Level = "fail" if free < servers.FREE_LEAST else "warn" if free < FREE_WARN else "ok"
    mend = "" if level == "ok" else "Free some space, or set PREGAO_HOME to a folder on a larger disk."
    yield Finding("Disk", level, f"{free / 1e9:.1f} GB free", mend)


def memory(settings: Settings) -> Iterator[Finding]:
    """Memory that programs can still get."""
    import psutil

    available = psutil.virtual_memory().available
    level: Level = "warn" if available < MEMORY_WARN else "ok"
    mend = "" if level == "ok" else "All servers and a training together take about 2.5 GB: end other programs."
    yield Finding("Memory", level, f"{available / 1e9:.1f} GB available", mend)


def network_ports(settings: Settings) -> Iterator[Finding]:
    """The three ports: free, ours, or somebody else's."""
    holder = Record(settings.var).read()
    ours = holder is not None and holder.alive
    for need in servers.ports_needed(settings).values():
        found = f"{need.host}:{need.port}"
        if ports.is_free(need.host, need.port):
            yield Finding(f"Port of the {need.what}", "ok", f"{found} is free")
        elif ours and holder is not None and any(str(need.port) in url for url in holder.addresses.values()):
            yield Finding(f"Port of the {need.what}", "ok", f"{found}, in use by `{holder.command}` of this folder")
        else:
            other = ports.free_port(need.host, need.port)
            yield Finding(
                f"Port of the {need.what}",
                "fail",
                f"{found} is in use by {ports.listener(need.port)}",
                f"End that program, or use another port: {need.variable}={other}",
            )


def browser(settings: Settings) -> Iterator[Finding]:
    """Chromium, which only ``pregao demo --check`` and the panel's tests need."""
    path = browsers.chromium()
    if path:
        yield Finding("Chromium", "ok", path)
    else:
        yield Finding("Chromium", "warn", "not found; only the panel's own tests need it", browsers.MEND)


def network(settings: Settings) -> Iterator[Finding]:
    """Whether names of other machines resolve. Nothing needs it but live data and downloads."""
    resolved: list[object] = []

    def resolve() -> None:
        with suppress(OSError):
            resolved.extend(socket.getaddrinfo("example.org", 443))

    # Without a network the system's resolver may take half a minute to say so.
    thread = Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(NETWORK_SECONDS)
    if resolved:
        yield Finding("Network", "ok", "there is one; nothing is sent without being asked for")
    else:
        yield Finding("Network", "ok", "none; nothing needs it but live prices and downloads")


def databases(settings: Settings) -> Iterator[Finding]:
    """Each SQLite database answers an integrity check; one elsewhere is only named as such, without its address."""
    for name, path in (
        ("Sessions", settings.var / "sessions.db" if not settings.database_url else None),
        ("Models", settings.mlruns / "mlflow.db" if not settings.mlflow_uri else None),
        ("Prefect", settings.var / "prefect" / "prefect.db"),
    ):
        title = f"Database {name}"
        if path is None:
            yield Finding(title, "ok", "set by you; `pregao trade list` and `pregao models` use it")
        elif not path.exists():
            yield Finding(title, "ok", "not there yet; made when it is needed")
        else:
            yield _sqlite(title, path)


def _sqlite(title: str, path: Path) -> Finding:
    mend = f"Restore {path} from a copy, or move it away to begin a new one."
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        return Finding(title, "fail", f"{path}: {error}", mend)
    if answer != "ok":
        return Finding(title, "fail", f"{path} is damaged: {answer}", mend)
    return Finding(title, "ok", f"{path}, {path.stat().st_size / 1e6:.1f} MB")


def store(settings: Settings) -> Iterator[Finding]:
    """The market data's schema, and how much there is."""
    if not (settings.data / "bars").is_dir():
        yield Finding("Store", "ok", "empty; fill it with `pregao ingest` or `pregao demo`")
        return
    from pregao.market.store import Store

    found = Store(settings.data)
    instruments = found.instruments()
    series = sum(len(found.timeframes(instrument)) for instrument in instruments)
    yield Finding("Store", "ok", f"{len(instruments)} instruments, {series} series, in {settings.data}")


def models(settings: Settings) -> Iterator[Finding]:
    """The registered models: how many have a champion, and whether a live bar goes through compiled trees."""
    if not settings.mlflow_uri and not (settings.mlruns / "mlflow.db").exists():
        yield Finding("Models", "ok", "none yet; train one with `pregao retrain`")
        return
    from pregao.learning.model import COMPILED
    from pregao.learning.registry import CHAMPION, close_broken, list_models
    from pregao.learning.registry.connection import impatient

    with impatient():
        closed = close_broken()
        found = list_models()
    champions = [info for info in found if CHAMPION in info.aliases]
    names = {info.name for info in found}
    slow = [f"{info.name} by {info.inference}" for info in champions if info.inference != COMPILED]
    told = f"{len(found)} versions of {len(names)} models, {len(champions)} of them champion"
    if closed:
        told += f"; {len(closed)} runs that killed trainings had left open in MLflow were closed now"
    if slow:
        mend = "Train again with `pregao retrain`; until then a decision takes some ten times longer."
        yield Finding("Models", "warn", f"{told}; not evaluated by compiled trees: {', '.join(slow[:3])}", mend)
    else:
        yield Finding("Models", "ok", told)


def _name(check: Callable[[Settings], Iterator[Finding]]) -> str:
    return check.__name__.replace("_", " ").capitalize()


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    this_pregao,
    python_version,
    packages,
    command_git,
    dvc,
    folders,
    memory,
    network_ports,
    browser,
    network,
    databases,
    store,
    models,
)


def worst(findings: list[Finding]) -> Level:
    """The worst level among them."""
    levels = {finding.level for finding in findings}
    return "fail" if "fail" in levels else "warn" if "warn" in levels else "ok"
