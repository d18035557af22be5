"""What to fuzz, and what a run's folder holds of that."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from inoculate.errors import ArtifactError, InputError
from inoculate.fuzzing.operators import MAX_INPUT
from inoculate.fuzzing.running.journal import write_whole

Form = Literal["auto", "bytes", "text"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)")
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+)\s*([KMG]?)(?:i?B)?", re.IGNORECASE)
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_TOKEN = re.compile(r'^\s*(?:[\w.@-]+\s*=\s*)?"(.*)"\s*$')
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[\\\"nrt])")
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\", b'"': b'"'}
_MOST_TOKENS = 10_000
_REQUEST = "request.json"
DICTIONARY = "dictionary"
JOURNAL = "journal.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzRequest:
    """What to fuzz and how.

    Attributes:
        out: folder of the run; must not exist, or be empty.
        target: a native program built for AFL++, or
        python: dotted name of a function of one argument.
        arguments: of the native program; ``@@`` stands for the file that holds the input, and
            without it the input is standard input.
        seeds: files and folders of first inputs.
        seconds: wall time of fuzzing.
        executions: end after so many inputs, too.
        agent: name of the agent; None takes the default.
        dictionary: file of tokens, in AFL's format.
        memory_bytes, timeout_s: limits of each execution.
        replay_with: the same program with a sanitizer, on which crashes are replayed.
        expected: names of exceptions that are no findings, beside those that never are.
        form: what a Python function is called with.
        path: folders to look for its module in first.
        seed: of all that is drawn.
    """

    out: Path
    target: Path | None = None
    python: str | None = None
    arguments: tuple[str, ...] = ()
    seeds: tuple[Path, ...] = ()
    seconds: float = 600.0
    executions: int | None = None
    agent: str | None = None
    dictionary: Path | None = None
    memory_bytes: int = 512 << 20
    timeout_s: float = 1.0
    replay_with: Path | None = None
    expected: tuple[str, ...] = ()
    form: Form = "auto"
    path: tuple[str, ...] = ()
    seed: int = 0

    def check(self) -> None:
        """Refuse what does not fit together.

        Raises:
            InputError: one line that says what.
        """
        if (self.target is None) == (self.python is None):
            raise InputError("give --target PROGRAM or --python MODULE.FUNCTION, one of them")
        if self.python is not None and (self.arguments or self.replay_with):
            raise InputError("--input-file, --argument and --replay-with are for --target")
        if self.target is not None and (self.expected or self.form != "auto"):
            raise InputError("--expect and --input are for --python")
        if not 1 <= self.seconds <= 3e6:
            raise InputError(f"--time is {self.seconds:g} s; expected a second to a month")
        if not 0.01 <= self.timeout_s <= 3600:
            raise InputError(f"--timeout is {self.timeout_s:g} s; expected 10 ms to an hour")
        if not 16 << 20 <= self.memory_bytes <= 1 << 40:
            raise InputError(f"--memory is {self.memory_bytes} bytes; expected 16M to 1024G")
        if self.executions is not None and self.executions < 1:
            raise InputError(f"--executions is {self.executions}; expected at least 1")

    def write(self) -> None:
        """Keep it in the run's folder."""
        told = {k: _plain(v) for k, v in asdict(self).items() if k != "out"}
        write_whole(self.out / _REQUEST, json.dumps(told, indent=1).encode())

    @classmethod
    def read(cls, out: Path) -> "FuzzRequest":
        """Return the request that a folder's run began with.

        Raises:
            ArtifactError: the folder holds no run, or a damaged one.
        """
        try:
            told = json.loads((out / _REQUEST).read_text("utf-8"))
        except FileNotFoundError as err:
            raise ArtifactError(f"{out}: no run of fuzz: {_REQUEST} is missing") from err
        except (OSError, ValueError) as err:
            raise ArtifactError(f"{out / _REQUEST}: cannot be read: {err}") from err
        try:
            for name in ("target", "dictionary", "replay_with"):
                told[name] = Path(told[name]) if told[name] is not None else None
            for name in ("arguments", "expected", "path"):
                told[name] = tuple(map(str, told[name]))
            told["seeds"] = tuple(map(Path, told["seeds"]))
            made = cls(out=out, **told)
            made.check()
        except (KeyError, TypeError, ValueError, InputError) as err:
            raise ArtifactError(f"{out / _REQUEST}: damaged: {err}") from err
        return made


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.absolute())
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def seconds_of(text: str, option: str) -> float:
    """Return a duration such as ``10m``, ``1.5h``, ``500ms`` or ``90`` in seconds.

    Raises:
        InputError: it is none.

    Example:
        >>> seconds_of("10m", "--time"), seconds_of("250ms", "--timeout")
        (600.0, 0.25)
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{option} is {text!r}; expected a duration such as 30s, 10m or 2h")
    return float(match[1]) * _SECONDS[match[2]]


def bytes_of(text: str, option: str) -> int:
    """Return a size such as ``512M`` in bytes.

    Raises:
        InputError: it is none.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{option} is {text!r}; expected a size such as 512M or 2G")
    return int(match[1]) * _BYTES[match[2].upper()]


def tokens_of(path: Path | None) -> list[bytes]:
    """Return the tokens of a dictionary in AFL's format: a quoted string a line.

    Raises:
        InputError: the file cannot be read, or a line is none.
    """
    if path is None:
        return []
    try:
        with path.open("rb") as file:
            data = file.read(MAX_INPUT + 1)
    except OSError as err:
        raise InputError(f"{path}: cannot be read: {err.strerror}") from err
    tokens: list[bytes] = []
    for number, line in enumerate(data[:MAX_INPUT].decode("latin-1").split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _TOKEN.match(line)
        if match is None:
            raise InputError(f'{path}:{number}: no token; expected name="bytes" or "bytes"')
        raw = match[1].encode("latin-1")
        tokens.append(_ESCAPE.sub(_unescaped, raw))
        if len(tokens) >= _MOST_TOKENS:
            break
    return [token for token in tokens if token]


def _unescaped(match: re.Match[bytes]) -> bytes:
    said = match[1]
    return _PLAIN[said] if said in _PLAIN else bytes([int(said[1:], 16)])
