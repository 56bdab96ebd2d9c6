"""`digest rank`, `digest terms`, and what `digest explain` says of relations."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from commands import Run
from topics import SUBJECTS, library, written
from world import DAY, NOON, configure, digests_of, listings, report

from digest import app, pipeline
from digest.core.model import Opinion, Paper

LIBRARY = library(ferns="fern")
RECORDS = [{"id": one.id, "title": one.title, "abstract": one.abstract} for one in LIBRARY]
IDS = [str(one["id"]) for one in RECORDS]
FERNS = [one for one in IDS if "ferns" in one]
BREAD = [one for one in IDS if "bread" in one]

BY_LENGTH = '''
"""Ranks papers by the length of their titles; whatever is longer than the longest keyword is related."""

import json

from digest.core.model import Judged, ScorePart


class ByLength:
    version = "by length 1"

    def read(self, papers):
        return {paper.id: len(paper.title) for paper in papers}

    def learn(self, need, papers):
        return json.dumps(max(map(len, need.keywords), default=0))

    def judge(self, lesson, papers):
        long = json.loads(lesson) or 1
        return {one: Judged(float(length), length / long) for one, length in papers.items()}

    def explain(self, lesson, paper, *, keywords):
        return (ScorePart("letters", float(len(paper.title))),)

    def why(self, lesson, paper, interest, *, keywords):
        return f"{len(paper.title)} letters"

    def terms(self, lesson):
        return [("length", 1.0, "related")]
'''


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run in an empty folder, where modules of one's own are found too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return Run(capsys)


# --- rank -------------------------------------------------------------------------------------


Rank = Callable[..., list[dict[str, Any]]]


def lines(records: Iterable[object]) -> str:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)


@pytest.fixture
def rank(run: Run, tmp_path: Path) -> Rank:
    """Rank papers for requests, and give the answers."""

    def ranked(
        *requests: Mapping[str, object], papers: Sequence[object] = RECORDS, options: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        (tmp_path / "P.jsonl").write_text(lines(papers), encoding="utf-8")
        (tmp_path / "R.jsonl").write_text(lines(requests), encoding="utf-8")
        assert asked(run, *options) == 0, run.err
        return [json.loads(one) for one in (tmp_path / "O.jsonl").read_text(encoding="utf-8").splitlines()]

    return ranked


def asked(run: Run, *options: str) -> int:
    return run("rank", "--papers", "P.jsonl", "--requests", "R.jsonl", "--out", "O.jsonl", *options)


def best(answer: Mapping[str, Any], count: int) -> set[str]:
    scores = answer["scores"]
    return set(sorted(scores, key=lambda one: -scores[one])[:count])


def test_every_candidate_of_every_request_has_a_score_and_what_belongs_comes_first(rank: Rank) -> None:
    keyword, text, likes, both = rank(
        {"qid": "keyword", "keywords": ["fern"], "candidates": IDS},
        {"qid": "text", "text": "the gluten of sourdough loaves", "candidates": IDS},
        {"qid": "likes", "liked": BREAD[:5], "disliked": FERNS[:3], "candidates": IDS[::-1]},
        {"qid": "both", "keywords": ["fern"], "liked": FERNS[:3], "candidates": IDS[::2], "note": "unread"},
    )
    assert [one["qid"] for one in (keyword, text, likes, both)] == ["keyword", "text", "likes", "both"]
    for one in (keyword, text, likes):
        assert set(one["scores"]) == set(IDS)
        assert all(isinstance(score, float) for score in one["scores"].values())
    assert list(likes["scores"]) == IDS[::-1]
    assert set(both["scores"]) == set(IDS[::2])
    assert best(keyword, len(FERNS)) == set(FERNS)
    assert best(text, 20) <= set(BREAD)
    assert best(likes, len(BREAD)) == set(BREAD)
    assert best(both, 4) == set(FERNS) & set(IDS[::2])


def test_the_same_request_has_the_same_answer_whatever_the_order_of_lines(rank: Rank, tmp_path: Path) -> None:
    requests = [
        {"qid": "1", "keywords": ["fern", "peal"], "liked": BREAD[:4], "candidates": IDS},
        {"qid": "2", "disliked": BREAD[4:6], "text": "gear and pallet", "candidates": IDS},
    ]
    rank(*requests)
    content = (tmp_path / "O.jsonl").read_bytes()
    shuffled = Random(5).sample(RECORDS, len(RECORDS))  # noqa: S311 - the same order each time
    second, first = rank(*requests[::-1], papers=shuffled)
    assert [first, second] == [json.loads(one) for one in content.splitlines()]
    rank(*requests, papers=shuffled)
    assert (tmp_path / "O.jsonl").read_bytes() == content


def test_of_very_many_papers_the_same_ones_teach_whatever_the_order_of_lines(rank: Rank) -> None:
    many: list[object] = [
        {"id": f"{number:06}", "title": f"pale{number % 37} fern"} for number in range(20_100)
    ]
    request = {"qid": "1", "keywords": ["pale7", "fern"], "candidates": ["000007", "000009"]}
    (answer,) = rank(request, papers=many)
    assert answer["scores"]["000007"] > answer["scores"]["000009"]
    assert rank(request, papers=[*many[1::2], *many[::2]]) == [answer]


def test_a_judged_paper_that_is_not_known_is_passed_over(rank: Rank) -> None:
    known = {"keywords": ["fern"], "liked": BREAD[:2], "disliked": FERNS[:1], "candidates": IDS}
    strangers = [f"stranger {number}" for number in range(9)]
    more = known | {"liked": [*strangers, *BREAD[:2]], "disliked": [*FERNS[:1], *strangers]}
    first, second = rank({"qid": "1"} | known, {"qid": "2"} | more)
    assert first["scores"] == second["scores"]


def test_who_asks_for_nothing_gets_equal_scores(rank: Rank) -> None:
    empty, unknown, none = rank(
        {"qid": "1", "keywords": [], "text": "", "candidates": IDS[:5]},
        {"qid": "2", "keywords": None, "text": None, "liked": ["nobody"], "candidates": IDS[:5]},
        {"qid": "3"},
    )
    for answer in (empty, unknown):
        assert set(answer["scores"]) == set(IDS[:5])
        assert len(set(answer["scores"].values())) == 1
    assert none == {"qid": "3", "scores": {}}


def test_ids_and_words_may_be_of_any_script(rank: Rank) -> None:
    papers: list[dict[str, object]] = [
        {"id": "論文 №1", "title": "Папоротник в тени"},
        {"id": "é\u2028\n", "title": "Хлеб"},
        {"id": "\N{BELL}", "title": "Звон", "abstract": None, "year": 2026, "authors": ["Ада"]},
    ]
    ids = [str(one["id"]) for one in papers]
    (answer,) = rank({"qid": "ф", "keywords": ["папоротник"], "candidates": ids}, papers=papers)
    assert answer["qid"] == "ф"
    assert set(answer["scores"]) == set(ids)
    assert best(answer, 1) == {"論文 №1"}


def test_half_a_character_in_an_id_comes_back_as_it_was(run: Run, tmp_path: Path) -> None:
    (tmp_path / "P.jsonl").write_text(r'{"id": "\ud83d", "title": "Half a bell"}')
    (tmp_path / "R.jsonl").write_text(r'{"qid": "\udd14", "keywords": ["bell"], "candidates": ["\ud83d"]}')
    assert asked(run) == 0, run.err
    answer = json.loads((tmp_path / "O.jsonl").read_text(encoding="utf-8"))
    assert (answer["qid"], list(answer["scores"])) == ("\udd14", ["\ud83d"])


def test_no_requests_have_no_answers(rank: Rank, tmp_path: Path) -> None:
    (tmp_path / "O.jsonl").write_text("what was there before")
    assert rank() == []
    assert rank(papers=[]) == []
    assert rank({"qid": "1", "keywords": ["fern"]}, papers=[]) == [{"qid": "1", "scores": {}}]


PAPER = '{"id": "a", "title": "Fern"}'
REQUEST = '{"qid": "1", "keywords": ["fern"], "candidates": ["a"]}'


@pytest.mark.parametrize(
    ("papers", "requests", "says"),
    [
        (f"{PAPER}\n\n{{", REQUEST, "P.jsonl:3: this is no JSON"),
        ("[" * 100_000, REQUEST, "P.jsonl:1: this is no JSON"),
        (f"{PAPER}\n\udcff", REQUEST, "P.jsonl:2: this is no JSON"),
        (f"{PAPER}\n[1]", REQUEST, "P.jsonl:2: this is no JSON object. Write one object a line"),
        ('{"title": "Fern"}', REQUEST, 'P.jsonl:1: \'id\' is no text. Write "id": "…"'),
        ('{"id": 7}', REQUEST, "P.jsonl:1: 'id' is no text"),
        ('{"id": "a", "title": ["Fern"]}', REQUEST, "P.jsonl:1: 'title' is no text"),
        ('{"id": "a", "abstract": 7}', REQUEST, "P.jsonl:1: 'abstract' is no text"),
        (PAPER, f"{REQUEST}\nnot JSON", "R.jsonl:2: this is no JSON"),
        (PAPER, '"text"', "R.jsonl:1: this is no JSON object"),
        (PAPER, '{"candidates": []}', "R.jsonl:1: 'qid' is no text"),
        (PAPER, '{"qid": 1}', "R.jsonl:1: 'qid' is no text"),
        (
            PAPER,
            '{"qid": "1", "keywords": "fern"}',
            "R.jsonl:1: 'keywords' is no list of texts. Write \"keyw",
        ),
        (PAPER, '{"qid": "1", "liked": [7]}', "R.jsonl:1: 'liked' is no list of texts"),
        (PAPER, '{"qid": "1", "disliked": {}}', "R.jsonl:1: 'disliked' is no list of texts"),
        (PAPER, '{"qid": "1", "text": []}', "R.jsonl:1: 'text' is no text"),
        (PAPER, f'\n{REQUEST[:-2]}, "b"]}}', "R.jsonl:2: the candidate 'b' is not among the papers"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(
    run: Run, tmp_path: Path, papers: str, requests: str, says: str
) -> None:
    (tmp_path / "P.jsonl").write_text(papers, encoding="utf-8", errors="surrogateescape")
    (tmp_path / "R.jsonl").write_text(requests, encoding="utf-8")
    assert asked(run) == 2
    assert run.err.startswith(f"digest: {says}")
    assert not (tmp_path / "O.jsonl").exists()


def test_files_that_are_not_there_are_told(run: Run, tmp_path: Path) -> None:
    assert asked(run) == 2
    assert "'P.jsonl' does not exist" in run.err
    (tmp_path / "P.jsonl").write_text(PAPER)
    (tmp_path / "R.jsonl").write_text(REQUEST)
    assert asked(run, "--out", "nowhere/O.jsonl") == 2
    assert run.err == "digest: nowhere/O.jsonl: this file cannot be written: No such file or directory\n"


def test_a_ranker_of_ones_own_ranks_too(rank: Rank, run: Run, tmp_path: Path) -> None:
    (tmp_path / "by_length.py").write_text(BY_LENGTH)
    papers = [{"id": "a", "title": "Fern"}, {"id": "b", "title": "Ferns"}]
    request = {"qid": "1", "candidates": ["a", "b"]}
    answers = rank(request, papers=papers, options=["--ranker", "by_length:ByLength"])
    assert answers == [{"qid": "1", "scores": {"a": 4.0, "b": 5.0}}]
    assert asked(run, "--ranker", "wrods") == 2
    assert run.err == "digest: nothing is called 'wrods' among the rankers. Did you mean words?\n"
    assert asked(run, "--ranker", "by_length:ByHeight") == 1
    assert "by_length:ByHeight: the plug-in cannot be loaded" in run.err


# --- in a configuration -----------------------------------------------------------------------

NEAR = written("ferns", 101, share=0.6)
MATCH = written("ferns", 100, more="fern")
OTHER = written("clocks", 100)
PROFILE = """name = "me"
[[interests]]
name = "Ferns"
keywords = ["fern"]
{more}
"""


def stored(folder: Path, *papers: Paper, extra: str = "", old: Sequence[Paper] = LIBRARY) -> Path:
    """A configuration for one person, with papers of long ago and of today."""
    config = configure(folder, extra=extra, profiles=())
    write_profile(folder)
    with app.load(str(config), {}).store() as store:
        store.add(listings(*old, source="file"), (), report("file", at=NOON - 20 * DAY))
        store.add(listings(*papers, source="file"), (), report("file"))
    return config


def write_profile(folder: Path, more: str = "") -> None:
    (folder / "profiles" / "me.toml").write_text(PROFILE.format(more=more), encoding="utf-8")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = stored(tmp_path, NEAR, MATCH, OTHER)
    monkeypatch.setenv("DIGEST_CONFIG", str(made))
    return made


def like(config: Path, *papers: Paper) -> None:
    with app.load(str(config), {}).store() as store:
        store.judge("me", papers, Opinion.LIKE, now=NOON)


def words(run: Run) -> dict[str, list[str]]:
    """The words that `digest terms --json` has, by where they come from."""
    (interest,) = run.json("terms")
    assert interest["interest"] == "Ferns"
    found: dict[str, list[str]] = {}
    for one in interest["words"]:
        assert isinstance(one["weight"], float)
        found.setdefault(one["from"], []).append(one["word"])
    return found


def labels(run: Run) -> dict[str, str]:
    """What `digest terms` printed behind each label."""
    return {row[:12].strip(): row[12:] for row in run.out.splitlines()[1:]}


@pytest.mark.usefixtures("config")
def test_the_words_that_were_learned_are_shown_and_how_to_change_them(run: Run) -> None:
    assert run("terms") == 0
    assert run.out.splitlines()[0] == "Ferns"
    learned = labels(run)
    assert list(learned) == ["learned"]
    shown, _, more = learned["learned"].rpartition(" and ")
    assert more.endswith(" more")
    assert len(shown.split(", ")) == 15
    strongest = [one.rpartition(" ")[0] for one in shown.split(", ")]
    assert len(set(strongest) & {*SUBJECTS["ferns"].split(), "fern"}) >= 12
    assert 'ban = ["word"]' in run.err
    everything = words(run)["related"]
    assert everything[:15] == strongest
    assert len(everything) == 15 + int(more.split()[0])
    assert run("terms", "me", "--all") == 0
    assert len(labels(run)["learned"].split(", ")) == len(everything)
    assert " more" not in run.out


def test_the_words_of_likes_are_told_apart(config: Path, run: Run) -> None:
    assert set(words(run)) == {"related"}
    like(config, *(one for one in LIBRARY if one.id in BREAD[:5]))
    assert set(words(run)) == {"related", "liked"}
    assert run("terms") == 0
    likes = labels(run)["likes"]
    assert len({one.split()[0] for one in likes.split(", ")} & set(SUBJECTS["bread"].split())) >= 8


def test_a_pinned_word_counts_and_a_banned_word_never_does(config: Path, run: Run, tmp_path: Path) -> None:
    note, banned = noted(config), words(run)["related"][0]
    write_profile(tmp_path, f'pin = ["Sea urchin", "kites"]\nban = ["{banned.title()}", "frond"]')
    found = words(run)
    assert set(found["pinned"]) == {"sea", "urchin", "kites"}
    assert not {banned, "frond"} & {*found["related"]}
    assert run("terms") == 0
    assert {row.split()[0] for row in labels(run)["pinned"].split(", ")} == {"sea", "urchin", "kites"}
    assert labels(run)["banned"] == f"{banned.title()}, frond"
    said = note.split(":")[0].split(", ")
    write_profile(tmp_path, f"ban = {json.dumps(said)}")
    assert not set(said) & set(noted(config).split(":")[0].split(", "))


def noted(config: Path) -> str:
    """Why the related paper of today would be shown."""
    made = app.load(str(config), {})
    with made.store() as store:
        digest = pipeline.draft(store, made.profile("me"), made.ranker, now=NOON)
    (note,) = (one.note for one in digest.recommendations if one.paper == NEAR)
    assert note.endswith(" with Ferns papers")
    return note


def test_of_several_profiles_one_is_named(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, profiles=("me", "you"))
    assert run("terms", "--config", config) == 2
    assert run.err == "digest: there are several profiles. Say which by --profile: me, you.\n"
    assert run("terms", "you", "--config", config) == 0
    assert run("terms", "they", "--config", config) == 2
    assert "no profile is called 'they'. There are me, you." in run.err


def test_before_anything_was_learned_that_is_said(tmp_path: Path, run: Run) -> None:
    config = stored(tmp_path, MATCH, old=LIBRARY[:40])
    assert run("terms", "--config", config) == 0
    assert "nothing yet: too few papers are stored" in run.out
    assert run.json("terms", "--config", config) == [{"interest": "Ferns", "words": []}]


@pytest.mark.parametrize(
    ("more", "line"),
    [('pin = ["!!"]', 5), ('pin = ["shade"]\nban = ["shade", "—"]', 6), ('ban = [""]', 5)],
)
def test_a_pin_or_a_ban_without_a_word_is_a_mistake_with_its_line(
    config: Path, run: Run, tmp_path: Path, more: str, line: int
) -> None:
    write_profile(tmp_path, more)
    assert run("terms") == 2
    name = more.splitlines()[-1][:3]
    assert run.err == (
        f"digest: {config.parent / 'profiles' / 'me.toml'}:{line}: {name}: one of these has no word in it. "
        f'Write {name} = ["word"].\n'
    )


def test_a_ranker_next_to_the_configuration_says_what_is_related(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "configuration"
    folder.mkdir()
    (folder / "by_length.py").write_text(BY_LENGTH)
    config = stored(folder, OTHER, extra='ranker = "by_length:ByLength"')
    assert run.json("terms", "--config", config) == [
        {"interest": "Ferns", "words": [{"word": "length", "weight": 1.0, "from": "related"}]}
    ]
    assert run("run", "--config", config, "--at", NOON.isoformat()) == 0
    with app.load(str(config), {}).store() as store:
        (digest,) = digests_of(store, "me")
    (found,) = digest.sections
    assert (found.kind, [one.paper for one in found.recommendations]) == ("related", [OTHER])
    assert found.recommendations[0].note == f"{len(OTHER.title)} letters"


@pytest.mark.parametrize("command", [["run"], ["terms"], ["explain", MATCH.id], ["check"]])
def test_a_ranker_that_nobody_knows_is_the_users_to_fix(tmp_path: Path, run: Run, command: list[str]) -> None:
    config = stored(tmp_path, MATCH, extra='ranker = "wrods"')
    assert run(*command, "--config", config) == 2
    assert "nothing is called 'wrods' among the rankers. Did you mean words?" in run.out + run.err


@pytest.mark.usefixtures("config")
def test_an_explanation_says_how_near_a_paper_is(run: Run) -> None:
    at = ["--at", NOON.isoformat()]
    for paper in (NEAR, OTHER, MATCH):
        ((one,),) = (found["profiles"] for found in run.json("explain", paper.id, *at))
        (relation,) = one["relations"]
        assert set(relation) == {"interest", "relation", "parts"}
        assert relation["interest"] == "Ferns"
        assert (relation["relation"] >= 1) == (paper != OTHER)
        assert run("explain", paper.id, *at) == 0
        percent = f"{max(0.0, relation['relation']):.0%} of what it takes"
        said = [row.strip() for row in run.out.splitlines() if "related to" in row]
        if paper == MATCH:
            assert said == []  # it is wanted, so nobody asks
        elif paper == OTHER:
            assert said == [f"related to Ferns: no, {percent}"]
            assert one["coming"]["state"] == "not_wanted"
        else:
            (only,) = said
            assert only.startswith(f"related to Ferns: yes, {percent}: ")
            total, _, parts = only.removeprefix(f"related to Ferns: yes, {percent}: ").partition(" = ")
            assert " (learned) " in parts
            assert sum(float(part.rpartition(" ")[2]) for part in parts.split(" + ")) == pytest.approx(
                float(total), abs=0.05
            )
            assert "the next digest would show it under Related" in run.out
            assert (one["coming"]["state"], one["coming"]["section"]) == ("shown", "Related")
            assert sum(part["value"] for part in relation["parts"]) == pytest.approx(float(total), abs=0.005)


@pytest.mark.usefixtures("config")
def test_an_explanation_says_under_which_section_a_paper_was_shown(run: Run) -> None:
    assert run("run", "--at", NOON.isoformat()) == 0
    assert run("explain", NEAR.id) == 0
    assert ", under Related (me-" in run.out
