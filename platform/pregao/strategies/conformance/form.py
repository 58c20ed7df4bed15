"""The checks of what a strategy is: it keeps the contract, and its settings make a form."""

from __future__ import annotations

import json

from pydantic import ValidationError

from pregao.core.errors import refusals
from pregao.strategies.conformance.breach import Breach
from pregao.strategies.conformance.case import Case
from pregao.strategies.registry import breach_of


def keeps_the_contract(case: Case) -> None:
    """It has what the contract names, a title, a summary and a warm-up of whole bars."""
    lacks = breach_of(case.strategy)
    if lacks:
        raise Breach(f"It does not keep the contract: {lacks}.", "See pregao.strategies.contract.")
    title = getattr(case.strategy, "title", "")
    if not (isinstance(title, str) and title.strip()):
        raise Breach("It has no title.", 'Write title = "…" in the class: people choose it by that.')
    if not (case.strategy.__doc__ or "").strip():
        raise Breach("It has no docstring.", "Its first line is the summary in `pregao plugins`.")
    warmups = [case.make().warmup() for _ in range(2)]
    if any(type(warmup) is not int or warmup < 1 for warmup in warmups) or warmups[0] != warmups[1]:
        raise Breach(
            f"warmup() said {warmups[0]!r} and then {warmups[1]!r}.",
            "Return a whole number, at least 1, that follows from the settings.",
        )


def settings_make_a_form(case: Case) -> None:
    """Each setting is described; the defaults are valid; the settings go through JSON unchanged."""
    config = case.strategy.Config
    for name, field in config.model_fields.items():
        for what in ("title", "description"):
            if not (getattr(field, what) or "").strip():
                raise Breach(
                    f"The setting {name!r} has no {what}.",
                    f'Write Field(…, title="…", description="…"): the form shows the {what}.',
                )
    try:
        made = config()
    except ValidationError as error:
        raise Breach(
            f"It cannot be made without settings: {'; '.join(refusals(error))}.",
            "Give each setting a default that is valid.",
        ) from error
    try:
        config.model_validate(made.model_dump())
    except ValidationError as error:
        raise Breach(
            f"Its own defaults are refused: {'; '.join(refusals(error))}.", "Bring defaults and bounds together."
        ) from (error)
    given = config(**case.config)
    try:
        text = given.model_dump_json()
        again = config.model_validate_json(text)
        json.dumps(config.model_json_schema())
    except Exception as error:
        raise Breach(
            f"Its settings do not go through JSON: {type(error).__name__}: {error}.",
            "Use numbers, texts, booleans and lists of them; write a validator that also takes what JSON gives back.",
        ) from error
    if again != given:
        raise Breach(
            f"Its settings are others after JSON: {given!r} became {again!r}.",
            "Keep a setting as it was given; compute what follows from it in the strategy.",
        )
    if not config.model_config.get("frozen") or config.model_config.get("extra") != "forbid":
        raise Breach(
            "Its settings can be changed, or take names that do not exist.",
            "Leave model_config as StrategyConfig has it: frozen, and extra forbidden.",
        )
