"""The push stream of a running panel: everything once, in order, also after an interruption."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import Any

import pytest
from killable import runner
from panel_process import END_S
from probe_market import START_NS

from pregao.sessions.views import view
from pregao_ui.stream import rows_event

MINUTE_NS = 60_000_000_000


def upto(reader: Any, last: int) -> list[dict[str, Any]]:
    """The rows of a stream until row ``last``."""
    rows: list[dict[str, Any]] = []
    for name, number, data in reader:
        if name in ("history", "rows"):
            assert number == data[-1]["s"]
            rows += data
            if number >= last:
                return rows
    raise AssertionError("the stream ended")


def journaled(panel: Any, session_id: str) -> list[dict[str, Any]]:
    instrument = panel.journal.session(session_id).instrument
    return [view(row, instrument) for row in panel.journal.rows(session_id, 0, 100_000)]


def test_rows_of_any_content_reach_the_page_as_they_are() -> None:
    rows = [
        {
            "s": 7,
            "k": "bar",
            "t": 1_700_000_040.0,
            "ts": 1_700_000_099.999_999,
            "c": 0.1 + 0.2,
            "v": 1e22,
            "pos": -1e-8,
        },
        {"s": 8, "k": "order", "id": 2**53 - 1, "gone": None, "late": True, "top": [["day_sin", 0.25]]},
        {"s": 9, "k": "intent", "why": "preço “acima” do comum\nand more\r\u2028 \x00 </script>"},
    ]
    event = rows_event("rows", rows)
    assert (event.name, event.first, event.last) == ("rows", 7, 9)
    assert json.loads(event.data) == rows
    assert not {b"\n", b"\r"} & {event.data[i : i + 1] for i in range(len(event.data))}  # else an event ends there
    assert json.loads(rows_event("rows", [{"s": 1, "p": float("nan"), "v": float("inf")}]).data) == [
        {"s": 1, "p": None, "v": None}
    ]
    half = [{"s": 1, "why": "half of a pair: \ud83d"}]
    assert json.loads(rows_event("rows", half).data) == half


def test_history_then_live_gives_every_row_once(panel: Any, events: Any) -> None:
    session_id = panel.session(feed={"speed": 60, "end": START_NS + 120 * MINUTE_NS})
    panel.run(session_id)
    reader = events(panel, session_id, "after=0")
    assert reader.response.headers["content-type"].startswith("text/event-stream")
    rows, seen_live = [], False
    for name, _, data in reader:
        seen_live = seen_live or name == "live"
        if name in ("history", "rows"):
            rows += data
        if seen_live and rows and rows[-1]["k"] == "finished":
            break
    assert rows == journaled(panel, session_id)


def test_a_viewer_that_comes_back_gets_exactly_what_it_missed(panel: Any, events: Any) -> None:
    session_id = panel.session(feed={"speed": 100, "end": START_NS + 300 * MINUTE_NS})
    panel.run(session_id)
    rows: list[dict[str, Any]] = []
    while not rows or rows[-1]["k"] != "finished":
        reader = events(panel, session_id, "tail=0" if rows else "after=0", last_id=rows[-1]["s"] if rows else None)
        wanted = len(rows) + 40
        for name, _, data in reader:
            if name in ("history", "rows"):
                rows += data
                if len(rows) >= wanted or rows[-1]["k"] == "finished":
                    break
        reader.close()  # in the middle of it all
    assert [row["s"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows == journaled(panel, session_id)


def test_viewers_that_join_while_it_rushes_miss_nothing(panel: Any, events: Any) -> None:
    session_id = panel.session(feed={"speed": 0})
    found: dict[int, list[dict[str, Any]]] = {}

    def watch(i: int) -> None:
        rows: list[dict[str, Any]] = []
        for name, _, data in events(panel, session_id, "after=0"):
            if name in ("history", "rows"):
                rows += data
                if rows[-1]["k"] == "finished":
                    break
        found[i] = rows

    watchers = [threading.Thread(target=watch, args=(i,)) for i in range(6)]
    for watcher in watchers[:3]:
        watcher.start()
    thread = panel.run(session_id)
    for watcher in watchers[3:]:
        watcher.start()
    for watcher in watchers:
        watcher.join(200)
    thread.join(60)
    expected = [row["s"] for row in journaled(panel, session_id)]
    assert len(found) == 6
    assert all([row["s"] for row in rows] == expected for rows in found.values())


def test_the_session_itself_comes_with_the_rows(panel: Any, events: Any) -> None:
    session_id = panel.session(feed={"speed": 50, "end": START_NS + 60 * MINUTE_NS})
    told = []
    for name, _, data in events(panel, session_id, "tail=0"):
        if name == "session":
            told.append(data)
            if data["status"] == "finished":
                break
            if len(told) == 1:
                panel.run(session_id)
    assert told[0]["id"] == session_id
    assert told[-1]["bars"] == told[-1]["bars_total"] == 60
    assert len({t["equity"] for t in told}) > 1


def test_the_last_rows_only(panel: Any, events: Any) -> None:
    session_id = panel.session(feed={"speed": 0, "end": START_NS + 30 * MINUTE_NS})
    panel.play(session_id)
    last = panel.journal.session(session_id).last_seq
    rows = upto(events(panel, session_id, "tail=5"), last)
    assert [row["s"] for row in rows] == list(range(last - 4, last + 1))
    for name, number, data in events(panel, session_id, "tail=0"):
        if name == "live":
            assert number == data == last
            break


@pytest.mark.parametrize("last_id", ["x", "-1", "9" * 40])
def test_an_id_that_is_none_does_no_harm(panel: Any, last_id: str) -> None:
    session_id = panel.session(feed={"speed": 0, "end": START_NS + 30 * MINUTE_NS})
    address = f"/api/sessions/{session_id}/events"
    with panel.http.stream("GET", address, headers={"Last-Event-ID": last_id}) as answer:
        assert answer.status_code == 200
        assert any(line == "event: live" for line in answer.iter_lines())


def test_an_open_stream_does_not_hold_up_the_end_and_goes_on_after_a_restart(panel: Any, events: Any) -> None:
    session_id = panel.session(feed={"speed": 40, "end": START_NS + 200 * MINUTE_NS})
    thread = panel.run(session_id)
    rows: list[dict[str, Any]] = []
    for name, _, data in events(panel, session_id, "after=0"):
        if name in ("history", "rows"):
            rows += data
            if len(rows) > 20:
                break
    assert panel.end() < END_S  # by itself
    panel.serve()
    rows += upto(events(panel, session_id, last_id=rows[-1]["s"]), rows[-1]["s"] + 1)
    thread.join(120)
    last = panel.journal.session(session_id).last_seq
    if rows[-1]["s"] < last:
        rows += upto(events(panel, session_id, last_id=rows[-1]["s"]), last)
    assert rows == journaled(panel, session_id)


def test_a_runner_that_is_killed_leaves_no_gap_and_no_duplicate(panel: Any, events: Any) -> None:
    """Viewers follow real runner processes that are killed again and again; one viewer's line is cut each time, too."""
    session_id = panel.session(feed={"speed": 100, "end": START_NS + 300 * MINUTE_NS}, isolated=False)
    url = panel.journal.url
    steady, cut = events(panel, session_id, "after=0"), events(panel, session_id, "after=0")
    seen: list[dict[str, Any]] = []
    followed: list[list[dict[str, Any]]] = []
    thread = threading.Thread(target=lambda: followed.append(_until_finished(steady)), daemon=True)
    thread.start()
    for kill in range(1, 4):
        process = runner(str(panel.home), url, session_id)
        seen += upto(cut, 80 * kill)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join(20)
        cut.close()
        cut = events(panel, session_id, last_id=seen[-1]["s"])
    process = runner(str(panel.home), url, session_id)
    process.join(120)
    assert panel.journal.session(session_id).status == "finished"
    seen += _until_finished(cut)
    thread.join(60)
    assert seen == followed[0] == journaled(panel, session_id)


def _until_finished(reader: Any) -> list[dict[str, Any]]:
    """The rows of a stream until the session's last."""
    rows: list[dict[str, Any]] = []
    for name, _, data in reader:
        if name in ("history", "rows"):
            rows += data
            if rows[-1]["k"] == "finished":
                break
    return rows


@pytest.mark.parametrize(
    "query", ["", "session=", "session=a b", "session=a:b", "session=a:-1", "&".join(["session=a"] * 101)]
)
def test_a_stream_of_sessions_that_are_not_named_rightly_is_refused(panel: Any, query: str) -> None:
    answer = panel.http.get(f"/api/v1/events?{query}")
    assert answer.status_code == 422
    assert answer.json()["message"]


def test_a_stream_of_several_sessions_goes_on_where_each_was(panel: Any) -> None:
    one = panel.session(feed={"speed": 0, "end": START_NS + 60 * MINUTE_NS})
    other = panel.session()
    panel.play(one)
    last = panel.journal.session(one).last_seq
    found: dict[str, list[Any]] = {}
    with panel.http.stream("GET", f"/api/v1/events?session={one}:10&session={other}&session=none") as answer:
        name = ""
        for line in answer.iter_lines():
            key, _, value = line.partition(": ")
            name = value if key == "event" else name
            if key == "data":
                told = json.loads(value)
                found.setdefault(f"{name} {told['session']}", []).append(told["data"])
            if {f"live {one}", f"live {other}", "gone none"} <= set(found):
                break
    rows = [row["s"] for rows in found[f"history {one}"] for row in rows]
    assert rows == list(range(11, last + 1))
    assert found[f"live {one}"] == [last]
    assert f"history {other}" not in found
    assert found[f"session {other}"][0]["status"] == "created"
