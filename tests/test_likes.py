"""What a person likes: named by number, address or title, kept in a library, or looked up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote

import pytest
from commands import Run
from documents import DATA
from internet import Answer, Internet, internet
from sites import page
from world import SWIN_PAGE, configure

from digest.core import identity
from digest.core.model import Page, Paper, Reading, Request
from digest.errors import FetchError, LayoutError
from digest.library import Ways, find
from digest.sources.csljson import CslJsonReader
from digest.sources.zotero import ZoteroReader
from digest.store.store import Store

BLOOM = """@article{bloom,
  title = {The Bloom of {Invented} Flowers}, author = {Blum, Ada}, doi = {10.5555/bloom},
  abstract = {We count them.}
}
"""
SHELF, OAK = "2611.90001", "10.5555/oak.7"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run in a folder with a configuration for one person, and with some papers stored."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIGEST_CONFIG", str(configure(tmp_path)))
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    started = Run(capsys)
    assert started("collect") == 0
    return started


def liked(run: Run) -> list[str]:
    return [paper["title"] for paper in run.json("likes")]


# --- papers that are stored -------------------------------------------------------------------


def test_a_paper_is_liked_disliked_and_forgotten_by_a_piece_of_its_title(run: Run) -> None:
    assert run("like", "counting leaves") == 0
    assert run.out.startswith("Liked       SwinLeaf: Shifted Windows for Counting Leaves (title:")
    assert run("like", "COUNTING leaves") == 0
    assert run.out.startswith("As before   SwinLeaf")
    assert run("dislike", "SwinLeaf: Shifted Windows for Counting Leaves") == 0
    assert run.out.startswith("Disliked    SwinLeaf")
    (kept,) = run.json("likes")
    assert (kept["opinion"], kept["abstract"][:16]) == ("dislike", "We count the lea")
    assert run("forget", "swinleaf") == 0
    assert run.out.startswith("Forgotten   SwinLeaf")
    assert run("forget", "swinleaf") == 0
    assert run.out.startswith("As before   nothing was said of SwinLeaf")
    assert liked(run) == []


def test_what_was_said_is_shown_in_a_table_and_how_to_say_some_without(run: Run) -> None:
    assert run("likes") == 0
    assert "nothing" in run.out.lower()
    assert "digest like PAPER" in run.out
    run("like", "swinleaf", "ledger")
    run("dislike", "talking faces")
    assert run("likes") == 0
    assert run.err == "2 liked, 1 disliked\n"
    assert sorted(line.split()[1] for line in run.out.splitlines()) == ["dislike", "like", "like"]
    assert run.out.count("A Ledger for Honest Gardeners") == 1


def test_a_piece_of_several_titles_is_no_paper_and_the_others_are_kept(run: Run) -> None:
    assert run("like", "for", "nowhere to be found", "gone.bib", "ledger") == 1
    assert "'for' may mean 'A Ledger" in run.err or "'for' may mean 'SwinLeaf" in run.err
    assert "Give the id of the one that you mean." in run.err
    assert "no stored paper is 'nowhere to be found'" in run.err
    assert "gone.bib: there is no such file. Check the path." in run.err
    assert liked(run) == ["A Ledger for Honest Gardeners"]


def test_a_name_of_any_bytes_is_no_paper(run: Run) -> None:
    assert run("like", "\udce9", "%", "x" * 5000, "http://[", "???") == 1
    assert run.err.count("no stored paper is") == 5


def test_with_several_profiles_one_must_be_named(run: Run, tmp_path: Path) -> None:
    configure(tmp_path, profiles=("ada", "bob"))
    (tmp_path / "profiles" / "me.toml").unlink()
    for command in (["like", "ledger"], ["likes"]):
        assert run(*command) == 2
        assert "there are several profiles. Say which by --profile: ada, bob." in run.err
    assert run("like", "ledger", "--profile", "bob") == 0
    assert run("likes", "--profile", "bob") == 0
    assert "Ledger" in run.out
    assert run("likes", "--profile", "ada") == 0
    assert "Ledger" not in run.out


# --- libraries --------------------------------------------------------------------------------

LIBRARIES = [
    DATA / "bibtex" / "export.bib",
    DATA / "ris" / "export.ris",
    DATA / "csljson" / "export.json",
    DATA / "zotero" / "library.csv",
]


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda path: path.parent.name)
def test_a_library_is_liked_once_and_forgotten_whole(library: Path, run: Run) -> None:
    assert run("like", library, "--no-fetch") == 0
    titles = liked(run)
    assert len(titles) >= 3
    assert run("like", library, "--no-fetch") == 0
    assert "Liked" not in run.out
    assert liked(run) == titles
    assert run("forget", library) == 0
    assert liked(run) == []


def test_a_paper_of_a_library_that_is_stored_is_the_stored_one(run: Run, tmp_path: Path) -> None:
    library = tmp_path / "mine.bib"
    library.write_text("@misc{x, title={A ledger for honest Gardeners}, doi={10.5555/ledger}}\n" + BLOOM)
    assert run("like", library, "--no-fetch") == 0
    ledger, bloom = sorted(run.json("likes"), key=lambda paper: str(paper["title"]))
    assert ledger["title"] == "A Ledger for Honest Gardeners"
    assert ledger["abstract"].startswith("Gardeners who share seeds")
    assert bloom["abstract"] == "We count them."
    assert run("like", "https://doi.org/10.5555/BLOOM", "--no-fetch") == 0
    assert run.out.startswith("As before")


def test_many_papers_are_counted_not_listed(run: Run, tmp_path: Path) -> None:
    library = tmp_path / "mine.bib"
    entries = [f"@misc{{k{n}, title={{Flower {n}}}, abstract={{Petals.}}}}" for n in range(11)]
    library.write_text("\n".join(entries[:2]))
    assert run("like", library) == 0
    assert run.out.count("Liked") == 2
    library.write_text("\n".join(entries))
    assert run("like", library) == 0
    assert run.out == "Liked       9 papers; 2 as before\n"
    assert run("forget", library) == 0
    assert run.out == "Forgotten   11 papers; 0 as before\n"


def test_a_file_that_holds_no_papers_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("Dear diary,\nnothing.\nSee 10.5555/oak.7.\n")
    (tmp_path / "empty.bib").write_text("")
    (tmp_path / "binary.txt").write_bytes(b"10.5555/oak\0.7\n")
    assert run("like", "diary.txt", "empty.bib", "binary.txt", "ledger") == 1
    assert "binary.txt: this is no text" in run.err
    assert "diary.txt: no papers can be found in it" in run.err
    assert "empty.bib: there is nothing in it" in run.err
    assert liked(run) == ["A Ledger for Honest Gardeners"]


# --- papers that must be looked up ------------------------------------------------------------


def arxiv(parts: SplitResult) -> Answer:
    asked = parse_qs(parts.query)["id_list"][0].split(",")
    entries = [
        f"<entry><id>http://arxiv.org/abs/{number}v1</id><title>Shelf {number}</title>"
        f"<summary>Numbers are kept.</summary><published>2026-11-19T00:00:00Z</published></entry>"
        for number in asked
        if number.startswith("2611.9")
    ]
    return Answer(
        (
            '<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom" '
            'xmlns:s="http://a9.com/-/spec/opensearch/1.1/"><id>http://arxiv.org/api/x</id>'
            f"<s:totalResults>{len(entries)}</s:totalResults>{''.join(entries)}</feed>"
        ).encode()
    )


def crossref(parts: SplitResult) -> Answer:
    def work(doi: str) -> dict[str, object]:
        return {"DOI": doi, "type": "journal-article", "title": [f"Oak {doi}"], "abstract": "Trees."}

    def answer(kind: str, message: object) -> Answer:
        return Answer(json.dumps({"status": "ok", "message-type": kind, "message": message}).encode())

    if doi := unquote(parts.path.removeprefix("/works").removeprefix("/")):
        return answer("work", work(doi)) if doi.startswith("10.5555/oak") else Answer(status=404)
    asked = parse_qs(parts.query)["filter"][0].split(",")
    known = [work(doi) for item in asked if (doi := item.removeprefix("doi:")).startswith("10.5555/oak")]
    return answer("work-list", {"items": known})


@pytest.fixture
def online(run: Run, tmp_path: Path) -> Iterator[Internet]:  # noqa: ARG001 - it sets up what is changed
    sites = {"export.arxiv.org": arxiv, "api.crossref.org": crossref}
    with internet(tmp_path, sites) as world:
        extra = f'[network]\nproxy = "{world.proxy}"\nca_file = "{world.ca_file}"\n'
        configure(tmp_path, extra=extra)
        yield world


@pytest.mark.parametrize(
    "name", [SHELF, f"arXiv:{SHELF}v2", f"https://arxiv.org/pdf/{SHELF}", f"10.48550/arXiv.{SHELF}"]
)
def test_a_paper_that_is_not_stored_is_looked_up_at_arxiv_once(name: str, run: Run, online: Internet) -> None:
    assert run("like", name) == 0
    assert run.out == f"Liked       Shelf {SHELF} (arxiv:{SHELF})\n"
    assert run.err == "Looking up  1 paper at arxiv.org\n"
    (kept,) = run.json("likes")
    assert kept["abstract"] == "Numbers are kept."
    assert run("dislike", f"https://huggingface.co/papers/{SHELF}") == 0
    assert run.out.startswith("Disliked")
    assert run("forget", SHELF) == 0
    assert run("forget", SHELF) == 0
    assert run.out == f"As before   nothing was said of arxiv:{SHELF}\n"
    assert len(online.asked) == 1


def test_a_list_of_numbers_is_looked_up_in_few_requests(run: Run, online: Internet, tmp_path: Path) -> None:
    numbers = [f"2611.9{n:04}" for n in range(2)]
    dois = [f"https://doi.org/10.5555/oak.{n}" for n in range(45)]
    lines = ["# to read", "", *numbers, *dois, "10.5555/oak(1,2)", "10.5555/beech", "ledger"]
    (tmp_path / "ids.txt").write_text("\n".join(lines))
    assert run("like", "ids.txt") == 1
    assert run.out == "Liked       49 papers; 0 as before\n"
    assert "Looking up  47 papers at crossref.org" in run.err
    assert "10.5555/beech is not stored, and crossref.org does not know it. Check the number" in run.err
    assert len(online.asked) == 4
    assert run("like", "ids.txt", "--no-fetch") == 1
    assert run.out == "Liked       0 papers; 49 as before\n"
    assert "10.5555/beech is not stored. Without --no-fetch it is looked up." in run.err


def test_a_library_without_abstracts_takes_them_from_where_they_are(
    run: Run, online: Internet, tmp_path: Path
) -> None:
    items = [
        {"type": "article-journal", "title": "The Oak", "DOI": OAK, "author": [{"family": "Eiche"}]},
        {"type": "article-journal", "title": "The Beech", "DOI": "10.5555/beech"},
    ]
    (tmp_path / "mine.json").write_text(json.dumps(items))
    assert run("like", "mine.json") == 0
    assert len(online.asked) == 1
    assert "papers without an abstract, from which little is learned: 1" in run.err
    abstracts = {paper["id"]: (paper["abstract"], paper["authors"]) for paper in run.json("likes")}
    assert abstracts == {f"doi:{OAK}": ("Trees.", ["Eiche"]), "doi:10.5555/beech": ("", [])}


def status(code: int) -> Callable[[SplitResult], Answer]:
    return lambda _: Answer(status=code)


def test_a_site_that_does_not_answer_is_named_and_what_is_known_is_kept(
    run: Run, online: Internet, tmp_path: Path
) -> None:
    online.sites = {
        "export.arxiv.org": lambda _: Answer(b"<html>down for maintenance"),
        "api.crossref.org": status(403),
    }
    item = {"type": "article-journal", "title": "The Oak", "DOI": OAK, "author": [{"family": "Eiche"}]}
    (tmp_path / "mine.json").write_text(json.dumps([item]))
    assert run("like", "mine.json", SHELF, "2611.90002") == 1
    assert run.out.startswith("Liked       The Oak")
    assert f"{SHELF}, 2611.90002 could not be looked up at export.arxiv.org: " in run.err
    assert "abstracts could not be looked up at api.crossref.org: " in run.err


def test_a_number_that_nobody_gave_a_paper_is_named(run: Run, online: Internet) -> None:
    assert run("like", "10.5555/beech", "2612.00001") == 1
    assert run.err.count("does not know it") == 2
    assert len(online.asked) == 2


def test_a_site_that_is_down_is_not_asked_for_the_rest(tmp_path: Path) -> None:
    asked: list[Request] = []

    def fetch(request: Request) -> Page:
        asked.append(request)
        raise FetchError("503 Service Unavailable", place=request.url, status=503, transient=True)

    ways = Ways(fetch, read=lambda _: Reading("", ()), announce=lambda *_: None, online=True)
    with closing(Store(f"sqlite:///{tmp_path}/digest.db")) as store:
        meant = find(store, "me", [f"2611.{n:05}" for n in range(150)], ways)
    assert len(asked) == 1
    (error,) = meant.missing
    assert "2611.00000, " in str(error)
    assert str(error).endswith(
        "2611.00149 could not be looked up at export.arxiv.org: 503 Service Unavailable. Try again later."
    )


# --- the readers ------------------------------------------------------------------------------


def csl(**fields: object) -> Paper:
    (listing,) = CslJsonReader().read(page([{"type": "article", "title": "x", **fields}])).listings
    return listing.paper


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"DOI": "10.5555/a"}, "doi:10.5555/a"),
        ({"DOI": "https://doi.org/10.48550/arXiv.2611.90001"}, "arxiv:2611.90001"),
        ({"number": "arXiv:2611.90001"}, "arxiv:2611.90001"),
        ({"number": "2611.90001"}, "title:"),
        ({"note": "arXiv:2611.90001 [cs]"}, "arxiv:2611.90001"),
        ({"PMID": 99990001}, "pmid:99990001"),
        ({"URL": "https://lab.example/a"}, "url:lab.example/a"),
    ],
)
def test_an_item_is_known_by_its_numbers(fields: dict[str, object], expected: str) -> None:
    assert csl(**fields).id.startswith(expected)


@pytest.mark.parametrize(
    ("reader", "content"),
    [
        (CslJsonReader(), [{"type": "article", "URL": "x"}]),
        (CslJsonReader(), "[{"),
        (ZoteroReader(), "Key,Item Type,Title\nA,book,\n"),
        (ZoteroReader(), "Key,Item Type,Title\nA,book," + "x" * 200_000),
    ],
)
def test_a_library_without_a_title_is_a_layout_error(reader: CslJsonReader, content: object) -> None:
    with pytest.raises(LayoutError):
        reader.read(page(content))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://pubmed.ncbi.nlm.nih.gov/99990001/", "pmid:99990001"),
        ("https://openreview.net/forum?id=aBcDeFgHiJ", "openreview:aBcDeFgHiJ"),
        ("https://openreview.net/group", "url:openreview.net/group"),
        ("https://lab.example/a?utm_source=x", "url:lab.example/a"),
        ("10.5555/2611.90001", "doi:10.5555/2611.90001"),
        ("pmid:99990001", "pmid:99990001"),
    ],
)
def test_a_person_may_name_a_paper_by_any_address_or_number(text: str, name: str) -> None:
    assert name in identity.names(text)
    assert "arxiv:2611.90001" not in identity.names(text)
