"""What the store promises, on a real database file."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, func, inspect, select
from sqlalchemy.engine.interfaces import ReflectedIndex
from tools import postgresql_database
from world import DAY, HOUR, NOON, digests_of, listings, paper, report

from digest.core.access import Access
from digest.core.model import (
    Appearance,
    DeliveryState,
    Digest,
    Judgement,
    Listing,
    Match,
    Opinion,
    Page,
    PaperId,
    PlannedDelivery,
    Progress,
    Recommendation,
    Request,
    RunReport,
    ScorePart,
    Section,
)
from digest.errors import BusyError, SchemaError, StoreError
from digest.store import papers, schema
from digest.store.lock import locked
from digest.store.store import Store


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A database of this process alone: others test at the same time."""
    with postgresql_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """One contract for both databases."""
    url = f"sqlite:///{tmp_path}/digest.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql")
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
        engine.dispose()
    opened = Store(url)
    yield opened
    opened.close()


def digest(*recommendations: Recommendation, overflow: tuple[Recommendation, ...] = ()) -> Digest:
    return Digest(
        id="me-20261120T120000Z",
        profile="me",
        title="Me",
        slot=NOON,
        issued_at=NOON,
        since=None,
        scanned=3,
        sections=(Section("Swin", recommendations),),
        overflow=overflow,
        reports=(report(),),
    )


def recommend(listing: Listing) -> Recommendation:
    return Recommendation(
        listing.paper, (listing,), 1.5, (Match("Swin", "Swin", "title", 0, 4),), (ScorePart("Swin", 1.5),)
    )


def test_a_paper_comes_back_as_it_was_kept(store: Store) -> None:
    whole = replace(
        paper("Swin — für alle", "Ein Abstract.", arxiv="2611.90001"),
        authors=("Ada Löfgren", "何"),
        author_count=2,
        organization="Acme",
        published=NOON.date(),
        categories=("cs.CV", "cs.LG"),
        keywords=("attention",),
        code_stars=3,
    )
    shown = Listing(whole, "page", NOON.date(), 4, upvotes=7, comments=0, announce_type="new")
    counted = store.add((shown,), (), report())
    assert counted.new == 1
    (stored,) = store.papers_since()
    assert stored.paper == whole
    assert stored.listings == (shown,)
    assert stored.first_seen == NOON


def test_the_same_page_twice_adds_nothing_and_renews_the_votes(store: Store) -> None:
    one = Listing(paper("Swin"), "page", None, 0, upvotes=1)
    store.add((one,), (), report())
    before = store.revision()
    assert store.add((replace(one, upvotes=9),), (), report()).new == 0
    assert store.revision() == before
    (stored,) = store.papers_since()
    assert [listing.upvotes for listing in stored.listings] == [9]


def test_a_bare_title_that_later_gains_an_id_is_one_paper(store: Store) -> None:
    store.add(listings(paper("$β$-Swin: a Study")), (), report())
    store.add(listings(paper("β-Swin: A study", "Now with an abstract.", arxiv="2611.90001v2")), (), report())
    (stored,) = store.papers_since()
    assert stored.paper.id == "arxiv:2611.90001"
    assert stored.paper.abstract == "Now with an abstract."
    assert store.find_papers("10.48550/arXiv.2611.90001") == (stored,)
    assert store.known(paper("", doi="10.48550/arxiv.2611.90001")) == stored.paper
    assert store.known(paper("Gamma-Swin")) is None


def test_an_id_that_later_comes_as_a_bare_title_is_kept(store: Store) -> None:
    store.add(listings(paper("Swin", "Whole abstract.", arxiv="2611.90001")), (), report())
    store.add(listings(paper("Swin", "Whole …")), (), report())
    (stored,) = store.papers_since()
    assert stored.paper.id == "arxiv:2611.90001"
    assert stored.paper.abstract == "Whole abstract."


def test_two_papers_of_one_title_stay_two(store: Store) -> None:
    store.add(
        listings(paper("Editorial", arxiv="2611.90001"), paper("Editorial", arxiv="2611.90002")), (), report()
    )
    assert len(store.papers_since()) == 2


@pytest.mark.parametrize("arxiv", ["2611.90001", None])
def test_two_papers_of_one_title_and_other_authors_stay_two_whatever_is_known_of_them(
    store: Store, arxiv: str | None
) -> None:
    one = replace(paper("Editorial", arxiv=arxiv), authors=("Ada Leaf",))
    other = replace(paper("Editorial"), authors=("Bo Twig", "Cy Root"))
    assert store.add(listings(one, other), (), report()).new == 2
    store.add(listings(other), (), report())
    assert store.add(listings(replace(other, doi="10.1000/x"), one), (), report()).new == 0
    kept = {found.paper.authors: found.paper for found in store.papers_since()}
    assert kept.keys() == {("Ada Leaf",), ("Bo Twig", "Cy Root")}
    assert kept["Bo Twig", "Cy Root"].doi == "10.1000/x"
    items = [recommend(found.listings[0]) for found in store.papers_since()]
    assert store.save("me", Progress(NOON, 2), digest(items[0]), ())
    assert [one.paper for one in store.papers_since(not_shown_to="me")] == [items[1].paper]


def test_two_records_that_turn_out_to_be_one_paper_become_one(store: Store) -> None:
    by_title, by_doi = paper("Swin in the Journal"), paper("Swin in a Journal", doi="10.1234/swin")
    store.add(listings(by_title, by_doi), (), report())
    both = store.papers_since()
    items = [recommend(stored.listings[0]) for stored in both]
    assert store.save("me", Progress(NOON, 2), digest(*items), ())
    store.add(listings(replace(by_doi, title="Swin in the Journal")), (), report())
    (stored,) = store.papers_since()
    assert stored.paper.doi == "10.1234/swin"
    assert len(stored.listings) == 1
    assert {one.digest for one in store.appearances("me", stored.paper.id)} == {"me-20261120T120000Z"}
    (kept,) = digests_of(store, "me")
    assert [item.paper for item in kept.recommendations] == [by_title, by_doi]


def test_a_changed_abstract_is_looked_at_again_but_a_vote_is_not(store: Store) -> None:
    one = paper("Leaves", "Of trees.", arxiv="2611.90001")
    store.add(listings(one), (), report())
    before = store.revision()
    store.add(listings(replace(one, abstract="Of trees, with Swin.")), (), report())
    assert [stored.paper.abstract for stored in store.papers_since(revision=before)] == [
        "Of trees, with Swin."
    ]
    before = store.revision()
    store.add(listings(replace(one, abstract="Of  trees, with Swin", organization="Acme")), (), report())
    assert store.papers_since(revision=before) == ()
    assert store.papers_since()[0].paper.organization == "Acme"


def test_papers_can_be_asked_for_by_age_source_and_reader(store: Store) -> None:
    old, new = paper("Old"), paper("New")
    store.add(listings(old, source="a"), (), report("a", at=NOON - 9 * DAY))
    store.add(listings(new, source="b"), (), report("b"))
    assert [s.paper.title for s in store.papers_since(first_seen=NOON - DAY)] == ["New"]
    assert [s.paper.title for s in store.papers_since(sources=("a",))] == ["Old"]
    assert [s.paper.title for s in store.newest_papers(1)] == ["New"]
    (stored,) = store.papers_since(sources=("b",))
    store.save("me", Progress(NOON, 2), digest(recommend(stored.listings[0])), ())
    assert [s.paper.title for s in store.papers_since(not_shown_to="me")] == ["Old"]
    assert [s.paper.title for s in store.papers_since(not_shown_to="you")] == ["Old", "New"]


def test_papers_are_found_by_identifier_address_and_piece_of_a_title(store: Store) -> None:
    one = replace(paper("100% Swin_Leaf", arxiv="2611.90001"), url="https://example.org/swin")
    store.add(listings(one, paper("1000 Swin Leaf")), (), report())
    for wanted in (
        "2611.90001v3",
        "arxiv:2611.90001",
        "https://arxiv.org/abs/2611.90001",
        "https://example.org/swin",
        "100% SWIN",
        "swin_leaf",
    ):
        assert [stored.paper for stored in store.find_papers(wanted)] == [one], wanted
    assert len(store.find_papers("leaf")) == 2
    assert store.find_papers("nothing") == ()


def test_validators_are_kept_with_the_page(store: Store) -> None:
    request = Request("https://example.org/")
    assert store.with_validators("page", request) == request
    page = Page(request.url, b"", None, NOON, etag='"1"', last_modified="Fri")
    store.add((), (page,), report())
    assert store.with_validators("page", request) == Request(request.url, '"1"', "Fri")
    store.add((), (replace(page, etag='"2"'),), report())
    assert store.with_validators("page", request).etag == '"2"'
    assert store.with_validators("other", request).etag is None


def test_only_a_complete_reading_counts_as_a_success(store: Store) -> None:
    assert store.last_complete("page", NOON) is None
    store.add((), (), report(at=NOON))
    store.add((), (), report(at=NOON + HOUR, complete=False))
    assert store.last_complete("page", NOON + DAY) == NOON


def test_since_when_a_source_fails(store: Store) -> None:
    assert store.failing_since() == {}
    for hour, complete in enumerate((False, True, False, False)):
        store.add((), (), report(at=NOON + hour * HOUR, complete=complete))
        store.add((), (), report("other", at=NOON + hour * HOUR, complete=not complete))
    store.add((), (), report("never", at=NOON, complete=False))
    assert store.failing_since() == {"page": NOON + 2 * HOUR, "never": NOON}


def test_what_was_read_by_a_clock_that_was_ahead_does_not_count(store: Store) -> None:
    store.add((), (), report(at=NOON))
    store.add((), (), report(at=NOON + 4000 * DAY))
    assert store.last_complete("page", NOON + HOUR) == NOON


def test_the_last_reading_is_the_one_that_is_told(store: Store) -> None:
    store.add((), (), report(at=NOON))
    store.add((), (), report(at=NOON + HOUR, complete=False))
    (last,) = store.latest_reports()
    assert not last.complete


def test_a_digest_comes_back_as_it_was_even_when_its_papers_changed(store: Store) -> None:
    store.add(listings(paper("Swin", arxiv="2611.90001"), paper("More Swin"), paper("Near")), (), report())
    first, more, near = (recommend(stored.listings[0]) for stored in store.papers_since())
    made = replace(
        digest(first, overflow=(more,)),
        near_misses=(replace(near, missing=("x",)),),
        reports=(report("a", complete=False), report("b")),
        told=("b", "gone"),
    )
    assert store.pasts(["me"])["me"].told == ()
    assert store.save("me", Progress(NOON, 3), made, ())
    store.add(listings(replace(first.paper, title="Swin, second version")), (), report())
    assert digests_of(store, "me") == (made,)
    assert [past.told for past in store.pasts(["me", "other"]).values()] == [made.reports, ()]
    assert store.progress("me") == Progress(NOON, 3)
    assert store.appearances("me", more.paper.id) == (
        Appearance(made.id, NOON, "overflow", "", (), 1.5, lowest=1.5),
    )
    (nearly,) = store.appearances("me", near.paper.id)
    assert (nearly.kind, nearly.missing) == ("near_miss", ("x",))


def test_a_summary_says_what_a_digest_holds_without_reading_it(store: Store) -> None:
    store.add(listings(*(paper(f"Swin {number}") for number in range(5))), (), report())
    one, two, three, four, five = (recommend(stored.listings[0]) for stored in store.papers_since())
    full = replace(
        digest(),
        sections=(Section("Swin", (one, two)), Section("Related", (three,), "related")),
        overflow=(four,),
        near_misses=(five,),
    )
    bare = replace(digest(), id="later", slot=NOON + HOUR, issued_at=NOON + HOUR, sections=())
    assert store.save("me", Progress(NOON, 1), full, ())
    assert store.save("me", Progress(NOON + HOUR, 1), bare, ())
    assert store.save("you", Progress(NOON, 1), replace(full, id="yours", profile="you"), ())
    assert store.summaries("me") == (bare.summary, full.summary)
    assert [summary.profile for summary in store.newest_summaries(9)] == ["me", "me", "you"]
    assert store.newest_summaries(1) == (bare.summary,)
    assert store.newest_issues(1) == [("later", NOON + HOUR)]
    assert sorted(store.newest_issues(9)) == [("later", NOON + HOUR), (full.id, NOON), ("yours", NOON)]
    assert store.digests([full.id, "unknown"]) == {full.id: full}
    assert (full.summary.papers, bare.summary.papers) == (3, 0)


def test_what_is_settled_stays(store: Store) -> None:
    assert store.settle("authority", "me.example.org") == "me.example.org"
    assert store.settle("authority", "you.example.org") == "me.example.org"
    assert store.settle("another", "x") == "x"


def test_what_waits_is_what_the_last_digest_kept_in_its_order_and_was_not_shown(store: Store) -> None:
    by_title, by_doi = paper("Swin in the Journal"), paper("Swin in a Journal", doi="10.1234/swin")
    store.add(listings(by_title, by_doi, paper("Other Swin")), (), report())
    store.add(listings(paper("Swin"), source="a"), (), report("a"))
    papers = [recommend(stored.listings[0]) for stored in store.papers_since()]
    made = replace(digest(), sections=(), waiting=tuple(papers[::-1]))
    assert store.save("me", Progress(NOON, 4), made, ())
    assert digests_of(store, "me") == (made,)
    assert [stored.paper.title for stored in store.waiting("me", sources=("a",))] == ["Swin"]
    store.add(listings(replace(by_doi, title="Swin in the Journal")), (), report())
    waiting = [stored.paper.id for stored in store.waiting("me")]
    assert waiting == [papers[3].paper.id, papers[2].paper.id, "doi:10.1234/swin"]
    later = replace(digest(papers[3]), id="later", slot=NOON + HOUR, waiting=(papers[2], papers[3]))
    assert store.save("me", Progress(NOON + HOUR, 5), later, ())
    assert [stored.paper.id for stored in store.waiting("me")] == [papers[2].paper.id]
    assert store.waiting("you") == ()


def test_a_slot_is_composed_once(store: Store) -> None:
    assert store.save("me", Progress(NOON, 1), digest(), ())
    assert not store.save("me", Progress(NOON, 1), digest(), ())
    assert not store.save("me", Progress(NOON - HOUR, 1), None, ())
    assert store.save("me", Progress(NOON + HOUR, 2), None, ())
    assert len(digests_of(store, "me")) == 1


def test_the_outbox_goes_from_planned_to_sent(store: Store) -> None:
    planned = (PlannedDelivery("email", "me@example.org", b"message"), PlannedDelivery("feeds"))
    store.save("me", Progress(NOON, 1), digest(), planned)
    taken = store.claim(("email",), NOON)
    assert taken is not None
    assert (taken.message, taken.state, taken.attempts) == (b"message", DeliveryState.SENDING, 1)
    assert store.claim(("email",), NOON) is None
    store.mark(taken.id, DeliveryState.DEFERRED, error="later", not_before=NOON + HOUR)
    assert store.claim(("email",), NOON) is None
    again = store.claim(("email",), NOON + HOUR)
    assert again is not None
    assert (again.id, again.attempts) == (taken.id, 2)
    store.mark(again.id, DeliveryState.SENT)
    assert [d.channel for d in store.deliveries(DeliveryState.PLANNED)] == ["feeds"]
    assert [d.state for d in store.deliveries()] == ["sent", "planned"]
    assert store.counts(*DeliveryState) == {"sent": 1, "planned": 1}
    assert not store.counts(DeliveryState.FAILED, DeliveryState.DEFERRED)


def test_after_a_kill_what_was_not_handed_over_is_planned_and_the_rest_uncertain(store: Store) -> None:
    planned = tuple(PlannedDelivery("email", f"{name}@example.org", b"m") for name in "ab")
    store.save("me", Progress(NOON, 1), digest(), planned)
    store.claim(("email",), NOON)
    second = store.claim(("email",), NOON)
    assert second is not None
    store.mark(second.id, DeliveryState.HANDING_OVER)
    assert store.recover(NOON + HOUR) == 1
    assert [d.state for d in store.deliveries()] == ["planned", "uncertain"]


def test_what_another_machine_is_sending_is_left_to_it_while_its_lease_lasts(
    request: pytest.FixtureRequest, store: Store
) -> None:
    store.save("me", Progress(NOON, 1), digest(), (PlannedDelivery("email", "me@example.org", b"m"),))
    taken = store.claim(("email",), NOON)
    assert taken is not None
    store.mark(taken.id, DeliveryState.HANDING_OVER)
    at_once = store.recover(NOON + HOUR / 2)
    # With SQLite the data directory is locked, so nobody else sends.
    assert at_once == (request.node.callspec.params["store"] == "sqlite")
    assert at_once + store.recover(NOON + HOUR) == 1


def test_what_has_had_its_turn_is_passed_over(store: Store) -> None:
    planned = tuple(PlannedDelivery("email", f"{name}@example.org", b"m") for name in "ab")
    store.save("me", Progress(NOON, 1), digest(), planned)
    first = store.claim(("email",), NOON)
    assert first is not None
    store.mark(first.id, DeliveryState.DEFERRED)
    second = store.claim(("email",), NOON, after=first.id)
    assert second is not None
    assert second.recipient == "b@example.org"
    assert store.claim(("email",), NOON, after=second.id) is None


def test_a_delivery_that_a_wrong_clock_has_put_off_for_years_is_due(store: Store) -> None:
    store.save("me", Progress(NOON, 1), digest(), (PlannedDelivery("email", "me@example.org", b"m"),))
    taken = store.claim(("email",), NOON)
    assert taken is not None
    store.mark(taken.id, DeliveryState.DEFERRED, not_before=NOON + 4000 * DAY)
    assert store.claim(("email",), NOON) is not None


def test_an_attempt_that_was_none_does_not_count(store: Store) -> None:
    store.save("me", Progress(NOON, 1), digest(), (PlannedDelivery("email", "me@example.org", b"m"),))
    for _ in range(3):
        taken = store.claim(("email",), NOON)
        assert taken is not None
        assert taken.attempts == 1
        store.mark(taken.id, DeliveryState.DEFERRED, counts=False)


def test_what_is_tried_again_has_all_its_attempts_again(store: Store) -> None:
    planned = tuple(PlannedDelivery("email", f"{name}@example.org", b"m") for name in "ab")
    store.save("me", Progress(NOON, 1), digest(), planned)
    for _ in range(2):
        taken = store.claim(("email",), NOON)
        assert taken is not None
        store.mark(taken.id, DeliveryState.FAILED, error="no", not_before=NOON + DAY)
    store.plan_again(store.deliveries()[0].id)
    assert store.retry_failed() == 1
    assert [(one.state, one.attempts, one.error) for one in store.deliveries()] == [("planned", 0, None)] * 2


def test_what_was_sent_is_counted_by_channel_and_time(store: Store) -> None:
    planned = (PlannedDelivery("email", "me@example.org", b"m"), PlannedDelivery("feeds"))
    store.save("me", Progress(NOON, 1), digest(), planned)
    for delivery in store.deliveries():
        store.mark(delivery.id, DeliveryState.SENT, sent_at=NOON)
    assert store.sent_between("email", NOON - HOUR, NOON) == 1
    assert store.sent_between("email", NOON, NOON + HOUR) == 0
    assert store.sent_between("email", NOON - DAY, NOON - HOUR) == 0


def test_the_last_run_is_remembered_also_if_it_never_ended(store: Store) -> None:
    assert store.last_run() is None
    number = store.begin_run(RunReport(NOON))
    whole = RunReport(NOON, NOON + HOUR, 3, 1, 12, 2, 4, 1, "the disk is full")
    store.end_run(number, whole)
    assert store.last_run() == whole
    store.begin_run(RunReport(NOON + DAY))
    assert store.last_run() == RunReport(NOON + DAY)


def test_a_profile_goes_back_to_a_slot_and_composes_none_twice(store: Store) -> None:
    ahead = NOON + 4000 * DAY
    made = replace(digest(), id="me-ahead", slot=ahead)
    assert store.save("me", Progress(ahead, 5, "2037"), made, ())
    store.rewind("me", Progress(NOON, 5, "2026"))
    assert store.progress("me") == Progress(NOON, 5, "2026")
    assert not store.save("me", Progress(ahead, 9, "2037"), made, ())
    assert store.progress("me") == Progress(ahead, 5, "2037")  # what came since is for the next slot


def test_nothing_of_a_failed_transaction_stays(store: Store) -> None:
    store.add(listings(paper("Swin")), (), report())
    (stored,) = store.papers_since()
    unknown = recommend(Listing(paper("Never stored"), "page", None, 0))
    with pytest.raises(Exception, match="No row"):
        store.save("me", Progress(NOON, 1), digest(recommend(stored.listings[0]), unknown), ())
    assert store.progress("me") is None
    assert digests_of(store, "me") == ()


def test_an_opinion_is_kept_changed_and_forgotten_and_counted_when_it_changes(store: Store) -> None:
    swin, face = paper("Swin", "Windows.", arxiv="2611.90001"), paper("A Face", doi="10.1234/face")
    assert store.judge("me", (swin, face), Opinion.LIKE, now=NOON) == 2
    assert store.judge("me", (swin,), Opinion.LIKE, now=NOON + DAY) == 0
    assert store.judge("me", (face, face), Opinion.DISLIKE, now=NOON + DAY) == 1
    assert store.judgements("me") == (
        Judgement(swin, Opinion.LIKE, NOON),
        Judgement(face, Opinion.DISLIKE, NOON + DAY),
    )
    assert store.judgements("you") == ()
    assert store.judge("me", (swin, paper("Never judged")), None, now=NOON + DAY) == 1
    assert [one.paper for one in store.judgements("me")] == [face]


def test_a_paper_is_judged_once_whatever_it_is_called(store: Store) -> None:
    by_title = paper("Shifted Windows")
    both = replace(
        by_title, title="Shifted Windows of Leaves", id=PaperId("arxiv:2611.90001"), doi="10.1234/swin"
    )
    by_doi = paper("Shifted windows of leaves", "An abstract.", doi="10.1234/swin")
    assert store.judge("me", (by_title, by_doi), Opinion.LIKE, now=NOON) == 2
    both = replace(both, identifiers=(by_title.id,))
    assert store.judge("me", (both,), Opinion.LIKE, now=NOON + DAY) == 0
    (one,) = store.judgements("me")
    assert (one.paper.id, one.paper.abstract, one.at) == (both.id, "An abstract.", NOON)
    assert store.judge("me", (by_doi,), Opinion.DISLIKE, now=NOON + DAY) == 1
    assert [(one.paper.id, one.opinion) for one in store.judgements("me")] == [(both.id, Opinion.DISLIKE)]
    assert store.judge("me", (paper("Shifted Windows of Leaves"),), None, now=NOON) == 1
    assert store.judgements("me") == ()


def test_two_judged_papers_of_one_title_stay_two(store: Store) -> None:
    one, other = paper("Editorial", arxiv="2611.90001"), paper("Editorial", arxiv="2611.90002")
    assert store.judge("me", (one, other), Opinion.LIKE, now=NOON) == 2
    assert store.judge("me", (other,), None, now=NOON) == 1
    assert [judgement.paper for judgement in store.judgements("me")] == [one]


def test_who_wants_no_more_mail_is_kept_with_the_first_day_until_it_is_taken_back(store: Store) -> None:
    store.stop("me", "b@example.org", now=NOON)
    store.stop("me", "b@example.org", now=NOON + DAY)
    store.stop("me", "a@example.org", now=NOON + HOUR)
    store.stop("you", "a@example.org", now=NOON)
    stopped = {"b@example.org": NOON, "a@example.org": NOON + HOUR}
    assert list(store.stopped("me").items()) == list(stopped.items())
    assert store.resume("me", "a@example.org")
    assert not store.resume("me", "a@example.org")
    assert (store.stopped("me"), store.stopped("you")) == ({"b@example.org": NOON}, {"a@example.org": NOON})


def test_what_was_learned_is_kept_until_it_is_learned_again(store: Store) -> None:
    assert store.lesson("swin") is None
    assert store.paper_count() == 0
    store.keep_lesson("swin", 0, "nothing")
    store.add(listings(paper("Swin"), paper("Face")), (), report())
    store.keep_lesson("swin", store.paper_count(), "windows")
    assert store.lesson("swin") == (2, "windows")


def voted(*votes: int | None, source: str = "page") -> tuple[Listing, ...]:
    """The same papers each time, with as many votes as they have by now."""
    return tuple(
        replace(one, upvotes=upvotes)
        for one, upvotes in zip(
            listings(*(paper(f"Leaf {number}") for number in range(len(votes))), source=source),
            votes,
            strict=True,
        )
    )


def risen(store: Store, **asked: Any) -> list[str]:  # noqa: ANN401 - arguments of any kind
    arguments: dict[str, Any] = {"before": store.revision(), "first_seen": NOON - DAY}
    found = store.risen("me", **arguments | asked)
    return [stored.paper.title for stored in found]


def test_a_paper_has_risen_when_its_votes_have_come_to_what_is_many_for_its_source(store: Store) -> None:
    store.add(voted(*[1] * 18, 50, 40, None), (), report())
    assert risen(store) == []  # two had many from the first
    store.add(voted(45, 9, *[1] * 16, 50, 40, 60), (), report())
    assert risen(store) == ["Leaf 0", "Leaf 20"]
    assert risen(store, before=20) == ["Leaf 0"]
    assert risen(store, first_seen=NOON + HOUR) == []
    assert risen(store, sources=("page",)) == ["Leaf 0", "Leaf 20"]
    assert risen(store, sources=("other",)) == []
    shown = next(stored for stored in store.papers_since() if stored.paper.title == "Leaf 0")
    store.save("me", Progress(NOON, 1), digest(recommend(shown.listings[0])), ())
    assert risen(store) == ["Leaf 20"]


def test_a_paper_that_is_listed_again_with_many_votes_has_risen_too(store: Store) -> None:
    first = voted(*[1] * 17, 5, 6, 7)
    store.add(first, (), report())
    store.add((replace(first[3], listed_on=NOON.date(), upvotes=70),), (), report())
    store.add((replace(first[4], source="other", upvotes=70),), (), report("other"))
    assert risen(store) == ["Leaf 3"]


def test_nothing_has_risen_where_few_papers_have_votes(store: Store) -> None:
    store.add(voted(*[1] * 19), (), report())
    store.add(voted(90, *[1] * 18), (), report())
    assert risen(store) == []
    store.add(voted(*[None] * 5, *[0] * 20, source="quiet"), (), report("quiet"))
    store.add(voted(*[0] * 25, source="quiet"), (), report("quiet"))
    assert risen(store, sources=("quiet",)) == []


def test_the_votes_of_before_the_fourth_migration_are_the_first_ones(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/digest.db"
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        connection.exec_driver_sql(
            "INSERT INTO papers (id, paper_id, revision, first_seen, title, abstract, authors, categories,"
            " keywords) VALUES (1, 'title:1', 1, 0, 'Leaf', '', '[]', '[]', '[]')"
        )
        connection.exec_driver_sql(
            "INSERT INTO listings (paper, source, listed_on, position, upvotes) VALUES (1, 'page', '', 0, 7)"
        )
    engine.dispose()
    Store(url).close()
    with closing(sqlite3.connect(tmp_path / "digest.db")) as connection:
        assert connection.execute("SELECT first_upvotes FROM listings").fetchall() == [(7,)]


def test_a_database_of_a_newer_digest_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/digest.db"
    Store(url).close()
    with sqlite3.connect(tmp_path / "digest.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(SchemaError, match="version 9999"):
        Store(url)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "digest.db") as connection:
        connection.execute("CREATE TABLE other (id INTEGER)")
    connection.close()
    with pytest.raises(SchemaError, match="another program"):
        Store(f"sqlite:///{tmp_path}/digest.db")


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////nowhere/at/all.db", "oracle+nothing://x"])
def test_a_database_that_cannot_be_opened_is_a_store_error(url: str) -> None:
    with pytest.raises(StoreError):
        Store(url)


def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "digest.db").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="damaged"):
        Store(f"sqlite:///{tmp_path}/digest.db")


def test_the_schema_names_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_lessons_that_are_outdated_are_forgotten_with_the_next_one(store: Store) -> None:
    store.keep_lesson("old", 99, "what was learned")
    store.keep_lesson("recent", 100, "what was learned")
    store.keep_lesson("new", 110, "what is learned", outdated=100)
    assert [store.lesson(key) for key in ("old", "recent", "new")] == [
        None,
        (100, "what was learned"),
        (110, "what is learned"),
    ]


@pytest.mark.parametrize("number", [0, 2, 5])
def test_each_paper_comes_once_newest_first_however_many_are_read_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(papers, "CHUNK", 2)
    titles = [f"Leaf {at}" for at in range(number)]
    store.add(listings(*map(paper, titles)), (), report())
    assert [stored.paper.title for stored in store.each_paper()] == titles[::-1]


def test_old_reports_are_forgotten_but_for_one_a_day(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(papers, "_REPORTS", 5)
    for hours in range(-12, 60, 6):
        store.add((), (), report("page", at=NOON + hours * HOUR))
    store.add((), (), report("other", at=NOON))
    for hours in range(9):  # by a clock that was ahead
        store.add((), (), report("page", at=NOON + 3650 * DAY + hours * HOUR))
    found = [store.last_complete("page", NOON + hours * HOUR) for hours in (6, 30, 54, 78)]
    assert found == [NOON + hours * HOUR for hours in (6, 30, 54, 54)]
    assert store.last_complete("other", NOON) == NOON
    assert reports_kept(store) == 1 + 3 + 5  # of the other source, of each day, the newest


def test_old_failures_are_forgotten_once_a_source_is_complete(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(papers, "_REPORTS", 5)
    for hours in range(8):
        store.add((), (), report("page", at=NOON + hours * HOUR, complete=False))
    assert store.failing_since() == {"page": NOON}
    for hours in range(8, 16):
        store.add((), (), report("page", at=NOON + hours * HOUR))
    assert store.failing_since() == {}
    assert store.last_complete("page", NOON + DAY) == NOON + 15 * HOUR
    assert reports_kept(store) == 3 + 5  # what was old when no newer one was complete, the newest


def reports_kept(store: Store) -> int:
    with store._reading() as connection:  # noqa: SLF001 - nobody else asks
        return connection.execute(select(func.count()).select_from(schema.reports)).scalar_one()


def test_the_migrations_make_the_tables_that_a_new_database_has(tmp_path: Path) -> None:
    Store(f"sqlite:///{tmp_path}/new.db").close()
    found = []
    for name in ("new", "migrated"):
        engine = create_engine(f"sqlite:///{tmp_path}/{name}.db")
        with engine.begin() as connection:
            if name == "migrated":
                config = Config()
                config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
            found.append(_tables(connection))
        engine.dispose()
    assert found[0] == found[1]
    assert len(found[0]) == len(schema.metadata.tables) + 1
    Store(f"sqlite:///{tmp_path}/migrated.db").close()  # and knows it for its own


def _tables(connection: Connection) -> dict[str, object]:
    """What a database says of its tables: columns with types and defaults, keys, constraints, indexes."""
    look = inspect(connection)
    return {
        table: (
            sorted(str(sorted(column.items(), key=str)) for column in look.get_columns(table)),
            look.get_pk_constraint(table)["constrained_columns"],
            sorted(map(str, look.get_foreign_keys(table))),
            sorted(str(one["column_names"]) for one in look.get_unique_constraints(table)),
            sorted(map(_index, look.get_indexes(table))),
        )
        for table in look.get_table_names()
    }


def _index(found: ReflectedIndex) -> str:
    options = {name: str(value) for name, value in found.get("dialect_options", {}).items()}
    return str({**found, "dialect_options": options})


def test_a_second_run_is_told_that_the_first_is_active(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        locked(data, wait=0),
        pytest.raises(BusyError, match="another run is active"),
        locked(data, wait=0),
    ):
        pass
    with locked(data, wait=0):
        assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"), locked(tmp_path / "file" / "data", wait=0):
        pass


# --- who may read what is served --------------------------------------------------------------


def test_access_is_given_once_to_a_name_and_again_when_it_was_revoked(store: Store) -> None:
    anna = Access("anna", "1", None, NOON)
    assert store.give_access(anna)
    assert not store.give_access(replace(anna, hash="2", profile="me"))
    assert store.access() == (anna,)
    assert store.revoke_access("anna")
    assert not store.revoke_access("anna")
    assert not store.revoke_access("ben")
    assert store.access() == (replace(anna, hash=""),)
    again = Access("anna", "2", "me", NOON + HOUR)
    assert store.give_access(again)
    assert store.access() == (again,)


def test_the_progress_of_all_profiles_is_that_of_each(store: Store) -> None:
    for name, slot in (("me", NOON), ("you", NOON - DAY)):
        assert store.save(name, Progress(slot, 3), None, [])
    assert store.all_progress() == {"me": store.progress("me"), "you": store.progress("you")}


def test_who_only_looks_waits_for_nobody_who_writes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/digest.db"
    with closing(Store(url)) as writer, writer._writing(), closing(Store(url)) as reader:  # noqa: SLF001
        assert reader.access() == ()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("authors", "'['"),
        ("authors", "7"),
        ("published", "'7'"),
        ("published", "x'ff'"),
        ("title", "x'ff'"),
        ("abstract", "x'ff'"),
        ("first_seen", "x'ff'"),
        ("first_seen", "9223372036854775807"),
    ],
)
def test_a_damaged_value_is_damage(tmp_path: Path, column: str, value: str) -> None:
    path = tmp_path / "digest.db"
    with closing(Store(f"sqlite:///{path}")) as store:
        store.add(listings(paper("Swin")), (), report())
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"UPDATE papers SET {column} = {value}")  # noqa: S608 - ours
            connection.commit()
        with pytest.raises(StoreError, match="the database file is damaged"):
            store.papers_since()


def test_what_was_shown_is_known_among_more_new_papers_than_one_question_takes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digest.store.digests.CHUNK", 2)
    store.add(listings(paper("Old Swin")), (), report())
    (old,) = store.papers_since()
    before = store.revision()
    store.add(listings(*(paper(f"Swin {number}") for number in range(4))), (), report())
    new, *_ = store.papers_since(revision=before)
    made = digest(*(recommend(one.listings[0]) for one in (old, new)))
    assert store.save("me", Progress(NOON, 5), made, ())
    assert store.shown(["me", "you", "they"], revision=before) == {"me": {new.paper.id}}
