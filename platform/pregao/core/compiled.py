"""Compiled functions, cached on disk so that only the first start pays for compiling.

numba's own cache looks at the file of the compiled function only: a change in a function that it calls, in another
file, would leave old machine code in use. Here the cache lies in a folder named after the content of *every* module
in a package that compiles anything, so that a change of any of them starts a new cache.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils
from numba.extending import intrinsic

from pregao.core import linking

Function = TypeVar("Function", bound=Callable[..., object])
_PACKAGE = Path(__file__).parents[1]


def stamp(package: Path) -> str:
    """SHA-256 over numba's version and the modules of all packages in which something is compiled, 16 digits.

    The whole packages, because constants of their other modules are part of the machine code.
    """
    digest = hashlib.sha256(numba.__version__.encode())
    modules = sorted(package.rglob("*.py"))
    folders = {path.parent for path in modules if any(mark in path.read_bytes() for mark in (b"@compiled", b"@inner"))}
    for path in modules:
        if path.parent in folders:
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
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


def _ask_for_blas_later() -> None:
    """Without this, numba imports scipy.linalg, a third of a second, only to see whether it is there.

    It asks again where a function uses linear algebra; none of ours does.
    """
    from numba.np import linalg

    real, linalg.ensure_blas = linalg.ensure_blas, lambda: None
    try:
        import numba.np.arraymath  # noqa: F401
    finally:
        linalg.ensure_blas = real


_ask_for_blas_later()
_folder = _cache_folder()
if _folder is not None and not os.environ.get("NUMBA_CACHE_DIR"):
    numba.config.CACHE_DIR = str(_folder)

_PART, _WHOLE = linking.options()


def inner(function: Function) -> Function:
    """Compile a function that only other compiled functions call: quicker to compile, cached with its callers.

    Python cannot call it, unless the compiler is off. A division by zero is not looked for, and no references are
    counted: it can neither make nor return an array.
    """
    made: Function = numba.njit(
        function, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False, **_PART
    )
    if not numba.config.DISABLE_JIT:
        _compile_once_for_all_constants(made)
    return made


def compiled(function: Function) -> Function:
    """Compile a function with numba (IEEE arithmetic, no fast math) and cache it on disk.

    With ``NUMBA_DISABLE_JIT=1`` the function runs as plain Python, with the same results.
    """
    made: Function = numba.njit(function, cache=_folder is not None, **_WHOLE)
    if not numba.config.DISABLE_JIT:
        _compile_once_for_all_constants(made)
    return made


if numba.config.DISABLE_JIT:

    def pointer(address: int) -> Any:
        """The memory at an address, for `numba.carray`."""
        return ctypes.c_void_p(int(address))

    def fetch(array: Any, row: Any) -> None:
        """Ask for a row of an array, which will be read soon, to be brought near; it changes nothing."""

else:

    @intrinsic
    def pointer(_: Any, address: Any) -> Any:
        """The memory at an address, for `numba.carray`."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], cgutils.voidptr_t)

        return numba.types.voidptr(address), code

    @intrinsic
    def fetch(_: Any, array: Any, row: Any) -> Any:
        """Ask for a row of an array, which will be read soon, to be brought near; it changes nothing."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, args[0]).data
            near = builder.bitcast(builder.gep(data, [args[1]]), cgutils.voidptr_t)
            number = cgutils.int32_t
            kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number])
            asked = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            builder.call(asked, [near, number(0), number(3), number(1)])  # to read, into every cache, data
            return context.get_dummy_value()

        return numba.types.void(array, numba.types.intp), code


def _compile_once_for_all_constants(dispatcher: Any) -> None:
    """Where another compiled function passes a constant, numba would compile a version for each constant."""
    choose = dispatcher.get_call_template

    def without_literals(args: Any, kws: Any) -> Any:
        plain = numba.types.unliteral
        return choose(tuple(plain(a) for a in args), {name: plain(a) for name, a in kws.items()})

    dispatcher.get_call_template = without_literals
