"""What is wrong with what was asked for, told at its field: values that cannot be, a grid that does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from pregao.core.errors import Finding, PregaoError, UsageError, findings
from pregao.core.instrument import Instrument
from pregao.core.rules import RULE
from pregao.sessions.champion import RegistryAwayError
from pregao.sessions.isolation import StrategyFault
from pregao.sessions.spec import SessionSpec

_TAGS = ("replay", "live", "shadow", "paper", "exchange")


class SpecError(UsageError):
    """A session cannot be what was asked for. ``problems`` has one sentence, with its mend, for each wrong field, and
    ``causes`` what was raised there: whoever tells it in another language looks at its kind. ``traceback`` says where a
    strategy that cannot be made has failed; it is empty if that is not why."""

    def __init__(self, problems: Mapping[str, PregaoError]) -> None:
        super().__init__(
            " ".join(problem.message for problem in problems.values()),
            " ".join(dict.fromkeys(problem.mend for problem in problems.values() if problem.mend)),
        )
        self.causes = dict(problems)
        self.problems = {name: str(problem) for name, problem in problems.items()}
        shown = (problem for problem in problems.values() if isinstance(problem, StrategyFault))
        self.traceback = "\n".join(fault.traceback for fault in shown if fault.traceback != fault.told)


def spec_of(values: Mapping[str, Any]) -> SessionSpec:
    """A spec from raw values, as a form, a command line or a request gives them.

    Raises:
        SpecError: naming each field that is out of range, unknown or not a number.
    """
    try:
        return SessionSpec.model_validate(dict(values))
    except ValidationError as error:
        problems: dict[str, PregaoError] = {}
        for found in findings(error):
            path = ".".join(path_of(found))
            said = found["msg"].removeprefix("Value error, ").rstrip(".")
            if found["type"] == RULE:
                problem = UsageError(f"{said[:1].upper()}{said[1:]}.", "Lower it." if path == "entry_value" else "")
            else:
                given = "" if found["type"] == "missing" else f" (given: {found['input']!r})"
                told = f"{path.replace('_', ' ').capitalize()}: {said}{given}."
                problem = UsageError(told, found=[{**found, "loc": []}])
            problems.setdefault(path, problem)
        raise SpecError(problems) from None


def path_of(found: Finding) -> list[str]:
    """Which value of a spec is wrong, such as ``["feed", "speed"]``; of a rule between fields the one to change."""
    if found["type"] == RULE:
        return [str(found["ctx"]["field"])]
    # A union's own tags are not fields.
    return [str(part) for at, part in enumerate(found["loc"]) if at == 0 or part not in _TAGS]


@contextmanager
def noting(problems: dict[str, PregaoError], name: str) -> Iterator[None]:
    """Keep an error in this block as the problem of a field, so that the next field is checked too."""
    try:
        yield
    except RegistryAwayError:
        raise  # that is no fault of what was asked for
    except PregaoError as error:
        problems[name] = error


def check_lot(spec: SessionSpec, instrument: Instrument, ticks: int) -> None:
    """Raise `UsageError` if the entry value buys less than one lot at a price."""
    lot = instrument.price(ticks) * instrument.lot_size
    if spec.entry_value < lot:
        raise UsageError(
            f"The entry value {spec.entry_value} buys less than the least quantity of {instrument.symbol}, "
            f"{instrument.lot_size}, worth {lot.normalize():f} {instrument.quote} at the start.",
            "Raise the entry value.",
        )


def check_price(instrument: Instrument, price: Decimal | None, what: str) -> None:
    """Raise `UsageError` if the price of an exit is not on the grid."""
    if price is not None and price % instrument.tick_size:
        raise UsageError(
            f"The price of the {what}, {price}, is no multiple of the tick size of {instrument.symbol}, "
            f"{instrument.tick_size}.",
            "Round it.",
        )
