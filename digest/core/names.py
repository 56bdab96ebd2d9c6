"""People's names, as papers print them: `Kaiming He`, `K. He`, `He, Kaiming`, `Schrödinger, E.`."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from digest.core.plain import unaccented

_PART = re.compile(r"[^\W\d_]+")
_APOSTROPHES = re.compile("['’‘`ʼ]")
_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv"})


@lru_cache(maxsize=1 << 15)
def parts(name: str) -> tuple[tuple[str, ...], str]:
    """Given names and family name, without case and accents.

    What stands before a comma is the family name; else the last word is.
    """
    family, comma, given = name.partition(",")
    if _SUFFIXES.issuperset(_words(given)):  # Martin King, Jr.
        name, comma = family, ""
    words = _words(f"{given} {family}" if comma else name)
    count = max(1, len(_words(family))) if comma else 1
    return words[:-count], " ".join(words[-count:])


def _words(name: str) -> tuple[str, ...]:
    folded = _APOSTROPHES.sub("", unicodedata.normalize("NFKC", name).casefold())
    words = tuple(found[0] for found in _PART.finditer(unaccented(folded)))
    return words[:-1] if len(words) > 1 and words[-1] in _SUFFIXES else words


def same_person(wanted: str, printed: str) -> bool:
    """Whether a printed name may be the person that is wanted.

    A family name alone wants everybody of that name; an initial stands for any name it begins.
    """
    wanted_given, wanted_family = parts(wanted)
    given, family = parts(printed)
    if not wanted_family or (
        wanted_family != family and not f" {' '.join((*given, family))}".endswith(f" {wanted_family}")
    ):
        return False
    given = (*given, *family.split())[: len(given) + len(family.split()) - len(wanted_family.split())]
    if "".join(given) == "".join(wanted_given):  # Jian-Fei and Jianfei
        return True
    return all(
        a == b or (min(len(a), len(b)) == 1 and a[0] == b[0])
        for a, b in zip(wanted_given, given, strict=False)
    ) and (not wanted_given or bool(given))
