"""Seeded chances that do not depend on the order in which they are drawn: a hash instead of a generator."""

from __future__ import annotations

from pregao.core.compiled import compiled
from pregao.core.money import PPM

_PRIME = 2**31 - 1
_FACTOR = 48_271


@compiled
def mix(seed: int, number: int) -> int:
    """An integer in [0, 2**31 - 1) from two, by rounds of the minimal standard generator (Park & Miller 1993)."""
    x = (seed % _PRIME + 1) * _FACTOR % _PRIME
    for part in (number % _PRIME, number // _PRIME % _PRIME):
        x = (x + part) * _FACTOR % _PRIME
        x = (x ^ (x >> 15)) % _PRIME
        x = (x * _FACTOR + 12_345) % _PRIME
    return int(x)


@compiled
def happens(seed: int, number: int, ppm: int) -> bool:
    """True with a chance of ``ppm`` in a million, always the same for the same ``seed`` and ``number``."""
    return mix(seed, number) % PPM < ppm
