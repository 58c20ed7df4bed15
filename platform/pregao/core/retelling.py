"""What was said in one language, told in another: each piece is known by its form, and keeps what stood in its blanks.

A form is a text with ``{blanks}``. What is not known is told as it was: half of it in English says more than nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_BLANK = re.compile(r"\{(\w+)\}")
_FIGURE = re.compile(r"[-+\u2212]?\d[\d,]*(\.\d+)?%?")
_COMMAS = str.maketrans(",.", ".,")


class Retelling:
    """Tells a text piece by piece.

    Args:
        forms: what is told for each English form, with the same blanks.
        gap: expression of what stands between two pieces; it is kept.
        stop: expression of how a piece that is not known ends.
        within: expression of a character that may stand in a blank, the first of which is no space.
        blank: what is told of that which stood in a blank.
    """

    def __init__(
        self, forms: Mapping[str, str], gap: str, blank: Callable[[str], str], stop: str = "", within: str = "."
    ) -> None:
        # Of two that fit, the one that says more is meant.
        ordered = sorted(forms.items(), key=lambda pair: -len(_BLANK.sub("", pair[0])))
        self._forms = [(_form(english, gap, within), told) for english, told in ordered]
        self._piece = re.compile(rf"(.*?{stop})({gap}|\Z)", re.DOTALL)
        self._blank = blank

    def knows(self, said: str) -> bool:
        """Whether its first piece is known."""
        return any(form.match(said) for form, _ in self._forms)

    def __call__(self, said: str) -> str:
        """All pieces of it, one after the other."""
        told, rest = "", said
        while rest:
            piece, end, length = self._first(rest)
            told, rest = told + piece + end, rest[length:]
        return told

    def _first(self, rest: str) -> tuple[str, str, int]:
        for form, into in self._forms:
            if found := form.match(rest):
                blanks = {name: self._blank(value) for name, value in found.groupdict().items() if name != "gap_"}
                return into.format(**blanks), found["gap_"], found.end()
        found = self._piece.match(rest)
        return (found[1], found[2], found.end()) if found else (rest, "", len(rest))


def comma(value: str) -> str:
    """A figure with a decimal comma; anything else as it is."""
    return value.translate(_COMMAS) if _FIGURE.fullmatch(value) else value


def _form(english: str, gap: str, within: str) -> re.Pattern[str]:
    """A piece with blanks as an expression, up to where the next one begins."""
    parts = _BLANK.split(english)
    raw = "".join(rf"(?P<{part}>(?=\S)(?:{within})+?)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    return re.compile(rf"{raw}(?P<gap_>{gap}|\Z)", re.DOTALL)
