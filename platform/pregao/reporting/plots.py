"""Plots as inline SVG that follow the page: its colours, its width, its language.

A plot is a stretched SVG (x from 0 to 1000 whatever the width, y in pixels, lines of constant width) with its labels as
text beside it, so that it is as readable on a phone as on paper. Colours are classes of the style sheet: one file shows
light and dark. That is why these few lines draw and not matplotlib, whose SVG fixes colours, width and size of text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pregao.reporting.axes import TimeTick, ticks, time_ticks
from pregao.reporting.thinning import thin

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WIDTH = 1000
_COLUMNS = 700
"""Columns to which series are thinned: at most four points each, so that a file stays small."""


@dataclass(frozen=True, eq=False)
class Line:
    """A series to draw.

    Attributes:
        y: one value for each time; NaN is a hole.
        style: class of the style sheet.
        filled: shade what is between the line and 0 (or the bottom, if 0 is not in sight).
        stepped: each value holds until the next.
    """

    y: Floats
    style: str
    filled: bool = False
    stepped: bool = False


@dataclass(frozen=True)
class Frame:
    """What is around a plot.

    Attributes:
        name: unique in the page.
        title, description: for those who cannot see it.
        height: in pixels.
        label: text of a value on the y axis, given it and the decimals that tell the ticks apart.
        time_label: text of a tick on the time axis.
        times: whether to write the time labels.
        about: how many ticks on the y axis.
    """

    name: str
    title: str
    description: str
    height: int
    label: Callable[[float, int], str]
    time_label: Callable[[TimeTick], str]
    times: bool = True
    about: int = 4


def over_time(
    frame: Frame,
    times_ns: Ints,
    lines: Sequence[Line],
    *,
    within: tuple[float | None, float | None] = (None, None),
    rule: float | None = None,
) -> Markup:
    """Lines over time.

    Args:
        times_ns: ascending, shape ``(n,)``, ``n >= 1``.
        lines: drawn in order, the last on top.
        within: lower and upper end of the y axis; None is what the lines reach, and a little more.
        rule: a value to mark with a dashed line.
    """
    first, last = int(times_ns[0]), int(times_ns[-1])
    span = max(last - first, 1)
    low, high = _reach([line.y for line in lines], within, rule)

    def down(value: float) -> float:
        return (high - value) / (high - low) * frame.height

    levels, decimals = ticks(low, high, frame.about)
    marks = time_ticks(first, last)
    at = [(mark.ns - first) / span * WIDTH for mark in marks]
    body = [
        Markup('<path class="grid" d="{}"/>').format(
            "".join([f"M0 {down(v):.1f}H{WIDTH}" for v in levels] + [f"M{u:.1f} 0V{frame.height}" for u in at])
        )
    ]
    if rule is not None:
        body.append(Markup('<path class="rule" d="M0 {}H{}"/>').format(f"{down(rule):.1f}", WIDTH))
    base = down(min(max(0.0, low), high))
    for line in lines:
        kept, holes = _drawn(times_ns, line.y)
        u = (times_ns[kept] - first) / span * WIDTH
        d, area = _paths(u, (high - line.y[kept]) / (high - low) * frame.height, holes, line.stepped, base)
        if line.filled:
            body.append(Markup('<path class="area {}" d="{}"/>').format(line.style, area))
        body.append(Markup('<path class="line {}" d="{}"/>').format(line.style, d))
    labels = [_level(down(v) / frame.height, frame.label(v, decimals)) for v in levels]
    if frame.times:
        labels += _moments(at, [frame.time_label(mark) for mark in marks], _kept([mark.form for mark in marks]))
    return _whole(frame, body, labels)


def across(
    frame: Frame,
    x: Floats,
    lines: Sequence[Line],
    x_label: Callable[[float, int], str],
    *,
    rule: float | None = None,
) -> Markup:
    """Lines over a quantity.

    Args:
        x: ascending, finite, shape ``(n,)``, ``n >= 1``; few enough to be drawn all.
        lines: drawn in order, the last on top; one value for each ``x``.
        x_label: text of a value on the x axis.
        rule: a value of y to mark with a dashed line.
    """
    first, last = float(x[0]), float(x[-1])
    span = last - first or 1.0
    low, high = _reach([line.y for line in lines], (None, None), rule)

    def down(value: float) -> float:
        return (high - value) / (high - low) * frame.height

    levels, decimals = ticks(low, high, frame.about)
    values, x_decimals = ticks(first, last, 7) if last > first else ([first], 4)
    at = [(value - first) / span * WIDTH for value in values]
    body = [
        Markup('<path class="grid" d="{}"/>').format(
            "".join([f"M0 {down(v):.1f}H{WIDTH}" for v in levels] + [f"M{u:.1f} 0V{frame.height}" for u in at])
        )
    ]
    if rule is not None:
        body.append(Markup('<path class="rule" d="M0 {}H{}"/>').format(f"{down(rule):.1f}", WIDTH))
    for line in lines:
        known = np.flatnonzero(np.isfinite(line.y))
        u, v = (x[known] - first) / span * WIDTH, (high - line.y[known]) / (high - low) * frame.height
        d, _ = _paths(u, v, np.zeros(len(known), np.int64), line.stepped, down(low))
        body.append(Markup('<path class="line {}" d="{}"/>').format(line.style, d))
    labels = [_level(down(v) / frame.height, frame.label(v, decimals)) for v in levels]
    labels += _moments(at, [x_label(v, x_decimals) for v in values])
    return _whole(frame, body, labels)


def histogram(frame: Frame, edges: Floats, counts: Ints, x_label: Callable[[float, int], str]) -> Markup:
    """Bars of counts, losses and gains apart.

    Args:
        edges: ascending, evenly spaced, one of them 0 if 0 is within; shape ``(n + 1,)``.
        counts: shape ``(n,)``.
        x_label: text of a value on the x axis.
    """
    low, high = float(edges[0]), float(edges[-1])
    most = max(int(counts.max()), 1) * 1.06
    levels, decimals = ticks(0.0, most, frame.about)
    levels = [v for v in levels if v == int(v)]
    values, x_decimals = ticks(low, high, 7)
    across = [(v - low) / (high - low) * WIDTH for v in values]

    def down(value: float) -> float:
        return (1 - value / most) * frame.height

    body = [Markup('<path class="grid" d="{}"/>').format("".join(f"M0 {down(v):.1f}H{WIDTH}" for v in levels))]
    for i, count in enumerate(counts):
        if count:
            left, right = ((float(e) - low) / (high - low) * WIDTH for e in edges[i : i + 2])
            style = "gain" if edges[i] + edges[i + 1] > 0 else "loss"
            body.append(
                Markup('<path class="bar {}" d="M{} {}V{}H{}V{}"/>').format(
                    style,
                    f"{left + 0.6:.1f}",
                    frame.height,
                    f"{down(float(count)):.1f}",
                    f"{right - 0.6:.1f}",
                    frame.height,
                )
            )
    if low < 0 < high:
        zero = -low / (high - low) * WIDTH
        body.append(Markup('<path class="rule" d="M{} 0V{}"/>').format(f"{zero:.1f}", frame.height))
    labels = [_level(down(v) / frame.height, frame.label(v, decimals)) for v in levels]
    labels += _moments(across, [x_label(v, x_decimals) for v in values])
    return _whole(frame, body, labels)


def _reach(
    series: Sequence[Floats], within: tuple[float | None, float | None], rule: float | None
) -> tuple[float, float]:
    """The ends of the y axis: of what is drawn, with 4 % of room, unless they are given."""
    known = [y if np.isfinite(y).all() else y[np.isfinite(y)] for y in series]
    ends = [float(end) for y in known if len(y) for end in (y.min(), y.max())] + ([] if rule is None else [rule])
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    bottom, top = (edge if end is None else end for edge, end in zip((low, high), within, strict=True))
    room = (max(high, top) - min(low, bottom)) * 0.04 or abs(high) * 0.01 or 1.0
    bottom = low - room if within[0] is None or low < bottom else bottom
    top = high + room if within[1] is None or high > top else top
    return (bottom, top) if top > bottom else (bottom - room, top + room)


def _drawn(times_ns: Ints, y: Floats) -> tuple[Ints, Ints]:
    """The points of a line that are drawn, and how many holes are before each."""
    finite = np.isfinite(y)
    if finite.all():
        kept = thin(times_ns, y, _COLUMNS)
        return kept, np.zeros(len(kept), np.int64)
    where = np.flatnonzero(finite)
    if not len(where):
        return where, where
    kept = where[thin(times_ns[where], y[where], _COLUMNS)]
    return kept, np.cumsum(~finite)[kept]


def _paths(x: Floats, y: Floats, holes: Ints, stepped: bool, base: float) -> tuple[str, str]:
    """The ``d`` of a line and of the area between it and the base, with its holes."""
    if not len(x):
        return "", ""
    lines, areas = [], []
    for part in np.split(np.arange(len(x)), np.flatnonzero(np.diff(holes)) + 1):
        u, v = x[part], y[part]
        if stepped:
            u, v = np.repeat(u, 2)[1:], np.repeat(v, 2)[:-1]
        if len(u) == 1:
            u, v = np.array([u[0], u[0] + 0.5]), np.array([v[0], v[0]])
        points = " ".join(f"{a:.1f} {b:.1f}" for a, b in zip(u.tolist(), v.tolist(), strict=True))
        lines.append(f"M{points}")
        areas.append(f"M{u[0]:.1f} {base:.1f} {points} {u[-1]:.1f} {base:.1f}Z")
    return "".join(lines), "".join(areas)


def _level(share: float, text: str) -> Markup:
    return Markup('<span class="level" style="top:{}%">{}</span>').format(f"{100 * share:.2f}", text)


def _kept(forms: Sequence[str]) -> int:
    """Whether the even labels (0) or the odd ones (1) stay where there is no room: those that tell more years or days.

    Between years, every other month may be July.
    """
    coarsest = next(form for form in ("year", "month", "day", "hour") if form in forms)
    told = [sum(form == coarsest for form in forms[start::2]) for start in (0, 1)]
    return int(told[1] > told[0])


def _moments(at: Sequence[float], texts: Sequence[str], kept: int = 0) -> list[Markup]:
    """Labels below a plot; every other one is left out where there is no room: the odd ones if ``kept`` is 0."""
    kinds = ("moment minor", "moment") if kept else ("moment", "moment minor")
    return [
        Markup('<span class="{}" style="left:{}%">{}</span>').format(kinds[i % 2], f"{u * 100 / WIDTH:.2f}", text)
        for i, (u, text) in enumerate(zip(at, texts, strict=True))
    ]


def _whole(frame: Frame, body: Sequence[Markup], labels: Sequence[Markup]) -> Markup:
    return Markup(
        '<div class="plot{timed}" style="--h:{height}px"><div class="canvas">'
        '<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" '
        'aria-labelledby="{name}-title {name}-desc"><title id="{name}-title">{title}</title>'
        '<desc id="{name}-desc">{description}</desc>{body}</svg>'
        '<div class="labels" aria-hidden="true">{labels}</div></div></div>'
    ).format(
        timed=" timed" if frame.times else "",
        height=frame.height,
        width=WIDTH,
        name=frame.name,
        title=frame.title,
        description=frame.description,
        body=Markup("").join(body),
        labels=Markup("").join(labels),
    )
