"""The figures of a session from its journal alone are those of the backtest that its audit makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from probe_market import START_NS, a_spec, random_walk

from pregao.core.errors import NotFoundError, UsageError
from pregao.market.store import Store
from pregao.sessions.as_backtest import result_of
from pregao.sessions.control import start
from pregao.sessions.course import course_of
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run


def test_the_figures_are_those_of_the_session_as_a_backtest(plugin: None, home: Any) -> None:
    Store().write(random_walk(400))
    journal = Journal()
    session_id = start(a_spec(feed={"speed": 0, "end": START_NS + 300 * 60_000_000_000}, horizon=7), journal)
    run(session_id, journal)
    found, whole = course_of(journal, session_id), result_of(journal, session_id)
    assert len(found.equity) == 300
    assert np.array_equal(found.close_ns, whole.bars.close_ns)
    assert np.array_equal(found.equity, whole.money)
    assert found.figures == pytest.approx(whole.metrics(), nan_ok=True, rel=1e-12)
    assert found.figures["trades"] > 3


def test_what_has_no_course_says_why(plugin: None, home: Any) -> None:
    Store().write(random_walk(50))
    journal = Journal()
    session_id = start(a_spec(), journal)
    with pytest.raises(UsageError, match="no bar yet"):
        course_of(journal, session_id)
    with pytest.raises(NotFoundError):
        course_of(journal, "gone-0000")
