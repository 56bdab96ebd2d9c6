"""Topics in a person's own words: `Swin, talking face or "lip sync" but not facebook`.

    topics   = topic { "," topic }
    topic    = keyword { "or" keyword } { [ "but" | "and" ] "not" unwanted }
    unwanted = keyword { ( "or" | "nor" | "and" ) keyword }

A keyword is one of a profile's lists (`digest.core.query`); in quotation marks, commas and these words are
its own. Each topic becomes an interest that is named after its first keyword.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from digest.core.model import Interest
from digest.core.query import parse_keyword
from digest.errors import ConfigError, QueryError

_TOKEN = re.compile(r'"[^"]*"(?:~\d+)?|,|[^\s,"]+|"')
_QUOTED = re.compile(r'"([^"]*)"(?:~\d+)?\Z')
_STRAIGHT = str.maketrans("“”„«»", '"' * 5)  # as keyboards and word processors set them
_NAMED = 3  # topics in a title; more would not fit above a digest

_Word = tuple[str, int]  # with its column, from 1


def parse(text: str) -> tuple[Interest, ...]:
    """The interests that a text means. Raises ConfigError when there is none, and QueryError."""
    text = text.translate(_STRAIGHT)
    topics: list[list[_Word]] = [[]]
    for found in _TOKEN.finditer(text):
        if found[0] == '"':
            raise QueryError("this quotation mark is never closed", query=text, column=found.start() + 1)
        if found[0] == ",":
            topics.append([])
        else:
            topics[-1].append((found[0], found.start() + 1))
    interests: dict[str, Interest] = {}
    for interest in (_interest(words, text) for words in topics if words):
        if interests.setdefault(interest.name.casefold(), interest) != interest:
            raise QueryError(
                f'two topics begin with "{interest.name}"',
                query=text,
                column=1,
                remedy='Join them with "or".',
            )
    if not interests:
        raise ConfigError("there is no topic", remedy="Name at least one.")
    return tuple(interests.values())


def title(interests: Sequence[Interest]) -> str:
    """What may stand above a digest of these interests."""
    names = [interest.name for interest in interests]
    if len(names) > _NAMED:
        return f"{', '.join(names[:_NAMED])} and more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _interest(words: Sequence[_Word], text: str) -> Interest:
    lists: tuple[list[str], list[str]] = ([], [])
    keyword: list[str] = []
    is_excluded = may_begin = False  # `may_begin`: nothing need stand before a "not"
    for word, column in [*words, ("or", len(text) + 1)]:
        operator = word.lower()
        if operator not in {"or", "nor", "not"} and not (operator == "and" and is_excluded):
            keyword.append(word)
            continue
        if operator == "not" and keyword[-1:] and keyword[-1].lower() in {"but", "and"}:
            keyword.pop()
        if keyword:
            lists[is_excluded].append(parse_keyword(" ".join(keyword)).written)
        elif not (operator == "not" and may_begin):
            where = "at the end" if column > len(text) else f'before "{word}"'
            raise QueryError(f"a keyword is missing {where}", query=text, column=column)
        keyword, may_begin = [], bool(lists[0])
        is_excluded = is_excluded or operator in {"not", "nor"}
    keywords, exclude = (tuple(dict.fromkeys(words)) for words in lists)
    return Interest(_name(keywords[0]), keywords=keywords, exclude=exclude)


def _name(keyword: str) -> str:
    """A keyword without its signs, as a heading."""
    quoted = _QUOTED.match(keyword)
    name = (quoted[1] if quoted else keyword).removeprefix("=").removesuffix("*").strip()
    first = name.split(maxsplit=1)[0]
    # "p53" and "mRNA" are spelled as they are spelled.
    return name[0].upper() + name[1:] if first.islower() and first.isalpha() else name
