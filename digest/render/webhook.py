"""What a webhook takes: JSON by a template, one for each service.

A template is `webhook_<form>.json.j2` and prints JSON. What it gives is read and written anew, so it may be
laid out as it likes, and no text of a paper can break it.
Services refuse what is too long, so a form shows as many papers as its service takes, in turn from each
section, and counts the rest.

A template is given `profile`, `digest`, the `values` of the webhook's table, and in words, each on one line:
`headline`, `title`, `day`, `remarks`, `archive_url` (may be empty), `more` (how many papers are not shown),
and `sections` with `heading`, `papers` (how many), `explanation` and `items`; of these each has `title`,
`url`, `byline`, `facts`, `why` and `links` (label and address).
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jinja2

from digest.core.addresses import joined, links, page
from digest.core.document import paper_document
from digest.core.highlight import why
from digest.core.lines import clean, one_line, shortened
from digest.core.model import Digest, Profile, Recommendation
from digest.core.phrases import (
    byline,
    catching_up,
    changes,
    coverage,
    due,
    explained,
    facts,
    heartbeat,
    quantity,
    too_old,
    waiting,
    weekday,
)
from digest.core.tex import readable
from digest.core.wire import entries, table
from digest.errors import RenderError
from digest.render import render

_LONGEST_TITLE = 300  # characters
_LONGEST_LINE = 200
_LONGEST_HEADLINE = 400
_LONGEST_REMARK = 500  # characters of all remarks together
_NEARLY = 3

_INVISIBLE = "\u200b"
# What services make a mention, an emoji, a channel, a hashtag, a link or an entity of.
_CALLING = re.compile(r"[@#:~<&](?=\S)|\bwww(?=\.)")
# What opens something within a line, and which CommonMark, Discord and Mattermost take a backslash before.
_MARKS = re.compile(r"[\\`*_\[\]~|]")
_IN_BRACKETS = {"(": "%28", ")": "%29", "@": "%40"}


class WebhookRenderer:
    """Composes a digest as the JSON of a form."""

    def __init__(self, templates: jinja2.Environment, *, base_url: str | None) -> None:
        """Use these templates; `base_url` is where the archive is found, if it is."""
        self._templates = templates.overlay()
        self._templates.filters = templates.filters | {
            "linked": linked,
            "markdown": markdown,
            "quiet": quiet,
            "slack": slack,
        }
        self._root = joined(base_url)

    def compose(self, profile: Profile, digest: Digest, *, form: str, values: Mapping[str, object]) -> bytes:
        """The body of the request, in UTF-8. Raises RenderError."""
        name = f"webhook_{form}.json.j2"
        if form not in (known := self.forms()):
            raise RenderError(
                f"no webhook has the form {form!r}",
                place="templates",
                remedy=f"There are {', '.join(known)}; to make another, write {name}",
            )
        words = self._words(profile, digest) | {"values": values}
        total = len(digest.recommendations)

        def filled(shown: int) -> object:
            contents = self._contents(digest, shown)
            return self._parsed(name, render(self._templates, name, **words, **contents))

        made = filled(total)
        fits = _FITS.get(form)
        if fits is not None and not fits(made):
            most = bisect_right(range(total), 0, key=lambda shown: int(not fits(filled(shown)))) - 1
            if most < 0:
                raise RenderError(
                    f"without any paper it is still more than {form} takes",
                    place=f"templates/{name}",
                    remedy="Shorten the template, or the webhook's `values`",
                )
            made = filled(most)
        return json.dumps(made, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

    def forms(self) -> list[str]:
        """The forms that there are templates of."""
        names = self._templates.list_templates(extensions=["j2"])
        found = (re.fullmatch(r"webhook_([a-z0-9_-]+)\.json\.j2", name) for name in names)
        return sorted(one[1] for one in found if one)

    def _parsed(self, name: str, text: str) -> object:
        try:
            return _cleaned(json.loads(text, parse_constant=_refuse))
        except (ValueError, RecursionError) as error:
            place = self._templates.get_template(name).filename
            raise RenderError(
                f"the template gives no JSON: {error}",
                place=place or f"templates/{name}",
                remedy="Print each value with `| tojson`, and no comma after the last",
            ) from error

    def _words(self, profile: Profile, digest: Digest) -> dict[str, object]:
        """The words around the papers."""
        archived = self._root and "archive" in profile.channels
        line = " · ".join(filter(None, (heartbeat(digest), coverage(digest))))
        said = (catching_up(digest), changes(digest), waiting(digest), too_old(digest), _nearly(digest))
        return {
            "profile": profile,
            "digest": digest,
            "document": _document,
            "headline": _plain(line, _LONGEST_HEADLINE),
            "title": _plain(digest.title, _LONGEST_LINE),
            "day": weekday(due(profile, digest)),
            "remarks": _plain(" ".join(filter(None, said)), _LONGEST_REMARK),
            "archive_url": f"{self._root}/archive/{profile.name}/{digest.id}.html" if archived else "",
        }

    def _contents(self, digest: Digest, shown: int) -> dict[str, object]:
        """The papers, and how many there are beside them."""
        # One from each section in turn, so that the last one is not the one without any.
        turns = sorted(
            (rank, at)
            for at, section in enumerate(digest.sections)
            for rank in range(len(section.recommendations))
        )
        shares = Counter(at for _, at in turns[:shown])
        return {
            "sections": [
                {
                    "heading": _plain(section.interest, _LONGEST_LINE),
                    "papers": quantity(len(section.recommendations), "paper"),
                    "explanation": explained(section.kind),
                    "items": [_item(one) for one in section.recommendations[: shares[at]]],
                }
                for at, section in enumerate(digest.sections)
                if shares[at]
            ],
            "more": len(turns) - shown + len(digest.overflow),
        }


# --- what is said of a paper ------------------------------------------------------------------


def _item(item: Recommendation) -> dict[str, object]:
    names, others = byline(item.paper)
    return {
        "title": _plain(readable(item.paper.title).text, _LONGEST_TITLE) or "(no title)",
        "url": page(item.paper),
        "byline": _plain(f"{names}{others}", _LONGEST_LINE),
        "facts": _plain(facts(item), _LONGEST_LINE),
        "why": _plain(_why(item), _LONGEST_LINE),
        "links": links(item.paper),
    }


def _why(item: Recommendation) -> str:
    found = ", ".join(f"“{readable(keyword).text}” in {where}" for keyword, where in why(item))
    return " · ".join(filter(None, (found, item.note)))


def _nearly(digest: Digest) -> str:
    titles = [shortened(readable(one.paper.title).text, 80) for one in digest.near_misses[:_NEARLY]]
    return f"Nearly: {'; '.join(titles)}." if titles else ""


def _document(item: Recommendation) -> dict[str, object]:
    """A recommendation as JSON can hold it."""
    return paper_document(item.paper) | {
        "page": page(item.paper),
        "interests": item.interests,
        "why": one_line(_why(item)),
        "score": item.score,
        "matches": [match._asdict() for match in item.matches],
        "missing": item.missing,
        "listings": [
            {
                "source": one.source,
                "listed_on": one.listed_on and one.listed_on.isoformat(),
                "position": one.position,
                "upvotes": one.upvotes,
                "comments": one.comments,
            }
            for one in item.listings
        ],
    }


def _plain(text: str, limit: int) -> str:
    return shortened(one_line(text), limit)


# --- how services read it ---------------------------------------------------------------------


def quiet(text: str) -> str:
    """The text with a space of no width where it would call somebody or something."""
    return _CALLING.sub(rf"\g<0>{_INVISIBLE}", text)


def markdown(text: str) -> str:
    """The text as Markdown shows it, in the middle of a line."""
    return _MARKS.sub(r"\\\g<0>", quiet(text))


def slack(text: str) -> str:
    """The text as Slack's mrkdwn shows it but for its marks; also an address that stands before a bar."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def linked(url: str) -> str:
    """An address as it stands in brackets of Markdown."""
    return "".join(_IN_BRACKETS.get(char, char) for char in url)


# --- how much services take -------------------------------------------------------------------


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else entries(value):
        yield from _strings(inner)


def _fits_slack(made: object) -> bool:
    """At most 50 blocks of at most 3000 characters each.

    About 13,200 characters in all are refused as msg_blocks_too_long, where a divider counts as 125
    (slackapi/bolt-js, issue 2509).
    """
    blocks = entries(table(made).get("blocks"))
    sizes = [len(text) for text in _strings(blocks)]
    return len(blocks) <= 50 and max(sizes, default=0) <= 3000 and sum(sizes) + 125 * len(blocks) <= 12_000  # noqa: PLR2004


def _fits_discord(made: object) -> bool:
    """Content of 2000, 10 embeds with titles of 256 and descriptions of 4096, and 6000 of all embeds."""
    content, embeds = table(made).get("content", ""), entries(table(made).get("embeds"))
    titles = [_units(table(one).get("title")) for one in embeds]
    texts = [_units(table(one).get("description")) for one in embeds]
    return (
        _units(content) <= 2000  # noqa: PLR2004
        and len(embeds) <= 10  # noqa: PLR2004
        and max(titles, default=0) <= 256  # noqa: PLR2004
        and max(texts, default=0) <= 4096  # noqa: PLR2004
        and sum(titles) + sum(texts) <= 6000  # noqa: PLR2004
    )


def _units(text: object) -> int:
    return len(str(text or "").encode("utf-16-le")) // 2  # as JavaScript counts, the most of all ways


def _fits_mattermost(made: object) -> bool:
    """16,383 characters: what is more becomes a second message."""
    return len(str(table(made).get("text"))) <= 16_383  # noqa: PLR2004


def _fits_ntfy(made: object) -> bool:
    """4096 bytes: what is more becomes a file that nobody opens."""
    return len(str(table(made).get("message")).encode()) <= 4096  # noqa: PLR2004


_FITS: dict[str, Callable[[object], bool]] = {
    "discord": _fits_discord,
    "mattermost": _fits_mattermost,
    "ntfy": _fits_ntfy,
    "slack": _fits_slack,
}


def _cleaned(value: Any) -> Any:  # noqa: ANN401 - JSON may be anything
    """A JSON value whose texts may be shown anywhere."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(name): _cleaned(inner) for name, inner in value.items()}
    return [_cleaned(inner) for inner in value] if isinstance(value, list) else value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")
