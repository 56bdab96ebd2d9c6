"""Which papers are the same paper.

Order of trust: arXiv id (without version), DOI, PubMed id, OpenReview forum, the number of an index
(Semantic Scholar, OpenAlex), address, normalised title.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import fields
from datetime import date
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from digest.core.lines import clean
from digest.core.model import Paper, PaperId
from digest.core.names import same_person
from digest.core.plain import undo_markup, untagged

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
# Of graphic characters (https://www.doi.org/doi-handbook/, 2.2): "%1B" in an address would steer a terminal.
_DOI = re.compile(r"10\.\d{4,9}/[^\s\"'<>\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+")
_LONGEST_DOI = 2048  # characters, as many as Crossref registers
# bioRxiv and medRxiv: since December 2025 the same numbers are registered below a second prefix.
_PREPRINT = re.compile(
    r"10\.(?:1101|64898)/((?:\d{4}\.\d\d\.\d\d\.)?\d{6,8})(?:v\d+)?(?![\d.])", re.IGNORECASE
)
_PREPRINT_PREFIXES = ("10.1101", "10.64898")
# What journals and mailings add to a link to count who follows it.
_TRACKING = re.compile(r"(?:utm_\w+|mc_[ce]id|af|dgcid|rss|ref|cmpid|fbclid|gclid)=", re.IGNORECASE)
_SCHEMES = ("arxiv", "doi", "pmid", "openreview", "corpus", "openalex", "", "url", "title")  # "": a plug-in's
_NO_SPACE = re.compile(r"[\^_]")  # x^2, x_2 and x² are written alike
_NOT_WORD = re.compile(r"[\W_]+")


def arxiv_id(text: str) -> str | None:
    """The arXiv identifier that a string is or holds, without version or subject class (`2503.01234`)."""
    found = _ARXIV.search(text)
    if not found:
        return None
    archive, slash, number = found[0].lower().partition("/")
    return f"{archive.split('.')[0]}/{number}" if slash else found[0]


def arxiv_id_at(address: str | None) -> str | None:
    """The identifier in an address of arXiv; in others what looks like one may be a date or a price."""
    if not address or not f".{host(address)}".endswith(".arxiv.org"):
        return None
    return arxiv_id(urlsplit(address).path)


def host(address: str) -> str:
    """The host of an address, without `www.`; empty where there is none."""
    try:
        return (urlsplit(address.strip()).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def doi(text: str) -> str | None:
    """The DOI that a string is or holds, in lower case and without a resolver's address."""
    found = _DOI.search(unquote(text))
    if not found or len(found[0]) > _LONGEST_DOI:
        return None
    if preprint := _PREPRINT.match(found[0]):
        return f"{found[0].partition('/')[0]}/{preprint[1]}"
    name = found[0].partition("?")[0].partition("#")[0].rstrip(".,;")
    while name.endswith(")") and name.count(")") > name.count("("):  # some end in a pair of their own
        name = name[:-1].rstrip(".,;")
    return name.lower()


def normalised_title(title: str) -> str:
    r"""A title as a key: letters and digits alone, without case, accents, TeX and markup.

    `$β$-OPSD: Deriving …` and `\beta-OPSD: Deriving …` are one title.
    Accents go because one source prints `Schrödinger` where another has lost the dots.
    """
    text = undo_markup(untagged(html.unescape(title))).text
    return _NOT_WORD.sub(" ", _folded(_NO_SPACE.sub("", text))).strip()


def _folded(text: str) -> str:
    """The text without case and accents, so that folding it again changes nothing."""
    if text.isascii():
        return text.lower()
    while True:
        bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
        folded = unicodedata.normalize("NFKC", bare).casefold()
        if folded == text:
            return text
        text = folded


def title_id(title: str) -> PaperId:
    """The identifier of a paper of which only the title is known."""
    return _of_title(title)


def byline_id(paper: Paper) -> PaperId:
    """The identifier of a paper of which only title and authors are known, where another has its title."""
    return _of_title(paper.title, *map(normalised_title, paper.authors))


def _of_title(title: str, *more: str) -> PaperId:
    key = normalised_title(title) or " ".join(title.split())  # a title may be all signs: "???"
    digest = hashlib.sha256("\n".join((key, *more)).encode(errors="surrogatepass")).hexdigest()
    return PaperId(f"title:{digest[:24]}")


def identifiers(
    *,
    title: str,
    arxiv: object = None,
    doi: object = None,
    pmid: object = None,
    openreview: object = None,
    corpus: object = None,
    openalex: object = None,
    url: object = None,
) -> tuple[PaperId, ...]:
    """Every identifier that is known of a paper, the most trusted first; the title's if there is none.

    They may come in any spelling, and what is no identifier counts as absent.
    `corpus` is Semantic Scholar's CorpusId, `url` an address that is the paper's own.
    """
    name = _doi(str(doi or ""))
    number = arxiv_id(str(arxiv or "")) or (arxiv_id_at(url) if isinstance(url, str) else None)
    if name and name.startswith(_ARXIV_DOI):
        number = number or arxiv_id(name.removeprefix(_ARXIV_DOI))
        name = None
    found = [
        f"arxiv:{number}" if number else None,
        f"doi:{name}" if name else None,
        _numbered("pmid", r"\d{1,9}", pmid),
        _numbered("openreview", r"[\w-]{6,}", openreview),
        _numbered("corpus", r"\d{1,12}", corpus),
        _numbered("openalex", r"W\d{1,12}", openalex),
        f"url:{address}" if isinstance(url, str) and (address := plain_address(url)) else None,
    ]
    return tuple(PaperId(item) for item in found if item) or (title_id(title),)


def _numbered(scheme: str, pattern: str, value: object) -> str | None:
    """The identifier at the end of what may be an address of it."""
    last = "" if value is None else str(value).strip().rpartition("/")[2]
    return f"{scheme}:{last}" if re.fullmatch(pattern, last, re.ASCII) else None


def plain_address(url: str) -> str | None:
    """An address as a key: without scheme, `www.`, fragment and what only counts readers."""
    site = host(url)
    if not site:
        return None
    parts = urlsplit(clean(url).strip())
    query = "&".join(part for part in parts.query.split("&") if part and not _TRACKING.match(part))
    return f"{site}{parts.path.rstrip('/')}" + (f"?{query}" if query else "")


def paper_id(*, title: str, arxiv: str | None = None, doi: str | None = None) -> PaperId:
    """The most trusted of a paper's identifiers."""
    return identifiers(title=title, arxiv=arxiv, doi=doi)[0]


_doi = doi  # `identifiers` has an argument of that name


def aliases(paper: Paper) -> tuple[PaperId, ...]:
    """Every identifier under which the same paper may be met, its own first, its title's last."""
    names = [paper.id, *paper.identifiers]
    if paper.doi:
        names.append(paper_id(title=paper.title, doi=paper.doi))
    found: list[str] = []
    for name in names:
        found.append(name)
        scheme, _, value = name.partition(":")
        if scheme == "arxiv":
            found.append(f"doi:{_ARXIV_DOI}{value}")
        elif scheme == "doi" and _PREPRINT.fullmatch(value):
            found += (f"doi:{prefix}/{value.partition('/')[2]}" for prefix in _PREPRINT_PREFIXES)
    return tuple(map(PaperId, dict.fromkeys((*found, title_id(paper.title)))))


def names(text: str) -> tuple[PaperId, ...]:
    """The identifiers that a person may mean by a text: a number, an address, a title."""
    number, site = doi(text), host(text)
    found = identifiers(
        title=text,
        arxiv=None if number else text,  # a DOI may end in what looks like one
        doi=number,
        pmid=text.rstrip("/") if site == "pubmed.ncbi.nlm.nih.gov" else None,
        openreview=parse_qs(urlsplit(text).query).get("id", [None])[0] if site == "openreview.net" else None,
        url=text,
    )
    return tuple(dict.fromkeys((*found, title_id(text), PaperId(text))))


def is_bare(identifier: PaperId) -> bool:
    """Whether an identifier rests on the title alone."""
    return identifier.startswith("title:")


def may_merge(known: Paper, met: Paper, *, by_title: bool) -> bool:
    """Whether two records that share an alias are one paper.

    Those that share an identifier are.
    Those that share a title alone are not if one place gave each of them a number of its own: two
    papers of arXiv may both be called "Editorial".
    Otherwise they are, if nothing contradicts it: a preprint and the article, a submission under
    review and the preprint, or a line of a page that prints titles alone.
    """
    if not by_title or (known.id == met.id and not is_bare(met.id)):
        return True
    if _places(known) & _places(met):
        return False
    if known.authors and met.authors:
        return any(same_person(one, other) for one in known.authors for other in met.authors)
    # Without names to compare, only a title that would hardly be given twice will do.
    return is_bare(known.id) or is_bare(met.id) or len(normalised_title(met.title).split()) >= _TELLING


def _places(paper: Paper) -> set[str]:
    """Who gave a paper its numbers: the schemes, and the sites of addresses."""
    names = (paper.id, *paper.identifiers)
    return {name.partition("/" if name.startswith("url:") else ":")[0] for name in names} - {"title"}


_TELLING = 5  # words


def first(values: Iterable[str | None]) -> str | None:
    """The first value that is there."""
    return next((value for value in values if value), None)


def merge(known: Paper, met: Paper) -> Paper:
    """One record from what was known of a paper and what was met now.

    The words of the later version win, which is the one met now if none is dated; the richer of two
    lists wins, and nothing that was known is lost. An abstract cut short never replaces a whole one.
    """
    newer, older = (met, known) if (met.updated or _EVER) >= (known.updated or _EVER) else (known, met)
    values: dict[str, Any] = {}
    for name in (field.name for field in fields(Paper)):
        old, new = getattr(older, name), getattr(newer, name)
        values[name] = old if new is None or (isinstance(new, str | tuple) and not new) else new
    names = _by_trust((known.id, met.id, *known.identifiers, *met.identifiers))
    values["id"], values["identifiers"] = names[0], names[1:]
    if normalised_title(known.title) == normalised_title(met.title):
        values["title"] = known.title  # `$β$-OPSD` and `β-OPSD` do not take turns
    elif newer.title.endswith(("…", "...")) and older.title.startswith(newer.title.rstrip("… .")):
        values["title"] = older.title
    if older.abstract and _is_cut_short(newer.abstract, older.abstract):
        values["abstract"] = older.abstract
    for name in ("authors", "categories", "keywords"):
        values[name] = max(getattr(met, name), getattr(known, name), key=len)
    if known.categories and met.categories and known.categories[0] != met.categories[0]:
        values["categories"] = tuple(dict.fromkeys((*known.categories, *met.categories)))
    counts = [count for count in (known.author_count, met.author_count) if count is not None]
    values["author_count"] = max(counts, default=None)
    dates = [day for day in (known.published, met.published) if day is not None]
    values["published"] = min(dates, default=None)
    return Paper(**values)


_EVER = date.min


def _by_trust(names: Iterable[PaperId]) -> tuple[PaperId, ...]:
    """Identifiers, each once, the most trusted first; a title's only where there is no other."""
    every = list(dict.fromkeys(names))
    known = [name for name in every if not is_bare(name)]
    return tuple(sorted(known, key=_trust) or every[:1])


def _trust(name: PaperId) -> int:
    scheme = name.partition(":")[0]
    return _SCHEMES.index(scheme if scheme in _SCHEMES else "")


def _is_cut_short(abstract: str, whole: str) -> bool:
    """Whether an abstract is the beginning of another, or a teaser in its stead."""
    stem = abstract.rstrip(". …").rstrip()
    return len(stem) < len(whole) and (whole.startswith(stem) or 3 * len(stem) < len(whole))


def same_words(one: Paper, other: Paper) -> bool:
    """Whether two records of a paper read alike, so that nobody needs to look at it again."""
    return normalised_title(one.title) == normalised_title(other.title) and normalised_title(
        one.abstract
    ) == normalised_title(other.abstract)
