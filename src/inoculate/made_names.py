"""Families of generated domain names, made up: what domain generation algorithms do, none copied.

A family draws a recipe of its own: letters at random from an alphabet, digits of a hash, made-up
words, words put together, or a name of which a few letters change; a length, endings, and maybe
a part that stays. Meta-training on them needs no malware's names.

References:
    Plohmann et al., "A Comprehensive Measurement Study of Domain Generating Malware", USENIX
    Security 2016, section 3.2, for the kinds (arithmetic, hash, wordlist, permutation).
"""

from collections.abc import Callable

import numpy as np

_VOWELS, _CONSONANTS, _DIGITS = "aeiou", "bcdfghjklmnpqrstvwxyz", "0123456789"
_ENDINGS = (
    *("com", "net", "org", "info", "biz", "ru", "cc", "su", "tk", "pw", "xyz", "top", "online"),
    *("de", "co.uk", "com.br", "in", "cn", "ga", "ml", "site", "club", "eu", "us", "ws", "me"),
    *("ddns.net", "dyndns.org", "hopto.org", "duckdns.org", "onion.ly", "bit"),
)
_COMMON = (
    "above account air arm art back ball bank base bed best bird black blood blue board boat body "
    "book box boy bread bring brown build call car care cash cat chair chance city class clear "
    "close cloud coat cold color cook count cover cross cut dark data day deal deep desk dog door "
    "down dream dress drive drop dry early east easy edge egg end even eye face fall farm fast "
    "field fight film fire fish floor food foot form free fresh friend front game garden gate "
    "girl glass gold good grass great green ground group hair half hall hand happy hard head "
    "heart heat heavy help high hill home hope horse hot house ice idea iron island job key kind "
    "king lake land large last law lead leaf left level life light line list live long love "
    "machine mail main map mark market master match mind money month moon morning mother mouth "
    "music name near new night north note number ocean office oil open order page paper park part "
    "party past pay peace pen people phone place plan plant play point pool power press price "
    "pull push rain read red rest rich ride right ring river road rock roll room round rule run "
    "safe sale salt sand save school sea season seat self send service set shape ship shoe shop "
    "short show side sign silver sister size skin sky sleep slow small smile snow soft song sound "
    "south space speed spring square stage star start state station step stone store storm story "
    "street strong sugar summer sun table talk team test thing think time top touch town track "
    "trade train tree trip true turn unit valley view voice wait walk wall war warm watch water "
    "wave weather week west wheel white wide wild wind window wine winter wish wood word work "
    "world yard year yellow young"
)
_WORDS = tuple(_COMMON.split())

Maker = Callable[[np.random.Generator], str]


def name_families(n: int, size: int, *, seed: int) -> dict[str, list[str]]:
    """Return ``n`` families of about ``size`` distinct names each, by name.

    Args:
        n: families.
        size: names drawn of each; repeats are dropped.
        seed: the i-th family depends on seed and i only.
    """
    found = {}
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        make = _family(rng)
        found[f"made {i}"] = sorted({make(rng) for _ in range(size)})
    return found


def _family(rng: np.random.Generator) -> Maker:
    kind = _KINDS[int(rng.integers(len(_KINDS)))](rng)
    endings = rng.choice(_ENDINGS, int(rng.integers(1, 7)), replace=False)
    fixed = _letters(rng, _CONSONANTS + _VOWELS, int(rng.integers(2, 7)))
    where = float(rng.random())

    def make(rng: np.random.Generator) -> str:
        name = kind(rng)
        if where < 0.1:
            name = fixed + name
        elif where < 0.2:
            name += fixed
        return f"{name[:60]}.{rng.choice(endings)}"

    return make


def _letters(rng: np.random.Generator, alphabet: str, n: int) -> str:
    return "".join(alphabet[i] for i in rng.integers(len(alphabet), size=n))


def _length(
    rng: np.random.Generator, least: int, most: int
) -> Callable[[np.random.Generator], int]:
    low = int(rng.integers(least, most))
    high = low if rng.random() < 0.4 else int(rng.integers(low, most + 1))
    return lambda rng: int(rng.integers(low, high + 1))


def _random(rng: np.random.Generator) -> Maker:
    alphabets = (
        *(_VOWELS + _CONSONANTS, _VOWELS + _CONSONANTS + _DIGITS, _CONSONANTS),
        *((_VOWELS + _CONSONANTS)[: int(rng.integers(8, 20))], "abcdefghijklmnopqrstuvwxyz234567"),
    )
    alphabet, length = alphabets[int(rng.integers(len(alphabets)))], _length(rng, 5, 30)
    return lambda rng: _letters(rng, alphabet, length(rng))


def _hash(rng: np.random.Generator) -> Maker:
    alphabet = ("0123456789abcdef", "abcdefghijklmnopqrstuv0123456789")[int(rng.integers(2))]
    length = int(rng.choice([8, 10, 12, 16, 20, 24, 32]))
    return lambda rng: _letters(rng, alphabet, length)


def _spoken(rng: np.random.Generator) -> Maker:
    length, digits = _length(rng, 2, 7), rng.random() < 0.2

    def make(rng: np.random.Generator) -> str:
        parts = [
            _letters(rng, _CONSONANTS, 1) + _letters(rng, _VOWELS, 1 + int(rng.random() < 0.2))
            for _ in range(length(rng))
        ]
        return "".join(parts) + (_letters(rng, _DIGITS, 2) if digits else "")

    return make


def _worded(rng: np.random.Generator) -> Maker:
    words = list(rng.choice(_WORDS, int(rng.integers(15, 150)), replace=False))
    n, between = int(rng.integers(2, 4)), ("", "", "-")[int(rng.integers(3))]
    return lambda rng: between.join(rng.choice(words, n))


def _changed(rng: np.random.Generator) -> Maker:
    stays = "".join(rng.choice(_WORDS, 3)) if rng.random() < 0.6 else _random(rng)(rng)
    n, letters = int(rng.integers(2, 6)), _VOWELS + _CONSONANTS

    def make(rng: np.random.Generator) -> str:
        return _letters(rng, letters, n) + stays[n:]

    return make


_KINDS = (_random, _random, _hash, _spoken, _worded, _changed)
