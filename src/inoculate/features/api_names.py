"""Names of Windows API calls: one name for the same call, what it is for, and what follows what.

The same call comes under several names: ``CreateFileA``, ``CreateFileW`` and, a layer below,
``NtCreateFile`` or ``ZwCreateFile``; traces of some sources are all in lower case. A name is
taken in lower case without ``A``/``W``, ``Ex`` and ``Nt``/``Zw``, and a few calls that only lead
to another one take its name (``ALIASES``). A name that is no identifier (a path, a permission)
keeps all but its case.

References:
    Microsoft, "Unicode in the Windows API" (the endings A and W); "Using Nt and Zw Versions of
    the Native System Services Routines".
    Cuckoo Sandbox's and CAPE's names of calls, as in their reports, for the categories.
"""

import re
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate.domain import Column
from inoculate.task import FloatArray

LONGEST_NAME = 100
"""No call has a longer name, in characters."""

ALIASES = {
    "virtualalloc": "allocatevirtualmemory",
    "virtualprotect": "protectvirtualmemory",
    "virtualfree": "freevirtualmemory",
    "writeprocessmemory": "writevirtualmemory",
    "readprocessmemory": "readvirtualmemory",
    "queueuserapc": "queueapcthread",
    "getthreadcontext": "getcontextthread",
    "setthreadcontext": "setcontextthread",
    "mapviewoffile": "mapviewofsection",
    "unmapviewoffile": "unmapviewofsection",
    "createfilemapping": "createsection",
    "loadlibrary": "ldrloaddll",
    "freelibrary": "ldrunloaddll",
    "getmodulehandle": "ldrgetdllhandle",
    "getprocaddress": "ldrgetprocedureaddress",
    "ldrgetprocedureaddressforcaller": "ldrgetprocedureaddress",
    "sleep": "delayexecution",
    "createmutex": "createmutant",
    "openmutex": "openmutant",
    "createprocessinternal": "createprocess",
    "createuserprocess": "createprocess",
    "rtlcreateuserprocess": "createprocess",
    "rtlcreateuserthread": "createremotethread",
    "closehandle": "close",
}
"""Names that stand for another call, after all else is taken off."""

_PATTERNS = {
    "network": r"^(?:wsa|internet|http|ftp|dns|url|winhttp|net(?!work)|inet|gethost|getaddrinfo"
    r"|getadapters|getbestinterface|getsockname|socket|connect|bind|listen|accept|recv|send(?!notify"
    r"|message|input)|select$|closesocket|shutdown$|ioctlsocket|setsockopt|obtainuseragent)"
    r"|urlcache|download",
    "crypto": r"^(?:n?crypt|bcrypt|cert|ssl|pstore)|encrypt|decrypt|hash",
    "registry": r"^reg(?!ister)|(?:(?<!hot)key|(?<!privilege)value|hive)$|multiplevalue"
    r"|^(?:enumerate|query)(?:value)?key",
    "service": r"service(?!s?_exec)|scmanager|^loaddriver|^unloaddriver",
    "memory": r"virtualmemory|section|heap|^(?:global|local)(?:alloc|free)|^rtlmovememory",
    "process": r"process|thread|toolhelp|shellexecute|^system$|winexec|module32|jobobject|apc|token"
    r"|privilege|^exitwindows",
    "module": r"^ldr|resource|actctx|^loadstring|dll|^co(?:create|get|init|unin)|^ole|wbem",
    "synchronisation": r"mutant|mutex|event$|semaphore|wait|delayexecution|^sleep|timer",
    "device": r"deviceio|^device",
    "file": r"file|director|path|volume|disk|^searchpath|^shgetfolder|^shgetspecial|cabinet|^move"
    r"|^copy",
    "window": r"window|message|drawtext|cursor|keyboard|keystate|hotkey|hook|console|clipboard"
    r"|dialog|^gdi|bitblt|getdc$|foreground|input$",
    "system": r"^(?:get|set|query|is|lookup|global|timeget|uuid|rtl|output|nt|duplicate|close|open"
    r"|create|__)|system|exception|debug|tickcount|information|performance",
}
CATEGORIES = tuple(_PATTERNS)
"""What calls are for; the first that fits a name counts."""

_THEN = {
    "opens_writes": (
        ("openprocess", "createprocess"),
        ("writevirtualmemory",),
        "a process opened or started, then memory of a process written",
    ),
    "writes_runs": (
        ("writevirtualmemory", "mapviewofsection"),
        ("createremotethread", "queueapcthread", "setcontextthread"),
        "memory of a process written or mapped, then a thread of a process made to run",
    ),
    "unmaps_writes": (
        ("unmapviewofsection",),
        ("writevirtualmemory",),
        "a mapped section taken away, then memory of a process written",
    ),
    "downloads_starts": (
        ("internetreadfile", "urldownloadtofile", "recv", "wsarecv", "winhttpreaddata"),
        ("createprocess", "shellexecute", "winexec"),
        "data received from the network, then a process started",
    ),
}
THEN_COLUMNS = tuple(Column(name, "yes/no", about) for name, (_, _, about) in _THEN.items())
"""Columns of ``one_then_other``."""

_VERBS = (
    "accept|adjust|alert|alloc|cancel|clear|close|compare|compress|connect|continue|create|debug"
    "|delay|delete|device|duplicate|enumerate|extend|filter|flush|free|fscontrol|get|impersonate"
    "|initiate|is|listen|load|lock|make|map|modify|notify|open|power|privilege|protect|pulse|query"
    "|queue|raise|read|register|release|remove|rename|replace|reply|request|reset|restore|resume"
    "|save|set|shutdown|signal|start|stop|suspend|system|terminate|test|trace|translate|unload"
    "|unlock|unmap|vdm|wait|write|yield"
)
# words before a final a or w that make it an ending, where all is in lower case
_STEMS = (
    "access|acl|alias|args|atom|attributes|box|class|command|computer|connect|connection|console"
    "|context|ctx|cursor|desktop|device|directory|dll|entry|environment|event|exec|execute|fail"
    "|file|filename|first|folder|font|format|group|handle|handler|icon|info|internal|item|job|key"
    "|library|line|list|locale|long|manager|mapping|menu|message|module|mutex|name|names|next|object"
    "|offset|open|option|param|parameters|path|pipe|point|policy|printer|privilege|proc|process"
    "|profile|progress|prompt|property|provider|ptr|query|request|resource|section|semaphore|service"
    "|session|sid|size|socket|space|status|store|string|strings|system|table|text|timeout|timer"
    "|transfer|type|url|user|value|values|variable|version|window|working"
)
_NOT_EX = ("mutex", "index", "hex", "regex", "vertex", "complex")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PREFIX = re.compile(rf"(?:Nt|Zw)(?=[A-Z])|(?:nt|zw)(?=(?:{_VERBS})[a-z]*$)|nt(?=fscontrol)")
_MIXED_END = re.compile(r"(?:(?<=[a-z0-9])|_)[AW]$")
_LOWER_STEM = re.compile(rf"(?:{_STEMS})[aw]$")
_LOOKS = re.compile(
    rf"(?:(?:Nt|Zw|nt|zw)(?i:{_VERBS})|(?i:ldr(?:get|load|unload)|rtl[a-z]{{3}}|crypt[a-z]{{4}}"
    r"|reg(?:open|close|query|set|create|delete|enum)|internet(?:open|connect|read|close|query)"
    r"|http(?:open|send|query)|wsa(?:start|send|recv|socket)|cocreate|coinit|couninit|isdebugger"
    r"|(?:virtual|heap)(?:alloc|free|protect)|(?:loadlibrary|getprocaddress|shellexecute)"
    r"|(?:create|delete|copy|move|find|write|read|set|get|open|remove|enum|load|exit|terminate)"
    r"(?:file|process|thread|service|directory|window|system|module|resource|volume|mutex|remote"
    r"|console|first|temp|short|native|computer|user|sc|tool)))[A-Za-z0-9_]*$"
)


def same_call(name: str) -> str:
    """Return the one name of a call.

    Example:
        >>> same_call("NtCreateFile"), same_call("CreateFileW"), same_call("createfilea")
        ('createfile', 'createfile', 'createfile')
    """
    return _same_call(name) if len(name) <= LONGEST_NAME else name.lower()


@lru_cache(maxsize=65_536)
def _same_call(name: str) -> str:
    name = name.strip()
    if name[:4].lower() == "api:" and name[4:]:
        name = name[4:]
    module, _, function = name.rpartition("!")
    name = function if module and function else name
    if not _IDENTIFIER.fullmatch(name):
        return name.lower()
    plain = name[2:] if _PREFIX.match(name) else name
    if plain != plain.lower():
        plain = _MIXED_END.sub("", plain)
        plain = plain.removesuffix("Ex").lower()
    else:
        plain = _without_lower_end(plain)
    return ALIASES.get(plain, plain) or name.lower()


def _without_lower_end(name: str) -> str:
    if name.endswith(("exa", "exw", "_a", "_w")):
        name = name[:-2] if name[-2] == "_" else name[:-1]
    elif _LOWER_STEM.search(name):
        name = name[:-1]
    if name.endswith("ex") and not name.endswith(_NOT_EX):
        name = name[:-2]
    return name


def category(same: str) -> str | None:
    """Return the category of a call by its one name, None for what is no call's name."""
    return _category(same) if len(same) <= LONGEST_NAME else None


@lru_cache(maxsize=65_536)
def _category(same: str) -> str | None:
    if not _IDENTIFIER.fullmatch(same):
        return None
    return next((c for c, pattern in _compiled() if pattern.search(same)), None)


@cache
def _compiled() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((c, re.compile(pattern)) for c, pattern in _PATTERNS.items())


def looks_like_call(name: str) -> bool:
    """Return True for a name that hardly anything but a Windows API call has."""
    return len(name) <= LONGEST_NAME and _LOOKS.match(name) is not None


def one_then_other(calls: pl.Series) -> FloatArray:
    """Return 1 where one call comes and later another, as injection and droppers do.

    Args:
        calls: (n,) List(String) of names by ``same_call``; null counts as empty.

    Returns:
        (n, len(THEN_COLUMNS)) float32.
    """
    lengths = calls.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = calls.filter(pl.Series(lengths > 0)).explode()
    row = np.repeat(np.arange(len(lengths)), lengths)
    out = np.zeros((len(lengths), len(_THEN)), np.float32)
    for j, (first, later, _) in enumerate(_THEN.values()):
        a, b = (np.flatnonzero(flat.is_in(names).fill_null(False)) for names in (first, later))
        begin = np.full(len(lengths), len(row))
        end = np.full(len(lengths), -1)
        np.minimum.at(begin, row[a], a)
        np.maximum.at(end, row[b], b)
        out[:, j] = begin < end
    return out


def longest_run(calls: pl.Series) -> npt.NDArray[np.int64]:
    """Return the length of the longest run of one call in each sequence, 0 for an empty one.

    Args:
        calls: (n,) List(String); null counts as empty.
    """
    lengths = calls.list.len().fill_null(0).to_numpy().astype(np.int64)
    out = np.zeros(len(lengths), np.int64)
    if not lengths.sum():
        return out
    flat = calls.filter(pl.Series(lengths > 0)).explode().fill_null("")
    row = np.repeat(np.arange(len(lengths)), lengths)
    new = np.concatenate([[True], (flat[1:] != flat[:-1]).to_numpy() | (row[1:] != row[:-1])])
    begins = np.flatnonzero(new)
    np.maximum.at(out, row[begins], np.diff(begins, append=len(row)))
    return out
