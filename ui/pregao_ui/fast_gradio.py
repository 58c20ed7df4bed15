"""Gradio, imported without what this panel does not use: ``from pregao_ui.fast_gradio import gr``.

While it is imported, Gradio finds the source of each component with `inspect.getfile`, parses it and writes a
``.pyi`` stub with its events. Nothing at run time reads the stubs, and the parsing is more than half of the
import: 6.5 s, 2.9 s without (measured). Gradio treats an `OSError` from `inspect.getfile` as "no source here"
and goes on; so it gets one, only while it is imported, and `inspect` is whole again before anything else runs.

The environment that keeps Gradio from calling home is read at import, so it is set here first.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from pregao.settings import keep_quiet


@contextmanager
def _no_source_files() -> Iterator[None]:
    original = inspect.getfile

    def refuse(_: Any) -> NoReturn:
        raise OSError("the sources are not looked for while Gradio is imported")

    inspect.getfile = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = original


keep_quiet()
with _no_source_files():
    import gradio as gr

__all__ = ["gr"]
