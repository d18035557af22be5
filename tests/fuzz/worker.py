"""Fuzzes one target in a process of its own; ``python -m tests.fuzz.worker --help``.

Results go to a JSON file as they come, the input being tried to another file, so that the
parent knows both even where the process dies.
"""

import argparse
import json
import random
import resource
import sys
import time
from pathlib import Path

_HEADROOM = 6 << 30
_MOST_KEPT = 400
_MOST_FAULTS = 20


class Session:
    """Counts runs, remembers faults, and keeps inputs whose outcome was new."""

    def __init__(self, target, scratch: Path) -> None:
        from tests.fuzz import promise

        self.target, self.scratch, self.promise = target, scratch, promise
        self.runs, self.began = 0, time.monotonic()
        self.faults: dict[str, dict] = {}
        self.shapes: set[str] = set()
        self.corpus = list(target.seeds.values())

    def run(self, data: bytes) -> None:
        """Try one input."""
        (self.scratch / "current").write_bytes(data)
        broken, outcome = self.promise.broken_promise(self._read, data)
        self.runs += 1
        if broken is None:
            shape = self.promise.shape(outcome)
            if shape not in self.shapes:
                self.shapes.add(shape)
                self.corpus.append(data)
                del self.corpus[:-_MOST_KEPT]
        elif broken.key not in self.faults and len(self.faults) < _MOST_FAULTS:
            self.faults[broken.key] = {"story": broken.story, "input": data.hex()}
            self.save()
        elif broken.key in self.faults and 2 * len(data) < len(self.faults[broken.key]["input"]):
            self.faults[broken.key]["input"] = data.hex()

    def _read(self, data: bytes):
        return self.target.read(data, self.scratch)

    def still_breaks(self, data: bytes, key: str) -> bool:
        """Tell whether an input has the same fault."""
        broken, _ = self.promise.broken_promise(self._read, data)
        return broken is not None and broken.key == key

    def minimise(self, seconds: float) -> None:
        """Make each fault's input smaller by leaving parts out."""
        for key, fault in self.faults.items():
            until = time.monotonic() + seconds
            data = bytes.fromhex(fault["input"])
            size = len(data) // 2
            while size and time.monotonic() < until:
                at = 0
                while at < len(data) and time.monotonic() < until:
                    smaller = data[:at] + data[at + size :]
                    if smaller and self.still_breaks(smaller, key):
                        data = smaller
                    else:
                        at += size
                size //= 2
            fault["input"] = data.hex()

    def save(self) -> None:
        """Write what is known so far."""
        result = {
            "runs": self.runs, "seconds": time.monotonic() - self.began,
            "shapes": len(self.shapes), "faults": self.faults,
        }  # fmt: skip
        (self.scratch / "result.json").write_text(json.dumps(result))


def run_mutation(session: Session, seconds: float, seed: int) -> None:
    """Try mutants of the seeds, and of mutants whose outcome was new."""
    from tests.fuzz.mutations import Mutator

    rng = random.Random(seed)
    mutate = Mutator(rng)
    for data in list(session.corpus):
        session.run(data)
    while time.monotonic() - session.began < seconds:
        session.run(mutate(rng.choice(session.corpus), session.corpus))


def run_atheris(session: Session, seconds: float, seed: int) -> None:
    """Let libFuzzer choose by coverage; half of its mutants are ours."""
    import atheris

    from tests.fuzz.mutations import MOST_BYTES, Mutator

    def mutant(data: bytes, max_size: int, draw: int) -> bytes:
        rng = random.Random(draw)
        if rng.random() < 0.5:
            return atheris.Mutate(data, max_size)
        return Mutator(rng)(data, session.corpus)[:max_size]

    corpus = session.scratch / "corpus"
    corpus.mkdir()
    for name, data in session.target.seeds.items():
        (corpus / name).write_bytes(data)
    options = ["-timeout=20", "-rss_limit_mb=3000", f"-max_len={MOST_BYTES}", "-verbosity=0"]
    options += [f"-max_total_time={max(1, int(seconds))}", f"-seed={seed + 1}", "-close_fd_mask=3"]
    options += [f"-artifact_prefix={session.scratch}/", str(corpus)]

    def one(data: bytes) -> None:
        if data:
            session.run(data)
        if time.monotonic() - session.began > seconds:
            finish(session)

    atheris.Setup([sys.argv[0], *options], one, custom_mutator=mutant)
    session.began = time.monotonic()
    atheris.Fuzz()


def finish(session: Session) -> None:
    """Make the faults small, save, and leave at once: libFuzzer knows no other way."""
    import os

    session.save()
    session.minimise(6.0)
    session.save()
    os._exit(0)


def main() -> None:
    """Run one target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("mutation", "atheris"), default="mutation")
    chosen = parser.parse_args()
    if chosen.engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=["inoculate"]):
            from tests.fuzz import targets
    else:
        from tests.fuzz import targets
    session = Session(targets.target(chosen.name), chosen.scratch)
    if chosen.engine == "atheris":
        run_atheris(session, chosen.seconds, chosen.seed)
    else:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _HEADROOM, used + _HEADROOM))
        run_mutation(session, chosen.seconds, chosen.seed)
    finish(session)


if __name__ == "__main__":
    main()
