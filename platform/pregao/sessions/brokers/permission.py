"""Real money is refused unless it was enabled twice: by a setting of the machine, and by words typed."""

from __future__ import annotations

import os

from pregao.core.errors import UsageError

SETTING = "PREGAO_REAL_MONEY"


def words(venue: str) -> str:
    """What a person types to confirm."""
    return f"trade real money on {venue}"


def permit(venue: str, practice: bool, confirmation: str | None = None) -> None:
    """Whether orders may be sent to a venue.

    Args:
        practice: the venue is a sandbox or a local one: its money is no money.
        confirmation: what the person typed.

    Raises:
        UsageError: if it is real money and one of the two is missing.
    """
    if practice:
        return
    if os.environ.get(SETTING) != "allowed":
        raise UsageError(
            f"{venue} trades real money, which is off on this machine.",
            f"Practise on its sandbox; or, knowing what you do, set {SETTING}=allowed in the environment.",
        )
    if confirmation != words(venue):
        raise UsageError(
            f"{venue} trades real money, and it was not confirmed for this account.",
            f"Type exactly: {words(venue)}",
        )
