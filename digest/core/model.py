"""The values that flow through digest, one frozen type for each stage.

    Page → Reading of Listings of Papers → Recommendations → Digest → Delivery

Collections are tuples and instants are aware UTC.
A paper's own dates are calendar days, because that is all that most sites print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum
from typing import Literal, NamedTuple, NewType

PaperId = NewType("PaperId", str)
"""A normalised identifier such as `arxiv:2503.01234`; made by `digest.core.identity` alone."""

Field = Literal["title", "abstract", "author", "organization", "category", "source", "keyword"]
"""A part of a paper that a keyword can be looked for in, named as in the query language."""

Channel = Literal["email", "feeds", "archive", "webhook"]

SectionKind = Literal["section", "related", "second_look"]
"""Why papers stand together: an interest wants them, or only its words do, or others came to like them."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a site wants to be asked, over all of its hosts and by all sources together."""

    site: str  # such as arxiv.org, which has several hosts
    interval: float  # seconds from one request to the next


@dataclass(frozen=True, slots=True)
class Request:
    """A page to fetch.

    `etag` and `last_modified` are the validators of the copy read last (RFC 9110, 8.8), empty
    for a page not seen yet.
    `headers` and `secrets` may hold a key: they go to the site that was asked and to no other, and
    are neither shown nor stored.
    """

    url: str
    etag: str | None = None
    last_modified: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # these join the query of the URL
    pace: Pace | None = None  # None: one request after another
    from_page: bool = False  # a page named it, so it must not lead into a private network
    allow_private: bool = False  # it may, and redirects may


@dataclass(frozen=True, slots=True)
class Page:
    """Bytes as a site served them or as somebody saved them."""

    url: str  # http(s), or file: for a saved page
    content: bytes
    media_type: str | None  # as declared (RFC 9110, 8.3), without parameters
    fetched_at: datetime
    etag: str | None = None
    last_modified: str | None = None
    served_at: datetime | None = None  # by the clock of the server


@dataclass(frozen=True, slots=True)
class Paper:
    """A scholarly paper, with what its sources know of it."""

    id: PaperId
    title: str
    abstract: str = ""  # the authors' own; what a model wrote is `ai_summary`
    authors: tuple[str, ...] = ()
    author_count: int | None = None  # may be known where the names are not
    organization: str | None = None
    url: str | None = None
    pdf_url: str | None = None
    code_url: str | None = None
    code_stars: int | None = None
    project_url: str | None = None
    thumbnail_url: str | None = None
    published: date | None = None
    updated: date | None = None
    categories: tuple[str, ...] = ()  # the first is the primary one
    doi: str | None = None  # lower case, without a resolver's address
    keywords: tuple[str, ...] = ()
    ai_summary: str | None = None
    identifiers: tuple[PaperId, ...] = ()  # others that it is known by

    def __hash__(self) -> int:  # noqa: D105
        return hash(self.id)  # papers are keys in many places, and the rest says little more

    def text(self, field: Field) -> str:
        """The text of a field, which is what the offsets of a `Match` count in."""
        match field:
            case "title":
                return self.title
            case "abstract":
                return self.abstract
            case "author":
                return ", ".join(self.authors)
            case "organization":
                return self.organization or ""
            case "category":
                return ", ".join(self.categories)
            case "keyword":
                return ", ".join(self.keywords)
            case "source":  # pragma: no branch - the cases are all there are
                return ""  # a listing's, not the paper's


@dataclass(frozen=True, slots=True)
class Listing:
    """One appearance of a paper on a page; a paper may have many."""

    paper: Paper
    source: str
    listed_on: date | None  # the edition's day
    position: int  # from 0, as on the page
    upvotes: int | None = None
    comments: int | None = None
    announce_type: str | None = None  # arXiv: new, cross, replace, replace-cross

    def __hash__(self) -> int:  # noqa: D105
        return hash((self.paper.id, self.source, self.position))  # likewise


@dataclass(frozen=True, slots=True)
class Reading:
    """What a page turned out to hold."""

    layout: str  # which of the known layouts it was
    listings: tuple[Listing, ...]
    captured_on: date | None = None  # the day the page itself says it shows
    notes: tuple[str, ...] = ()  # doubts that a person should know of
    complete: bool = True  # False when something that was asked for could not be read
    until: datetime | None = None  # how far it is complete, where what is newer may still come


@dataclass(frozen=True, slots=True)
class Period:
    """The time to read a source for, both ends included."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class SourceReport:
    """How reading one source went, so that silence is never mistaken for "nothing new"."""

    source: str
    period: Period
    complete: bool
    listed: int = 0
    new: int = 0
    error: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def fell_short(self) -> bool:
        """Whether something that was asked for could not be read."""
        return self.error is not None or not self.complete


@dataclass(frozen=True, slots=True)
class Interest:
    """A standing query (an information need in the words of information retrieval).

    A paper satisfies it when it satisfies every part that is given: any of `keywords`, all of
    `require`, none of `exclude`, any of `authors`, any of `categories`, and `query`.
    """

    name: str
    keywords: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    query: str | None = None
    weight: float = 1.0
    max_papers: int | None = None  # of a digest; what is beyond goes where the profile's overflow goes
    pin: tuple[str, ...] = ()  # words that count, whatever is learned
    ban: tuple[str, ...] = ()  # words that are never learned


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a profile's digest is due: local times on weekdays (Monday is 0)."""

    at: tuple[time, ...]
    days: tuple[int, ...]
    timezone: str  # an IANA name


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a digest may hold."""

    max_papers: int = 30
    overflow: Literal["list", "carry"] = "list"  # papers beyond: by title, or in the next digest
    min_score: float = 0.0  # a paper below is a near miss
    max_age_days: int | None = None  # on the day of the slot
    lookback_days: int = 3  # how far the first digest of a profile looks back
    near_misses: int = 5
    related: int = 5  # papers that no interest finds and that belong all the same
    second_look: int = 3  # papers that were passed over and have drawn attention since


@dataclass(frozen=True, slots=True)
class Profile:
    """One person's standing request."""

    name: str  # [a-z0-9-], names files and feeds
    title: str
    interests: tuple[Interest, ...]
    recipients: tuple[str, ...] = ()  # RFC 5322 mailboxes
    sources: tuple[str, ...] = ()  # empty: all
    channels: tuple[Channel, ...] = ("email", "feeds", "archive")
    webhooks: tuple[str, ...] = ()  # by name
    schedule: Schedule | None = None  # None: whenever digest is run
    limits: Limits = field(default_factory=Limits)


class Match(NamedTuple):
    """Evidence: this keyword of this interest stands at this place of the original text."""

    interest: str
    keyword: str  # as the person wrote it
    field: Field
    start: int  # offsets into `Paper.text(field)`
    end: int


@dataclass(frozen=True, slots=True)
class Need:
    """What a person wants (an information need), as a ranker learns of it."""

    keywords: tuple[str, ...] = ()
    text: str = ""
    liked: tuple[PaperId, ...] = ()
    disliked: tuple[PaperId, ...] = ()
    pin: tuple[str, ...] = ()  # words that count, whatever is learned
    ban: tuple[str, ...] = ()  # words that are never learned


class Judged(NamedTuple):
    """What a ranker makes of a paper."""

    score: float
    relation: float = 0.0  # 1 and more: it belongs though no keyword says so
    whole: str = ""  # a keyword all of whose words stand in it


@dataclass(frozen=True, slots=True)
class ScorePart:
    """A named summand of a score."""

    name: str
    value: float


class Opinion(StrEnum):
    """What a person thinks of a paper."""

    LIKE = "like"
    DISLIKE = "dislike"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A person's opinion of a paper, with the paper as it was then (a relevance judgement)."""

    paper: Paper
    opinion: Opinion
    at: datetime


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A paper, and why it was chosen."""

    paper: Paper
    listings: tuple[Listing, ...]
    score: float
    matches: tuple[Match, ...]
    parts: tuple[ScorePart, ...] = ()
    missing: tuple[str, ...] = ()  # what kept it out, where something did
    note: str = ""  # why it is there where no keyword says so, in one line

    @property
    def interests(self) -> tuple[str, ...]:
        """The interests that want it, each once, in the order of their evidence."""
        return tuple(dict.fromkeys(match.interest for match in self.matches))


@dataclass(frozen=True, slots=True)
class Section:
    """Papers of a digest, best first: those that one interest chose, or that are there for another reason."""

    interest: str  # or the heading of the other kinds
    recommendations: tuple[Recommendation, ...]
    kind: SectionKind = "section"


class SectionCount(NamedTuple):
    """How many papers a section of a digest has."""

    interest: str  # as of `Section`
    papers: int
    kind: SectionKind = "section"


@dataclass(frozen=True, slots=True)
class Summary:
    """A digest without its papers, as an index of digests shows it."""

    id: str  # of the digest, as all that follows
    profile: str
    slot: datetime
    issued_at: datetime
    scanned: int
    sections: tuple[SectionCount, ...]
    overflow: int = 0

    @property
    def papers(self) -> int:
        """How many papers are in its sections."""
        return sum(section.papers for section in self.sections)


@dataclass(frozen=True, slots=True)
class Digest:
    """What one profile is shown for one slot; equal digests render to equal bytes."""

    id: str
    profile: str
    title: str
    slot: datetime
    issued_at: datetime
    since: datetime | None  # of the digest before this one
    scanned: int  # papers that were looked at
    sections: tuple[Section, ...]
    overflow: tuple[Recommendation, ...] = ()  # matched, beyond `max_papers`, shown by title
    waiting: tuple[Recommendation, ...] = ()  # or kept for the next digest, in their order
    near_misses: tuple[Recommendation, ...] = ()
    too_old: int = 0  # matched, left out for `max_age_days`
    reports: tuple[SourceReport, ...] = ()
    told: tuple[str, ...] = ()  # sources that the digest before has told of, and that are no worse now

    @property
    def recommendations(self) -> tuple[Recommendation, ...]:
        """The papers of all sections in reading order."""
        return tuple(item for section in self.sections for item in section.recommendations)

    @property
    def summary(self) -> Summary:
        """The digest without its papers."""
        return Summary(
            self.id,
            self.profile,
            self.slot,
            self.issued_at,
            self.scanned,
            tuple(SectionCount(one.interest, len(one.recommendations), one.kind) for one in self.sections),
            len(self.overflow),
        )


@dataclass(frozen=True, slots=True)
class Appearance:
    """What a digest said of one paper."""

    digest: str  # Digest.id
    slot: datetime
    kind: Literal["section", "related", "second_look", "overflow", "waiting", "near_miss"]
    section: str  # the name of an interest; empty for the other kinds
    missing: tuple[str, ...]
    score: float
    lowest: float | None  # the lowest score in the sections, if there are any


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a profile has come."""

    slot: datetime  # the last one composed, also when nothing was in it
    revision: int  # of the store, when it was composed
    local_time: str = ""  # of the slot, as `slots.local_time` gives it; empty without a schedule


@dataclass(frozen=True, slots=True)
class Past:
    """What is remembered of a profile when its next digest is composed."""

    progress: Progress | None = None  # None before its first digest
    judgements: tuple[Judgement, ...] = ()  # in the order in which they were said
    told: tuple[SourceReport, ...] = ()  # the reports that its last digest showed
    stopped: frozenset[str] = frozenset()  # addresses that want no more mail
    waits: bool = False  # papers were kept for the next digest


@dataclass(frozen=True, slots=True)
class StoredPaper:
    """A paper with everything that the store knows of it."""

    paper: Paper
    listings: tuple[Listing, ...]
    first_seen: datetime


class DeliveryState(StrEnum):
    """Where a delivery stands.

    `planned → sending → handing_over → sent | deferred | failed | uncertain`:
    every failure before `handing_over` is safe to retry, a lost answer after it is `uncertain`.
    A delivery is `stopped` when its recipient wanted no more of them before it was handed over, and
    `dropped` when somebody has said that it need not be.
    """

    PLANNED = "planned"
    SENDING = "sending"
    HANDING_OVER = "handing_over"
    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    STOPPED = "stopped"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class PlannedDelivery:
    """A delivery as it is written together with its digest."""

    channel: Channel
    recipient: str = ""  # an RFC 5322 mailbox, or the name of a webhook; empty for files
    message: bytes | None = None  # what is handed over, final


class Made(NamedTuple):
    """What was composed for a slot of a profile, as it is written."""

    profile: str
    progress: Progress
    digest: Digest | None  # None for a slot in which there was nothing to say
    planned: Sequence[PlannedDelivery] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of the outbox."""

    id: int
    digest: str  # Digest.id
    profile: str
    channel: Channel
    recipient: str  # an RFC 5322 mailbox, or the name of a webhook; empty for files
    state: DeliveryState
    attempts: int
    not_before: datetime | None
    error: str | None
    message: bytes | None  # what is handed over, frozen when it was planned
    lost: int = 0  # answers to the whole message


@dataclass(frozen=True, slots=True)
class RunReport:
    """What one run did."""

    started_at: datetime
    ended_at: datetime | None = None  # None: it goes on, or was killed
    sources: int = 0  # that were read
    failed_sources: int = 0
    papers: int = 0  # that were new
    digests: int = 0
    delivered: int = 0
    not_delivered: int = 0  # deferred, failed or uncertain
    error: str | None = None  # what ended it early


@dataclass(frozen=True, slots=True)
class Artifact:
    """A finished file, with its path below the folder it is published in."""

    path: str  # POSIX, relative
    content: bytes
    is_withdrawn: bool = False  # it is to be there no more
