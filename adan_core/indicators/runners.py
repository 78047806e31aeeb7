"""One compiled loop per indicator, made when a program first names it, and called by its address.

A feature set uses a third of the table: compiling the rest with it made a first start wait for three
times as long. Addresses are plain numbers, so what calls them is compiled once for every set.
"""

from collections.abc import Callable, Sequence
from functools import cache
from threading import Lock
from types import FunctionType
from typing import Any, cast

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled_as
from adan_core.indicators.bar import Bar, Floats, Parameters
from adan_core.indicators.table import INDICATORS

Addresses = NDArray[np.int64]
# Advances one indicator over the first ``rows`` candles of a block.
Runner = Callable[[Parameters, Floats, Floats, int, Floats], None]

PARAMETERS = 3
_SIGNATURE = types.void(
    types.UniTuple(types.float64, PARAMETERS),  # type: ignore[no-untyped-call]
    types.float64[::1],
    types.float64[:, ::1],
    types.int64,
    types.float64[:],
)
_RUNNER = types.FunctionType(_SIGNATURE)

# Symbols are prepared in threads of their own. numba's bookkeeping of functions compiled for one
# signature is not made for that, and of two loops for one indicator one would be freed under its address.
_making = Lock()


def _step(_state: Floats, _parameters: Parameters, _bar: Bar) -> float:
    """Stand where ``_runner_of`` puts an indicator's own step."""
    raise NotImplementedError


def _run(parameters: Parameters, state: Floats, block: Floats, rows: int, out: Floats) -> None:
    for row in range(rows):
        out[row] = _step(
            state,
            parameters,
            Bar(block[0, row], block[1, row], block[2, row], block[3, row], block[4, row]),
        )


@cache
def _runner_of(name: str) -> Runner:
    """Return the compiled loop around the step of the indicator called ``name``.

    A closure would be compiled by every process anew: numba keeps none on disk whose cells hold
    compiled code. Globals of its own and a name of its own make it a function like any other.
    """
    loop = FunctionType(_run.__code__, globals() | {"_step": INDICATORS[name].step}, _run.__name__)
    loop.__module__ = __name__
    loop.__qualname__ = f"run_{name}"
    return compiled_as(_SIGNATURE, loop)


def addresses_of(names: Sequence[str]) -> Addresses:
    """Return where the loops of the indicators called ``names`` lie, for ``runner_at``; shape (n,).

    They stay there as long as this process lives.
    """
    with _making:
        return np.array([_address_of(name) for name in names], dtype=np.int64)


@cache
def _address_of(name: str) -> int:
    dispatcher: Any = _runner_of(name)
    (loaded,) = dispatcher.overloads.values()
    address: int = loaded.library.get_pointer_to_function(loaded.fndesc.llvm_func_name)
    return address


@intrinsic
def _loop_at(_context: Any, address: Any) -> Any:  # noqa: ANN401 - numba's own types

    proxy: Any = cgutils.create_struct_proxy(_RUNNER)  # type: ignore[no-untyped-call]

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:  # noqa: ANN401
        function = proxy(context, builder)
        nothing = context.get_constant_null(types.voidptr)
        function.c_addr = nothing
        function.py_addr = nothing
        function.jit_addr = builder.inttoptr(values[0], nothing.type)
        return function._getvalue()

    return _RUNNER(address), generate


# Compiled code takes it with one argument, an address, and gets a runner.
runner_at = cast("Callable[[np.int64], Runner]", _loop_at)
