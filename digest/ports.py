"""What the pipeline needs from the world, each need as small as it can be.

Every Protocol says who calls it, what it promises and what it raises.
Its implementations are found by name through the entry points of `digest.plugins`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol, TypeVar

from digest.core.model import (
    Appearance,
    Artifact,
    Channel,
    Delivery,
    DeliveryState,
    Digest,
    Judged,
    Judgement,
    Listing,
    Made,
    Need,
    Opinion,
    Page,
    Paper,
    PaperId,
    Past,
    Period,
    Profile,
    Progress,
    Reading,
    Request,
    ScorePart,
    SourceReport,
    StoredPaper,
    Summary,
)
from digest.core.shelf import Shelf


class Fetcher(Protocol):
    """Gets bytes; called by `pipeline.collect`, from several threads at once."""

    def fetch(self, request: Request, *, now: datetime) -> Page | None:
        """Fetch a page, or give None when the copy that the validators name is still good.

        Raises FetchError.
        """


Secret = Callable[[], str]
"""Gives a secret when it is needed; raises CredentialError.

A parameter of a source that is annotated so is configured as `{ keyring = … }`, `{ env = … }`,
`{ file = … }` or `{ command = … }`.
"""


class Reader(Protocol):
    """Reads one place's pages, live or saved; never does I/O."""

    name: str
    generic: bool  # reads what many places have in common, so readers of one place are asked first

    def recognises(self, page: Page) -> bool:
        """Whether the page looks like one of this place's, cheaply and without raising."""

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The papers on the page.

        `captured_on` is the day the page was saved, where somebody knows it better than the page.
        Raises LayoutError, and never gives zero papers for a page that is broken or another's.
        """


Plan = Generator[Request, Page | None, Reading]
"""A conversation: a source yields what it wants fetched and is sent the page, or None if unchanged.

A FetchError is thrown into it, so that it can try another way; what it returns is its result.
"""


class Source(Protocol):
    """A place where new papers appear; called by `pipeline.collect`."""

    name: str

    def collect(self, period: Period) -> Plan:
        """Ask for pages and read them. Raises SourceError."""


Read = TypeVar("Read")


class Ranker(Protocol[Read]):
    """Says what belongs where no keyword does; called by `pipeline.compose` and by `digest rank`.

    `Read` is papers as it sees them. A lesson is what it learned of a need, as text, so that it can be kept.
    """

    version: str  # its name and version: lessons of another are not used

    def read(self, papers: Iterable[Paper]) -> Read:
        """Papers, in any order, ready to be learned from and judged."""

    def learn(self, need: Need, papers: Read) -> str:
        """What stored papers teach about a need; a judged paper that is not among them is passed over."""

    def judge(self, lesson: str, papers: Read) -> Mapping[PaperId, Judged]:
        """What becomes of each paper; one that is left out is not related."""

    def explain(self, lesson: str, paper: Paper, *, keywords: bool) -> tuple[ScorePart, ...]:
        """The summands of a paper's score, best first; those of keywords only if they are asked for."""

    def why(self, lesson: str, paper: Paper, interest: str, *, keywords: bool) -> str:
        """The same in one line for the reader of a mail; empty when there is nothing to say."""

    def terms(self, lesson: str) -> Sequence[tuple[str, float, str]]:
        """What was learned: words, what they count, and where from."""


class Renderer(Protocol):
    """Turns digests into files; called by `publishing`. Equal digests give equal bytes."""

    def render(self, profile: Profile, shelf: Shelf) -> Iterable[Artifact]:
        """The finished files of a profile, without those that are published and no different by now.

        Raises RenderError.
        """


class Mailer(Protocol):
    """Composes the message that is frozen in the outbox; called by `pipeline.compose`."""

    def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        """The message for one recipient: RFC 5322 with CRLF, or what a webhook takes. Raises RenderError."""


class Deliverer(Protocol):
    """Hands finished messages over; called by `sending`."""

    def deliver(self, message: bytes, recipient: str, *, handing_over: Callable[[], None]) -> None:
        """Hand one message over, calling `handing_over` before the step that cannot be undone.

        Raises TransientDeliveryError, PermanentDeliveryError, UncertainDeliveryError.
        """

    def close(self) -> None:
        """Let go of the connection; never raises."""


class Mailbox(Protocol):
    """A mailbox in which mails arrive, or copies of them; called by `sending`."""

    def holds(self, message_id: str) -> bool:
        """Whether a message of this Message-ID, with its angle brackets, is there.

        Raises TransientDeliveryError, PermanentDeliveryError.
        """

    def close(self) -> None:
        """Let go of the connection; never raises."""


class Publisher(Protocol):
    """Puts finished files where they are served from; called by `publishing`."""

    def publish(self, artifacts: Iterable[Artifact]) -> int:
        """Write the files, each whole or not at all, or remove them; gives how many changed.

        Raises DeliveryError.
        """

    def published(self, folder: str) -> frozenset[str]:
        """The paths of the files that are there, below that folder. Raises DeliveryError."""

    def folders(self, folder: str) -> frozenset[str]:
        """The names of the folders that are there, in that one. Raises DeliveryError."""

    def read(self, path: str) -> bytes:
        """What a published file holds; nothing when it is not there. Raises DeliveryError."""


class Store(Protocol):
    """What digest remembers; every method is one transaction and raises StoreError."""

    def last_complete(self, source: str, now: datetime) -> datetime | None:
        """Until when a source has been read completely; what a clock that was ahead says does not count."""

    def with_validators(self, source: str, request: Request) -> Request:
        """A request with the validators of the copy that was read last."""

    def add(self, found: Sequence[Listing], read: Iterable[Page], report: SourceReport) -> SourceReport:
        """Keep what a source showed, its pages' validators and its report, which comes back counted."""

    def revision(self) -> int:
        """The number of the newest change to a paper's words."""

    def progress(self, profile: str) -> Progress | None:
        """How far a profile has come; None before its first digest."""

    def all_progress(self) -> Mapping[str, Progress]:
        """How far every profile has come that ever had a slot."""

    def pasts(self, profiles: Sequence[str]) -> Mapping[str, Past]:
        """What is remembered of each of some profiles."""

    def shown(self, profiles: Sequence[str], *, revision: int) -> Mapping[str, Container[PaperId]]:
        """The papers whose words are newer than a revision and that each profile was shown already."""

    def papers_since(
        self,
        *,
        revision: int = 0,
        first_seen: datetime | None = None,
        sources: Sequence[str] = (),
        not_shown_to: str | None = None,
    ) -> tuple[StoredPaper, ...]:
        """Papers whose words are newer than a revision, oldest first, as far as the rest allows."""

    def waiting(self, profile: str, *, sources: Sequence[str] = ()) -> tuple[StoredPaper, ...]:
        """The papers that the last digest of a profile kept for the next one, in their order."""

    def newest_papers(self, limit: int) -> tuple[StoredPaper, ...]:
        """The papers that came last, newest first."""

    def each_paper(self) -> Iterator[StoredPaper]:
        """All papers, newest first; some at a time are in memory."""

    def latest_reports(self) -> tuple[SourceReport, ...]:
        """How the last reading of each source went."""

    def failing_since(self) -> Mapping[str, datetime]:
        """When the sources that fail now were seen to fail first since they were read completely."""

    def save_all(self, made: Sequence[Made]) -> Sequence[bool]:
        """Write digests, their deliveries and what they showed; False where a slot was composed already."""

    def rewind(self, profile: str, made: Progress) -> None:
        """Put a profile back to a slot, after a clock that was far ahead."""

    def appearances(self, profile: str, paper: PaperId) -> tuple[Appearance, ...]:
        """What the digests of a profile said of a paper, newest first."""

    def summaries(self, profile: str) -> tuple[Summary, ...]:
        """What the digests of a profile hold, newest first."""

    def newest_summaries(self, limit: int) -> tuple[Summary, ...]:
        """What the digests that were made last hold, newest first, whosever they are."""

    def newest_issues(self, limit: int) -> Sequence[tuple[str, datetime]]:
        """The ids of the digests that were made last, whosever they are, and when they were."""

    def digests(self, ids: Sequence[str]) -> Mapping[str, Digest]:
        """The digests of these ids."""

    def first_digests(self, papers: Iterable[PaperId], profiles: Container[str]) -> Mapping[PaperId, str]:
        """The digests of these profiles that recommended each of these papers first."""

    def settle(self, name: str, value: str) -> str:
        """Keep a value for good, unless another one was kept before; gives the one that is kept."""

    def judge(self, profile: str, papers: Sequence[Paper], opinion: Opinion | None, *, now: datetime) -> int:
        """Keep what a person thinks of papers, or forget it (None); gives how many that changed."""

    def judgements(self, profile: str) -> tuple[Judgement, ...]:
        """What a person thinks of papers, in the order in which it was said."""

    def known(self, met: Paper) -> Paper | None:
        """What is stored of a paper."""

    def find_papers(self, wanted: str, limit: int = 20) -> tuple[StoredPaper, ...]:
        """The papers that an identifier, an address or a piece of a title means, newest first."""

    def risen(
        self, profile: str, *, before: int, first_seen: datetime, sources: Sequence[str] = ()
    ) -> tuple[StoredPaper, ...]:
        """Papers that drew attention after a profile had passed them over, oldest first."""

    def paper_count(self) -> int:
        """How many papers are stored."""

    def lesson(self, key: str) -> tuple[int, str] | None:
        """What a ranker learned, after the number of papers that were stored then."""

    def keep_lesson(self, key: str, papers: int, content: str, *, outdated: int = 0) -> None:
        """Keep what a ranker learned in the place of what it had learned under that key.

        What was learned when fewer papers than `outdated` were stored is forgotten.
        """

    def stopped(self, profile: str) -> Mapping[str, datetime]:
        """The addresses that want no more mail of a profile, and since when."""

    def deliveries(self, *states: DeliveryState) -> tuple[Delivery, ...]:
        """The deliveries in any of these states, oldest first; all of them when none is named."""

    def listed(self, *states: DeliveryState) -> tuple[Delivery, ...]:
        """What `deliveries` gives, without the messages."""

    def counts(self, *states: DeliveryState) -> Counter[DeliveryState]:
        """How many deliveries are in each of these states; empty where there is none."""

    def recover(self, now: datetime) -> int:
        """Put right what a killed run left behind; gives how many deliveries are uncertain now."""

    def claim(self, channels: Sequence[Channel], now: datetime, *, after: int = 0) -> Delivery | None:
        """Take the next delivery that is due, marking it as being sent; None when there is none.

        `after` passes over those up to a number, which have had their turn.
        """

    def hand_over(self, delivery: Delivery) -> bool:
        """Mark a claimed delivery as being handed over; False if another run has taken it meanwhile."""

    def sent_between(self, channel: Channel, since: datetime, until: datetime) -> int:
        """How many deliveries were sent by a channel after `since`, up to `until`."""

    def mark(
        self,
        delivery: int,
        state: DeliveryState,
        *,
        error: str | None = None,
        not_before: datetime | None = None,
        sent_at: datetime | None = None,
        counts: bool = True,
        attempt: int | None = None,
    ) -> None:
        """Write down where a delivery stands now; without `counts`, the last attempt was none.

        With `attempt`, nothing is written if another attempt has begun meanwhile.
        """
