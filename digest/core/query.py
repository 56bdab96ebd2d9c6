"""What a person looks for: keywords, and queries that combine them.

    query    = and { "OR" and }
    and      = not { [ "AND" ] not }
    not      = [ "NOT" | "-" ] primary
    primary  = "(" query ")" | [ field ":" ] ( keyword | "(" query ")" )
    keyword  = word [ "*" ] | "=" word | '"' words [ "*" ] '"' [ "~" number ]

The operators are upper case, as in Lucene's classic query parser; two terms side by side must both
hold. A keyword of a list is a `keyword` that may have several words without quotation marks.
Punctuation within a keyword may stand in the text or not: `SE(3) equivariance`.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple, TypeAlias, get_args
from weakref import WeakValueDictionary

from digest.core.model import Field, Interest
from digest.core.plural import singular
from digest.core.text import SENTENCE_GAP, Text, cut
from digest.errors import QueryError

Labels: TypeAlias = tuple[str, ...]
"""Labels of consecutive words; the last may end in `*`, which stands for any ending."""

FIELDS: tuple[Field, ...] = get_args(Field)
DEFAULT_FIELDS: tuple[Field, ...] = ("title", "abstract")
_MOST_VARIANTS = 64
_LONGEST_KEYWORD = 500  # characters; to cut one takes the square of that
_DEEPEST = 50  # brackets within brackets, and what stands before something
_FARTHEST = 4  # digits of the number of words between


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Term:
    """A keyword, ready to be looked up; while it is in use, what is written the same is the same object.

    So millions of them are told apart by where they are, not by comparing what they hold.
    """

    written: str
    fields: tuple[Field, ...]
    words: tuple[tuple[Labels, ...], ...]  # for each part that may stand apart: its readings
    exact: str | None = None  # the only spelling that counts
    slop: int = 0  # how many words may stand between
    gaps: tuple[int, ...] = ()  # how many nodes may be left out between one part and the next

    @property
    def patterns(self) -> Iterator[Labels]:
        """Every label sequence that has to be looked for."""
        return itertools.chain.from_iterable(self.words)


@dataclass(frozen=True, slots=True)
class And:
    """Every operand holds."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one operand holds."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The operand does not hold."""

    operand: Expression


Expression: TypeAlias = Term | And | Or | Not


class CompiledInterest(NamedTuple):
    """An interest, ready to be evaluated; `Interest` says how its parts combine."""

    interest: Interest
    keywords: tuple[Term, ...] = ()
    require: tuple[Term, ...] = ()
    exclude: tuple[Term, ...] = ()
    authors: tuple[Term, ...] = ()
    categories: tuple[Term, ...] = ()
    query: Expression | None = None

    @property
    def terms(self) -> Iterator[Term]:
        """Every term, whether it is wanted or not."""
        yield from self.keywords + self.require + self.exclude + self.authors + self.categories
        if self.query is not None:
            yield from terms(self.query)

    @property
    def wanted(self) -> Mapping[Term, None]:
        """Every term whose presence speaks for a paper, once."""
        wanted = self.keywords + self.require + self.authors + self.categories
        if self.query is not None:
            wanted += tuple(terms(self.query, wanted=True))
        return dict.fromkeys(wanted)

    @property
    def unwanted(self) -> Iterable[Term]:
        """Every term whose presence speaks against a paper, once."""
        wanted = self.wanted
        negated = () if self.query is None else (one for one in terms(self.query) if one not in wanted)
        return dict.fromkeys((*self.exclude, *negated))


def terms(expression: Expression, *, wanted: bool = False) -> Iterator[Term]:
    """The terms of an expression, or those whose presence speaks for it, in the order written."""
    match expression:
        case Term():
            yield expression
        case Not(operand):
            if not wanted:
                yield from terms(operand)
        case And(operands) | Or(operands):  # pragma: no branch - the cases are all there are
            for operand in operands:
                yield from terms(operand, wanted=wanted)


def compile_interest(interest: Interest) -> CompiledInterest:
    """Read all keywords of an interest. Raises QueryError."""
    return CompiledInterest(
        interest,
        keywords=tuple(map(parse_keyword, interest.keywords)),
        require=tuple(map(parse_keyword, interest.require)),
        exclude=tuple(map(parse_keyword, interest.exclude)),
        authors=tuple(map(_parse_author, interest.authors)),
        categories=tuple(map(_parse_category, interest.categories)),
        query=None if interest.query is None else parse_query(interest.query),
    )


@lru_cache(maxsize=1 << 17)  # people want the same things; a term has about 500 bytes
def parse_keyword(written: str, *, fields: tuple[Field, ...] = DEFAULT_FIELDS) -> Term:
    """Read one keyword of a list. Raises QueryError."""
    text = written.strip()
    if text.startswith('"'):
        tokens = _Tokens(text)
        kind, value, column = tokens.take()
        if kind == "quoted" and tokens.peek()[0] == "end":
            return _term(value, written=text, fields=fields, column=column)
        raise QueryError(
            'a keyword in quotation marks ends with ", or with "~ and a number',
            query=text,
            column=column,
            remedy='Write "several words", or "several words"~3.',
        )
    return _term(text, written=text, fields=fields, column=1)


_parse_author = partial(parse_keyword, fields=("author",))
_parse_category = partial(parse_keyword, fields=("category",))


def parse_query(query: str) -> Expression:
    """Read a query. Raises QueryError with the column of the mistake."""
    tokens = _Tokens(query)
    expression = _disjunction(tokens, DEFAULT_FIELDS)
    kind, value, column = tokens.take()
    if kind != "end":
        raise QueryError(
            f"{value!r} closes nothing", query=query, column=column, remedy="Take it out, or open it before."
        )
    return expression


# --- tokens -----------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>"[^"]*"(?:~\d+)?)
      | (?P<open>\() | (?P<close>\))
      | (?P<field>[A-Za-z_]+):
      | (?P<minus>-)(?=[^\s-])
      | (?P<bare>[^\s()"]+)
      | (?P<stray>")
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_OPERATORS = frozenset({"AND", "OR", "NOT"})


class _Tokens:
    """The tokens of a query: kind, text and column (from 1)."""

    def __init__(self, query: str) -> None:
        self.query = query
        self._tokens: list[tuple[str, str, int]] = []
        at = 0
        while not self._tokens or self._tokens[-1][0] != "end":
            found = _TOKEN.match(query, at)
            assert found is not None  # noqa: S101 - the alternatives cover every character
            kind = found.lastgroup or ""
            column = found.start(kind) + 1
            if kind == "stray":
                raise QueryError(
                    "this quotation mark is never closed",
                    query=query,
                    column=column,
                    remedy='Close it with ".',
                )
            if kind == "bare" and found[kind] in _OPERATORS:
                kind = "operator"
            self._tokens.append((kind, found["bare"] if kind == "operator" else found[kind], column))
            at = found.end()
        self._at = self._depth = 0

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """While what is within something is read. Raises QueryError."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise QueryError(
                f"this is nested more than {_DEEPEST} times",
                query=self.query,
                column=self.peek()[2],
                remedy="Take brackets out, or make two interests of it.",
            )
        yield
        self._depth -= 1

    def peek(self) -> tuple[str, str, int]:
        return self._tokens[self._at]

    def take(self) -> tuple[str, str, int]:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def takes(self, kind: str, value: str) -> bool:
        """Take the next token if it is this one."""
        if self.peek()[:2] != (kind, value):
            return False
        self.take()
        return True


# --- grammar ----------------------------------------------------------------------------------


def _disjunction(tokens: _Tokens, fields: tuple[Field, ...]) -> Expression:
    operands = [_conjunction(tokens, fields)]
    while tokens.takes("operator", "OR"):
        operands.append(_conjunction(tokens, fields))
    return operands[0] if len(operands) == 1 else Or(tuple(operands))


def _conjunction(tokens: _Tokens, fields: tuple[Field, ...]) -> Expression:
    operands = [_negation(tokens, fields)]
    while tokens.takes("operator", "AND") or _begins_operand(tokens.peek()):
        operands.append(_negation(tokens, fields))
    return operands[0] if len(operands) == 1 else And(tuple(operands))


def _begins_operand(token: tuple[str, str, int]) -> bool:
    return token[0] in {"quoted", "open", "field", "minus", "bare"} or token[:2] == ("operator", "NOT")


def _negation(tokens: _Tokens, fields: tuple[Field, ...]) -> Expression:
    if tokens.takes("operator", "NOT") or tokens.takes("minus", "-"):
        with tokens.deeper():
            return Not(_negation(tokens, fields))
    return _primary(tokens, fields)


def _primary(tokens: _Tokens, fields: tuple[Field, ...]) -> Expression:
    kind, value, column = tokens.take()
    if kind == "field":
        with tokens.deeper():
            return _primary(tokens, (_field(value, tokens.query, column),))
    if kind == "open":
        with tokens.deeper():
            expression = _disjunction(tokens, fields)
        if not tokens.takes("close", ")"):
            raise QueryError(
                "this bracket is never closed", query=tokens.query, column=column, remedy="Close it with )."
            )
        return expression
    if kind in {"bare", "quoted"}:
        return _term(value, written=value, fields=fields, column=column, query=tokens.query)
    what = "the query ends" if kind == "end" else f"{value!r} stands"
    raise QueryError(
        f"{what} where a keyword should be",
        query=tokens.query,
        column=column,
        remedy="Write one there, or take out what stands before.",
    )


def _field(name: str, query: str, column: int) -> Field:
    for field in FIELDS:
        if field == name.lower():
            return field
    near = difflib.get_close_matches(name.lower(), FIELDS, n=1)
    hint = (
        f"Did you mean {near[0]}:?"
        if near
        else f"Fields are {', '.join(FIELDS)}; put other colons in quotation marks."
    )
    raise QueryError(f"there is no field {name!r}", query=query, column=column, remedy=hint)


# --- terms ------------------------------------------------------------------------------------

_MISPLACED = "a * stands at the end of a word"
_LOWER_CASE = re.compile(r"[a-z]+(?: [a-z]+)*\Z")
_QUOTED = re.compile(r'"(?P<words>[^"]*)"(?:~(?P<slop>\d+))?\Z')


def _term(
    value: str, *, written: str, fields: tuple[Field, ...], column: int, query: str | None = None
) -> Term:
    quoted = _QUOTED.match(value)
    words, between = (quoted["words"], quoted["slop"] or "0") if quoted else (value, "0")
    if len(words) > _LONGEST_KEYWORD or len(between) > _FARTHEST:
        raise QueryError(
            f"a keyword has at most {_LONGEST_KEYWORD} characters, and a number behind ~ {_FARTHEST} digits",
            query=query or written,
            column=column,
            remedy="Make it shorter.",
        )
    slop = int(between)
    if fields[0] in {"author", "category", "source"}:
        # These are compared as a whole (`digest.core.match`), not word by word.
        if not words.strip():
            raise QueryError(
                "nothing to look for", query=query or written, column=column, remedy="Write a name there."
            )
        if "*" in words and fields[0] != "category":
            raise QueryError(
                "a * stands for the end of a word or category",
                query=query or written,
                column=column,
                remedy="Write the whole name.",
            )
        return _the_one(Term(words, fields, words=()))
    if _LOWER_CASE.match(words) and not slop:  # most keywords; they have one reading each
        return _the_one(Term(words, fields, words=((tuple(map(singular, words.split())),),)))
    exact = not quoted and words.startswith("=")
    words = words.removeprefix("=").strip() if exact else words
    prefix = not exact and words.endswith("*")
    words = words.removesuffix("*") if prefix else words
    text = cut(words, keyword=True)
    if not text.edges:
        raise QueryError(
            f"there is no word in {written!r}",
            query=query or written,
            column=column,
            remedy="A keyword needs letters or digits.",
        )
    if "*" in words or (prefix and text.edges[-1].end != len(text.plain.text)):
        what = "=, which wants one spelling, and * exclude each other" if exact else _MISPLACED
        raise QueryError(what, query=query or written, column=column, remedy="Take the * out, or move it.")
    if query is not None and not quoted and (words.startswith("!") or re.search(r"[~^]\d*\Z", words)):
        raise QueryError(
            f"{value!r} is no keyword",
            query=query,
            column=column,
            remedy='NOT excludes, ~ and a number follow "quoted words", and an interest has a weight.',
        )
    parts, gaps = _parts(text, prefix=prefix, apart=slop > 0)
    means_the_same = quoted and not slop and not prefix and not words.startswith("=")
    return _the_one(
        Term(
            words if means_the_same else written,
            fields,
            words=parts,
            exact=spelling(text.plain.text) if exact else None,
            slop=slop,
            gaps=gaps,
        )
    )


_in_use: WeakValueDictionary[tuple[str, tuple[Field, ...]], Term] = WeakValueDictionary()


def _the_one(term: Term) -> Term:
    """The term that is in use for what was written, so that equal terms are one."""
    return _in_use.setdefault((term.written, term.fields), term)


def spelling(plain: str) -> str:
    """A text as `=` compares it: with its case and endings, whatever its white space and apostrophes."""
    return " ".join(plain.replace("'", "’").split())


def _parts(
    text: Text, *, prefix: bool, apart: bool
) -> tuple[tuple[tuple[Labels, ...], ...], tuple[int, ...]]:
    """The stretches of a keyword without punctuation, or its words if they may stand `apart`; and gaps."""
    parts: list[list[tuple[Labels, ...]]] = []
    gaps: list[int] = []
    at = 0
    for source, target, readings in _readings(text, prefix=prefix):
        if apart or source > at or not parts:
            gaps.append(SENTENCE_GAP - 1 if apart else source - at)
            parts.append([])
        parts[-1].append(readings)
        at = target
    return tuple(map(_phrase, parts)), tuple(gaps[1:])


def _readings(text: Text, *, prefix: bool) -> Iterator[tuple[int, int, tuple[Labels, ...]]]:
    """For each word of a keyword its nodes and its labels: cut at every hump, and whole."""
    plain = text.plain.text
    node, last = 0, max(edge.target for edge in text.edges)
    while node < last:
        following = [edge for edge in text.edges if edge.source >= node]
        node = following[0].source
        whole = max((edge for edge in following if edge.source == node), key=lambda edge: edge.target)
        humps = [edge for edge in following if edge.target == edge.source + 1 <= whole.target]
        readings: list[Labels] = [tuple(edge.label for edge in humps), (whole.label,)]
        if prefix and whole.target == last:
            readings = [
                (*labels[:-1], plain[edge.start :].casefold() + "*")
                for labels, edge in zip(readings, (humps[-1], whole), strict=True)
            ]
        yield node, whole.target, tuple(dict.fromkeys(readings))
        node = whole.target


def _phrase(readings: Sequence[tuple[Labels, ...]]) -> tuple[Labels, ...]:
    """Every way to spell several words one after another."""
    spelled = itertools.islice(itertools.product(*readings), _MOST_VARIANTS)
    return tuple(dict.fromkeys(tuple(itertools.chain.from_iterable(words)) for words in spelled))
