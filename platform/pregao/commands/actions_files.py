"""``--actions``: splits, dividends and funding from files, or else from the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pregao.core.actions import Action, from_frame
from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.market.store import Store


def actions_of(files: Sequence[str], store: Store, instruments: Sequence[Instrument]) -> list[tuple[Action, ...]]:
    """Of each instrument those of its files, or else those in the store.

    Args:
        files: each ``INSTRUMENT=FILE``, or ``FILE`` where there is only one instrument.

    Raises:
        UsageError: naming the file and its first row that cannot be read.
    """
    given: dict[str, list[Action]] = {}
    for text in files:
        name, equals, file = text.partition("=")
        if equals and not Path(text).exists():
            key = store.instrument(name).key
            if key not in [instrument.key for instrument in instruments]:
                raise UsageError(
                    f"--actions names {name}, which --data does not.", "Add it to --data, or leave it out."
                )
        elif len(instruments) == 1:
            key, file = instruments[0].key, text
        else:
            raise UsageError(f"--actions {text} does not say of which instrument.", f"For example: SYMBOL={text}")
        given.setdefault(key, []).extend(_read(Path(file)))
    return [tuple(given[i.key]) if i.key in given else store.actions(i) for i in instruments]


def _read(path: Path) -> tuple[Action, ...]:
    import pandas as pd
    import pyarrow as pa

    if path.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(f"Actions cannot be read from {path.name!r}.", "Give a .csv or .parquet file.")
    try:
        if path.suffix.lower() == ".csv":
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        else:
            frame = pd.read_parquet(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.", "Check its name.") from None
    except (ValueError, pa.ArrowException) as error:
        raise UsageError(f"{path} is no table: {error}.", "Give a .csv or .parquet file.") from None
    try:
        return from_frame(frame)
    except UsageError as error:
        raise UsageError(f"{path.name}: {error.message}", error.mend or "Where there is none, write 0.") from None
