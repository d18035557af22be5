"""Fuzz every reader for a bounded time: ``python -m tests.fuzz``.

Engines: ``atheris`` is guided by coverage and needs the package of that name; ``mutation``
needs nothing. What is found lies in tests/fuzz/found and is replayed by every test run.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOUND = Path(__file__).parent / "found"


def fuzz(name: str, seconds: float, seed: int, engine: str) -> dict:
    """Return what one target's worker reports; a dead worker is a fault of its last input."""
    command = [sys.executable, "-m", "tests.fuzz.worker", name]
    limits = [f"--seconds={seconds}", f"--seed={seed}", f"--engine={engine}"]
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        scratch = Path(folder)
        try:
            done = subprocess.run(
                [*command, folder, *limits], timeout=seconds + 240, stderr=subprocess.PIPE,
                env=os.environ | {"POLARS_MAX_THREADS": "1"}, check=False,
            )  # fmt: skip
            ended, told = f"died with {done.returncode}", done.stderr.decode("utf-8", "replace")
            died = done.returncode != 0
        except subprocess.TimeoutExpired:
            ended, told, died = "hung", "", True
        result = {"runs": 0, "seconds": 0.0, "shapes": 0, "faults": {}}
        if (scratch / "result.json").exists():
            result = json.loads((scratch / "result.json").read_text())
        if died:
            data = (scratch / "current").read_bytes() if (scratch / "current").exists() else b""
            result["faults"][ended] = {"story": told[-2000:], "input": data.hex()}
    return result


def keep(name: str, faults: dict) -> None:
    """Save each fault's input, and tell its story."""
    FOUND.mkdir(exist_ok=True)
    for key, fault in faults.items():
        data = bytes.fromhex(fault["input"])
        path = FOUND / f"{name}-{hashlib.sha256(data).hexdigest()[:10]}"
        path.write_bytes(data)
        say(f"\n{path.name}: {key}\n{fault['story']}")


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run; exit code 1 where something was found."""
    from tests.fuzz.targets import target_names

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=target_names())
    parser.add_argument("--engine", choices=("mutation", "atheris"))
    chosen = parser.parse_args()
    have = importlib.util.find_spec("atheris") is not None
    engine = chosen.engine or ("atheris" if have else "mutation")
    n_faults = 0
    for name in chosen.only or target_names():
        result = fuzz(name, chosen.seconds, chosen.seed, engine)
        keep(name, result["faults"])
        n_faults += len(result["faults"])
        rate = result["runs"] / max(result["seconds"], 1e-9)
        say(
            f"{name:<15} {engine}: {result['runs']:>8,} inputs, each read twice, in "
            f"{result['seconds']:.0f} s ({rate:,.0f}/s), {result['shapes']:,} different outcomes, "
            f"{len(result['faults'])} faults"
        )
    return 1 if n_faults else 0


if __name__ == "__main__":
    sys.exit(main())
