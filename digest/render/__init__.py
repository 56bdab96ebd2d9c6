"""Digests as files: one file per form. Equal digests give equal bytes.

What every form shares is here: the templates' environment, and the words for what a template shows.
Whatever a template prints has passed `clean`, and in HTML and XML it is escaped,
so a title can neither break a page nor hide a line of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import jinja2
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

from digest.core.highlight import Span, segments, spans, why
from digest.core.model import Digest, Paper, Profile, Recommendation
from digest.errors import RenderError
from digest.resources import folder


class FeedFormat(NamedTuple):
    """A form of feed, as files and links name it."""

    file: str
    media_type: str
    label: str


FEEDS = {
    "atom": FeedFormat("atom.xml", "application/atom+xml", "Atom"),
    "rss": FeedFormat("rss.xml", "application/rss+xml", "RSS"),
    "json": FeedFormat("feed.json", "application/feed+json", "JSON Feed"),
}

# Line separators of `str.splitlines` that are no line feed: words on both sides must not join.
_SEPARATOR = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# What XML 1.0, 2.2 forbids, the other controls, and the explicit directional formatting of Unicode
# (UAX 9, 2): an override that a title leaves open would turn the rest of the line around.
_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_LAST_WORD = re.compile(r"\s\S*$")
_URL_SAFE = "%:/?#[]@!$&'()*+,;=-._~"  # RFC 3986, 2.2 and 2.3
_LONGEST_SEARCH = 200  # characters of a title
_LONGEST_URL = 2000  # what every client takes
_NAMED_AUTHORS = 3
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SOURCES = {
    "arxiv": "arXiv",
    "biorxiv": "bioRxiv",
    "europepmc": "Europe PMC",
    "huggingface": "Hugging Face",
    "medrxiv": "medRxiv",
    "openalex": "OpenAlex",
    "openreview": "OpenReview",
    "pubmed": "PubMed",
}


def environment(*folders: Path) -> jinja2.Environment:
    """Templates from these folders, and digest's own for what they do not hold.

    A name that a template misspells is an error, never an empty string.
    """
    made = SandboxedEnvironment(
        loader=jinja2.FileSystemLoader([*folders, folder("templates")]),
        autoescape=_is_markup,
        undefined=jinja2.StrictUndefined,
        finalize=_finished,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(
        day=day,
        http_url=http_url,
        marked=marked,
        quantity=quantity,
        shortened=shortened,
        source=source_label,
        starred=starred,
        weekday=weekday,
        wrapped=wrapped,
    )
    made.globals.update(
        badges=badges,
        byline=byline,
        covered=covered,
        dated=dated,
        gaps=gaps,
        heartbeat=heartbeat,
        links=links,
        page=page,
        spans=spans,
        why=why,
    )
    return made


def render(templates: jinja2.Environment, name: str, **values: object) -> str:
    """A template with its values filled in. Raises RenderError with the template's file and line."""
    try:
        return templates.get_template(name).render(values)
    except jinja2.TemplateSyntaxError as error:
        place = f"{error.filename or error.name}:{error.lineno}"
        raise RenderError(
            f"the template is wrong: {error.message}", place=place, remedy="Correct that line"
        ) from error
    except jinja2.TemplateNotFound as error:
        raise RenderError(
            "there is no such template",
            place=f"templates/{error.name}",
            remedy="Put it back, or take out what names it",
        ) from error
    except Exception as error:  # a template can call anything it was given
        place = _template_line(error.__traceback__) or f"templates/{name}"
        raise RenderError(f"the template failed: {error}", place=place, remedy="Correct that line") from error


def _template_line(trace: TracebackType | None) -> str | None:
    # Jinja rewrites its frames so that they name the template's own file and line.
    place = None
    while trace:
        file = trace.tb_frame.f_code.co_filename
        if file.endswith(".j2"):
            place = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _is_markup(name: str | None) -> bool:
    # `jinja2.select_autoescape` says no to "x.html.j2".
    return name is None or name.removesuffix(".j2").endswith((".html", ".xml"))


def _finished(value: object) -> object:
    if isinstance(value, Markup):
        return Markup(clean(value))  # noqa: S704 - taking characters out escapes nothing anew
    return clean(value) if isinstance(value, str) else value


def clean(text: str) -> str:
    """The text without controls, lone surrogates and directional overrides; lines end in a line feed."""
    return _UNWANTED.sub("", _SEPARATOR.sub(lambda found: "\n" if found[0][0] == "\r" else " ", text))


def one_line(text: str) -> str:
    """The clean text with each run of white space as one space."""
    return " ".join(clean(text).split())


def shortened(text: str, limit: int) -> str:
    """The text if it has at most `limit` characters, else its beginning up to a word's end, and "…"."""
    if len(text) <= limit:
        return text
    return _LAST_WORD.sub("", text[: limit + 1])[:limit].rstrip(" \n,;:.") + "…"


def marked(text: str, evidence: Iterable[Span], limit: int | None = None) -> Markup:
    """The text as HTML with its evidence in `<mark>`, shortened if a limit is given."""
    return Markup("").join(
        Markup("<mark>{}</mark>").format(clean(piece)) if is_evidence else escape(clean(piece))
        for piece, is_evidence in segments(text if limit is None else shortened(text, limit), evidence)
    )


def starred(text: str, evidence: Iterable[Span], limit: int | None = None) -> str:
    """The text with its evidence in `*…*`, shortened if a limit is given."""
    return "".join(
        f"*{piece}*" if is_evidence else piece
        for piece, is_evidence in segments(text if limit is None else shortened(text, limit), evidence)
    )


def wrapped(text: str, width: int = 72) -> str:
    """The text in lines of at most `width` characters; a longer word keeps its own line."""
    lines, line = [], ""
    for word in one_line(text).split(" "):
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".lstrip()
    return "\n".join([*lines, line])


def http_url(url: str | None) -> str:
    """An http or https address, in ASCII and fit for an attribute; empty for anything else."""
    url = (url or "").strip()
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.netloc or len(url) > _LONGEST_URL:
        return ""
    if _UNWANTED.search(url) or _SEPARATOR.search(url) or "\n" in url or "\t" in url:
        return ""
    return quote(url, safe=_URL_SAFE)


def day(value: date) -> str:
    """A date as "20 Nov 2026", whatever the locale."""
    return f"{value.day} {_MONTHS[value.month - 1][:3]} {value.year}"


def weekday(value: date) -> str:
    """A date as "Friday, 20 November 2026"."""
    return f"{_DAYS[value.weekday()]}, {value.day} {_MONTHS[value.month - 1]} {value.year}"


def quantity(number: int, noun: str) -> str:
    """A number with its noun: "1 paper", "6 papers"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def source_label(name: str) -> str:
    """How a source is called: "huggingface" is "Hugging Face", "my-feed" is "My Feed"."""
    return _SOURCES.get(name) or name.replace("-", " ").replace("_", " ").title()


def page(paper: Paper) -> str:
    """The paper's own page, by its DOI if no address is known; else a search for its title."""
    if known := http_url(paper.url):
        return known
    if paper.doi:
        return f"https://doi.org/{quote(paper.doi, errors='replace')}"
    return f"https://scholar.google.com/scholar?q={quote(one_line(paper.title)[:_LONGEST_SEARCH], safe='')}"


def links(paper: Paper) -> tuple[tuple[str, str], ...]:
    """What a reader may open, as label and address; addresses that are not http(s) are left out."""
    stars = "" if paper.code_stars is None else f" ★ {paper.code_stars}"
    offered = (
        ("Abstract" if http_url(paper.url) or paper.doi else "Search", page(paper)),
        ("PDF", http_url(paper.pdf_url)),
        (f"Code{stars}", http_url(paper.code_url)),
        ("Project", http_url(paper.project_url)),
    )
    return tuple((label, url) for label, url in offered if url)


def byline(paper: Paper) -> tuple[str, str]:
    """The authors in two parts: names, the beginning of `paper.text("author")`, and what follows them.

    `("A, B, C", " and 7 more")`, `("", "7 authors")`; the organization stands at the end of the second.
    """
    names = paper.authors if len(paper.authors) <= _NAMED_AUTHORS + 1 else paper.authors[:_NAMED_AUTHORS]
    more = max(paper.author_count or 0, len(paper.authors)) - len(names)
    rest = ""
    if more:
        rest = f" and {more} more" if names else quantity(more, "author")
    if paper.organization:
        rest += f" · {paper.organization}" if names or rest else paper.organization
    return ", ".join(names), rest


def badges(recommendation: Recommendation) -> tuple[str, ...]:
    """Where the paper was listed, each source once: "Hugging Face · ▲ 41 · 3 comments"."""
    made = []
    for source in dict.fromkeys(listing.source for listing in recommendation.listings):
        listings = [listing for listing in recommendation.listings if listing.source == source]
        upvotes = max(listing.upvotes or 0 for listing in listings)
        comments = max(listing.comments or 0 for listing in listings)
        parts = [source_label(source)]
        if upvotes:
            parts.append(f"▲ {upvotes}")
        if comments:
            parts.append(quantity(comments, "comment"))
        made.append(" · ".join(parts))
    return tuple(made)


def dated(recommendation: Recommendation) -> str:
    """The day of a paper: when it was published, or else listed first."""
    listed = (listing.listed_on for listing in recommendation.listings if listing.listed_on)
    known = recommendation.paper.published or min(listed, default=None)
    return day(known) if known else "undated"


def counts(digest: Digest) -> tuple[int, tuple[str, ...]]:
    """How many papers there are, and where: `(6, ("Swin 4", "2 by title"))`."""
    shown = [
        f"{section.interest} {len(section.recommendations)}"
        for section in digest.sections
        if section.recommendations
    ]
    titles = len(digest.overflow)
    return len(digest.recommendations) + titles, (*shown, *([f"{titles} by title"] if titles else []))


def heartbeat(digest: Digest) -> str:
    """The digest in one line: "6 papers of 412 · Swin 4 · Talking face 2"."""
    total, parts = counts(digest)
    if not total:
        return f"No new papers among {digest.scanned}"
    return " · ".join([f"{quantity(total, 'paper')} of {digest.scanned}", *parts])


def gaps(digest: Digest) -> str:
    """One sentence for each way in which sources fell short; empty if all were read in full."""
    failed = [source_label(report.source) for report in digest.reports if report.error]
    partial = [
        source_label(report.source) for report in digest.reports if not report.error and not report.complete
    ]
    return " ".join(
        f"{what}: {', '.join(names)}."
        for what, names in (("Could not be read", failed), ("Read in part", partial))
        if names
    )


def covered(digest: Digest) -> str:
    """How far a digest reaches back, if that is more than the usual day; else empty."""
    if digest.since is None:
        return ""
    days = round((digest.issued_at - digest.since) / timedelta(days=1))
    return f"Covers {days} days, since {day(digest.since)}" if days > 1 else ""


def due(profile: Profile, digest: Digest) -> datetime:
    """When the digest was due, in the profile's own time zone."""
    return digest.slot.astimezone(ZoneInfo(profile.schedule.timezone)) if profile.schedule else digest.slot


def joined(base_url: str | None, *path: str) -> str:
    """An address below the public one; empty if there is none."""
    base = http_url(base_url)
    return "/".join([base.rstrip("/"), *(quote(part) for part in path)]) if base else ""
