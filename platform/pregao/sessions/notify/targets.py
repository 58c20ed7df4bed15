"""Where notifications go: addresses of Apprise (mail, Telegram, a web hook, …), kept as secrets.

An address holds passwords, so it is kept in a private file and never told again: a target is known by its number, its
kind of service and the name that the person gave it.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args

from pregao import private
from pregao.core.errors import PregaoError, UsageError, unknown

FILE = "notifications"
Topic = Literal["fills", "stops", "pauses", "proposals", "promotions"]
TOPICS: tuple[Topic, ...] = get_args(Topic)
Language = Literal["en", "pt-BR"]
MOST = 20
"""Targets at most."""
LOCAL_SERVICES = ("dbus", "kde", "gnome", "glib", "macosx", "windows", "qt", "syslog", "file")
"""Services that act on the machine of the panel instead of sending something."""


class NotSentError(PregaoError):
    """A target did not take a notification."""


class Target(NamedTuple):
    """One place to send to: ``service`` is Apprise's name of it; its address is not told."""

    id: str
    service: str
    name: str
    added: float


class Plan(NamedTuple):
    """What is sent, and where to.

    Attributes:
        on: whether anything is sent.
        topics: what about.
        language: in which language.
        since_ns: when it was turned on; what was before is not told.
    """

    on: bool
    topics: tuple[Topic, ...]
    language: Language
    since_ns: int
    targets: tuple[Target, ...]


def plan() -> Plan:
    """What is set now."""
    found = private.read(FILE)
    targets = [
        Target(number, entry["service"], entry["name"], entry["added"])
        for number, entry in found.get("targets", {}).items()
    ]
    return Plan(
        on=bool(found.get("on", False)),
        topics=tuple(topic for topic in TOPICS if topic in found.get("topics", TOPICS)),
        language="pt-BR" if found.get("language") == "pt-BR" else "en",
        since_ns=int(found.get("since_ns", 0)),
        targets=tuple(targets),
    )


def choose(on: bool, topics: Sequence[Topic], language: Language) -> Plan:
    """Turn notifications on or off, and say what about. Turned on, they begin with what happens from now on."""
    with private.changing(FILE) as document:
        if on and not document.get("on"):
            document["since_ns"] = time.time_ns()
        document |= {"on": on, "topics": [topic for topic in TOPICS if topic in topics], "language": language}
    return plan()


def add(address: str, name: str = "") -> Target:
    """Add a place to send to.

    Raises:
        UsageError: if Apprise does not understand the address, or there are too many.
    """
    service = str(_instance(address).service_name)
    target = Target(secrets.token_hex(4), service, name.strip()[:60], time.time())
    with private.changing(FILE) as document:
        targets = document.setdefault("targets", {})
        if any(entry["address"] == address.strip() for entry in targets.values()):
            raise UsageError("This address is a target already.")
        if len(targets) >= MOST:
            raise UsageError(f"There are {MOST} targets already.", "Remove one first.")
        targets[target.id] = {
            "address": address.strip(), "service": service, "name": target.name, "added": target.added
        }  # fmt: skip
    return target


def remove(target_id: str) -> None:
    """Forget a target and its address. Raises `NotFoundError`."""
    with private.changing(FILE) as document:
        if document.get("targets", {}).pop(target_id, None) is None:
            raise unknown("target", target_id, sorted(document.get("targets", {})))


def send(target_id: str, title: str, body: str) -> None:
    """Send one message now.

    Raises:
        NotFoundError: if there is no such target.
        NotSentError: if it could not be sent; the message never holds the address.
    """
    entry = private.read(FILE).get("targets", {}).get(target_id)
    if entry is None:
        raise unknown("target", target_id, sorted(private.read(FILE).get("targets", {})))
    with _quiet():
        sent = _instance(entry["address"]).notify(body=body, title=title)
    if not sent:
        name = f" {entry['name']}" if entry["name"] else ""
        raise NotSentError(
            f"{entry['service']}{name} did not take the notification.",
            "Check that its service can be reached, and give its address anew.",
        )


def _instance(address: str) -> Any:
    """Apprise's service for an address, without its way to files and to this machine's own screen."""
    import apprise

    mend = "Give one of Apprise's addresses, such as mailto://USER:PASSWORD@HOST or tgram://TOKEN/CHAT."
    if not address.strip() or len(address) > 2_000:
        raise UsageError("That is no address for notifications.", mend)
    scheme = address.strip().partition("://")[0].lower()
    if scheme in LOCAL_SERVICES:
        raise UsageError(f"Notifications to {scheme} would stay on this machine, unseen.", mend)
    with _quiet():
        try:
            found = apprise.Apprise.instantiate(address.strip(), suppress_exceptions=True)
        except Exception:  # a service of Apprise fails on an odd address; its message could hold a part of it
            found = None
    if found is None:
        raise UsageError("That is no address for notifications.", mend)
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Apprise logs addresses."""
    logger = logging.getLogger("apprise")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
