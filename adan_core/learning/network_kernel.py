"""A plain network's forward pass as compiled code: what plays whole rollouts in one call runs on it.

``inference`` holds the same networks for everything that decides; the two agree to float32's rounding.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.learning.inference import Layer

Singles = NDArray[np.float32]

# Coefficients of the rational approximation to tanh in Eigen's generic_fast_tanh_float (MPL 2.0
# library; figures only): odd over even polynomial, within 4e-7 everywhere.
_FAR = np.float32(7.90531110763549805)
_ODD_1 = np.float32(4.89352455891786e-03)
_ODD_3 = np.float32(6.37261928875436e-04)
_ODD_5 = np.float32(1.48572235717979e-05)
_ODD_7 = np.float32(5.12229709037114e-08)
_ODD_9 = np.float32(-8.60467152213735e-11)
_ODD_11 = np.float32(2.00018790482477e-13)
_ODD_13 = np.float32(-2.76076847742355e-16)
_EVEN_0 = np.float32(4.89352518554385e-03)
_EVEN_2 = np.float32(2.26843463243900e-03)
_EVEN_4 = np.float32(1.18534705686654e-04)
_EVEN_6 = np.float32(1.19825839466702e-06)


class Chain(NamedTuple):
    """Affine layers with tanh between them: ``weights`` (inputs, outputs) and ``biases`` (outputs,)."""

    weights: tuple[Singles, ...]
    biases: tuple[Singles, ...]


def chained(layers: tuple[Layer, ...]) -> Chain:
    """Return ``layers`` as compiled code walks through them: copies, input by input."""
    return Chain(
        tuple(np.ascontiguousarray(layer.weight.T) for layer in layers),
        tuple(layer.bias.copy() for layer in layers),
    )


def scratch(chain: Chain) -> Singles:
    """Return room for what two neighbouring hidden layers of ``chain`` say, shape (2, widest)."""
    widest = max((len(bias) for bias in chain.biases[:-1]), default=1)
    return np.zeros((2, widest), dtype=np.float32)


@compiled
def squash(values: Singles, size: int) -> None:
    """Replace the first ``size`` of ``values`` by their hyperbolic tangents.

    Arithmetic alone, without an inner loop, so that the compiler does several at once: a call of the
    library's function for each took ten times as long.
    """
    for index in range(size):
        value = min(max(values[index], -_FAR), _FAR)
        square = value * value
        odd = _ODD_13 * square + _ODD_11
        odd = odd * square + _ODD_9
        odd = odd * square + _ODD_7
        odd = odd * square + _ODD_5
        odd = odd * square + _ODD_3
        odd = odd * square + _ODD_1
        even = _EVEN_6 * square + _EVEN_4
        even = even * square + _EVEN_2
        even = even * square + _EVEN_0
        values[index] = value * odd / even


@compiled
def answer(chain: Chain, inputs: Singles, room: Singles, out: Singles) -> None:
    """Write what ``chain`` answers to ``inputs`` (inputs,) into ``out`` (outputs,).

    Input by input rather than output by output, four at a time: the inner loop then runs along
    memory and keeps the order of its sums.
    """
    last = len(chain.weights) - 1
    source = inputs
    for layer in range(last + 1):
        weight, bias = chain.weights[layer], chain.biases[layer]
        count, width = weight.shape
        sums = out if layer == last else room[layer % 2]
        for unit in range(width):
            sums[unit] = bias[unit]
        whole = count - count % 4
        for place in range(0, whole, 4):
            first, second = source[place], source[place + 1]
            third, fourth = source[place + 2], source[place + 3]
            for unit in range(width):
                sums[unit] += (first * weight[place, unit] + second * weight[place + 1, unit]) + (
                    third * weight[place + 2, unit] + fourth * weight[place + 3, unit]
                )
        for place in range(whole, count):
            for unit in range(width):
                sums[unit] += source[place] * weight[place, unit]
        if layer < last:
            squash(sums, width)
        source = sums
