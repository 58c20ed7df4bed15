"""How numba's libraries are linked here: each function is optimised once, as a part of what Python calls.

numba links into a function all that it calls, optimises that and makes machine code of it, and then does the same again
in each caller: a function ten calls deep is made ten times. Of functions that only other compiled functions call, the
intermediate representation is enough. So these are kept as *parts*, and a function that Python calls links all parts
below it, once: the first start takes half as long, with the same results.

numba has no such option. The classes here take the place of its own library, for the versions that they were tested
with; any other version works its own way.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numba
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

TESTED = ((0, 65), (0, 68))
"""First and last version of numba whose libraries can be linked so."""


class Part(JITCodeLibrary):  # type: ignore[misc]  # numba has no types
    """A function that only other compiled functions call."""

    _linking_libraries: list[Any]
    _has_environment = False
    _whole: Any = None

    def finalize(self) -> None:
        """Nothing is linked and no machine code made."""
        self._raise_if_finalized()
        for library in self._linking_libraries:
            self._reload_init.update(library._reload_init)
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, _: str) -> int:
        """None. Of its module only the environment is loaded, which numba fills in next."""
        self._ensure_finalized()
        if not self._has_environment:
            self._has_environment = True
            variables = (str(v) for v in self._final_module.global_variables if v.linkage is llvm.Linkage.common)
            self._codegen._add_module(llvm.parse_assembly("\n".join(variables)))
            self._codegen._engine.finalize_object()
        return 0

    def own_module(self) -> Any:
        """The module with this function alone."""
        return super()._get_module_for_linking()

    def _get_module_for_linking(self) -> Any:
        """With all that it calls, for a caller that is neither a `Part` nor a `Whole`."""
        if self._whole is None:
            self._whole = self.own_module().clone()
            for library in _below([self]):
                if library is not self:
                    self._whole.link_in(_module(library), preserve=True)
        return self._whole


class Whole(JITCodeLibrary):  # type: ignore[misc]
    """A function that Python calls."""

    _linking_libraries: list[Any]

    def finalize(self) -> None:
        """Link every part below it, optimise, and make machine code."""
        below = list(_below(self._linking_libraries))
        for part in below:
            if isinstance(part, Part):
                self._reload_init.update(part._reload_init)
                self._final_module.link_in(part.own_module(), preserve=True)
        self._linking_libraries = [library for library in below if not isinstance(library, Part)]
        super().finalize()


def _below(libraries: Iterable[Any]) -> Iterator[Any]:
    """These libraries and all that their parts call, each once."""
    found = list(dict.fromkeys(libraries))
    seen = set(found)
    for library in found:  # it grows meanwhile
        yield library
        if isinstance(library, Part):
            more = [called for called in dict.fromkeys(library._linking_libraries) if called not in seen]
            seen.update(more)
            found += more


def _module(library: Any) -> Any:
    return library.own_module() if isinstance(library, Part) else library._get_module_for_linking()


def _compiler(made_of: type[Any]) -> type[Any]:
    class LinkingCompiler(Compiler):  # type: ignore[misc]
        """numba's own, with another library, and without the collector of garbage, which finds little meanwhile."""

        def compile_extra(self, function: Any) -> Any:
            collects = gc.isenabled()
            gc.disable()
            try:
                return super().compile_extra(function)
            finally:
                if collects:
                    gc.enable()

        def define_pipelines(self) -> Any:
            state = self.state
            if state.library is None:
                state.library = made_of(state.targetctx.codegen(), state.func_id.func_qualname)
                state.library.enable_object_caching()
            return super().define_pipelines()

    return LinkingCompiler


def options() -> tuple[dict[str, Any], dict[str, Any]]:
    """What to give numba's decorator for a part, and for a whole; nothing for a version that was not tested."""
    if not TESTED[0] <= numba.version_info.short <= TESTED[1]:
        return {}, {}
    return {"pipeline_class": _compiler(Part)}, {"pipeline_class": _compiler(Whole)}
