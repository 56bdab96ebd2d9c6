"""The ways out of messages, as they are configured: transports of mail, webhooks, and a mailbox to look into.

What only one of them needs is imported by that one, because start-up is felt.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digest import credentials
from digest.config import Config, CredentialTable, EmailTable, UrlTable, WebhookTable
from digest.core import mailbox
from digest.core.model import Channel, Digest, Profile
from digest.credentials import CredentialReference
from digest.errors import ConfigError
from digest.ports import Deliverer
from digest.redaction import Secret
from digest.sending import Pace, WayOut

_TIMEOUT = 60.0  # seconds, for each step of a conversation
_LOCAL_TIMEOUT = (
    600.0  # seconds; a program such as msmtp may wait for a server's final answer (RFC 5321, 4.5.3.2.6)
)

if TYPE_CHECKING:
    from httpx import Client

    from digest.deliver.imap import ImapMailbox
    from digest.deliver.smtp import SmtpDeliverer
    from digest.fetch.http import Network
    from digest.oauth import AccessToken
    from digest.render.webhook import WebhookRenderer


@dataclass(frozen=True)
class Ways:
    """What hands messages over, made from a configuration."""

    config: Config
    environ: Mapping[str, str]
    now: Callable[[], datetime]
    user_agent: str
    network: Callable[[], Network]

    def out(self, pause: Callable[[float], bool]) -> dict[Channel, WayOut]:
        """The ways out by channel; `pause` waits between two messages where there is a limit."""
        ways: dict[Channel, WayOut] = {"webhook": WayOut(self.webhooks)}
        if (email := self.config.email) is not None:
            ways["email"] = WayOut(
                lambda: self.mail(email),
                Pace(email.per_minute, email.per_run, email.per_day, pause),
                None if email.imap is None else lambda: self.imap(email),
                # A file that is there is not written again.
                resends=email.when_uncertain == "resend" or email.folder is not None,
            )
        return ways

    def mail(self, email: EmailTable) -> Deliverer:
        """What hands over mail. Raises ConfigError."""
        sender = mailbox.parse(email.sender).address
        if email.transport == "sendmail":
            from digest.deliver.sendmail import SendmailDeliverer

            return SendmailDeliverer(email.command, sender, timeout=email.timeout or _LOCAL_TIMEOUT)
        if email.transport == "maildir":
            from digest.deliver.maildir import MaildirDeliverer

            return MaildirDeliverer(Path(str(email.folder)))
        if email.transport == "eml":
            from digest.deliver.eml import EmlDeliverer

            return EmlDeliverer(Path(str(email.folder)))
        return self.smtp(email)

    def smtp(self, email: EmailTable) -> SmtpDeliverer:
        """The mail server. Raises ConfigError."""
        from digest.deliver.smtp import SmtpDeliverer

        return SmtpDeliverer(
            host=str(email.host),
            port=email.service_port,
            security=email.security or "tls",  # which `EmailTable` wants to be told
            username=email.username,
            password=self._optional(email.password),
            token=self._token(email),
            sender=mailbox.parse(email.sender).address,
            timeout=email.timeout or _TIMEOUT,
            context=authorities(email.ca_file, "email.ca_file"),
            **self._keep(email.password),
        )

    def imap(self, email: EmailTable) -> ImapMailbox:
        """The mailbox to look into. Raises ConfigError."""
        from digest.deliver.imap import ImapMailbox

        assert email.imap is not None  # noqa: S101 - whoever asks has seen it
        table = email.imap
        return ImapMailbox(
            host=table.host,
            port=table.service_port,
            security=table.security,
            username=table.username or email.username or mailbox.parse(email.sender).address,
            password=self._optional(table.password or email.password),
            token=None if table.password else self._token(email),
            folder=table.folder,
            timeout=email.timeout or _TIMEOUT,
            context=authorities(email.ca_file, "email.ca_file"),
            **self._keep(table.password or email.password),
        )

    def webhooks(self) -> Deliverer:
        """What posts to webhooks."""
        from digest.deliver.webhook import WebhookDeliverer

        return WebhookDeliverer(
            {hook.name: partial(self.address, hook.url) for hook in self.config.webhooks},
            user_agent=self.user_agent,
            client=self._client,
        )

    def _client(self) -> Client:
        return self.network().client()

    def address(self, table: UrlTable) -> str:
        """Where a webhook is. Raises CredentialError."""
        return table.plain or self.secret(table)().reveal()

    def secret(self, table: CredentialTable) -> Callable[[], Secret]:
        """What gives a secret when it is needed; it raises CredentialError."""
        return partial(credentials.resolve, self.reference(table), environ=self.environ)

    def reference(self, table: CredentialTable) -> CredentialReference:
        """Where a secret is; a relative file is in the folder of the configuration."""
        places: dict[str, Any] = table.model_dump(exclude_none=True)
        command = tuple(places.get("command", ()))
        folder = self.config.path.resolve().parent
        return CredentialReference(**places | {"command": command, "folder": folder})

    def _optional(self, table: CredentialTable | None) -> Callable[[], Secret] | None:
        return None if table is None else self.secret(table)

    def _keep(self, table: CredentialTable | None) -> dict[str, str]:
        """How to change a password, where there is one."""
        return {} if table is None else {"keep": credentials.keep(self.reference(table))}

    def _token(self, email: EmailTable) -> Callable[[], Secret] | None:
        """What gives an access token, if there is to be one."""
        if (table := email.oauth2) is None:
            return None
        return self._access_token.get if table.token is None else self.secret(table.token)

    @cached_property
    def _access_token(self) -> AccessToken:
        """What refreshes; sending and looking share one, as each new refresh token ends the one before."""
        from digest.oauth import AccessToken

        assert self.config.email is not None  # noqa: S101 - whoever asks has seen it
        table = self.config.email.oauth2
        assert table is not None  # noqa: S101 - likewise
        refresh = table.refresh_token
        assert refresh is not None  # noqa: S101 - `OAuth2Table` wants it
        entry, secret = refresh.keyring, table.client_secret

        def keep(token: str) -> None:
            credentials.store(str(entry), Secret(token), environ=self.environ)

        return AccessToken(
            token_url=str(table.token_url),
            client_id=str(table.client_id),
            client_secret=None if secret is None else lambda: self.secret(secret)().reveal(),
            refresh_token=lambda: self.secret(refresh)().reveal(),
            scope=table.scope,
            keep=keep if entry else None,
            now=self.now,
            client=self._client,
        )


@dataclass(frozen=True)
class Notices:
    """Composes what webhooks take; the recipient is the name of one."""

    renderer: WebhookRenderer
    webhooks: Mapping[str, WebhookTable]

    def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        """The JSON for one webhook. Raises RenderError."""
        table = self.webhooks[recipient]
        return self.renderer.compose(profile, digest, form=table.form, values=table.values)


def authorities(file: str | None, key: str) -> ssl.SSLContext | None:
    """Who is trusted to say who a server is. Raises ConfigError."""
    if file is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(file))
    except OSError as error:
        raise ConfigError(f"{key}: no certificates can be read: {error}", place=str(file)) from error
