"""`digest check`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from digest.cli import exit_code, options
from digest.cli.output import count, document, line
from digest.core import mailbox
from digest.errors import ConfigError, DigestError

if TYPE_CHECKING:
    from digest.app import App
    from digest.config import CredentialTable, EmailTable, WebhookTable
    from digest.core.model import Digest, Profile


class _Finding(NamedTuple):
    subject: str
    detail: str
    code: int  # the exit code that it means
    warns: bool = False


@click.command()
@options.config
@click.option("--online", is_flag=True, help="Also log in to the mail server; sends nothing.")
@options.as_json
def check(config: str | None, *, online: bool, as_json: bool) -> int:
    """Look at everything that a run needs, and say what is wrong; sends nothing."""
    findings = list(_findings(config, online=online))
    if as_json:
        document([{"subject": f.subject, "ok": f.code == 0, "detail": f.detail} for f in findings])
    else:
        for finding in findings:
            colour = "red" if finding.code else "yellow" if finding.warns else "green"
            line(finding.subject, finding.detail, colour=colour)
    return max(finding.code for finding in findings)


def _findings(config: str | None, *, online: bool) -> Iterator[_Finding]:
    try:
        app = options.load(config)
    except DigestError as error:
        yield _Finding("config", str(error), exit_code(error))
        return
    profiles = count(len(app.config.profiles), "profile")
    yield _Finding("config", f"{app.config.path}, {profiles}, {app.config.timezone}", 0)
    if any(profile.schedule is None for profile in app.config.profiles):
        said = "none, so each `digest run` sends what is new; add [schedule] if it is called often"
        yield _Finding("schedule", said, 0)
    yield _checked("sources", lambda: ", ".join(source.name for source in app.sources))
    if keys := _keys(app):
        yield _checked("keys", lambda: ", ".join(f"{name}: {_resolved(app, keys[name])}" for name in keys))
    for name, folder in (("data", app.config.data_dir), ("output", app.config.output_dir)):
        yield _checked(name, partial(_writable, folder))
    yield _checked("database", lambda: _database(app))
    yield _checked("ranker", lambda: app.ranker().version)
    yield _checked("templates", lambda: _templates(app))
    if app.config.feeds.base_url is None:
        where = app.config.feeds.address
        yield _Finding("feeds", f"found at {where}, by `digest serve`; elsewhere, set feeds.base_url", 0)
    for webhook in app.config.webhooks:
        yield _checked("webhook", partial(_webhook, app, webhook))
    email = app.config.email
    if email is None:
        yield _Finding("mail", "no server is configured: feeds and archive alone", 0)
        return
    yield from _unread(app)
    yield _checked("secret", lambda: _secret(app, email))
    if email.folder is not None:
        yield _checked("mail", partial(_writable, Path(email.folder)))
    elif email.transport == "sendmail":
        yield _checked("mail", partial(_program, email.command[0]))
    elif online:
        yield _checked("mail", lambda: _login(app, email))
    if online and email.imap is not None:
        yield _checked("mailbox", lambda: _mailbox(app, email))


def _checked(subject: str, look: Callable[[], str]) -> _Finding:
    try:
        return _Finding(subject, look(), 0)
    except DigestError as error:
        return _Finding(subject, str(error), exit_code(error))


def _writable(folder: Path) -> str:
    around = folder
    while not around.exists():
        around = around.parent
    if not around.is_dir() or not os.access(around, os.W_OK):
        raise ConfigError(
            "this folder cannot be written",
            place=str(around),
            remedy="Change its permissions, or name another.",
        )
    return str(folder)


def _templates(app: App) -> str:
    """Fill in every template, so that one that fails does so here; says which ones are the user's."""
    from digest import resources
    from digest.core.shelf import shelf

    profile, digest = _sample(app)
    digests = shelf([digest])
    whole = app.feed_renderer(entry="digest")
    for files in (
        app.files(profile, digest),
        whole.render(profile, digests),
        app.archive.render(profile, digests),
    ):
        for _ in files:
            pass
    app.archive.overview([profile], [digest.summary])
    shown = {"nonce": "", "title": profile.title, "paper": digest.overflow[0].paper}
    for state in ("comes", "is_stopped", "stopped", "started"):
        app.web_page("stop.html.j2", state=state, address="", **shown)
    for action, done in (("like", False), ("dislike", True), ("forget", True)):
        form = {"action": action, "paper": "", "token": ""} if action != "forget" else None
        app.web_page("opinion.html.j2", action=action, done=done, form=form, **shown)
    for name in app.notices.renderer.forms():
        app.notices.renderer.compose(profile, digest, form=name, values={"topic": "sample"})
    if app.config.templates is None:
        return "each can be filled in"
    names = sorted(path.name for path in resources.folder("templates").iterdir())
    yours = [name for name in names if (app.config.templates / name).is_file()]
    return f"each can be filled in; yours: {', '.join(yours) or 'none'}"


def _sample(app: App) -> tuple[Profile, Digest]:
    """A digest in which every template finds something."""
    from digest import pipeline
    from digest.app import now
    from digest.core.sample import with_everything

    profile = app.config.profiles[0]
    with app.store() as store:
        return profile, with_everything(pipeline.draft(store, profile, app.ranker, now=now()))


def _database(app: App) -> str:
    with app.store() as store:
        return f"{store.revision()} changes stored"


def _unread(app: App) -> Iterator[_Finding]:
    """The profiles whose mail everybody has stopped."""
    with suppress(DigestError), app.store() as store:  # which `database` has told
        for profile in app.config.profiles:
            stopped = app.stopped(store, profile)
            if stopped and all(mailbox.key(recipient) in stopped for recipient in profile.recipients):
                said = f"all of {profile.name!r} have stopped its mail. `digest status` says when."
                yield _Finding("recipients", said, 0, warns=True)


def _keys(app: App) -> Mapping[str, CredentialTable]:
    try:
        return app.keys
    except DigestError:
        return {}  # which `sources` has told


def _secret(app: App, email: EmailTable) -> str:
    if email.oauth2 is not None:
        tables = (email.oauth2.token, email.oauth2.client_secret, email.oauth2.refresh_token)
        return ", ".join(_resolved(app, table) for table in tables if table)
    return _resolved(app, email.password) if email.password else "no password is configured"


def _webhook(app: App, webhook: WebhookTable) -> str:
    app.notices.compose(*_sample(app), webhook.name)
    if webhook.url.plain is None:
        return f"{webhook.name}: {_resolved(app, webhook.url)}"
    return f"{webhook.name}: its address stands in the configuration"


def _resolved(app: App, table: CredentialTable) -> str:
    """Where a secret is. Raises CredentialError if it is not there."""
    from digest.credentials import describe

    app.ways.secret(table)()
    return describe(app.ways.reference(table))


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ConfigError(
            "there is no such program", place=name, remedy="Name another in `email.command`, or install it."
        )
    return found


def _login(app: App, email: EmailTable) -> str:
    server = app.ways.smtp(email)
    try:
        server.connect()
    finally:
        server.close()
    return "the mail server takes our login"


def _mailbox(app: App, email: EmailTable) -> str:
    box = app.ways.imap(email)
    try:
        box.holds("<nothing@digest.invalid>")
    finally:
        box.close()
    return "it can be looked into"
