"""Reads what sanitizers say of a crash, and maps kinds of crashes to weaknesses.

The numbers are the closest weaknesses of MITRE's CWE list, 4.x, by their descriptions; a kind is a
symptom, so the weakness behind it may be another one.

References:
    LLVM, "AddressSanitizer", "UndefinedBehaviorSanitizer" and "MemorySanitizer" (Clang 14
    documentation); compiler-rt/lib/asan/asan_errors.h for the names of kinds.
    MITRE, Common Weakness Enumeration, https://cwe.mitre.org.
"""

import re
import signal
from collections.abc import Callable
from pathlib import PurePath

from inoculate.fuzzing.endings.crashes import Ending, Frame

SYMBOLS = {
    "ASAN_OPTIONS": "abort_on_error=1:symbolize=1:detect_leaks=0:handle_abort=1:"
    "allocator_may_return_null=0:detect_stack_use_after_return=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:abort_on_error=1:symbolize=1",
    "MSAN_OPTIONS": "abort_on_error=1:symbolize=1:exit_code=86",
}
"""What a replay asks of the sanitizers."""

# kind -> weakness when it reads (or neither), when it writes
_MEMORY = {
    "heap-buffer-overflow": (125, 122),
    "stack-buffer-overflow": (125, 121),
    "dynamic-stack-buffer-overflow": (125, 121),
    "global-buffer-overflow": (125, 787),
    "container-overflow": (125, 787),
    "intra-object-overflow": (125, 787),
    "stack-buffer-underflow": (127, 124),
    "unknown-crash": (119, 119),
    "use-after-poison": (119, 119),
    "heap-use-after-free": (416, 416),
    "stack-use-after-return": (562, 562),
    "stack-use-after-scope": (825, 825),
    "double-free": (415, 415),
    "bad-free": (590, 590),
    "alloc-dealloc-mismatch": (762, 762),
    "stack-overflow": (674, 674),
    "null-dereference": (476, 476),
    "SEGV": (125, 787),
    "BUS": (119, 119),
    "FPE": (369, 369),
    "ILL": (758, 758),
    "TRAP": (758, 758),
    "ABRT": (617, 617),
    "allocation-size-too-big": (789, 789),
    "calloc-overflow": (190, 190),
    "reallocarray-overflow": (190, 190),
    "out-of-memory": (789, 789),
    "rss-limit-exceeded": (789, 789),
    "memory-limit": (789, 789),
    "negative-size-param": (195, 195),
    "memcpy-param-overlap": (475, 475),
    "memmove-param-overlap": (475, 475),
    "strcpy-param-overlap": (475, 475),
    "strcat-param-overlap": (475, 475),
    "use-of-uninitialized-value": (457, 457),
    "hang": (400, 400),
}

# words of UndefinedBehaviorSanitizer -> kind, weakness; the first that is found
_UNDEFINED = (
    ("signed integer overflow", "signed-integer-overflow", 190),
    ("unsigned integer overflow", "unsigned-integer-overflow", 190),
    ("division by zero", "division-by-zero", 369),
    ("shift exponent", "invalid-shift", 1335),
    ("left shift of", "invalid-shift", 1335),
    ("out of bounds for type", "index-out-of-bounds", 129),
    ("null pointer", "null-dereference", 476),
    ("declared to never be null", "null-dereference", 476),
    ("misaligned address", "misaligned-address", 704),
    ("outside the range of representable", "float-cast-overflow", 681),
    ("negation of", "signed-integer-overflow", 190),
    ("variable length array bound", "non-positive-vla-bound", 789),
    ("insufficient space for an object", "object-size", 119),
    ("applying non-zero offset", "pointer-overflow", 823),
    ("applying zero offset", "null-dereference", 476),
    ("pointer index expression", "pointer-overflow", 823),
    ("addition of unsigned offset", "pointer-overflow", 823),
    ("subtraction of unsigned offset", "pointer-overflow", 823),
    ("not a valid value for type", "invalid-value", 704),
    ("incorrect function type", "function-type-mismatch", 843),
    ("unreachable", "unreachable-code-reached", 758),
)
_OTHER_UNDEFINED = ("undefined-behaviour", 758)

_SIGNALS = {
    signal.SIGSEGV: "SEGV",
    signal.SIGBUS: "BUS",
    signal.SIGFPE: "FPE",
    signal.SIGILL: "ILL",
    signal.SIGABRT: "ABRT",
    signal.SIGTRAP: "TRAP",
}
_NO_CRASH = (signal.SIGXFSZ, signal.SIGXCPU, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE)

_SAID = re.compile(r"(?:ERROR|WARNING): (?:Address|Memory|Leak|Thread)Sanitizer:? ([^\n]{1,400})")
_RUNTIME = re.compile(r"(?m)^([^\n:]{1,4096}):(\d{1,9}):\d{1,9}: runtime error: ([^\n]{1,400})")
_ACCESS = re.compile(r"\b(READ|WRITE) (?:of size \d+|memory access)")
_FRAME = re.compile(r"(?m)^ {4}#(\d{1,4}) 0x[0-9a-f]+ ([^\n]{0,4000})$")
# where a call is: a source file from its root, one below where it was compiled, or a module
_PLACES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<=\s)(?P<file>/[^\n:]+):(?P<line>\d{1,9})(?::\d+)?$",
        r"(?P<file>[^\s:()]+\.\w{1,4}):(?P<line>\d{1,9})(?::\d+)?$",
        r"\((?P<module>[^\n]*?)\+0x[0-9a-f]+\)[^\n]*$",
    )
)
_RUNTIME_NAMES = re.compile(
    r"^(?:__asan|__ubsan|__msan|__sanitizer|__interceptor|__GI_|_IO_|__libc|__assert|_start$|"
    r"(?:abort|raise|gsignal|free|malloc|calloc|realloc|mem\w+|str\w+|operator (?:new|delete).*)$)"
)
_SYSTEM = re.compile(r"compiler-rt|/sysdeps/|^/build/glibc|^/usr/(?:lib|include|src)/|^/lib")
_ALIASES = (
    ("attempting double-free", "double-free"),
    ("attempting free on address which was not", "bad-free"),
    ("requested allocation size", "allocation-size-too-big"),
    ("specified RSS limit", "rss-limit-exceeded"),
    ("out of memory", "out-of-memory"),
    ("failed to allocate", "out-of-memory"),
    ("calloc parameters overflow", "calloc-overflow"),
    ("param-overlap", "memcpy-param-overlap"),
)
_ZERO_PAGE = "address points to the zero page"
_OVER_LIMIT = "Sanitizer: hard rss limit exhausted"
_TRACE_CHARS = 64_000
_MOST_FRAMES = 300


def ending_of(
    code: int, said: str, *, timed_out: bool, own: Callable[[str], bool]
) -> Ending | None:
    """Return what a native execution ended with; None where it ended well.

    Args:
        code: exit status, negative for a signal.
        said: the end of its standard error.
        timed_out: whether it was ended because it took too long.
        own: whether a module, as a stack names it, is the target's.
    """
    frames = _frames(said, own)
    trace = said[-_TRACE_CHARS:]
    told = _SAID.search(said)
    # a sanitizer tells of the signal that we end it with, too; what it told before is a crash
    if timed_out and (told is None or told[1].startswith("ABRT")):
        return Ending("hang", "ran into the time limit", frames, trace, cwe_of("hang"))
    undefined = _RUNTIME.search(said)
    if undefined is not None and (told is None or undefined.start() < told.start()):
        kind, cwe = _undefined(undefined[3])
        at = Frame(frames[0].function if frames else "", undefined[1], int(undefined[2]))
        rest = frames[1:] if frames and frames[0].line == at.line else frames
        return Ending(kind, undefined[3], (at, *rest), trace, cwe)
    if _OVER_LIMIT in said:
        kind = "rss-limit-exceeded"
        return Ending(kind, "held more memory than the limit", frames, trace, cwe_of(kind))
    if told is not None:
        return _sanitized(told[1], said, frames, trace)
    if code >= 0 or -code in _NO_CRASH:
        return None
    kind = _SIGNALS.get(signal.Signals(-code), signal.Signals(-code).name)
    kind = "memory-limit" if -code == signal.SIGKILL else kind
    return Ending(kind, f"ended by {signal.Signals(-code).name}", frames, trace, cwe_of(kind))


def cwe_of(kind: str, *, writes: bool = False) -> int | None:
    """Return the weakness of a kind of native crash, None where none fits.

    Example:
        >>> cwe_of("heap-buffer-overflow", writes=True), cwe_of("FPE")
        (122, 369)
    """
    pair = _MEMORY.get(kind)
    return pair[writes] if pair else None


def _sanitized(words: str, said: str, frames: tuple[Frame, ...], trace: str) -> Ending:
    access = _ACCESS.search(said)
    detail = access[0] if access else words[:200]
    kind = next((name for start, name in _ALIASES if start in words), None) or words.split()[0]
    kind = kind.rstrip(":")
    if kind == "SEGV" and _ZERO_PAGE in said:
        kind = "null-dereference"
    if kind == "SEGV" and access is None:
        return Ending(kind, detail, frames, trace, 119)
    writes = access is not None and access[1] == "WRITE"
    return Ending(kind, detail, frames, trace, cwe_of(kind, writes=writes))


def _undefined(words: str) -> tuple[str, int]:
    return next(((kind, cwe) for part, kind, cwe in _UNDEFINED if part in words), _OTHER_UNDEFINED)


def _frames(said: str, own: Callable[[str], bool]) -> tuple[Frame, ...]:
    """Return the first stack of a report: later ones tell who allocated and freed."""
    found: list[Frame] = []
    for match in _FRAME.finditer(said):
        if int(match[1]) != len(found) or len(found) >= _MOST_FRAMES:
            break
        place = next((m for p in _PLACES if (m := p.search(match[2]))), None)
        named = match[2][: place.start()] if place else match[2]
        function = re.sub(r"\(.*", "", named.removeprefix("in ")).strip() or "?"
        told = place.groupdict() if place else {}
        file, line = told.get("file") or "", int(told.get("line") or 0)
        inside = not _SYSTEM.search(file) if file else own(told.get("module") or "")
        inside = inside and not _RUNTIME_NAMES.match(function)
        found.append(Frame(function, file, line, inside))
    return tuple(found)


def language_of(file: str) -> str:
    """Return the language that a source file's name tells, ``native`` where it tells none."""
    ending = PurePath(file).suffix.lower()
    return {".py": "python", ".c": "c", ".h": "c", ".rs": "rust", ".go": "go"}.get(
        ending, "cpp" if ending in (".cc", ".cpp", ".cxx", ".hpp", ".hh", ".cu") else "native"
    )
