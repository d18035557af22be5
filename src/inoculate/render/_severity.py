"""How bad a threat is held to be, by its name: weakness numbers, a severity, a level."""

import re

from inoculate.finding import NOVELTY

_CWE = re.compile(r"(?<![a-z])cwe[-_ :]?0*(\d{1,4})(?!\d)", re.IGNORECASE)
_MOST_WEAKNESSES = 8
_NAMED, _NOVEL = 7.0, 4.0

# our own grouping by what the weakness gives away, with the values that CodeQL's queries have
# for cwe-643, 416, 611, 89, 190, 22 and 79 (@security-severity)
_GROUPS = {
    9.8: (77, 78, 90, 259, 321, 434, 470, 502, 643, 798),
    9.3: (94, 95, 119, 120, 121, 122, 124, 125, 126, 127, 134, 415, 416, 787),
    9.1: (611, 918),
    8.8: (89, 287, 352, 943),
    8.1: (190, 191, 362, 367),
    7.5: (22, 59, 200, 295, 311, 312, 319, 326, 327, 328, 330, 338, 400, 476, 532, 732, 835),
    6.1: (79, 80, 83, 113, 601),
}
_BY_WEAKNESS = {number: value for value, numbers in _GROUPS.items() for number in numbers}


def weaknesses(threat: str) -> list[int]:
    """Return the CWE numbers in a threat's name, in its order.

    Example:
        >>> weaknesses("cwe-89"), weaknesses("juliet CWE_078, cwe121"), weaknesses("newcwe1")
        ([89], [78, 121], [])
    """
    numbers = (int(number) for number in _CWE.findall(threat))
    return list(dict.fromkeys(n for n in numbers if n))[:_MOST_WEAKNESSES]


def severity(threat: str) -> float:
    """Return 0.1 (low) to 10 (critical): a weakness's, else 7.0 for what was named, 4.0 for new.

    It says how bad the threat is where it is one; how sure that is, is the precision's business.
    """
    if threat == NOVELTY:
        return _NOVEL
    return max((_BY_WEAKNESS.get(n, _NAMED) for n in weaknesses(threat)), default=_NAMED)


def level(value: float) -> str:
    """Return SARIF's level of a severity."""
    return "error" if value >= 7 else "warning" if value >= 4 else "note"
