"""Names of calls that matter to data from outside: what acts on it, what makes it harmless.

Names are told by their parts, so that ``prepareStatement`` and ``pg_prepare`` are alike, and a
project's own names are understood as far as they say what they do.
"""

import re
from functools import lru_cache

from inoculate.features.code.code_words import parts

_TEXT = """
acts: exec execute query prepare batch system popen spawn eval evaluate compile xpath select search
 file stream open redirect print println printf write render html header load loads unserialize
 deserialize command shell unlink run strcpy strcat sprintf memcpy gets recv
reads: get is has to list size close
treats: escape escaped sanitize sanitizer sanitise purify htmlspecialchars htmlentities quote intval
 int float floatval atoi strtol bool uuid safe trusted
measures: length size len count equals compare empty isinstance hasattr type
tests: contains starts ends startswith endswith matches match fullmatch isdigit isalnum isalpha
 isdecimal valid validate allowed strpos in
routes: route get post put patch api view handler endpoint mapping
"""
_WHOLE = """
acts: process builder, set attribute, put value, put attribute, check output, check call, call,
 fromstring, alloca, malloc, x path
object: read text, read bytes, write text, write bytes, exists, open, unlink, mkdir, start, is file
treats: for html, for xml, for url, for sql, for ldap, html content, html attribute, parse int,
 parse long, parse double, secure filename, literal eval
"""
_HOLDERS = frozenset((b"session", b"innerHTML", b"outerHTML", b"_SESSION"))
_LINE = re.compile(r"^(\w+):((?:.|\n )*)", re.MULTILINE)
_PARTS = {kind: frozenset(some.split()) for kind, some in _LINE.findall(_TEXT)}
_NAMES = {
    kind: frozenset(" ".join(name.split()) for name in some.split(","))
    for kind, some in _LINE.findall(_WHOLE)
}


@lru_cache(maxsize=65_536)
def acts(name: bytes) -> bool:
    """Return whether a call of that name does something outside with what it is given."""
    its = parts(name)
    if not its or its[0] in _PARTS["reads"]:
        return False
    return not treats(name) and (
        not _PARTS["acts"].isdisjoint(its) or " ".join(its[-2:]) in _NAMES["acts"]
    )


@lru_cache(maxsize=65_536)
def acts_on_object(name: bytes) -> bool:
    """Return whether a call of that name does something with what its object stands for."""
    return " ".join(parts(name)) in _NAMES["object"]


@lru_cache(maxsize=65_536)
def treats(name: bytes) -> bool:
    """Return whether what a call of that name gives is harmless in some place."""
    its = parts(name)
    if not its or its[0].startswith(("un", "de")):
        return False
    return not _PARTS["treats"].isdisjoint(its) or " ".join(its[-2:]) in _NAMES["treats"]


@lru_cache(maxsize=65_536)
def replaces(name: bytes) -> bool:
    """Return whether a call of that name puts other characters in place of some."""
    return "replace" in parts(name)


@lru_cache(maxsize=65_536)
def measures(name: bytes) -> bool:
    """Return whether a call of that name tells something of data, but none of it."""
    return not _PARTS["measures"].isdisjoint(parts(name))


@lru_cache(maxsize=65_536)
def tests(name: bytes) -> bool:
    """Return whether a call of that name tells good data from bad."""
    return not _PARTS["tests"].isdisjoint(parts(name))


def routes(name: bytes) -> bool:
    """Return whether an annotation of that name hands out what a function returns."""
    return not _PARTS["routes"].isdisjoint(parts(name))


def holds(name: bytes) -> bool:
    """Return whether what is stored in a variable of that name has left the function."""
    return name in _HOLDERS
