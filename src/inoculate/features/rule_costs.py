"""What conditions of code cost in a rule, in bits: learned over weaknesses.

How often a condition of a kind that could have been in a clause was in one that is right on
functions held out: so often it holds, so often its absence. Learned by ``python
benchmarks/rule_costs.py --table`` from the 84 weaknesses of the Juliet C suite with 20 functions
and more, five pairs each, two draws; the same file and ``benchmarks/rules.py --order learned``
measure such costs on weaknesses that they were not learned from.

Reference:
    Cropper and Morel, Machine Learning 110, 2021, leave the order of hypotheses to their size;
    here it is their probability beforehand.
"""

from collections.abc import Mapping

_UNSEEN = (5.1, 8.9)

CODE_BITS: Mapping[str, tuple[float, float]] = {
    "args": (4.3, 9.4),
    "array": (6.0, 9.5),
    "call": (4.6, 9.6),
    "cast": (4.7, 7.6),
    "caught": (4.6, 8.2),
    "checked": (5.2, 11.3),
    "decided": (5.5, 11.6),
    "direct": (5.0, 9.3),
    "exit": (5.9, 8.0),
    "exposed": (5.1, 9.0),
    "expression": (5.2, 8.9),
    "fixed": (5.4, 8.3),
    "guard": (6.8, 11.3),
    "guarded": (6.7, 11.8),
    "index": (6.5, 11.0),
    "jump": (4.6, 10.1),
    "literal": (4.7, 6.4),
    "loop": (4.6, 9.4),
    "number": (6.2, 6.1),
    "op": (6.0, 9.8),
    "pointer": (5.6, 10.2),
    "quoted": (3.5, 10.3),
    "set": (5.8, 10.6),
    "statement": (5.5, 9.3),
    "then": (5.3, 7.8),
    "through": (5.7, 9.7),
    "type": (6.4, 10.0),
    "unchecked": (4.5, 9.3),
    "unguarded": (4.9, 6.3),
    "untested": (4.9, 10.4),
    # of other languages than C: as all kinds together
    **dict.fromkeys(("annotation", "keyword", "returns", "swallowed"), _UNSEEN),
}
"""Bits of a condition and of its absence, by kind."""
