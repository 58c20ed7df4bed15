"""Rules between the values of a model, told at the one that should change."""

from __future__ import annotations

from pydantic_core import PydanticCustomError

RULE = "pregao_rule"
"""The kind of pydantic's error for such a rule; in its context are the ``field`` to change and what is ``said``."""


def broken(field: str, said: str) -> PydanticCustomError:
    """What a validator of a whole model raises: forms and the API tell it at a field, instead of nowhere.

    Args:
        field: the value that should change.
        said: a clause that begins with a small letter and has no full stop.
    """
    return PydanticCustomError(RULE, "{said}", {"field": field, "said": said})
