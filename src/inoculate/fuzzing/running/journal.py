"""What a run has learned and spent, kept on disk so that a killed run goes on.

One file, written anew and then put in the place of the old: at any moment it holds a whole state.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from inoculate.errors import ArtifactError

_MOST_BYTES = 256 << 20
_STATE = "state"


@dataclass(slots=True, eq=False)
class Journal:
    """The state of a run.

    Attributes:
        seconds: wall time spent fuzzing, over all starts.
        starts: how often it was started.
        triaged: names of the inputs that ended badly and were looked at.
        attributes: of the seeds, from ``Rounds.attributes``.
        memory: of the policy, from ``Rounds.memory``.
        notes: lines for the report.
        mark: what the processes of the last start are known by.
    """

    seconds: float = 0.0
    starts: int = 0
    triaged: set[str] = field(default_factory=set)
    attributes: dict[str, list[Any]] = field(default_factory=dict)
    memory: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    mark: str = ""

    def write(self, path: Path) -> None:
        """Write it in the place of what was there before."""
        state = {
            "seconds": self.seconds,
            "starts": self.starts,
            "triaged": sorted(self.triaged),
            "attributes": self.attributes,
            "notes": self.notes,
            "mark": self.mark,
        }
        arrays = {name: np.ascontiguousarray(array) for name, array in self.memory.items()}
        write_whole(path, save(arrays, metadata={_STATE: json.dumps(state)}))

    @classmethod
    def read(cls, path: Path) -> "Journal":
        """Read it; a new one where there is none yet.

        Raises:
            ArtifactError: the file is damaged.
        """
        if not path.exists():
            return cls()
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise ArtifactError(f"{path}: more than 256 MB, which is no journal of a run")
            packed = path.read_bytes()
            size = int.from_bytes(packed[:8], "little")
            head = json.loads(packed[8 : 8 + size])
            state = json.loads(head["__metadata__"][_STATE])
            return cls(
                seconds=float(state["seconds"]),
                starts=int(state["starts"]),
                triaged={str(name) for name in state["triaged"]},
                attributes={str(k): list(v) for k, v in state["attributes"].items()},
                memory=load(packed),
                notes=[str(note) for note in state["notes"]],
                mark=str(state["mark"]),
            )
        except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as err:
            raise ArtifactError(f"{path}: damaged: {err}") from err


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that at any moment there is the old one or the new one, whole."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
