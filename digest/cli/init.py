"""`digest init`: questions, and what is made of the answers; no file is written before the last one.

topics → e-mail → provider → time → sources → what would have been caught → password → files → test mail
"""

from __future__ import annotations

import difflib
import glob
import os
import re
import secrets
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

import click

from digest.cli import fail
from digest.cli.output import cells, coloured, count, line, moment, printable, progress, say, width
from digest.core import example, mailbox, origins, topics
from digest.core.lines import clean
from digest.core.origins import Origin
from digest.core.providers import PROVIDERS, Provider, as_meant, guess
from digest.errors import ConfigError, CredentialError, DigestError, QueryError

if TYPE_CHECKING:
    from digest.app import App
    from digest.core.backtest import Backtest, Hit, InterestReport
    from digest.core.model import Interest
    from digest.redaction import Secret

T = TypeVar("T")

_EXAMPLES = "Swin, talking face or lip sync not facebook"
_SITES = "huggingface, arxiv:cs.CV,cs.SD, biorxiv, medrxiv"
_OWN = "own"
_ENTRY = "digest-smtp"
_PASSWORD_FILE = "smtp-password"  # noqa: S105 - as the example calls it
_VARIABLE = "DIGEST_SMTP_PASSWORD"
_PORTS = {"tls": 465, "starttls": 587, "none": 25}
_DAYS = 36_500  # all that is stored: what is tried is the words, not the time
_PATIENCE = 15.0  # seconds for a page that somebody waits for
_SAMPLES = 2
_FEW = 10  # papers, of which most may be wanted all the same
_MOST_LINES = 24  # of a list, so that a terminal shows it whole
_MOST_TOPICS = 8  # that have a line each
_SERVER = re.compile(r"(?:\[([^\s/@\[\]]+)\]|([^\s/@:\[\]]+))(?::(\d{1,5}))?")
_HOST_LIKE = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}(?::\d+)?(?:/.*)?", re.IGNORECASE)
_CATEGORY_LIKE = re.compile(
    r"(?:astro-ph|cond-mat|cs|econ|eess|math|nlin|physics|q-bio|q-fin|stat)\.[A-Za-z-]+", re.IGNORECASE
)
_SEVERAL = re.compile(r"\S@[^\s,;<>]+>?(?:\s*[,;]|\s+(?!<)).*@")  # but `a@x.org <a@x.org>` is one
_TIME = re.compile(r"(\d{1,2})(?:[:.](\d\d))?")
_INTEREST = """# A keyword ignores case, hyphens and plural: "Swin" finds "SwinV2" and "Swin-Free",
# but neither "Swing" nor "CSWin". A phrase is found across hyphens and line breaks.
# `digest try` shows what keywords find. Of keywords any has to be there, of exclude none.
"""


def _security(text: str) -> str:
    """How a server is talked to; as mail programs call it, too. Raises ValueError."""
    name = text.lower()
    name = "tls" if name in {"ssl", "ssl/tls"} else name
    if name not in _PORTS:
        raise ValueError("say tls, starttls or none")
    return name


class _Security(click.Choice[str]):
    """The names that `_security` knows."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401 - click's
        with suppress(ValueError):
            value = _security(value)
        return super().convert(value, param, ctx)


@dataclass(frozen=True)
class _Wish:
    """What the command line says."""

    yes: bool
    folder: str | None
    topic: tuple[str, ...]
    email: str | None
    provider: str | None
    host: str | None
    port: int | None
    security: str | None
    username: str | None
    at: str | None
    source: tuple[str, ...]
    password_stdin: bool
    test_mail: bool

    def check(self) -> None:
        """Raise UsageError for what does not go together."""
        of_mail = {
            "--provider": self.provider,
            "--host": self.host,
            "--port": self.port,
            "--security": self.security,
            "--username": self.username,
            "--password-stdin": self.password_stdin,
            "--test-mail": self.test_mail,
        }
        given = [name for name, value in of_mail.items() if value not in (None, False)]
        if given and (self.email == "" or (self.is_silent and self.email is None)):
            raise click.UsageError(f"{given[0]} needs --email.")
        if self.host and self.provider not in (None, _OWN):
            raise click.UsageError("--host is for a server of your own: leave out --provider.")

    @property
    def is_silent(self) -> bool:
        """Whether nothing is asked; what comes on standard input is then the password."""
        return self.yes or self.password_stdin


@dataclass(frozen=True)
class _Mail:
    """Where the mail goes, and who sends it."""

    recipient: str
    host: str
    port: int
    security: str
    username: str | None
    provider: Provider | None

    @property
    def address(self) -> str:
        return mailbox.parse(self.recipient).address

    @property
    def server(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def by_token(self) -> bool:
        return self.provider is not None and self.provider.by_token

    @property
    def wants_password(self) -> bool:
        return self.username is not None and not self.by_token


@dataclass(frozen=True)
class _Answers:
    interests: tuple[Interest, ...]
    mail: _Mail | None
    at: tuple[str, ...]
    sources: tuple[Origin, ...]
    password: Mapping[str, str]  # where it is

    def files(self) -> dict[str, str]:
        """The files, by their names below the folder; the last one makes the others count."""
        return {"profiles/me.toml": self._profile(), "digest.toml": self._configuration()}

    def _profile(self) -> str:
        text = _bundled("profiles/talking-face.toml")
        head, _, rest = text.partition("[[interests]]\n")
        examples = rest.partition("\n\n")[2]
        values: dict[str, example.Value] = {"name": "me", "title": topics.title(self.interests)}
        if self.mail:
            values["recipients"] = [self.mail.recipient]
        tables = []
        for interest in self.interests:
            parts = {"name": interest.name, "keywords": interest.keywords, "exclude": interest.exclude}
            assigned = (example.assignment(key, value) for key, value in parts.items() if value)
            tables.append("\n".join(("[[interests]]", *assigned)))
        head = example.on_top(f"{head}[", values).removesuffix("[")
        return head + _INTEREST + "\n\n".join((*tables, examples))

    def _configuration(self) -> str:
        text = _bundled("digest.toml")
        text = example.in_force(text, "[schedule]", {"at": self.at})
        if "huggingface" not in {source.kind for source in self.sources}:
            text = example.out_of_force(text, "[[sources]]", first='kind = "huggingface"')
        seen: set[str] = set()
        for source in self.sources:
            shown = "biorxiv" if source.kind == "medrxiv" else source.kind
            put = example.followed if shown in seen else example.in_force
            values = {"kind": source.kind, **source.settings}
            text = put(text, "[[sources]]", values, first=f'kind = "{shown}"')
            seen.add(shown)
        return self._with_mail(text, self.mail) if self.mail else text

    def _with_mail(self, text: str, mail: _Mail) -> str:
        values: dict[str, example.Value] = {
            "from": f"Digest <{mail.address}>",
            "host": mail.host,
            "port": mail.port,
            "security": mail.security,
        }
        if mail.username is not None:
            values["username"] = mail.username
        if mail.wants_password:
            values["password"] = self.password
        if mail.provider and mail.provider.ca_file:
            values["ca_file"] = mail.provider.ca_file
        text = example.in_force(text, "[email]", values)
        if mail.by_token:
            command = {"command": ["oauth2-token", str(mail.username)]}
            text = example.in_force(text, "[email.oauth2]", {"token": command})
        return text


@click.command()
@click.option("--yes", is_flag=True, help="Ask nothing; what is not given is as in the examples.")
@click.option(
    "--dir", "folder", type=click.Path(file_okay=False), help="Where to; without: your configuration folder."
)
@click.option("--topic", metavar="TEXT", multiple=True, help="What papers are to be about; repeatable.")
@click.option("--email", metavar="ADDRESS", help='Where the mail goes; "": feeds and pages alone.')
@click.option("--provider", metavar="NAME", help=f"Who sends the mail: {', '.join(PROVIDERS)} or {_OWN}.")
@click.option("--host", metavar="NAME", help="A mail server of your own.")
@click.option("--port", type=click.IntRange(1, 65535), help="Its port.")
@click.option("--security", type=_Security(list(_PORTS)), help="How it is talked to.")
@click.option("--username", metavar="NAME", help='Who logs in there; "": nobody.')
@click.option("--at", metavar="HH:MM", help="When digests are due, local time.")
@click.option(
    "--source",
    metavar="WHAT",
    multiple=True,
    help=f"{_SITES}, a feed's address, or a file or folder of saved pages; repeatable.",
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; ask nothing.")
@click.option("--test-mail", is_flag=True, help="Send a mail to that address.")
def init(**given: Any) -> int:  # noqa: ANN401 - as `_Wish` says
    """Write a commented configuration, asking five questions; never overwrites.

    In a topic, commas separate several, "or" joins other words for one, "not" leaves papers out.
    """
    wish = _Wish(**given)
    wish.check()
    folder = _target(wish)
    try:
        answers, secret, is_tested = _asked(wish)
        with ExitStack() as undo:
            if answers.mail and secret:
                password = _kept(answers.mail, secret, undo, ask=not wish.is_silent)
                answers = replace(answers, password=password)
            kept = {_PASSWORD_FILE: f"{secret}\n"} if "file" in answers.password else {}
            _write(folder, kept | answers.files())
            undo.pop_all()
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nNothing was written.", err=True)
        raise
    click.echo()
    for number, name in enumerate(("digest.toml", "profiles/me.toml", *kept)):
        line("" if number else "Wrote", str(folder / name), colour="green")
    return _last_words(folder / "digest.toml", answers, secret, is_tested=is_tested)


def _target(wish: _Wish) -> Path:
    """The folder to write to. Raises ConfigError if the files are there, or none can be."""
    import platformdirs

    folder = (
        Path(wish.folder).expanduser().absolute() if wish.folder else platformdirs.user_config_path("digest")
    )
    for path in (folder / "digest.toml", folder / "profiles" / "me.toml"):
        if path.exists():
            raise ConfigError(
                "this file is there already", place=str(path), remedy="Edit it, or name another --dir."
            )
    around = next(path for path in (folder, *folder.parents) if path.exists())
    if not around.is_dir() or not os.access(around, os.W_OK):
        raise ConfigError(
            "nothing can be written here", place=str(around), remedy="Check its permissions, or name a --dir."
        )
    return folder


# --- questions --------------------------------------------------------------------------------


def _asked(wish: _Wish) -> tuple[_Answers, str, bool]:
    """All answers, the password if one was given, and whether to send a test mail."""
    on_terminal = sys.stdin is not None and sys.stdin.isatty() and not wish.is_silent
    ask = _Asking(is_silent=wish.is_silent)
    if on_terminal and not wish.topic:
        say("At most five questions. Enter takes what is in [brackets]; Ctrl-C leaves everything as it was.")
    said, interests = _topics(
        ask,
        "What should papers be about? Commas separate topics, “or” joins other words for one, “not” "
        f"leaves papers out. For example: {_EXAMPLES}",
        given=", ".join(wish.topic) or None,
    )
    email = ask(
        "E-mail",
        _address,
        "Where should the mail go? Enter alone: nowhere; there are feeds and web pages.",
        given=("--email", wish.email),
        default="",
        silently="",
    )
    mail = _mail(wish, email, ask) if email else None
    at = ask(
        "Time",
        _times,
        f"At what time, from Monday to Friday? It is local time, here that of {_zone()}.",
        given=("--at", wish.at),
        default="07:00",
        silently="07:00",
    )
    sources = ask(
        "Sources",
        lambda text: _sources(wish.source or origins.split(text)),
        f"Where do papers come from? {_SITES}, the address of a feed, a file or folder of saved pages; "
        "commas between.",
        given=("--source", "" if wish.source else None),
        default="huggingface",
        silently="huggingface",
    )
    answers = _Answers(interests, mail, at, sources, {"keyring": _ENTRY})
    said = said if on_terminal and not wish.topic else ""
    answers = _tried(answers, ask, said, on_terminal=on_terminal)
    secret = _secret(wish, mail, on_terminal=on_terminal) if mail else ""
    is_tested = wish.test_mail
    if mail and on_terminal and not is_tested and (secret or mail.username is None):
        click.echo()
        is_tested = click.confirm(f"Send a test mail to {mail.address}?", default=True)
    return answers, secret, is_tested


class _Asking:
    """Asks until the answer can be read; not, if it was given, or nothing is to be asked."""

    def __init__(self, *, is_silent: bool) -> None:
        self._is_silent = is_silent
        self._asked = 0  # questions with a number

    def __call__(
        self,
        label: str,
        read: Callable[[str], T],
        about: str = "",
        *,
        given: tuple[str, str | int | None],
        default: str = "",
        silently: str | None,
    ) -> T:
        """The answer; `silently` is that of nobody, if there may be one. Raises UsageError."""
        flag, answer = given
        if answer is None and self._is_silent:
            answer = silently
            if answer is None:
                raise click.UsageError(f"Nothing is asked, so say {flag}.")
        if answer is not None:
            try:
                return read(clean(str(answer)).strip())
            except (DigestError, ValueError) as error:
                raise click.BadParameter(_told(error, width(err=True)), param_hint=flag) from error
        if sys.stdin is None:
            raise click.UsageError(f"Nobody can be asked here, so say {flag}.")
        if about:
            self._asked += 1
            click.echo()
            say(f"{self._asked}. {about}", hang=3)
        while True:
            try:
                typed = click.prompt(label, default=default, show_default=bool(default))
                return read(clean(typed).strip())
            except click.Abort as stopped:
                if sys.stdin.isatty() or isinstance(stopped.__context__, KeyboardInterrupt):
                    raise
                click.echo()
                raise click.UsageError(
                    f"There are no more answers on standard input, so say {flag}."
                ) from None
            except (DigestError, ValueError) as error:
                say(click.style(_sentence(_told(error, width())), fg="yellow"))


def _told(error: Exception, room: int | None) -> str:
    """What is wrong; with the place below it only where that fits on a line."""
    text = str(error)
    if isinstance(error, QueryError) and room is not None and max(map(cells, text.split("\n")[1:])) > room:
        return DigestError.__str__(error)
    return text


def _topics(
    ask: _Asking, about: str = "", *, given: str | None = None, default: str = ""
) -> tuple[str, tuple[Interest, ...]]:
    """Topics, as they are said and as they are understood, which is shown."""
    said, interests = ask(
        "Topics",
        lambda text: (text, topics.parse(text)),
        about,
        given=("--topic", given),
        default=default,
        silently="Swin, talking face",
    )
    parts = [printable(topics.described(interest)) for interest in interests]
    if len(parts) > _MOST_TOPICS:
        parts = ["; ".join(parts)]
    for number, part in enumerate(parts):
        line("" if number else "Understood", part)
    return said, interests


def _sentence(text: str) -> str:
    """A message with a capital, unless its first word is spelled otherwise: arXiv."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].islower() else text


def _address(text: str) -> str:
    if _SEVERAL.search(text):
        raise ValueError('one address here; more in recipients = ["…", "…"] of profiles/me.toml')
    if text and not mailbox.parse(text).address.isascii():
        raise ValueError("an address with letters beyond ASCII is not supported")
    return text


def _times(text: str) -> tuple[str, ...]:
    times = []
    for one in filter(None, (part.strip() for part in text.split(","))):
        found = _TIME.fullmatch(one)
        if not found or int(found[1]) > 23 or int(found[2] or 0) > 59:  # noqa: PLR2004 - of the clock
            raise ValueError("write a time as 07:00, or several with commas between")
        times.append(f"{int(found[1]):02}:{found[2] or '00'}")
    return tuple(sorted(set(times))) or ("07:00",)


def _zone() -> str:
    from digest.config import machine_timezone

    return machine_timezone()


def _sources(parts: Sequence[str]) -> tuple[Origin, ...]:
    """The sources that are meant, each built once to see that it can be. Raises ConfigError."""
    found = tuple(origins.merged([_origin(part) for part in parts]))
    if not found:
        raise ConfigError("there is no source", remedy="Name at least one.")
    anything = topics.parse("x")
    try:
        with _drafted(_Answers(anything, None, ("07:00",), found, {})) as app:
            _ = app.sources
    except DigestError as error:
        raise ConfigError(error.message.removeprefix("sources: "), remedy=error.remedy) from error
    return found


def _origin(text: str) -> Origin:
    text = clean(text).strip()
    origin = origins.parse(text)
    if origin.kind != "file":
        return origin
    path = Path(os.path.expanduser(text))  # noqa: PTH111 - `Path.expanduser` raises where nobody has a home
    is_host_like = _HOST_LIKE.fullmatch(text) and not Path(text.partition("/")[0]).exists()
    if not path.exists() and (is_host_like or not glob.has_magic(text)):
        near = difflib.get_close_matches(text.lower(), origins.SITES, n=1)
        if _CATEGORY_LIKE.fullmatch(text):
            hint = f"Write arxiv:{text}."
        elif near:
            hint = f"Did you mean {near[0]}?"
        elif is_host_like:
            hint = "Write https:// before it if it is an address, or else make it first."
        else:
            hint = f"Make it first; or there are {_SITES}."
        raise ConfigError(f'there is no file or folder "{text}"', remedy=hint)
    # A path is relative to the configuration there, and to where somebody is here.
    return Origin("file", {"paths": [text if text.startswith("~") else str(path.absolute())]})


# --- mail -------------------------------------------------------------------------------------


def _mail(wish: _Wish, email: str, ask: _Asking) -> _Mail:
    domain = mailbox.parse(email).domain
    known = guess(domain)
    # Somebody who gives an address as an option has said who it is with.
    implied = known.name if known and wish.email is not None and not wish.host else None
    name = ask(
        "Provider",
        _provider,
        f"Who sends it? {', '.join(PROVIDERS)}, or {_OWN} for a mail server of your own.",
        given=("--provider", wish.provider or (_OWN if wish.host else implied)),
        default=known.name if known else _OWN,
        silently=None,
    )
    if name == _OWN:
        mail = _own_server(wish, email, ask)
    else:
        provider = PROVIDERS[name]
        line(provider.title, f"{provider.wants}.")
        mail = _Mail(
            email,
            provider.server(domain),
            wish.port or provider.port,
            wish.security or provider.security,
            _username(wish, email, provider, ask),
            provider,
        )
    line("Server", f"{mail.server}, {mail.security}")
    return mail


def _username(wish: _Wish, email: str, provider: Provider, ask: _Asking) -> str:
    if wish.username or provider.username != "asked":
        address = mailbox.parse(email).address
        return wish.username or (address.rpartition("@")[0] if provider.username == "local" else address)
    local, _, domain = mailbox.parse(email).address.rpartition("@")
    usual = f"{local}@icloud.com" if provider.knows(domain) else None
    return ask("User name", _present, given=("--username", None), default=usual or "", silently=usual)


def _own_server(wish: _Wish, email: str, ask: _Asking) -> _Mail:
    box = mailbox.parse(email)
    host, port = ask(
        "Mail server",
        partial(_server, wish.port),
        given=("--host", wish.host),
        default=f"smtp.{box.domain}",
        silently=None,
    )
    known = {465: "tls", 587: "starttls"}.get(port or 0)  # RFC 8314, 7.3, and RFC 6409, 3.1
    security = ask(
        "Encryption (tls, starttls or none)",
        _security,
        given=("--security", wish.security or known),
        default="starttls" if port else "tls",
        silently=None if port else "tls",
    )
    username = wish.username
    if username is None and security != "none":
        username = ask(
            "User name (-: there is no login)",
            _present,
            given=("--username", None),
            default=box.address,
            silently=box.address,
        )
    return _Mail(
        email,
        host,
        port or _PORTS[security],
        security,
        None if username in (None, "", "-") else username,
        None,
    )


def _provider(text: str) -> str:
    names = [*PROVIDERS, _OWN]
    if text.lower() in names:
        return text.lower()
    near = difflib.get_close_matches(text.lower(), names, n=1)
    raise ValueError(f"did you mean {near[0]}?" if near else f"say one of them, or {_OWN}")


def _server(given: int | None, text: str) -> tuple[str, int | None]:
    """Host and port, which may be `given`, too. Raises ValueError."""
    found = _SERVER.fullmatch(text)
    if not found or not 0 < int(found[3] or 1) < 65_536:  # noqa: PLR2004 - RFC 9293, 3.1
        raise ValueError(
            "write a host as smtp.example.org or [2001:db8::1], with :587 behind it if need be; no user name"
        )
    port = int(found[3]) if found[3] else given
    if given not in (None, port):
        raise ValueError(f"port {port} stands here, but --port says {given}")
    return found[1] or found[2], port


def _present(text: str) -> str:
    if not text:
        raise ValueError("this is needed")
    return text


def _secret(wish: _Wish, mail: _Mail, *, on_terminal: bool) -> str:
    """The password, or nothing if it is not given now."""
    secret = ""
    if not mail.wants_password:
        if wish.password_stdin:
            raise click.UsageError("--password-stdin: nobody logs in there by a password.")
    elif wish.password_stdin:
        secret = sys.stdin.readline().rstrip("\r\n") if sys.stdin else ""
        if not secret:
            raise click.UsageError("--password-stdin: there is no password on standard input.")
    elif on_terminal:
        click.echo()
        say(f"The password of {mail.username} for {mail.host}; it is not shown. Enter alone: later.")
        secret = click.prompt("Password", default="", show_default=False, hide_input=True)
    return as_meant(secret) if mail.provider else secret


def _kept(mail: _Mail, secret: str, undo: ExitStack, *, ask: bool) -> dict[str, str]:
    """Put the password into the keyring, else have it put elsewhere; gives where it is."""
    from digest import credentials
    from digest.redaction import Secret

    entry = _ENTRY
    line("Asking", "the keyring to keep the password; one that is locked may take a while …")
    known = _known(entry)
    if known and known.reveal() != secret:  # perhaps of another configuration
        entry = f"{_ENTRY}-{mail.address}"
        known = _known(entry)
    undo.callback(_take_back, entry, known)
    try:
        credentials.store(entry, Secret(secret), environ=os.environ)
    except CredentialError as error:
        undo.pop_all()
        line("Keyring", f"{_sentence(error.message)}.", colour="yellow")
        if not ask or click.confirm(
            f"Keep it in the file {_PASSWORD_FILE}, which only you can read?", default=True
        ):
            return {"file": _PASSWORD_FILE}
        return {"env": _VARIABLE}
    return {"keyring": entry}


def _known(entry: str) -> Secret | None:
    from digest import credentials

    with suppress(CredentialError):  # there is none, or what is wrong is said when it is stored
        return credentials.resolve(credentials.CredentialReference(keyring=entry), environ=os.environ)
    return None


def _take_back(entry: str, known: Secret | None) -> None:
    """Have the keyring hold what it held before."""
    from digest import credentials

    try:
        if known:
            credentials.store(entry, known, environ=os.environ)
        elif _known(entry):
            credentials.forget(entry, environ=os.environ)
        else:  # the interrupt was faster
            return
    except CredentialError as error:
        line("Keyring", f"{entry}: {error.message}.", colour="yellow", err=True)
    else:
        line("Keyring", f"{entry} is again as it was.", err=True)


# --- what would have been caught --------------------------------------------------------------


def _tried(answers: _Answers, ask: _Asking, said: str, *, on_terminal: bool) -> _Answers:
    """Show what the topics find in the pages at hand; where they were `said` here, they may be changed."""
    try:
        with _drafted(answers) as app, _at_hand(app, on_terminal=on_terminal) as trial:
            while trial is not None:
                profile = replace(trial.profiles()[0], interests=answers.interests)
                result = trial.backtest(profile, at=_now(), days=_DAYS)
                click.echo()
                _show(result)
                poor = [one for one in result.interests if not one.hits or _is_much(result, one.hits)]
                if not (said and result.papers and poor) or not click.confirm("Change topics?"):
                    break
                said, interests = _topics(ask, default=said)
                answers = replace(answers, interests=interests)
    except DigestError as error:  # such as a database of a newer version, which `digest check` tells again
        line("Not tried", str(error), colour="yellow")
    return answers


@contextmanager
def _drafted(answers: _Answers) -> Iterator[App]:
    """The program as it would be with these answers. Raises ConfigError."""
    from digest import app

    with tempfile.TemporaryDirectory(prefix="digest-") as folder:
        _write(Path(folder), answers.files())
        yield app.load(str(Path(folder) / "digest.toml"), {})


@contextmanager
def _at_hand(app: App, *, on_terminal: bool) -> Iterator[App | None]:
    """The program with what is stored, and with the pages that can be read now; None if there is neither."""
    config = app.config
    chosen = [source for source in config.sources if source.kind == "file"]
    others = [source.name for source in config.sources if source not in chosen]
    if on_terminal and others:
        click.echo()
        if click.confirm(f"Read {', '.join(others)} now, to see what your topics would catch?", default=True):
            chosen = list(config.sources)
    if not chosen and not Path(config.database.removeprefix("sqlite:///")).is_file():
        yield None
        return
    network = config.network.model_copy(update={"timeout": _PATIENCE})
    reading = replace(app, config=replace(config, sources=tuple(chosen), network=network))
    with reading.rehearsal() as trial:
        names = [source.name for source in chosen]
        with trial.store() as store, progress("Reading", names) as done:
            for report in trial.collect(store, at=_now(), done=done):
                if report.error:
                    line("Not read", report.error, colour="yellow")
        yield trial


def _show(result: Backtest) -> None:
    if not result.papers:
        line("At hand", "there is no paper yet to try topics on.")
        return
    line("At hand", f"{count(result.papers, 'paper')}; of these your topics would catch:")
    for samples in range(_SAMPLES, -1, -1):
        shown = [text for report in result.interests for text in _caught(result, report, samples)]
        if len(shown) <= _MOST_LINES:
            break
    else:
        shown = ["; ".join(shown)]
    for text in shown:
        line("", text)


def _caught(result: Backtest, report: InterestReport, samples: int) -> Iterator[str]:
    """What a topic would catch, with so many titles; words that stand nowhere are told beside titles."""
    keywords = {keyword.keyword for keyword in report.keywords}
    nowhere = [one for one in result.nowhere if one.keyword in keywords]
    name = printable(report.interest)
    if not report.hits:
        yield f"{name}: none{_meant([near for one in nowhere for near in one.near])}"
        return
    yield f"{name}: {report.hits}{', which is most' if _is_much(result, report.hits) else ''}"
    own = [hit for hit in result.hits if report.interest in hit.interests]
    for hit in sorted(own, key=lambda hit: not _in_title(hit, report.interest))[:samples]:
        yield f"  {_marked(hit, report.interest)}"
    for one in nowhere if samples else ():
        yield f"  {printable(one.keyword)} stands in none{_meant(one.near)}"


def _meant(near: Sequence[str]) -> str:
    return f"; did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""


def _is_much(result: Backtest, hits: int) -> bool:
    return result.papers >= _FEW and 2 * hits > result.papers


def _in_title(hit: Hit, interest: str) -> list[tuple[int, int]]:
    return [(one.start, one.end) for one in hit.matches if one.interest == interest and one.field == "title"]


def _marked(hit: Hit, interest: str) -> str:
    from digest.core.highlight import segments
    from digest.core.tex import readable

    title = readable(hit.paper.title)
    pieces = segments(title.text, [title.placed(*span) for span in _in_title(hit, interest)])
    mark = partial(click.style, bold=True, fg="green") if coloured() else "*{}*".format
    return "".join(mark(printable(text)) if is_evidence else printable(text) for text, is_evidence in pieces)


# --- files, and what is said of them ----------------------------------------------------------


def _bundled(name: str) -> str:
    from digest import resources

    return (resources.folder("config") / name).read_text(encoding="utf-8")


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Write new files, for their owner alone, all or none. Raises ConfigError."""
    try:
        with ExitStack() as undo:
            for path, content in ((folder / name, content) for name, content in files.items()):
                for parent in reversed([parent for parent in path.parents if not parent.exists()]):
                    parent.mkdir(mode=0o700)
                    undo.callback(parent.rmdir)
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                undo.callback(path.unlink)
                with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - it is open already
                    stream.write(content)
            undo.pop_all()
    except OSError as error:
        raise ConfigError(
            f"it cannot be written: {error.strerror}",
            place=error.filename or str(folder),
            remedy="Nothing was written. Name another --dir.",
        ) from error


def _last_words(path: Path, answers: _Answers, secret: str, *, is_tested: bool) -> int:
    """Say where the password is, send the test mail and name the next commands; gives the exit code."""
    from digest import app, config
    from digest.core import slots

    mail, code = answers.mail, 0
    environ = {**os.environ, **({_VARIABLE: secret} if "env" in answers.password else {})}
    loaded = app.load(str(path), environ)
    if mail and mail.by_token:
        needed = f"a command `oauth2-token {mail.username}` that prints an access token: name yours in"
        line(
            "Missing", f"{needed} [email.oauth2]; https://github.com/ltratt/pizauth has one.", colour="yellow"
        )
    elif mail and mail.wants_password:
        entry = answers.password.get("keyring")
        if "env" in answers.password:
            line("Password", f"Set {_VARIABLE} where digest is started.")
        elif entry and not secret:
            line("Password", f"Store it with `digest secret set {entry}`.")
        elif entry:
            line("Password", f"It is in the keyring, as {entry}.")
    if mail and is_tested:
        code = _test(loaded, answers, mail)
    found = None
    with suppress(ConfigError):
        found = config.find(None, os.environ)
    option = "" if found and found.resolve() == path.resolve() else f" --config {shlex.quote(str(path))}"
    schedule = loaded.profiles()[0].schedule
    assert schedule is not None  # noqa: S101 - it was asked for
    now = _now()
    due = moment(slots.following(schedule, now), now, ZoneInfo(schedule.timezone))
    line("Next", f"`digest check --online{option}` looks whether all is well,")
    line("", f"`digest run{option}` does what is due now,")
    line("", f"`digest schedule{option}` stays and does it when it is due: next {due}.")
    return code


def _test(app: App, answers: _Answers, mail: _Mail) -> int:
    """Send a mail by the way that is configured; gives the exit code."""
    from digest.core.letter import letter

    table = app.config.email
    assert table is not None  # noqa: S101 - there is an address
    proof = f"This is the test mail that you asked for: digest can send mail through {mail.host}."
    outlook = (
        f"Papers on {topics.title(answers.interests)} will come to this address, at {', '.join(answers.at)}, "
        "whenever something new is found and digest runs then."
    )
    line("Sending", f"a test mail to {mail.address} through {mail.server} …")
    try:
        message = letter(
            mailbox.parse(table.sender),
            mailbox.parse(mail.recipient),
            "digest can send you mail",
            (proof, outlook),
            at=_now(),
            key=secrets.token_hex(16),
        )
        with closing(app.ways.mail(table)) as way:
            way.deliver(message, mail.recipient, handing_over=lambda: None)
    except DigestError as error:
        code = fail(error)
        line(
            "Not sent",
            "the test mail; the files above are written. `digest check --online` tries to log in again, "
            "and `digest run` sends what is due.",
            colour="yellow",
        )
        return code
    line("Sent", f"a test mail to {mail.address}: look for it there.", colour="green")
    return 0


def _now() -> datetime:
    from digest import app

    return app.now()
