"""Which settings a sweep tries: all of a grid, or some drawn at random, over a strategy's fields and over the plan."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import product
from typing import Literal, get_args, get_origin

import numpy as np
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from pregao.core.errors import UsageError, refusals, unknown

PLAN = ("entry_value", "take_profit", "stop_loss", "horizon", "cash", "fee", "slippage")
"""What of the plan can be swept, by the names and in the units of `Plan.of`."""
MOST = 1_000_000
"""Settings, and values of one range."""
Part = Literal["strategy", "plan"]
Value = int | float | str | bool | None

_DECIMALS = 4
_MISSES = 10_000
"""Draws in a row that bring nothing new, after which there is nothing new."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One name and the values that it may take.

    Attributes:
        name: of a field of the strategy's ``Config``, or one of `PLAN`.
        part: which of the two.
        values: in order; empty for a span without steps, which can only be drawn from.
        low, high: bounds of such a span, both included.
    """

    name: str
    part: Part
    values: tuple[Value, ...]
    low: float = 0.0
    high: float = 0.0

    def draw(self, rng: np.random.Generator) -> Value:
        """One value at random, every one equally likely; of a span, to four decimals."""
        if self.values:
            return self.values[int(rng.integers(len(self.values)))]
        return min(max(round(float(rng.uniform(self.low, self.high)), _DECIMALS), self.low), self.high)


@dataclass(frozen=True, slots=True)
class Setting:
    """One combination.

    Attributes:
        strategy: all that the strategy's ``Config`` is made of, fixed and swept.
        plan: what replaces the plan's own.
    """

    strategy: Mapping[str, Value]
    plan: Mapping[str, Value]

    def value(self, dimension: Dimension) -> Value:
        """The value of a dimension."""
        return (self.strategy if dimension.part == "strategy" else self.plan)[dimension.name]


@dataclass(frozen=True, slots=True)
class Space:
    """The settings to try.

    Attributes:
        strategy: its name.
        settings: each once; a setting's number is its place here.
        refused: how many combinations the strategy's ``Config`` did not take, and what it said of the first.
    """

    strategy: str
    dimensions: tuple[Dimension, ...]
    settings: tuple[Setting, ...]
    refused: int = 0
    refusal: str = ""


def dimension(text: str, config: type[BaseModel]) -> Dimension:
    """Read ``name=1:9:2`` (from, to, step; both ends count), ``name=1:9`` or ``name=1,2,5``.

    Whole ends without a step are whole numbers one apart; others can only be drawn from. ``strategy.name`` and
    ``plan.name`` say which is meant where both have the name.

    Raises:
        UsageError: for a name that neither has, values that are none, a range that is empty, or too long, or whose
            step leads nowhere; for what is no number in the plan.
    """
    found = _read(text, config)
    if found.part == "plan":
        for value in found.values:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise UsageError(f"A {found.name} is a number, not {value!r}.", f"For example: {found.name}=1,2,3")
        if found.name == "horizon" and not (found.values and all(isinstance(v, int) for v in found.values)):
            raise UsageError("A horizon is a whole number of bars.", "For example: horizon=0:100:10")
    return found


def _read(text: str, config: type[BaseModel]) -> Dimension:
    given, equals, values = text.partition("=")
    if not equals or not given.strip() or not values.strip():
        raise UsageError(f"{text!r} is not NAME=VALUES.", "For example: fast=5:15:1, or slow=20,30,40.")
    name, part = _named(given.strip(), config)
    if ":" not in values:
        found = tuple(dict.fromkeys(_value(v) for v in values.split(",")))
        return Dimension(name, part, found)
    return _span(name, part, values)


def _named(given: str, config: type[BaseModel]) -> tuple[str, Part]:
    prefix, dot, rest = given.partition(".")
    asked = prefix if dot and prefix in ("strategy", "plan") else ""
    name = (rest if asked else given).replace("-", "_")
    of_strategy = name in config.model_fields and asked != "plan"
    of_plan = name in PLAN and asked != "strategy"
    if of_strategy and of_plan:
        raise UsageError(
            f"Both the strategy and the plan have a {name!r}.", f"Say which: strategy.{name} or plan.{name}."
        )
    if not of_strategy and not of_plan:
        raise unknown("setting to sweep", given, [*config.model_fields, *PLAN])
    return name, "strategy" if of_strategy else "plan"


def _value(text: str) -> Value:
    """JSON where it is a plain value, else the text itself."""
    text = text.strip()
    try:
        found = json.loads(text)
    except ValueError:
        found = text
    if isinstance(found, float) and not math.isfinite(found):
        raise UsageError(f"{text} is no value to try.", "Give finite numbers.")
    return found if isinstance(found, int | float | str | bool) or found is None else text


def _span(name: str, part: Part, text: str) -> Dimension:
    pieces = [p.strip() for p in text.split(":")]
    try:
        numbers = [Decimal(p) for p in pieces]
    except InvalidOperation:
        raise UsageError(f"The range {name}={text} is not of numbers.", f"For example: {name}=5:15:1") from None
    if not 2 <= len(numbers) <= 3 or not all(n.is_finite() for n in numbers):
        raise UsageError(f"The range {name}={text} is not FROM:TO:STEP.", f"For example: {name}=5:15:1")
    low, high = numbers[:2]
    whole = all("." not in p and "e" not in p.lower() for p in pieces)
    if len(numbers) == 2 and not whole:
        if not low < high:
            raise UsageError(f"The range {name}={text} is empty.", "Give the lower end first.")
        return Dimension(name, part, (), float(low), float(high))
    step = numbers[2] if len(numbers) == 3 else Decimal(1)
    if step == 0 or ((step < 0) != (high < low) and low != high):
        way = "a step of 0 never arrives" if step == 0 else f"a step of {step} never leads from {low} to {high}"
        raise UsageError(f"The range {name}={text} is empty: {way}.", f"For example: {name}=5:15:1")
    count = int((high - low) / step) + 1
    if count > MOST:
        raise UsageError(f"The range {name}={text} has {count:,} values; the most is {MOST:,}.", "Widen its step.")
    exact = [low + i * step for i in range(count)]
    return Dimension(name, part, tuple(int(v) if whole else float(v) for v in exact))


def bounds_of(name: str, field: FieldInfo) -> Dimension | None:
    """All that a field of a ``Config`` may be, by its own bounds or its choices; None if it has none on either side."""
    kind = field.annotation
    if kind is bool:
        return Dimension(name, "strategy", (False, True))
    if get_origin(kind) is Literal:
        return Dimension(name, "strategy", get_args(kind))
    ends: dict[str, float] = {}
    for mark in field.metadata:
        for end in ("ge", "gt", "le", "lt"):
            if getattr(mark, end, None) is not None:
                ends[end] = getattr(mark, end)
    low, high = ends.get("ge", ends.get("gt")), ends.get("le", ends.get("lt"))
    if low is None or high is None or kind not in (int, float):
        return None
    if kind is int:
        first, last = int(low) + ("ge" not in ends), int(high) - ("le" not in ends)
        return _span(name, "strategy", f"{first}:{last}") if last - first < MOST else None
    return Dimension(name, "strategy", (), float(low), float(high))


def grid(strategy: str, config: type[BaseModel], fixed: Mapping[str, Value], dimensions: Sequence[Dimension]) -> Space:
    """Every combination, the last dimension changing fastest; those that the ``Config`` refuses are counted.

    Raises:
        UsageError: if there are too many, or none at all.
    """
    _check(fixed, dimensions)
    if not dimensions:
        raise UsageError("There is nothing to sweep.", "Name a range, for example --grid fast=5:15:1, or --random 100.")
    for d in dimensions:
        if not d.values:
            raise UsageError(
                f"A grid needs a step for {d.name}, which goes from {d.low:g} to {d.high:g}.",
                f"For example: {d.name}={d.low:g}:{d.high:g}:{(d.high - d.low) / 10:g}; or draw with --random.",
            )
    count = math.prod(len(d.values) for d in dimensions)
    if count > MOST:
        raise UsageError(
            f"The grid has {count:,} settings; the most is {MOST:,}.",
            "Widen the steps, or draw some of them: --random 1000",
        )
    return _taken(strategy, config, fixed, dimensions, product(*(d.values for d in dimensions)), count)


def random(
    strategy: str,
    config: type[BaseModel],
    fixed: Mapping[str, Value],
    dimensions: Sequence[Dimension],
    count: int,
    seed: int,
) -> Space:
    """So many different combinations, drawn at random and the same for the same seed.

    Fields of the ``Config`` that are neither fixed nor a dimension are drawn within their own bounds; those without
    bounds keep their default. There may be fewer combinations than asked for: then all that were found.

    Raises:
        UsageError: if the count is out of range, or there is nothing to draw.
    """
    _check(fixed, dimensions)
    if not 1 <= count <= MOST:
        raise UsageError(f"Between 1 and {MOST:,} settings can be drawn, not {count:,}.")
    named = {d.name for d in dimensions if d.part == "strategy"} | set(fixed)
    own = (bounds_of(n, f) for n, f in config.model_fields.items() if n not in named)
    dims = (*dimensions, *(d for d in own if d is not None))
    if not dims:
        raise UsageError("There is nothing to draw.", "Name a range, for example --grid take_profit=0.5:3.0")
    rng = np.random.default_rng(seed)

    def drawn() -> Iterator[tuple[Value, ...]]:
        seen: set[tuple[Value, ...]] = set()
        misses = 0
        while misses < _MISSES and len(seen) < MOST:
            values = tuple(d.draw(rng) for d in dims)
            misses = misses + 1 if values in seen else 0
            if not misses:
                seen.add(values)
                yield values

    return _taken(strategy, config, fixed, dims, drawn(), count)


def _check(fixed: Mapping[str, Value], dimensions: Sequence[Dimension]) -> None:
    names = [f"{d.part}.{d.name}" for d in dimensions]
    twice = next((n for n in names if names.count(n) > 1), None)
    both = next((d.name for d in dimensions if d.part == "strategy" and d.name in fixed), None)
    if twice is not None:
        raise UsageError(f"{twice.partition('.')[2]} is swept twice.", "Put all of its values into one range or list.")
    if both is not None:
        raise UsageError(f"{both} is both fixed and swept.", "Leave out one of --set and --grid.")


def _taken(
    strategy: str,
    config: type[BaseModel],
    fixed: Mapping[str, Value],
    dimensions: Sequence[Dimension],
    combinations: Iterator[tuple[Value, ...]],
    most: int,
) -> Space:
    """The first ``most`` combinations that the ``Config`` takes."""
    of_strategy = [i for i, d in enumerate(dimensions) if d.part == "strategy"]
    of_plan = [i for i, d in enumerate(dimensions) if d.part == "plan"]
    judged: dict[tuple[Value, ...], tuple[dict[str, Value], str]] = {}
    found: list[Setting] = []
    refused, refusal = 0, ""
    for values in combinations:
        key = tuple(values[i] for i in of_strategy)
        if key not in judged:
            settings = {**fixed, **{dimensions[i].name: values[i] for i in of_strategy}}
            judged[key] = settings, _refusal(config, settings)
        settings, why = judged[key]
        if why:
            refused += 1
            refusal = refusal or why
            continue
        found.append(Setting(settings, {dimensions[i].name: values[i] for i in of_plan}))
        if len(found) == most:
            break
    if not found:
        raise UsageError(
            f"The strategy {strategy!r} takes none of the {refused:,} settings: {refusal}.",
            f"Its settings: {', '.join(config.model_fields) or 'none'}.",
        )
    return Space(strategy, tuple(dimensions), tuple(found), refused, refusal)


def _refusal(config: type[BaseModel], settings: Mapping[str, Value]) -> str:
    try:
        config(**settings)
    except (ValidationError, TypeError) as error:
        return refusals(error)[0] if isinstance(error, ValidationError) else str(error)
    return ""
