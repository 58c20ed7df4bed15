"""Asking strategies over history, bar by bar or only when what they wait for has come about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from pregao.core.bars import Bar, Bars
from pregao.simulation.course import Course
from pregao.strategies.answers import NOTHING
from pregao.strategies.contract import Wait
from pregao.strategies.seat import AHEAD, Seat

Progress = Callable[[int, int], None]
_CHUNK = 4_096
"""Bars are made Python's own so many at a time."""


def ask_one(course: Course, seat: Seat, progress: Progress | None = None) -> None:
    """Run a course of one instrument to its end, asking its strategy after each bar that it does not wait through."""
    n, at, on_bar, context = course.count, seat.first, seat.strategy.on_bar, seat.context
    size = max(min(n // 100, _CHUNK), 64) if progress is not None else _CHUNK
    while at < n:
        end = min(at // size * size + size, n)
        if progress is not None:
            progress(at, n)
        for bar in _bars(seat.bars, at, end):
            context.now_ns = bar[1]
            seat.row = at
            answer = on_bar(context, bar)
            at += 1
            if answer is not NOTHING:
                seat.asked(answer)
                if seat.wait is not None:
                    break
        seat.ahead = 1
        while seat.wait is not None and at < n:
            at = _await(course, seat, seat.wait, n)
            seat.wait = None
            if at >= n:
                break
            bar = seat.bar(at)
            context.now_ns = bar.close_ns
            seat.row = at
            answer = on_bar(context, bar)
            at += 1
            if answer is not NOTHING:
                seat.asked(answer)
        seat.ahead = AHEAD
    course.run(n)


def _await(course: Course, seat: Seat, wait: Wait, n: int) -> int:
    """The bar at which a wait is over."""
    due = seat.due(wait)
    if wait.event and len(course.run(min(due + 1, n), watch=True)):
        return course.done - 1
    return due


def _bars(bars: Bars, start: int, end: int) -> Iterator[Bar]:
    """The bars of a span as plain Python numbers, made without a step through Python's own code for each."""
    part = bars[start:end]
    columns = (part.open_ns, part.close_ns, part.open, part.high, part.low, part.close, part.volume)
    return map(partial(tuple.__new__, Bar), zip(*(column.tolist() for column in columns), strict=True))


def ask_many(course: Course, seats: Sequence[Seat], progress: Progress | None = None) -> None:
    """The same with several instruments: after each moment, those that had a bar in it, in the order of the account."""
    n = course.count
    moments = [course.moments_of(seat.book).tolist() for seat in seats]
    due = [own[seat.first] if seat.first < len(own) else n for seat, own in zip(seats, moments, strict=True)]
    rows = np.empty(len(course.books), np.int64)
    for seat in seats:
        rows[course.books == seat.book] = np.arange(len(seat.bars))
    first, books = course.first.tolist(), course.books.tolist()
    own = rows.tolist()
    stride, told = max(n // 100, 1), 0
    at = 0
    while at < n:
        if progress is not None and at >= told:
            progress(at, n)
            told = at + stride
        at = _next(course, seats, due, at, n)
        if at >= n:
            break
        if at >= course.awake:
            events = course.run(at + 1, min(at + _CHUNK, n))
            _stir(seats, due, events, at)
        for k in range(first[at], first[at + 1]):
            seat = seats[books[k]]
            if due[seat.book] > at:
                continue
            row = own[k]
            bar = seat.bar(row)
            seat.row, seat.wait, seat.context.now_ns = row, None, bar.close_ns
            answer = seat.strategy.on_bar(seat.context, bar)
            following = row + 1
            if answer is not NOTHING:
                seat.asked(answer)
                if seat.wait is not None:
                    following = seat.due(seat.wait)
            due[seat.book] = moments[seat.book][following] if following < len(seat.bars) else n
        at += 1
    course.run(n)


def _stir(seats: Sequence[Seat], due: list[int], events: np.ndarray, at: int) -> None:
    """Who waits for an event is asked at its bar in which one came."""
    for book in set(events["book"].tolist()):
        seat = seats[book]
        if seat.wait is not None and seat.wait.event:
            due[book] = at


def _next(course: Course, seats: Sequence[Seat], due: list[int], at: int, n: int) -> int:
    """The next moment from ``at`` on in which a strategy is to be asked."""
    while True:
        goal = min(due)
        if goal <= at:
            return at
        if not any(seat.wait is not None and seat.wait.event for seat in seats):
            return goal
        events = course.run(min(goal, n), watch=True)
        if not len(events):
            return goal
        at = course.done - 1
        _stir(seats, due, events, at)
        if min(due) <= at:
            return at
        at += 1
