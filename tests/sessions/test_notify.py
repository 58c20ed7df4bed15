"""Notifications, brought to a real web hook on loopback: everything once, whatever fails, and never in the way."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from probe_market import a_spec, random_walk
from receiver import Receiver
from waiting import wait

from pregao import private
from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.market.store import Store
from pregao.sessions import control
from pregao.sessions.journal import Journal
from pregao.sessions.notify import courier, messages, targets
from pregao.sessions.notify.courier import Courier, Promotion
from pregao.sessions.notify.targets import TOPICS
from pregao.sessions.runtime import run

CROSS: dict[str, Any] = {"strategy": "ma-cross", "config": {"fast": 3, "slow": 8}, "entry_value": 5_000}


@pytest.fixture
def journal(home: Path) -> Iterator[Journal]:
    Store().write(random_walk(400))
    found = Journal()
    yield found
    found.close()


@pytest.fixture
def hook() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "WAITS_S", (0.0,))


def no_promotions() -> list[Promotion]:
    return []


def played(journal: Journal, **changes: Any) -> str:
    session_id = control.start(a_spec(**(CROSS | changes)), journal)
    run(session_id, journal)
    return session_id


def kinds(journal: Journal, session_id: str, *wanted: str) -> int:
    return sum(row.kind in wanted for row in journal.rows(session_id, 0, 100_000))


def test_nothing_is_sent_unless_it_is_turned_on(journal: Journal, hook: Receiver) -> None:
    targets.add(hook.address)
    played(journal)
    assert Courier(journal, no_promotions).step() is False
    assert hook.asked == 0


def test_every_fill_and_end_is_told_once_also_by_the_next_courier(
    journal: Journal, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "LINES", 100_000)
    before = played(journal)
    targets.add(hook.address, "phone")
    targets.choose(True, TOPICS, "en")
    session_id = control.start(a_spec(**CROSS), journal)
    stop = threading.Event()
    runner = threading.Thread(target=run, args=(session_id, journal))
    runner.start()
    while runner.is_alive():  # it is brought while the session goes on, by ever new couriers
        Courier(journal, no_promotions).step()
    runner.join()
    for _ in range(3):
        Courier(journal, no_promotions).step()
    stop.set()
    told = [line for line in hook.lines if line.startswith(("Bought", "Sold"))]
    assert len(told) == kinds(journal, session_id, "fill") > 10
    assert sum(line.startswith("Finished: P&L") for line in hook.lines) == 1
    assert before not in " ".join(hook.lines)  # what was before it was turned on is not told
    assert {one["title"] for one in hook.taken} == {"Pregão: TEST/USDT, simulated money"}
    assert hook.lines[-1] == f"({session_id})"


def test_portuguese_is_told_with_portuguese_figures(journal: Journal, hook: Receiver) -> None:
    targets.add(hook.address)
    targets.choose(True, ("fills", "stops"), "pt-BR")
    session_id = played(journal)
    Courier(journal, no_promotions).step()
    fill = next(row for row in journal.rows(session_id, 0, 100_000) if row.kind == "fill")
    instrument = journal.session(session_id).instrument
    quantity, price = instrument.quantity(fill.body["qty"]), instrument.price(fill.body["price"])
    said = f"Compra de {quantity} a {price:,}".replace(".", "|").replace(",", ".").replace("|", ",")
    assert hook.lines[0].startswith(said), (hook.lines[0], said)


def test_a_target_that_is_away_gets_all_later_and_holds_up_no_other(journal: Journal, hook: Receiver) -> None:
    away = Receiver()
    away.status = 500
    targets.add(away.address)
    targets.add(hook.address)
    targets.choose(True, ("fills", "stops"), "en")
    session_id = played(journal)
    one = Courier(journal, no_promotions)
    for _ in range(3):
        one.step()
    assert away.taken == []
    assert len(hook.taken) == 1
    away.status = 200
    for _ in range(3):
        one.step()
    assert away.taken == hook.taken
    more = kinds(journal, session_id, "fill") + 1 - messages.LINES
    assert f"… and {more} more" in hook.lines
    assert len(hook.lines) == messages.LINES + 2
    away.close()


def test_a_killed_courier_repeats_at_most_the_message_it_was_about(
    home: Path, journal: Journal, hook: Receiver
) -> None:
    targets.add(hook.address)
    targets.choose(True, ("stops",), "en")
    hook.delay_s = 0.15
    sessions = [
        played(journal, feed={"speed": 0, "end": 1_700_000_040_000_000_000 + 20 * 60_000_000_000}) for _ in range(8)
    ]
    code = (
        "from pregao.sessions.journal import Journal\n"
        "from pregao.sessions.notify.courier import Courier\n"
        "Courier(Journal(), list).step()\n"
    )
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ))
        begun = len(hook.taken)
        deadline = time.monotonic() + 90
        while len(hook.taken) < begun + 2 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.wait()
    for _ in range(2):
        Courier(journal, no_promotions).step()
    told = [next(s for s in sessions if s in one["message"]) for one in hook.taken]
    assert set(told) == set(sessions)
    assert len(told) <= len(sessions) + 3
    assert [s for i, s in enumerate(told) if s not in told[:i]] == sessions  # in order


def test_a_slow_or_broken_target_delays_no_session(journal: Journal, hook: Receiver) -> None:
    hook.answers.clear()
    targets.add(hook.address)
    targets.choose(True, TOPICS, "en")
    first = played(journal)
    stop = threading.Event()
    bringing = threading.Thread(target=Courier(journal, no_promotions).run, args=(stop,), daemon=True)
    bringing.start()
    wait(lambda: hook.asked)
    second = control.start(
        a_spec(**CROSS, feed={"speed": 0, "end": 1_700_000_040_000_000_000 + 3_600_000_000_000}), journal
    )
    run(second, journal)
    assert journal.session(second).status == journal.session(first).status == "finished"
    assert hook.taken == []  # it is still being told of the first
    stop.set()
    hook.answers.set()
    bringing.join(60)


def test_a_promotion_is_told_once_with_who_did_it(journal: Journal, hook: Receiver) -> None:
    old = Promotion("pregao.a.1m", "1", "gate", time.time_ns())
    targets.add(hook.address)
    targets.choose(True, ("promotions",), "pt-BR")
    new = Promotion("pregao.a.1m", "2", "person", time.time_ns())
    for _ in range(2):
        Courier(journal, lambda: [old]).step()
    for _ in range(2):
        Courier(journal, lambda: [new]).step()
    assert hook.lines == ["pregao.a.1m: a versão 2 opera a partir de agora, promovida por uma pessoa."]


def test_two_couriers_take_turns(home: Path, journal: Journal, hook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "PAUSE_S", 0.02)
    targets.add(hook.address)
    targets.choose(True, ("stops",), "en")
    stop = threading.Event()
    both = [threading.Thread(target=Courier(journal, no_promotions).run, args=(stop,)) for _ in range(2)]
    for one in both:
        one.start()
    played(journal)
    wait(lambda: hook.taken)
    time.sleep(0.3)
    stop.set()
    for one in both:
        one.join(60)
    assert len(hook.taken) == 1


def test_an_address_is_kept_from_everyone(home: Path, hook: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    target = targets.add(hook.address, "phone")
    hook.status = 500
    with pytest.raises(PregaoError, match="JSON phone did not take") as refused:
        targets.send(target.id, "a", "b")
    assert (target.service, target.name) == ("JSON", "phone")
    for told in (str(refused.value), repr(targets.plan()), caplog.text):
        assert "a-secret-word" not in told
    path = private.path_of(targets.FILE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o644)
    targets.plan()
    assert path.stat().st_mode & 0o777 == 0o600
    targets.remove(target.id)
    assert "a-secret-word" not in path.read_text()
    with pytest.raises(NotFoundError):
        targets.send(target.id, "a", "b")


@pytest.mark.parametrize(
    "address", ["", "nonsense", "syslog://", "file:///etc/passwd", "tgram://", "json://[::", "x" * 3_000]
)
def test_what_is_no_address_is_refused(home: Path, address: str) -> None:
    with pytest.raises(UsageError, match=r"address|stay on this machine"):
        targets.add(address)
    assert targets.plan().targets == ()


def test_a_damaged_file_is_named(home: Path) -> None:
    with private.changing("thing") as document:
        document["a"] = 1
    private.path_of("thing").write_text("{")
    with pytest.raises(PregaoError, match="is damaged"):
        private.read("thing")
