"""The words of a text as relevance compares them: stems (Porter's algorithm for English, Snowball's form).

Coarser than the labels of `digest.core.text`, which say what certainly is the same word: here
`generation`, `generated` and `generative` may speak for one another.
"""

from __future__ import annotations

import re
from itertools import chain

import snowballstemmer

from digest.core.plain import undo_markup

_WORD = re.compile(r"[^\W_]+")
_LONGEST = 40  # characters; what is longer is no word, and stemming it would take long
_stem = snowballstemmer.stemmer("english").stemWord


class _Stems(dict[str, str]):
    """Stems by word, each found once."""

    def __missing__(self, word: str) -> str:
        stem = self[word] = _stem(word) if len(word) <= _LONGEST else word
        return stem


_MOST = 1 << 19  # words that are remembered: about 60 MB
_known = _Stems()


def words(text: str) -> list[str]:
    """The words of a text: lower case, without markup, cut at hyphens and apostrophes."""
    return _WORD.findall(undo_markup(text).text.lower())


def as_written(text: str) -> dict[str, str]:
    """The words of a text as they stand in it, each the first of its stem."""
    found = _WORD.findall(undo_markup(text).text)
    return {_known[word.lower()]: word for word in reversed(found)}


def stem(word: str) -> str:
    """The stem of a lower-case word."""
    return _known[word]


def stems(text: str) -> list[str]:
    """The stems of the words of a text, in their order."""
    if len(_known) > _MOST:  # pragma: no cover - half a million words take some seconds
        _known.clear()
    return list(map(_known.__getitem__, words(text)))


_STOP_WORDS = """
    a about above across after again against all almost along already also although always am among
    an and another any are around as at away be became because become becomes been before behind
    being below beside besides between beyond both but by can cannot could did do does doing done
    down due during each either else enough especially etc even ever every few first for former from
    further furthermore had has have having he hence her here hers herself him himself his how
    however i if in indeed instead into is it its itself just last later least less made make makes
    making many may me meanwhile might mine more moreover most mostly much must my myself namely
    near nearly neither never nevertheless next no nor not nothing now of off often on once one only
    onto or other others otherwise our ours ourselves out over own per perhaps rather s same second
    seem seems several shall she should since so some still such than that the their theirs them
    themselves then there thereby therefore these they third this those though three through
    throughout thus to together too toward towards two under unlike until up upon us very via was we
    well were what when where whereas whether which while who whole whom whose why will with within
    without would
"""
_OF_ABSTRACTS = """
    t yet you your yours yourself paper papers work works study studies propose proposed proposes
    present presents presented introduce introduces show shows shown demonstrate demonstrates method
    methods approach approaches result results use used uses using based new novel e g i eg ie et al
"""  # what every abstract says of itself

STOP_WORDS = frozenset(chain(words(_STOP_WORDS + _OF_ABSTRACTS), stems(_STOP_WORDS + _OF_ABSTRACTS)))
"""Words that say nothing about a subject, as written and stemmed."""
