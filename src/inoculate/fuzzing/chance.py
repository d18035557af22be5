"""The state of a random generator as an array, so that a stopped run goes on as if it had not."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from inoculate.errors import ArtifactError

_WORD = 1 << 32
_WORDS = 10


def chance_of(rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the state of a PCG64 generator, (10,) int64."""
    state: Any = rng.bit_generator.state
    words = [
        inner >> shift & _WORD - 1
        for inner in (state["state"]["state"], state["state"]["inc"])
        for shift in (0, 32, 64, 96)
    ]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.int64)


def with_chance(memory: Mapping[str, npt.NDArray[Any]]) -> np.random.Generator:
    """Return the generator whose state is ``memory["chance"]``.

    Raises:
        ArtifactError: it is missing or is no such state.
    """
    held = np.asarray(memory.get("chance", ()))
    if held.shape != (_WORDS,) or held.dtype.kind not in "iu":
        raise ArtifactError("the memory of a policy needs 10 whole numbers named 'chance'")
    words = [int(word) % _WORD for word in held]
    rng = np.random.Generator(np.random.PCG64())
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {
            "state": sum(word << 32 * i for i, word in enumerate(words[:4])),
            "inc": sum(word << 32 * i for i, word in enumerate(words[4:8])) | 1,
        },
        "has_uint32": words[8] & 1,
        "uinteger": words[9],
    }
    return rng
