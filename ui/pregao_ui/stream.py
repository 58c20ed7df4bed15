"""The push stream: rows of the journal as they are committed, by server-sent events.

One tailer serves all viewers of this process. It learns that something was committed anywhere from SQLite's
``PRAGMA data_version`` (2 us), or from the highest row numbers on PostgreSQL; it reads and encodes what is new
once and hands the bytes to every viewer.

Events of a stream: ``history`` and ``rows`` (JSON arrays of rows, whose ``id`` is the number of the last one),
``session`` (the session as it stands) and ``live`` (the history is complete; its data is the last row's number).
A viewer that comes back with ``Last-Event-ID`` gets exactly the rows after it.

Several sessions may share one stream, since a browser opens six connections to a host: then the data of each event is
``{"session": ID, "data": …}``, and there is no ``id``: who comes back says for each session where to go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy import make_url

from pregao.core.errors import NotFoundError, PregaoError
from pregao_ui.services import Services

log = logging.getLogger("pregao.panel")

POLL_S = 0.04
POLL_SERVER_S = 0.1
KEEPALIVE_S = 15.0
CHUNK = 2_000
"""Rows in one event at most."""
BACKLOG = 500
"""Events that may wait for a slow viewer; then it is cut off, and resumes by itself from where it was."""

KEEPALIVE = b": keepalive\n\n"
RETRY = b"retry: 1000\n\n"

Row = dict[str, Any]


class Event(NamedTuple):
    """An event of one session: its name, its data as JSON, the numbers of its rows.

    ``first`` and ``last`` are 0 for ``session``, which moves no place to resume from; ``live`` has the last one.
    """

    name: str
    data: bytes
    first: int = 0
    last: int = 0

    def alone(self) -> bytes:
        """As it is sent on a stream of its session only."""
        number = b"" if self.name == "session" else b"id: %d\n" % self.last
        return b"%sevent: %s\ndata: %s\n\n" % (number, self.name.encode(), self.data)

    def among(self, session_id: str) -> bytes:
        """As it is sent on a stream of several sessions."""
        name = json.dumps(session_id).encode()
        return b'event: %s\ndata: {"session":%s,"data":%s}\n\n' % (self.name.encode(), name, self.data)


def rows_event(name: str, rows: list[Row]) -> Event:
    """Rows as one event; a number that JSON does not have is null."""
    try:
        data = to_json(rows, inf_nan_mode="null")  # in a fifth of the time that `json` takes
    except PydanticSerializationError:  # half of a surrogate pair, in a plugin's words: it has no UTF-8
        data = json.dumps(rows, separators=(",", ":"), allow_nan=False).encode()
    return Event(name, data, rows[0]["s"], rows[-1]["s"])


def session_event(document: str) -> Event:
    """The session as it stands as one event."""
    return Event("session", document.encode())


@dataclass(eq=False)
class _Viewer:
    queue: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(BACKLOG))

    def put(self, message: Event) -> bool:
        """Whether it still keeps up; if not, it has been told to end."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.end()
            return False
        return True

    def end(self) -> None:
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


@dataclass(eq=False)
class _Channel:
    """One watched session: who watches, the last row handed out, the last session document handed out."""

    last: int
    document: str = ""
    viewers: set[_Viewer] = field(default_factory=set)


class Hub:
    """The tailer of this process. Start it inside the running event loop; `stop` may be called from anywhere."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._channels: dict[str, _Channel] = {}
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False

    @property
    def viewers(self) -> int:
        """How many streams are open."""
        return sum(len(channel.viewers) for channel in self._channels.values())

    def start(self) -> None:
        """Begin to tail."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._tail())

    def stop(self) -> None:
        """End every stream: from uvicorn's signal handler, since an open stream would hold up its shutdown."""
        self._stopping = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end_all)

    def _end_all(self) -> None:
        if self._task is not None:
            self._task.cancel()
        for channel in self._channels.values():
            for viewer in channel.viewers:
                viewer.end()

    # ---- the tailer

    async def _tail(self) -> None:
        changed, close = _watch_changes(self.services.journal.url)
        pause = POLL_S if close else POLL_SERVER_S
        again = False
        try:
            while not self._stopping:
                await asyncio.sleep(pause)
                if not self._channels:
                    again = True  # what was committed meanwhile must be looked at
                    continue
                try:
                    if not (changed() or again):
                        continue
                    again = await asyncio.to_thread(self._read)
                except (PregaoError, OSError, sqlite3.Error) as error:
                    log.warning("the stream waits for the database: %s", error)
                    again = True
                    await asyncio.sleep(1)
        finally:
            if close:
                close()

    def _read(self) -> bool:
        """Read what is new for each watched session, hand it to the loop; whether there is more to read."""
        more = False
        for session_id, channel in list(self._channels.items()):
            rows = self.services.sessions.rows(session_id, channel.last, CHUNK)
            if rows:
                channel.last = rows[-1]["s"]
                self._hand_out(session_id, rows_event("rows", rows))
                more = more or len(rows) == CHUNK
            document = self.services.sessions.one(session_id).model_dump_json()
            if document != channel.document:
                channel.document = document
                self._hand_out(session_id, session_event(document))
        return more

    def _hand_out(self, session_id: str, message: Event) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._publish, session_id, message)

    def _publish(self, session_id: str, message: Event) -> None:
        channel = self._channels.get(session_id)
        if channel is not None:
            channel.viewers = {viewer for viewer in channel.viewers if viewer.put(message)}

    # ---- a viewer

    async def events(self, session_id: str, after: int | None, tail: int | None) -> AsyncIterator[bytes]:
        """The stream of one viewer of one session, see `updates`."""
        yield RETRY
        async with contextlib.aclosing(self.updates(session_id, after, tail)) as updates:
            async for event in updates:
                yield KEEPALIVE if event is None else event.alone()

    async def together(self, wanted: Mapping[str, int | None]) -> AsyncIterator[bytes]:
        """One stream of several sessions: the rows after a number of each, or what comes from now on for None.

        It ends as soon as one of them does, because it lags or the panel ends; the viewer comes back for all.
        """
        ready: asyncio.Queue[bytes | None] = asyncio.Queue(1)

        async def pump(session_id: str, after: int | None) -> None:
            try:
                async with contextlib.aclosing(self.updates(session_id, after, 0)) as updates:
                    async for event in updates:
                        await ready.put(KEEPALIVE if event is None else event.among(session_id))
            except NotFoundError:
                await ready.put(Event("gone", b"null").among(session_id))
                return
            await ready.put(None)

        pumps = [asyncio.create_task(pump(*one)) for one in wanted.items()]
        try:
            yield RETRY
            while frame := await ready.get():
                yield frame
        finally:
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def updates(self, session_id: str, after: int | None, tail: int | None) -> AsyncGenerator[Event | None, None]:
        """The rows after ``after`` or the last ``tail`` ones, then what comes; None when nothing has come for a while.

        It is subscribed before the history is read, so nothing can fall between; what both hold is left out.
        """
        viewer = await self._join(session_id)
        try:
            document = await asyncio.to_thread(self.services.sessions.one, session_id)
            yield session_event(document.model_dump_json())
            if after is None:
                after = await asyncio.to_thread(self.services.sessions.tail_start, session_id, tail or 0)
            while rows := await asyncio.to_thread(self.services.sessions.rows, session_id, after, CHUNK):
                after = rows[-1]["s"]
                yield rows_event("history", rows)
            yield Event("live", b"%d" % after, after, after)
            while not self._stopping:
                try:  # not `asyncio.wait_for`: until Python 3.12 it loses a cancel that comes with an event
                    async with asyncio.timeout(KEEPALIVE_S):
                        event = await viewer.queue.get()
                except TimeoutError:
                    yield None
                    continue
                if event is None:
                    return
                if event.name == "session":
                    yield event
                elif event.last > after:
                    if event.first == after + 1:
                        yield event
                    else:  # the history ended inside this batch: only what follows it
                        rows = await asyncio.to_thread(self.services.sessions.rows, session_id, after, CHUNK)
                        yield rows_event("rows", [row for row in rows if row["s"] <= event.last])
                    after = event.last
        finally:
            self._leave(session_id, viewer)

    async def _join(self, session_id: str) -> _Viewer:
        viewer = _Viewer()
        if session_id not in self._channels:
            await asyncio.to_thread(self.services.sessions.one, session_id)  # what is not there holds nothing up
            last = await asyncio.to_thread(self.services.sessions.tail_start, session_id, 0)
            self._channels.setdefault(session_id, _Channel(last))
        self._channels[session_id].viewers.add(viewer)
        return viewer

    def _leave(self, session_id: str, viewer: _Viewer) -> None:
        channel = self._channels.get(session_id)
        if channel is None:
            return
        channel.viewers.discard(viewer)
        if not channel.viewers:
            del self._channels[session_id]


def _watch_changes(url: str) -> tuple[Callable[[], bool], Callable[[], None] | None]:
    """A cheap question, whether anything was committed since it was last asked, and how to end asking.

    On SQLite it is one pragma on a connection of its own. On PostgreSQL the answer is always yes: reading the
    new rows by their primary key is as cheap as asking.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return lambda: True, None
    address = f"{Path(parsed.database or '').resolve().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    seen = -1

    def changed() -> bool:
        nonlocal seen
        version = int(connection.execute("PRAGMA data_version").fetchone()[0])
        fresh, seen = version != seen, version
        return fresh

    def close() -> None:
        with contextlib.suppress(sqlite3.Error):
            connection.close()

    return changed, close
