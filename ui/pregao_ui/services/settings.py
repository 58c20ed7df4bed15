"""What the page Settings shows and changes: keys (write only), notifications, limits."""

from __future__ import annotations

import threading

from pregao import keys
from pregao.sessions.journal import Journal
from pregao.sessions.notify import messages, targets
from pregao.sessions.notify.courier import Courier
from pregao_ui.schemas.settings import KeyOut, NotificationsIn, NotificationsOut, TargetOut, TestedOut


class Settings:
    """Settings of the installation; each is read from its file when it is asked for."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def keys(self) -> list[KeyOut]:
        """Which keys there are."""
        return [KeyOut.of(key) for key in keys.known()]

    def set_key(self, name: str, value: str) -> list[KeyOut]:
        """Keep a key; raises `UsageError` for what is none."""
        keys.put(name, value)
        return self.keys()

    def drop_key(self, name: str) -> list[KeyOut]:
        """Forget a key; raises `NotFoundError`."""
        keys.drop(name)
        return self.keys()

    def notifications(self) -> NotificationsOut:
        """What is sent, and where to."""
        return NotificationsOut.of(targets.plan())

    def choose_notifications(self, chosen: NotificationsIn) -> NotificationsOut:
        """Turn notifications on or off, and say what about."""
        return NotificationsOut.of(targets.choose(chosen.on, chosen.topics, chosen.language))

    def add_target(self, address: str, name: str) -> TargetOut:
        """Add a place to send to; raises `UsageError` for an address that is none."""
        return TargetOut.of(targets.add(address, name))

    def remove_target(self, target_id: str) -> NotificationsOut:
        """Forget a place to send to; raises `NotFoundError`."""
        targets.remove(target_id)
        return self.notifications()

    def test_notifications(self, target_id: str | None = None) -> list[TestedOut]:
        """Send a test to one target, or to all; raises `NotFoundError` for one that there is not."""
        plan = targets.plan()
        wanted = [target.id for target in plan.targets] if target_id is None else [target_id]
        message, tested = messages.test(plan.language), []
        for one in wanted:
            try:
                targets.send(one, message.title, message.body)
                tested.append(TestedOut(id=one, sent=True, message=""))
            except targets.NotSentError as error:
                tested.append(TestedOut(id=one, sent=False, message=str(error)))
        return tested

    def start_courier(self, stop: threading.Event) -> None:
        """Bring notifications from a thread of its own, until ``stop`` is set."""
        courier = Courier(self.journal)
        threading.Thread(target=courier.run, args=(stop,), name="courier", daemon=True).start()
