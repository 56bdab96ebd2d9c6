"""Digests as files: one file per form. Equal digests give equal bytes.

What every form shares is here: the templates' environment; the words for what a template shows are in
`digest.core.phrases`. Whatever a template prints has passed `clean`, and in HTML and XML it is escaped,
so a title can neither break a page nor hide a line of it.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import jinja2
from jinja2.bccache import Bucket
from jinja2.nodes import EvalContext
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape
from rich.cells import cell_len

from digest.core import addresses, phrases
from digest.core.highlight import Span, segments, spans, why
from digest.core.lines import clean, one_line, shortened
from digest.core.model import (
    Digest,
    Listing,
    Match,
    Paper,
    Profile,
    Recommendation,
    Section,
    SourceReport,
)
from digest.core.tex import readable
from digest.errors import RenderError
from digest.resources import folder, version

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

# A character of a script without spaces, with the closing punctuation that no line may begin with.
_UNSPACED = "\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_BREAKABLE = re.compile(f"[{_UNSPACED}][^\\w\\s]*|[^{_UNSPACED}]+")
_VALUES = {Digest, Listing, Match, Paper, Profile, Recommendation, Section, SourceReport}


class _Compiled(jinja2.BytecodeCache):
    """Templates as they were compiled, by their source, for all environments of the process."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if (kept := self._kept.get(bucket.key)) is not None:
            bucket.bytecode_from_string(kept)  # unless it is of another source

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


def environment(*folders: Path) -> jinja2.Environment:
    """Templates from these folders, and digest's own for what they do not hold.

    A name that a template misspells is an error, never an empty string.
    """
    made = _Environment(
        loader=jinja2.FileSystemLoader([*folders, folder("templates")]),
        autoescape=_is_markup,
        undefined=jinja2.StrictUndefined,
        finalize=_finished,
        bytecode_cache=_COMPILED,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(
        day=phrases.day,
        http_url=addresses.http_url,
        marked=marked,
        month=phrases.month,
        quantity=phrases.quantity,
        readable=lambda text: readable(str(text)).text,
        sha256=sha256,
        short_day=phrases.short_day,
        shortened=shortened,
        source=phrases.source_label,
        starred=starred,
        weekday=phrases.weekday,
    )
    made.globals.update(
        badges=phrases.badges,
        beats=phrases.beats,
        byline=phrases.byline,
        catching_up=phrases.catching_up,
        changes=phrases.changes,
        coverage=phrases.coverage,
        dated=phrases.dated,
        explained=phrases.explained,
        facts=phrases.facts,
        gaps=phrases.gaps,
        heartbeat=phrases.heartbeat,
        links=addresses.links,
        page=addresses.page,
        spans=spans,
        tally=phrases.tally,
        too_old=phrases.too_old,
        waiting=phrases.waiting,
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
    return _with(name, lambda: templates.get_template(name).render(values))


def defined(templates: jinja2.Environment, name: str, variable: str) -> object:
    """What a template sets a variable to. Raises RenderError with the template's file and line."""
    value = _with(name, lambda: getattr(templates.get_template(name).module, variable, None))
    if value is None:
        raise RenderError(
            f"the template sets no {variable!r}", place=f"templates/{name}", remedy="See digest's own"
        )
    return value


def made_with(templates: jinja2.Environment, names: Iterable[str], *values: object) -> str:
    """A short name for all that files are made with beside digests: digest itself, templates, settings."""
    texts = [_source(templates, name)[0] for name in names]
    told = repr((version(), texts, values))
    return hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()[:16]


def _source(templates: jinja2.Environment, name: str) -> tuple[str, str | None]:
    """The text of a template and its file, without compiling it. Raises RenderError."""

    def found() -> tuple[str, str | None]:
        assert templates.loader is not None  # noqa: S101 - `environment` gave it one
        text, file, _ = templates.loader.get_source(templates, name)
        return text, file

    return _with(name, found)


def _with(name: str, use: Callable[[], Made]) -> Made:
    """What is made of a template. Raises RenderError."""
    try:
        return use()
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


def sha256(text: str) -> str:
    """What names an inline style sheet or script in a Content-Security-Policy (CSP 3, 2.3.1)."""
    return b64encode(hashlib.sha256(text.encode()).digest()).decode()


def printed(text: str, *, is_markup: bool) -> str:
    """A text as a template prints it."""
    if isinstance(text, Markup):
        return text
    plain = text if text.isprintable() else clean(text) if is_markup else one_line(text)
    return escape(plain) if is_markup else plain


def is_own(templates: jinja2.Environment, name: str) -> bool:
    """Whether a template is digest's own and not somebody's in its place. Raises RenderError."""
    _, file = _source(templates, name)
    return file is not None and Path(file).parent == folder("templates")


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


WIDTH = 72
"""Columns of plain text."""


def wrapped(text: str, width: int = WIDTH) -> str:
    """The text with each line broken that has more columns of a terminal than `width`.

    It goes on below its first word, which in an item of a list stands after "• ".
    A word that does not fit goes to a line of its own, unless it would leave less than a third of a
    line behind: an address stays with its label.
    """
    return "\n".join([line if _fits(line, width) else _broken(line, width) for line in text.split("\n")])


_MANY_COLUMNS = re.compile("[^\0-\u10ff]")  # what is before has one column, or none
_ONE_COLUMN = re.compile("[ -~\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027]*")


def _fits(line: str, width: int) -> bool:
    if len(line) <= width:
        return line.isascii() or not _MANY_COLUMNS.search(line) or cell_len(line) <= width
    return not _is_simple(line) and cell_len(line) <= width


def _is_simple(text: str) -> bool:
    """Whether every character is known to have one column."""
    return (text.isascii() and text.isprintable()) or _ONE_COLUMN.fullmatch(text) is not None


def _broken(text: str, width: int) -> str:
    words = text.lstrip(" ").removeprefix("• ")
    lead = text[: len(text) - len(words)]
    if text.isascii() and " " not in words[width // 3 :]:
        return text  # an address
    if (found := _broken_simply(words, lead, width)) is not None:
        return found
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


def _broken_simply(words: str, lead: str, width: int) -> str | None:
    """The same for what is nearly every abstract: words of one column a letter, none of them long."""
    room = width - len(lead)
    if "  " in words or words != words.strip(" ") or not _is_simple(words):
        return None
    lines, at = [], 0
    while at + room < len(words):
        end = words.rfind(" ", at, at + room + 1)
        if end < at + width // 3:
            return None
        lines.append(words[at:end])
        at = end + 1
    lines.append(words[at:])
    return lead + ("\n" + " " * len(lead)).join(lines)


def _breakable(text: str) -> Iterator[tuple[str, int]]:
    """What a line may end after, with the columns of space before it."""
    for word in text.split(" "):
        space = 1
        for piece in _BREAKABLE.findall(word) if not word.isascii() else (word,):
            yield piece, space
            space = 0
