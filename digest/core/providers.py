"""Mail providers: by which addresses they are known, where they take mail, and what they want first.

Where it is from, beside `digest.core.refusals`, as of 2026; hosts, ports and user names are also those of
Mozilla's ISPDB (github.com/thunderbird/autoconfig), by which Thunderbird sets itself up:

    Gmail           support.google.com/mail: "Sign in with app passwords"; support.google.com/a/answer/176600
    Outlook.com     support.microsoft.com: "POP, IMAP, and SMTP settings for Outlook.com": OAuth 2.0 alone
    Microsoft 365   Message Center MC786329: passwords are off by default from the end of 2026
    Fastmail        www.fastmail.help: "Server names and ports"
    iCloud          support.apple.com/102525 (server), 102654 (app-specific passwords)
    Proton          proton.me/support: Bridge listens on this machine, with a certificate of its own
    GMX, WEB.DE     hilfe.gmx.net and hilfe.web.de: "POP3 & IMAP"; WEB.DE's user name is the part before the @
    Yahoo, AOL      help.yahoo.com, help.aol.com: app passwords
    mailbox.org     kb.mailbox.org: "E-mail configuration"
    Posteo          posteo.de/en/help
    Zoho            www.zoho.com/mail/help/zoho-smtp.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_GROUPS = re.compile(r"[a-z0-9]{4}(?:\s[a-z0-9]{4}){3}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a provider takes mail from those who log in, and what it wants to be done first."""

    name: str  # as somebody types it
    title: str
    domains: str  # a pattern that the domains of its addresses match
    host: str  # `{}` is what the pattern's group found
    wants: str  # in one sentence
    port: int = 465
    security: Literal["tls", "starttls"] = "tls"
    username: Literal["address", "local", "asked"] = "address"  # "asked": one that only the person knows
    by_token: bool = False  # it takes an access token (OAuth 2.0) and no password
    ca_file: str | None = None
    others: str = ""  # the host for people's own domains, where it is another

    def knows(self, domain: str) -> bool:
        """Whether addresses of this domain are its own."""
        return re.fullmatch(self.domains, domain.lower()) is not None

    def server(self, domain: str) -> str:
        """The host for addresses of this domain, which may be somebody's own."""
        found = re.fullmatch(self.domains, domain.lower())
        return self.host.format(*found.groups()) if found else self.others or self.host


def guess(domain: str) -> Provider | None:
    """The provider whose addresses have this domain, if that can be told."""
    return next((one for one in PROVIDERS.values() if one.knows(domain)), None)


def as_meant(password: str) -> str:
    """A password without the spaces of an app password that is shown in groups: `abcd efgh ijkl mnop`."""
    return "".join(password.split()) if _GROUPS.fullmatch(password.strip()) else password


_COUNTRIES = r"\.(?:[a-z]{2,3}|com?\.[a-z]{2})"

PROVIDERS = {
    one.name: one
    for one in (
        Provider(
            "gmail",
            "Gmail",
            r"(?:gmail|googlemail)\.com",
            "smtp.gmail.com",
            "Google wants an app password, which needs 2-step verification: "
            "make one at https://myaccount.google.com/apppasswords",
        ),
        Provider(
            "outlook",
            "Outlook.com",
            rf"(?:outlook|hotmail|live|msn|windowslive){_COUNTRIES}",
            "smtp-mail.outlook.com",
            "Microsoft takes no password here, but an access token (OAuth 2.0), from a command of yours",
            port=587,
            security="starttls",
            by_token=True,
        ),
        Provider(
            "microsoft365",
            "Microsoft 365",
            r".+\.onmicrosoft\.com",
            "smtp.office365.com",
            "Microsoft is giving up passwords, so digest logs in by an access token (OAuth 2.0), from a "
            "command of yours; authenticated SMTP must be switched on for the mailbox, see "
            "https://aka.ms/smtp_auth_disabled",
            port=587,
            security="starttls",
            by_token=True,
        ),
        Provider(
            "fastmail",
            "Fastmail",
            r"fastmail\.[a-z.]+|sent\.com",
            "smtp.fastmail.com",
            "Fastmail wants an app password: make one in its settings, under “Privacy & Security”",
        ),
        Provider(
            "icloud",
            "iCloud",
            r"(?:icloud|me|mac)\.com",
            "smtp.mail.me.com",
            "Apple wants your @icloud.com address as the user name and an app-specific password: "
            "make one at https://account.apple.com",
            port=587,
            security="starttls",
            username="asked",
        ),
        Provider(
            "proton",
            "Proton Mail Bridge",
            r"(?:proton|protonmail)\.(?:me|com|ch)|pm\.me",
            "127.0.0.1",
            "Bridge must run on this machine: take the password that it shows, not Proton's, and export its "
            "certificate as cert.pem into the folder of digest.toml",
            port=1025,
            security="starttls",
            ca_file="cert.pem",
        ),
        Provider(
            "gmx",
            "GMX",
            r"gmx\.(?:net|de|at|ch|eu|biz|org|info)",
            "mail.gmx.net",
            "GMX lets programs in once POP3 and IMAP are allowed in the settings of the mailbox; "
            "with two-factor authentication it wants an application-specific password",
        ),
        Provider(
            "gmx.com",
            "GMX (international)",
            rf"gmx{_COUNTRIES}",
            "mail.gmx.com",
            "GMX lets programs in once POP3 and IMAP are allowed in the settings of the mailbox; "
            "with two-factor authentication it wants an application-specific password",
        ),
        Provider(
            "web.de",
            "WEB.DE",
            r"web\.de",
            "smtp.web.de",
            "WEB.DE lets programs in once POP3 and IMAP are allowed in the settings of the mailbox; "
            "with two-factor authentication it wants an application-specific password",
            username="local",
        ),
        Provider(
            "yahoo",
            "Yahoo",
            rf"yahoo{_COUNTRIES}|(?:ymail|myyahoo|rocketmail)\.com",
            "smtp.mail.yahoo.com",
            "Yahoo wants an app password: make one in the account, under “Account security”",
        ),
        Provider(
            "aol",
            "AOL",
            rf"aol{_COUNTRIES}|aim\.com",
            "smtp.aol.com",
            "AOL wants an app password: make one in the account, under “Account security”",
        ),
        Provider(
            "mailbox.org",
            "mailbox.org",
            r"mailbox\.org",
            "smtp.mailbox.org",
            "mailbox.org wants an application password where two-factor authentication is on",
        ),
        Provider(
            "posteo",
            "Posteo",
            rf"posteo{_COUNTRIES}",
            "posteo.de",
            "Posteo lets programs in unless its additional account protection is on",
        ),
        Provider(
            "zoho",
            "Zoho",
            r"zoho(?:mail)?\.(com|eu|in|com\.au|jp)",
            "smtp.zoho.{}",
            "Zoho's server is that of where the account lives (.com, .eu, .in …), and with two-factor "
            "authentication it wants an application-specific password",
            others="smtppro.zoho.com",
        ),
    )
}
"""All of them by name; of a domain that several know, the first is meant."""
