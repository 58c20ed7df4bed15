"""The compiled functions as the engine calls them from Python: with its records in arrays of one."""

from __future__ import annotations

from typing import Any

from pregao.core.compiled import compiled
from pregao.simulation import kernel, matching, orders

Array = Any


@compiled
def step(
    world: Array,
    setting: Array,
    logs: Array,
    open_ns: int,
    close_ns: int,
    actions: Array,
    fine: Array,
    fine_bars: Array,
) -> None:
    """`kernel.step`."""
    kernel.step(world[0], setting[0], logs[0], open_ns, close_ns, actions, fine, fine_bars)


@compiled
def arrive(
    world: Array, b: int, opened: int, high: int, low: int, close: int, volume: float, live: int, row: int
) -> None:
    """`kernel.arrive`."""
    kernel.arrive(world[0], b, opened, high, low, close, volume, live, row)


@compiled
def act(world: Array, setting: Array, logs: Array, b: int, signal: int, fraction_ppm: int) -> None:
    """`kernel.act`."""
    kernel.act(world[0], setting[0], logs[0], b, signal, fraction_ppm)


@compiled
def leave_now(world: Array, setting: Array, logs: Array, b: int, ticks: int, ts_ns: int) -> None:
    """`orders.leave_now`."""
    orders.leave_now(world[0], setting[0], logs[0], b, ticks, ts_ns)


@compiled
def submit(world: Array, setting: Array, logs: Array) -> None:
    """`orders.submit`."""
    orders.submit(world[0], setting[0], logs[0])


@compiled
def refuse(world: Array, setting: Array, logs: Array, reason: int) -> None:
    """`orders.refuse`."""
    orders.refuse(world[0], setting[0], logs[0], reason)


@compiled
def amend(
    world: Array, setting: Array, logs: Array, order_id: int, qty_lots: int, price_ticks: int, limit_ticks: int
) -> None:
    """`orders.amend`."""
    orders.amend(world[0], setting[0], logs[0], order_id, qty_lots, price_ticks, limit_ticks)


@compiled
def cancel(world: Array, setting: Array, logs: Array, order_id: int) -> None:
    """`orders.cancel`."""
    orders.cancel(world[0], setting[0], logs[0], order_id)


@compiled
def convert(world: Array, setting: Array, logs: Array, m: int, amount: int, fee_ppm: int) -> None:
    """`kernel.convert`."""
    kernel.convert(world[0], setting[0], logs[0], m, amount, fee_ppm)


@compiled
def trigger_of(world: Array, k: int) -> int:
    """`matching.trigger` of the working order in slot ``k``."""
    return matching.trigger(world[0]["orders"][k])


@compiled
def equity(world: Array, setting: Array) -> int:
    """`kernel.equity`."""
    return kernel.equity(world[0], setting[0])
