"""The tailer by itself, on either database: viewers that join, leave and lag while a session is written."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres import Postgres
from probe_market import a_spec, random_walk

from pregao.market.store import Store
from pregao.sessions.control import start
from pregao.sessions.runtime import run
from pregao.settings import settings
from pregao_ui import stream
from pregao_ui.services import Services


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def services(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    Store().write(random_walk(300))
    if request.param == "sqlite":
        yield Services()
        return
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="pregao-pg-", dir=memory))
    server = Postgres(folder)
    server.start()
    monkeypatch.setenv("PREGAO_DATABASE_URL", server.create("panel"))
    settings.cache_clear()
    found = Services()
    yield found
    found.journal.close()
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def session_id(services: Services) -> str:
    return start(a_spec(strategy="ma-cross", config={"fast": 3, "slow": 8}), services.journal)


async def follow(hub: stream.Hub, session_id: str, after: int, pause: float = 0.0) -> list[int]:
    """The numbers of the rows of one viewer, who rests at each event, until the session has finished."""
    numbers: list[int] = []
    async for frame in hub.events(session_id, after, None):
        lines = dict(line.split(": ", 1) for line in frame.decode().strip().split("\n") if line)
        if lines.get("event") not in ("history", "rows"):
            continue
        rows: list[dict[str, Any]] = json.loads(lines["data"])
        numbers += [row["s"] for row in rows]
        assert int(lines["id"]) == numbers[-1]
        if rows[-1]["k"] == "finished":
            break
        await asyncio.sleep(pause)
    return numbers


def test_viewers_who_join_at_any_moment_see_every_row_once(services: Services, session_id: str) -> None:
    async def scene() -> list[list[int]]:
        hub = stream.Hub(services)
        hub.start()
        writer = threading.Thread(target=run, args=(session_id, services.journal))
        viewers = []
        for i in range(8):
            viewers.append(asyncio.create_task(follow(hub, session_id, 0, pause=0.005 * i)))
            if i == 3:
                writer.start()
            await asyncio.sleep(0.02)
        found = await asyncio.wait_for(asyncio.gather(*viewers), 200)
        writer.join()
        assert hub.viewers == 0
        hub.stop()
        return found

    found = asyncio.run(scene())
    expected = list(range(1, services.journal.session(session_id).last_seq + 1))
    assert all(numbers == expected for numbers in found)


def test_a_stream_of_several_sessions_has_every_row_of_each_once(services: Services) -> None:
    ids = [start(a_spec(strategy="ma-cross", config={"fast": 3, "slow": 8}), services.journal) for _ in range(3)]
    run(ids[0], services.journal)  # it is over when the stream begins

    async def scene() -> dict[str, list[int]]:
        hub = stream.Hub(services)
        hub.start()
        writers = [threading.Thread(target=run, args=(one, services.journal)) for one in ids[1:]]
        seen: dict[str, list[int]] = {one: [] for one in ids}
        ended, gone = set(), []
        async with contextlib.aclosing(hub.together({ids[0]: 20, ids[1]: 0, ids[2]: 0, "gone": None})) as frames:
            for writer in writers:
                writer.start()
            async for frame in frames:
                fields = dict(line.split(": ", 1) for line in frame.decode().strip().split("\n") if line)
                assert "id" not in fields
                told = json.loads(fields["data"]) if "data" in fields else {}
                if fields.get("event") == "gone":
                    gone.append(told["session"])
                if fields.get("event") in ("history", "rows"):
                    seen[told["session"]] += [row["s"] for row in told["data"]]
                    ended |= {told["session"]} if told["data"][-1]["k"] == "finished" else set()
                if len(ended) == 3:
                    break
        assert gone == ["gone"]
        assert hub.viewers == 0
        hub.stop()
        for writer in writers:
            writer.join()
        return seen

    seen = asyncio.run(asyncio.wait_for(scene(), 120))
    for one, begun in zip(ids, (21, 1, 1), strict=True):
        assert seen[one] == list(range(begun, services.journal.session(one).last_seq + 1))


def test_a_viewer_that_does_not_read_is_cut_off_and_resumes(
    services: Services, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BACKLOG", 2)
    monkeypatch.setattr(stream, "CHUNK", 10)

    async def scene() -> tuple[list[int], list[int]]:
        hub = stream.Hub(services)
        hub.start()
        numbers: list[int] = []
        events = hub.events(session_id, 0, None)
        async for frame in events:
            if frame.startswith(b"id: 0\nevent: live"):
                break
        await asyncio.to_thread(run, session_id, services.journal)  # it looks away all the time
        async with asyncio.timeout(120):
            while hub.viewers:  # until it is cut off
                await asyncio.sleep(0.01)
        async for frame in events:
            if b"event: rows" in frame:
                numbers += [row["s"] for row in json.loads(frame.decode().split("data: ")[1])]
        rest = await asyncio.wait_for(follow(hub, session_id, numbers[-1] if numbers else 0), 120)
        hub.stop()
        return numbers, rest

    numbers, rest = asyncio.run(scene())
    last = services.journal.session(session_id).last_seq
    assert len(numbers) < last
    assert numbers + rest == list(range(1, last + 1))


def test_stopping_ends_every_stream(services: Services, session_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "KEEPALIVE_S", 600.0)  # at the next of which they would end, too

    async def scene() -> None:
        hub = stream.Hub(services)
        hub.start()

        async def watch() -> None:
            async for _ in hub.events(session_id, 0, None):
                pass

        viewers = [asyncio.create_task(watch()) for _ in range(3)]
        while hub.viewers < 3:
            await asyncio.sleep(0.01)
        threading.Thread(target=hub.stop).start()  # as from a signal handler
        await asyncio.wait_for(asyncio.gather(*viewers), 60)

    asyncio.run(scene())
