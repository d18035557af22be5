"""What runs a target: the contract of AFL++ and atheris at work."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path


class Engine(ABC):
    """A fuzzer at work in processes of its own, with its mutants from a ``MutationServer``."""

    @abstractmethod
    def start(self) -> None:
        """Start it, or start it again where it was.

        Raises:
            MissingExtraError: the fuzzer is not installed.
        """

    @abstractmethod
    def stop(self) -> None:
        """End it, and all that it left behind."""

    @abstractmethod
    def problem(self) -> str | None:
        """Return why it is no longer at work, empty where it may be started again; else None."""

    @abstractmethod
    def candidates(self) -> Iterator[Path]:
        """Yield the inputs that ended badly, also those of before it was last started."""

    @abstractmethod
    def corpus_size(self) -> int:
        """Return how many inputs are kept."""

    @abstractmethod
    def input_named(self, name: str) -> Path | None:
        """Return the file of a kept input, by the name that the mutator knows it by."""

    def hold_memory(self) -> None:
        """Kill executions that hold too much memory; nothing where they hold themselves to it."""
        return
