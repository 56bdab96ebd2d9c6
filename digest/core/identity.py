"""Which papers are the same paper.

Order of trust: arXiv id (without version), DOI, PubMed id, OpenReview forum, normalised title.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import fields
from typing import Any
from urllib.parse import unquote

from digest.core.model import Paper, PaperId
from digest.core.plain import undo_markup

# https://info.arxiv.org/help/arxiv_identifier.html: year, month and, until 1412, four digits, then five.
_ARXIV_NEW = r"\d{2}(?:0[1-9]|1[0-2])\.\d{4,5}"
# https://info.arxiv.org/help/arxiv_identifier_for_services.html: the archives of before April 2007.
# They are listed because any path segment before seven digits (`gov/1234567`) would pass otherwise.
_ARXIV_OLD = (
    r"(?:acc-phys|adap-org|alg-geom|ao-sci|astro-ph|atom-ph|bayes-an|chao-dyn|chem-ph|cmp-lg|comp-gas|cond-mat"
    r"|cs|dg-ga|funct-an|gr-qc|hep-ex|hep-lat|hep-ph|hep-th|math|math-ph|mtrl-th|nlin|nucl-ex|nucl-th|patt-sol"
    r"|physics|plasm-ph|q-alg|q-bio|quant-ph|solv-int|supr-con)(?:\.[a-z-]{2,})?/\d{7}"
)
_ARXIV = re.compile(rf"(?<!\d)(?<!\d\.){_ARXIV_NEW}(?!\d)|(?<![a-z-]){_ARXIV_OLD}(?!\d)", re.IGNORECASE)
_ARXIV_DOI = "10.48550/arxiv."  # https://info.arxiv.org/help/doi.html
_DOI = re.compile(r"10\.\d{4,9}/\S+")  # https://www.doi.org/doi-handbook/, 2.2
# Only what publishers do put into titles: `<think>` is a word there and `a <b and c> d` is mathematics.
_TAG = re.compile(
    r"</?(?:a|b|br|em|font|i|p|small|span|strong|sub|sup|tt|u|(?:jats|mml):[a-z-]+)"
    r"(?:\s+[\w:-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>]+))*\s*/?>",
    re.IGNORECASE,
)
_NO_SPACE = re.compile(r"[\^_]")  # x^2, x_2 and x² are written alike
_NOT_WORD = re.compile(r"[\W_]+")


def arxiv_id(text: str) -> str | None:
    """The arXiv identifier that a string is or holds, without version or subject class (`2503.01234`)."""
    found = _ARXIV.search(text)
    if not found:
        return None
    archive, slash, number = found[0].lower().partition("/")
    return f"{archive.split('.')[0]}/{number}" if slash else found[0]


def doi(text: str) -> str | None:
    """The DOI that a string is or holds, in lower case and without a resolver's address."""
    found = _DOI.search(unquote(text))
    if not found:
        return None
    name = found[0].rstrip(".,;")
    while name.endswith(")") and name.count(")") > name.count("("):  # some end in a pair of their own
        name = name[:-1].rstrip(".,;")
    return name.lower()


def normalised_title(title: str) -> str:
    r"""A title as a key: letters and digits alone, without case, accents, TeX and markup.

    `$β$-OPSD: Deriving …` and `\beta-OPSD: Deriving …` are one title.
    Accents go because one source prints `Schrödinger` where another has lost the dots.
    """
    text = undo_markup(_TAG.sub("", html.unescape(title))).text
    return _NOT_WORD.sub(" ", _folded(_NO_SPACE.sub("", text))).strip()


def _folded(text: str) -> str:
    """The text without case and accents, so that folding it again changes nothing."""
    while True:
        bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
        folded = unicodedata.normalize("NFKC", bare).casefold()
        if folded == text:
            return text
        text = folded


def title_id(title: str) -> PaperId:
    """The identifier of a paper of which only the title is known."""
    key = normalised_title(title) or " ".join(title.split())  # a title may be all signs: "???"
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
    return PaperId(f"title:{digest[:24]}")


def paper_id(*, title: str, arxiv: str | None = None, doi: str | None = None) -> PaperId:
    """The most trusted identifier that is known of a paper.

    `arxiv` and `doi` may come in any spelling; what is no identifier counts as absent.
    """
    name = _doi(doi or "")
    if name and name.startswith(_ARXIV_DOI):
        arxiv = arxiv or name.removeprefix(_ARXIV_DOI)
    if number := arxiv_id(arxiv or ""):
        return PaperId(f"arxiv:{number}")
    return PaperId(f"doi:{name}") if name else title_id(title)


_doi = doi  # `paper_id` has an argument of that name


def aliases(paper: Paper) -> tuple[PaperId, ...]:
    """Every identifier under which the same paper may be met, its own first."""
    found = [paper.id]
    if paper.id.startswith("arxiv:"):
        found.append(PaperId(f"doi:10.48550/arxiv.{paper.id.removeprefix('arxiv:')}"))
    if paper.doi:
        found.append(paper_id(title=paper.title, doi=paper.doi))
        found.append(PaperId(f"doi:{paper.doi.lower()}"))
    found.append(title_id(paper.title))
    return tuple(dict.fromkeys(found))


def is_bare(identifier: PaperId) -> bool:
    """Whether an identifier rests on the title alone."""
    return identifier.startswith("title:")


def may_merge(known: PaperId, met: PaperId, *, by_title: bool) -> bool:
    """Whether two records that share an alias are one paper.

    A shared title is enough only while one of the two has no better identifier:
    two papers with different arXiv numbers may both be called "Editorial".
    """
    return not by_title or known == met or is_bare(known) or is_bare(met)


def first(values: Iterable[str | None]) -> str | None:
    """The first value that is there."""
    return next((value for value in values if value), None)


def merge(known: Paper, met: Paper) -> Paper:
    """One record from what was known of a paper and what was met now.

    The newer words win, so that a new version updates; the richer of two lists wins, and nothing
    that was known is lost. An abstract cut short ("…") never replaces a whole one.
    """
    values: dict[str, Any] = {}
    for name in (field.name for field in fields(Paper)):
        old, new = getattr(known, name), getattr(met, name)
        values[name] = old if new is None or (isinstance(new, str | tuple) and not new) else new
    better_known = is_bare(met.id) and not is_bare(known.id)
    values["id"] = known.id if better_known else met.id
    if normalised_title(known.title) == normalised_title(met.title):
        values["title"] = known.title  # `$β$-OPSD` and `β-OPSD` do not take turns
    if known.abstract and _is_cut_short(met.abstract, known.abstract):
        values["abstract"] = known.abstract
    for name in ("authors", "categories", "keywords"):
        values[name] = max(getattr(met, name), getattr(known, name), key=len)
    dates = [day for day in (known.published, met.published) if day is not None]
    values["published"] = min(dates, default=None)
    return Paper(**values)


def _is_cut_short(abstract: str, whole: str) -> bool:
    stem = abstract.rstrip(". …").rstrip()
    return len(stem) < len(whole) and whole.startswith(stem)


def same_words(one: Paper, other: Paper) -> bool:
    """Whether two records of a paper read alike, so that nobody needs to look at it again."""
    return normalised_title(one.title) == normalised_title(other.title) and normalised_title(
        one.abstract
    ) == normalised_title(other.abstract)
