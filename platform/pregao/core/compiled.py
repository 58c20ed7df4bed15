"""Compiled functions, cached on disk so that only the first start pays for compiling.

numba's own cache looks at the file of the compiled function only: a change in a function that it calls, in another
file, would leave old machine code in use. Here the cache lies in a folder named after the content of *every* module
that compiles anything, so that a change of any of them starts a new cache.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., object])
_PACKAGE = Path(__file__).parents[1]


def stamp(package: Path) -> str:
    """SHA-256 over numba's version and the modules below a folder that use `compiled`, 16 digits."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(package.rglob("*.py")):
        source = path.read_bytes()
        if b"@compiled" in source:
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + source + b"\0")
    return digest.hexdigest()[:16]


def _cache_folder() -> Path | None:
    """Beside the package where that can be written, else in the user's cache; None if neither can be."""
    name = f"compiled-{stamp(_PACKAGE)}"
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pregao"
    for parent in (_PACKAGE / "__pycache__", user):
        folder = parent / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None


_folder = _cache_folder()
if _folder is not None and not os.environ.get("NUMBA_CACHE_DIR"):
    numba.config.CACHE_DIR = str(_folder)


def compiled(function: Function) -> Function:
    """Compile a function with numba (IEEE arithmetic, no fast math) and cache it on disk.

    With ``NUMBA_DISABLE_JIT=1`` the function runs as plain Python, with the same results.
    """
    made: Function = numba.njit(function, cache=_folder is not None)
    return made
