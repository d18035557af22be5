"""Parameters of cloud API calls: flattened, and as words that name no account or resource.

Reference:
    AWS Identity and Access Management user guide, "IAM identifiers": the parts of an ARN.
"""

import json
import re
from itertools import islice
from typing import Any

from inoculate.features.hosts.event_fields import field_words, shape_token

MOST_PARAMETERS = 256
_MOST_CHARACTERS = 4_096
_DEEPEST = 8
_ARN = re.compile(r"arn:[\w-]{1,16}:([\w-]{0,32}):[\w-]{0,32}:(\w{0,16}):([\w-]{0,40})(.{0,600})")
_RESOURCE = re.compile(
    r"[a-z]{1,12}(?:-[a-z]{1,8})?-[0-9a-zA-Z]{8,40}|\d{12}|A[A-Z]{3}[0-9A-Z]{12,20}"
)
_OWN_NAME = re.compile(
    r"(?:name|names|id|ids|arn|arns|token|key|prefix|email|alias|description)$", re.I
)
_PROVIDED = re.compile(r"(?:AWS|Amazon|aws|amazon)[-\w./:]*")
_ANYWHERE = frozenset(("0.0.0.0/0", "::/0", "*"))
_PAIR = re.compile(r'"([^"\\]{1,80})"\s*:\s*(?:\[\s*)?(?:"((?:[^"\\]|\\.){0,4096})|(\w{1,40}))')
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def cut_parameters(value: Any) -> Any:
    """Return request parameters, as JSON gives them, without what is beyond the bounds."""
    return _walk(value, "", 0, [])


def flat_parameters(given: str) -> list[tuple[str, str]]:
    """Return the name and text of each parameter in a JSON text.

    Policies that are given as JSON in a text are opened as well. Names of nested parameters are
    joined by dots; items of an array share their name. Of JSON that was cut off, the names and
    values that are still there are returned.
    """
    pairs: list[tuple[str, str]] = []
    try:
        _walk(json.loads(given), "", 0, pairs)
    except (ValueError, RecursionError):
        found = _PAIR.findall(given[: 16 * _MOST_CHARACTERS])[:MOST_PARAMETERS]
        pairs = [(name, text or word) for name, text, word in found]
    return [(_whole(name), _whole(value)) for name, value in pairs]


def _whole(text: str) -> str:
    """Return a text without halves of surrogate pairs."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _walk(value: Any, name: str, depth: int, pairs: list[tuple[str, str]]) -> Any:
    if len(pairs) >= MOST_PARAMETERS or depth > _DEEPEST:
        return None
    if isinstance(value, str):
        inner = _opened(value) if depth < _DEEPEST else None
        if inner is not None:
            _walk(inner, name, depth + 1, pairs)
            return value
        pairs.append((name, value[:_MOST_CHARACTERS]))
        return value[:_MOST_CHARACTERS]
    if isinstance(value, dict):
        out: dict[str, Any] = {}
        for key, inner in islice(value.items(), MOST_PARAMETERS):
            dotted = f"{name}.{key[:80]}".strip(".")
            # most are short texts, for which a call of their own would cost more than the rest
            plain = type(inner) is str and len(inner) <= _MOST_CHARACTERS and depth < _DEEPEST
            if plain and inner[:1] not in ("{", "[") and len(pairs) < MOST_PARAMETERS:
                pairs.append((dotted, inner))
                out[key[:80]] = inner
            else:
                out[key[:80]] = _walk(inner, dotted, depth + 1, pairs)
        return out
    if isinstance(value, list):
        return [_walk(v, name, depth + 1, pairs) for v in value[:MOST_PARAMETERS]]
    if value is None:
        return None
    text = json.dumps(value)[:40]
    pairs.append((name, text))
    return value if len(text) < 40 else text


def _opened(text: str) -> Any:
    """Return what a text holds as JSON, None where it holds none."""
    if not text.startswith(("{", "[")) or len(text) > 16 * _MOST_CHARACTERS:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def parameter_shape(name: str, value: str) -> list[str]:
    """Return a parameter's name with the shape of its value; nothing for a call or an error."""
    if name.startswith("@"):
        return []
    if _ARN.match(value):
        return [f"{name.lower()} arn"]
    if _RESOURCE.fullmatch(value):
        return [f"{name.lower()} resource"]
    return [shape_token(name, value)]


def parameter_words(name: str, value: str) -> list[str]:
    """Return the words of a parameter, a call (``@call``) or an error (``@error``).

    Example:
        >>> parameter_words("@call", "GetPasswordData")
        ['get', 'password', 'data']
        >>> parameter_words("roleArn", "arn:aws:iam::123456789012:role/mine")
        ['arn iam role']
    """
    if name.startswith("@"):
        return [w.lower() for w in dict.fromkeys(_CAMEL.findall(value[:200]))]
    last = name.rpartition(".")[2]
    if value in _ANYWHERE:
        return [f"{last.lower()}=anything"]
    arn = _ARN.match(value)
    if arn is not None:
        words = [f"arn {arn[1]} {arn[3]}" if arn[4] else f"arn {arn[1]}"]
        return [*words, arn[4].rpartition("/")[2].lower()] if arn[2] == "aws" else words
    if _RESOURCE.fullmatch(value) or (_OWN_NAME.search(last) and not _PROVIDED.fullmatch(value)):
        return []
    return field_words(last, value)
