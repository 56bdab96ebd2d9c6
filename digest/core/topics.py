"""Topics in a person's own words: `Swin, talking face or "lip sync" but not facebook`.

    topics   = topic { ( "," | ";" ) topic }
    topic    = keyword { "or" keyword } { [ "but" | "and" ] "not" unwanted }
    unwanted = keyword { ( "or" | "nor" | "and" ) keyword }

A keyword is one of a profile's lists (`digest.core.query`); in quotation marks, commas and these words are
its own. Each topic becomes an interest that is named after its first keyword. What looks like a query is
refused, for here it would mean something else: Swin AND video, (image OR video), title:avatar, -facebook.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from digest.core.model import Interest
from digest.core.query import FIELDS, parse_keyword
from digest.errors import ConfigError, QueryError

_COMMAS = ",;，；、،"
_TOKEN = re.compile(rf'"[^"]*"(?:~\d+)?|[{_COMMAS}]|[^\s{_COMMAS}"]+|"')
_OF_QUERIES = re.compile(
    rf"(?:{'|'.join(FIELDS)}):.*|[-+!][^\W\d].*|&&|\|\|?|.+\^\d*|.+~\d*", re.IGNORECASE | re.DOTALL
)
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
        if found[0] in _COMMAS:
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


def described(interest: Interest) -> str:
    """What an interest looks for: `Talking face: “talking face” or “lip sync”, not “facebook”`."""
    wanted, unwanted = (
        " or ".join(word if word.startswith('"') else f"“{word}”" for word in words)
        for words in (interest.keywords, interest.exclude)
    )
    return f"{interest.name}: {wanted}{f', not {unwanted}' if unwanted else ''}"


def _interest(words: Sequence[_Word], text: str) -> Interest:
    lists: tuple[list[str], list[str]] = ([], [])
    keyword: list[str] = []
    is_excluded = may_begin = False  # `may_begin`: nothing need stand before a "not"
    _check(words, text)
    last, start = words[-1]
    end = start + len(last)
    for word, column in [*words, ("or", end)]:
        operator = word.lower()
        if operator not in {"or", "nor", "not"} and not (operator == "and" and is_excluded):
            keyword.append(word)
            continue
        if operator == "not" and keyword[-1:] and keyword[-1].lower() in {"but", "and"}:
            keyword.pop()
        if keyword:
            lists[is_excluded].append(parse_keyword(" ".join(keyword)).written)
        elif not (operator == "not" and may_begin):
            where = f'behind "{last}"' if column == end else f'before "{word}"'
            raise QueryError(f"a keyword is missing {where}", query=text, column=column)
        keyword, may_begin = [], bool(lists[0])
        is_excluded = is_excluded or operator in {"not", "nor"}
    keywords, exclude = (tuple(dict.fromkeys(words)) for words in lists)
    return Interest(_name(keywords[0]), keywords=keywords, exclude=exclude)


def _check(words: Sequence[_Word], text: str) -> None:
    """Raise QueryError for what is of the language of queries."""
    following = [*(word.lower() for word, _ in words[1:]), ""]
    for (word, column), after in zip(words, following, strict=True):
        if not word.startswith('"') and (
            (word == "AND" and after != "not")
            or _OF_QUERIES.fullmatch(word)
            or word.count("(") != word.count(")")  # those of "SE(3)" are its own
        ):
            raise QueryError(
                f"{word} is of the language of queries, but topics are words",
                query=text,
                column=column,
                remedy='Write words with "or" and "not", or "in quotation marks"; a profile may have a query',
            )


def _name(keyword: str) -> str:
    """A keyword without its signs, as a heading."""
    quoted = _QUOTED.match(keyword)
    name = (quoted[1] if quoted else keyword).removeprefix("=").removesuffix("*").strip()
    first = name.split(maxsplit=1)[0]
    # "p53" and "mRNA" are spelled as they are spelled.
    return name[0].upper() + name[1:] if first.islower() and first.isalpha() else name
