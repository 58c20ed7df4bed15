"""What a course is made of, by its addresses: one array to hand over to compiled code instead of twenty.

Each array that Python hands over costs a tenth of a microsecond and more, as much as the step itself needs for a bar.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import carray

from pregao.core.bars import Ints
from pregao.core.compiled import compiled, pointer
from pregao.simulation.actions import ACTION
from pregao.simulation.layout import LOG, SETTING, WORLD
from pregao.simulation.tape import Tape

Array = Any
_INT, _BYTE, _FLOAT = np.int64, np.int8, np.float64


class Parts(NamedTuple):
    """The arrays of a course.

    Attributes:
        world, setting, log: `layout.WORLD`, `SETTING` and `LOG`, shape ``(1,)``.
        tape: the bars.
        marks: of one instrument, rows of `marks.Marks`, shape ``(n, 4)``.
        moments: of several, first row of each moment, and at the end the number of rows, shape ``(t + 1,)``.
        equity: of several, at each moment's close, shape ``(t,)``.
        positions: of several, of each row's instrument, shape ``(n,)``.
        held: of several, to work in, shape ``(instruments,)``.
    """

    world: Array
    setting: Array
    log: Array
    tape: Tape
    marks: Array
    moments: Array
    equity: Array
    positions: Array
    held: Array


def wind(parts: Parts) -> Ints:
    """Addresses and lengths of all parts, int64; good as long as the parts are where they are."""
    tape = parts.tape
    arrays = (
        parts.world, parts.setting, parts.log, tape.book, tape.live, tape.open_ns, tape.open, tape.high, tape.low,
        tape.close, tape.volume, tape.fine, tape.fine_bars, tape.actions, parts.marks, parts.moments, parts.equity,
        parts.positions, parts.held,
    )  # fmt: skip
    assert all(a.flags.c_contiguous for a in arrays)
    return np.array([tape.span_ns, *(x for a in arrays for x in (a.ctypes.data, len(a))), tape.even], np.int64)


@compiled
def unwind(reel: Ints) -> Parts:
    """The parts at those addresses."""
    return Parts(
        carray(pointer(reel[1]), (1,), WORLD),
        carray(pointer(reel[3]), (1,), SETTING),
        carray(pointer(reel[5]), (1,), LOG),
        Tape(
            carray(pointer(reel[7]), (reel[8],), _INT),
            carray(pointer(reel[9]), (reel[10],), _BYTE),
            carray(pointer(reel[11]), (reel[12],), _INT),
            carray(pointer(reel[13]), (reel[14],), _INT),
            carray(pointer(reel[15]), (reel[16],), _INT),
            carray(pointer(reel[17]), (reel[18],), _INT),
            carray(pointer(reel[19]), (reel[20],), _INT),
            carray(pointer(reel[21]), (reel[22],), _FLOAT),
            carray(pointer(reel[23]), (reel[24], 2), _INT),
            carray(pointer(reel[25]), (reel[26], 6), _INT),
            carray(pointer(reel[27]), (reel[28],), ACTION),
            reel[0],
            reel[39],
        ),
        carray(pointer(reel[29]), (reel[30], 4), _INT),
        carray(pointer(reel[31]), (reel[32],), _INT),
        carray(pointer(reel[33]), (reel[34],), _INT),
        carray(pointer(reel[35]), (reel[36],), _INT),
        carray(pointer(reel[37]), (reel[38],), _INT),
    )
