"""Digests as files: one file per form. Equal digests give equal bytes.

What every form shares is here: the templates' environment, and the words for what a template shows.
Whatever a template prints has passed `clean`, and in HTML and XML it is escaped,
so a title can neither break a page nor hide a line of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import jinja2
from jinja2.nodes import EvalContext
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape
from rich.cells import cell_len

from digest.core.highlight import Span, Supported, segments, spans, why
from digest.core.model import (
    Digest,
    Listing,
    Match,
    Paper,
    Profile,
    Recommendation,
    Section,
    SectionKind,
    SourceReport,
)
from digest.core.tex import readable
from digest.errors import RenderError
from digest.resources import folder

Made = TypeVar("Made")


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
# A character of a script without spaces, with the closing punctuation that no line may begin with.
_UNSPACED = "\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_BREAKABLE = re.compile(f"[{_UNSPACED}][^\\w\\s]*|[^{_UNSPACED}]+")
_WITHIN_A_FACT = re.compile("(?<=[^·]) (?=[0-9])|(?<=[0-9▲]) (?=[^·])")
_LAST_WORD = re.compile(r"\s\S*$")
_URL_SAFE = "%:/?#[]@!$&'()*+,;=-._~"  # RFC 3986, 2.2 and 2.3
_LONGEST_SEARCH = 200  # characters of a title
_LONGEST_URL = 2000  # what every client takes
_LONGEST_NAME = 80  # characters of an interest in a line with others
_LONGEST_NOTE = 300
_NAMED_AUTHORS = 3
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_VALUES = {Digest, Listing, Match, Paper, Profile, Recommendation, Section, SourceReport}
_KINDS: dict[SectionKind, str] = {
    "related": "Not found by a keyword, but by words that go with it.",
    "second_look": "Perhaps missed: passed over at first, and noticed by others since.",
}
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
    made = _Environment(
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
        readable=lambda text: readable(str(text)).text,
        shortened=shortened,
        source=source_label,
        starred=starred,
        weekday=weekday,
    )
    made.globals.update(
        badges=badges,
        byline=byline,
        catching_up=catching_up,
        changes=changes,
        coverage=coverage,
        dated=dated,
        explained=explained,
        facts=facts,
        gaps=gaps,
        heartbeat=heartbeat,
        links=links,
        page=page,
        spans=spans,
        why=why,
    )
    return made


class _Environment(SandboxedEnvironment):
    """Jinja's sandbox, which knows that of our own values only what begins with "_" is unsafe."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ANN401 - as it is there
        if type(obj) in _VALUES:
            return not attr.startswith("_")
        return super().is_safe_attribute(obj, attr, value)


def render(templates: jinja2.Environment, name: str, /, **values: object) -> str:
    """A template with its values filled in. Raises RenderError with the template's file and line."""
    return _with(templates, name, lambda template: template.render(values))


def defined(templates: jinja2.Environment, name: str, variable: str) -> object:
    """What a template sets a variable to. Raises RenderError with the template's file and line."""
    value = _with(templates, name, lambda template: getattr(template.module, variable, None))
    if value is None:
        raise RenderError(
            f"the template sets no {variable!r}", place=f"templates/{name}", remedy="See digest's own"
        )
    return value


def _with(templates: jinja2.Environment, name: str, use: Callable[[jinja2.Template], Made]) -> Made:
    try:
        return use(templates.get_template(name))
    except jinja2.TemplateSyntaxError as error:
        place = f"{error.filename or error.name}:{error.lineno}"
        said = f"the template is wrong: {(error.message or '').rstrip('.')}"
        raise RenderError(said, place=place, remedy="Correct that line") from error
    except jinja2.TemplateNotFound as error:
        place = _template_line(error.__traceback__) or "templates"
        raise RenderError(
            f"there is no template {error.name!r}",
            place=place,
            remedy="Put it back, or take out what names it",
        ) from error
    except UnicodeDecodeError as error:
        place = _template_line(error.__traceback__) or f"templates/{name}"
        line = error.object.count(b"\n", 0, error.start) + 1
        raise RenderError(
            f"the template is not UTF-8, in line {line}", place=place, remedy="Save it as UTF-8"
        ) from error
    except Exception as error:  # a template can call anything it was given
        place = _template_line(error.__traceback__) or f"templates/{name}"
        said = f"the template failed: {str(error).rstrip('.') or type(error).__name__}"
        raise RenderError(said, place=place, remedy="Correct that line") from error


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


class Finished(Markup):
    """What a template has made already, to stand in another: clean, and escaped where need be."""

    __slots__ = ()


@jinja2.pass_eval_context
def _finished(context: EvalContext, value: object) -> object:
    """What a template prints; in plain text nothing has a line break that the template does not have."""
    if not isinstance(value, str) or isinstance(value, Finished) or value.isprintable():
        return value
    if isinstance(value, Markup):
        return Markup(clean(value))  # noqa: S704 - taking characters out escapes nothing anew
    return clean(value) if context.autoescape else one_line(value)


def printed(text: str, *, is_markup: bool) -> str:
    """A text as a template prints it."""
    plain = text if text.isprintable() else clean(text) if is_markup else one_line(text)
    return escape(plain) if is_markup else plain


def is_own(templates: jinja2.Environment, name: str) -> bool:
    """Whether a template is digest's own and not somebody's in its place. Raises RenderError."""
    found = _with(templates, name, lambda template: template.filename)
    return found is not None and Path(found).parent == folder("templates")


def clean(text: str) -> str:
    """The text without controls, lone surrogates and directional overrides; lines end in a line feed."""
    if text.isprintable():  # so is nearly every line, and none of those characters
        return text
    return _UNWANTED.sub("", _SEPARATOR.sub(lambda found: "\n" if found[0][0] == "\r" else " ", text))


def one_line(text: str) -> str:
    """The clean text with each run of white space as one space."""
    return " ".join(clean(text).split())


def shortened(text: str, limit: int) -> str:
    """The text if it has at most `limit` characters, else its beginning up to a word's end, and "…"."""
    if len(text) <= limit:
        return text
    return _LAST_WORD.sub("", text[: limit + 1])[:limit].rstrip(" \n,;:.") + "…"


def marked(text: str, evidence: Iterable[Span], limit: int | None = None, *, style: str = "") -> Markup:
    """The text as HTML, readable, with its evidence in `<mark>`, shortened if a limit is given."""
    mark = Markup('<mark style="{}">').format(style) if style else Markup("<mark>")
    return Markup("").join(
        mark + escape(clean(piece)) + Markup("</mark>") if is_evidence else escape(clean(piece))
        for piece, is_evidence in _shown(text, evidence, limit)
    )


def starred(text: str, evidence: Iterable[Span], limit: int | None = None) -> str:
    """The text, readable, with its evidence in `*…*`, shortened if a limit is given."""
    return "".join(
        f"*{piece}*" if is_evidence else piece for piece, is_evidence in _shown(text, evidence, limit)
    )


def _shown(text: str, evidence: Iterable[Span], limit: int | None) -> Iterable[tuple[str, bool]]:
    plain = readable(str(text))  # where a misspelt name fails with its own words
    shown = plain.text if limit is None else shortened(plain.text, limit)
    return segments(shown, (plain.placed(start, end) for start, end in evidence))


def wrapped(text: str, width: int = 72) -> str:
    """The text with each line broken that has more columns of a terminal than `width`.

    It goes on below its first word, which in an item of a list stands after "• ".
    A word that does not fit goes to a line of its own, unless it would leave less than a third of a
    line behind: an address stays with its label.
    """
    return "\n".join(line if cell_len(line) <= width else _broken(line, width) for line in text.split("\n"))


def _broken(text: str, width: int) -> str:
    words = text.lstrip(" ").removeprefix("• ")
    lead = text[: len(text) - len(words)]
    if text.isascii() and " " not in words[width // 3 :]:
        return text  # an address
    lines, line, column = [], lead, 0
    for piece, space in _breakable(words):
        size = cell_len(piece)
        if len(lead) + column + space + size > width and column >= width // 3:
            lines.append(line)
            line, column = " " * len(lead), 0
        gap = space if column else 0
        line += " " * gap + piece
        column += gap + size
    return "\n".join([*lines, line])


def _breakable(text: str) -> Iterator[tuple[str, int]]:
    """What a line may end after, with the columns of space before it."""
    for word in text.split(" "):
        space = 1
        for piece in _BREAKABLE.findall(word) if not word.isascii() else (word,):
            yield piece, space
            space = 0


def http_url(url: str | None) -> str:
    """An http or https address, in ASCII and fit for an attribute; empty for anything else.

    One with a user's name is refused: `https://papers.example@evil.example/` leads to evil.example.
    """
    url = (url or "").strip()
    try:
        parts = urlsplit(url)
        _ = parts.port  # which is a number up to 65,535, or raises
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        return ""
    if len(url) > _LONGEST_URL:
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
    title = one_line(readable(paper.title).text)[:_LONGEST_SEARCH]
    return f"https://scholar.google.com/scholar?q={quote(title, safe='')}"


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


def badges(recommendation: Supported) -> tuple[str, ...]:
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


def dated(recommendation: Supported) -> str:
    """The day of a paper: when it was published, or else listed first."""
    listed = (listing.listed_on for listing in recommendation.listings if listing.listed_on)
    known = recommendation.paper.published or min(listed, default=None)
    return day(known) if known else "undated"


def facts(recommendation: Supported) -> str:
    """The day of a paper and where it was listed, in one line that breaks between facts alone."""
    line = " · ".join((dated(recommendation), *badges(recommendation)))
    return _WITHIN_A_FACT.sub("\u00a0", line)


def counts(digest: Digest) -> tuple[int, tuple[str, ...]]:
    """How many papers there are, and where: `(6, ("Swin 4", "2 by title"))`."""
    shown = [
        f"{shortened(section.interest, _LONGEST_NAME)} {len(section.recommendations)}"
        for section in digest.sections
        if section.recommendations
    ]
    titles = len(digest.overflow)
    return len(digest.recommendations) + titles, (*shown, *([f"{titles} by title"] if titles else []))


def heartbeat(digest: Digest) -> str:
    """The digest in one line: "6 papers of 412 · Swin 4 · Talking face 2"."""
    return " · ".join(beats(digest))


def beats(digest: Digest) -> list[str]:
    """The parts of the heartbeat."""
    total, parts = counts(digest)
    if not total:
        return [f"No new papers among {digest.scanned}" if digest.scanned else "No new papers"]
    return [f"{quantity(total, 'paper')} of {digest.scanned}", *parts]


def gaps(digest: Digest) -> tuple[SourceReport, ...]:
    """The sources that fell short and have not for the digest before, which would have told it."""
    return tuple(
        report for report in digest.reports if report.fell_short and report.source not in digest.told
    )


def shortfall(report: SourceReport) -> str:
    """How a source fell short: "read in part, 12 papers listed; page 3 was missing"."""
    said = (
        f"could not be read: {shortened(report.error, _LONGEST_NOTE)}"
        if report.error
        else f"read in part, {quantity(report.listed, 'paper')} listed"
    )
    return "; ".join([said, *(shortened(note, _LONGEST_NOTE) for note in report.notes)])


def changes(digest: Digest) -> str:
    """A sentence for each way in which sources fell short, or no longer do; empty if nothing changed.

    A source that fails for several digests is named once, and once again when it is back.
    """
    fresh = gaps(digest)
    back = [report for report in digest.reports if not report.fell_short and report.source in digest.told]
    return " ".join(
        said.format(", ".join(source_label(report.source) for report in reports))
        for said, reports in (
            ("Could not be read: {}.", [report for report in fresh if report.error]),
            ("Read in part: {}.", [report for report in fresh if not report.error]),
            ("What is missing comes when it can be read.", fresh),
            ("Read in full again, with what was missing: {}.", back),
        )
        if reports
    )


def coverage(digest: Digest) -> str:
    """What the digest rests on: "all 3 sources complete · 1 day", "2 of 3 sources complete · 4 days"."""
    parts = []
    if number := len(digest.reports):
        complete = sum(1 for report in digest.reports if not report.fell_short)
        whole = f"{ {1: 'source', 2: 'both sources'}.get(number, f'all {number} sources') } complete"
        parts.append(whole if complete == number else f"{complete} of {quantity(number, 'source')} complete")
    if digest.since is not None:
        parts.append(quantity(max(_days(digest.since, digest.issued_at), 1), "day"))
    return " · ".join(parts)


def catching_up(digest: Digest) -> str:
    """How far a digest reaches back, if that is more than the usual day; else empty."""
    if digest.since is None or not counts(digest)[0]:
        return ""
    days = _days(digest.since, digest.issued_at)
    return f"These {days} days at once, since {day(digest.since)}" if days > 1 else ""


def _days(since: datetime, until: datetime) -> int:
    return round((until - since) / timedelta(days=1))


def explained(kind: SectionKind) -> str:
    """What papers have in common that stand together for another reason than an interest."""
    return _KINDS.get(kind, "")


def due(profile: Profile, digest: Digest) -> datetime:
    """When the digest was due, in the profile's own time zone."""
    return digest.slot.astimezone(ZoneInfo(profile.schedule.timezone)) if profile.schedule else digest.slot


def joined(base_url: str | None, *path: str) -> str:
    """An address below the public one; empty if there is none."""
    base = http_url(base_url)
    return "/".join([base.rstrip("/"), *(quote(part) for part in path)]) if base else ""
