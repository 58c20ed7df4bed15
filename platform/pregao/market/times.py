"""Open times of bars as sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Ints


def among(times: Ints, others: Ints) -> NDArray[np.bool_]:
    """Which of the times are among the others; both ascend, which a look-up in each step makes use of."""
    if not len(others):
        return np.zeros(len(times), dtype=bool)
    at = np.minimum(np.searchsorted(others, times), len(others) - 1)
    found: NDArray[np.bool_] = others[at] == times
    return found
