"""What to do about a mail server's refusal.

A reply has a code of three digits (RFC 5321, 4.2), often an enhanced status code (RFC 3463, registered as
RFC 5248 says), and words, on which servers agree least.
The table below goes from the particular to the general: the first row that fits wins, and where none does
nothing is advised.

Where its rows are from, beside the RFCs, as of 2026:

    Gmail           support.google.com/a/answer/3726730, developers.google.com/gmail/imap/xoauth2-protocol
    Microsoft       learn.microsoft.com: "NDR and SMTP errors in Exchange Online", "Enable or disable
                    authenticated client SMTP submission", "Authenticate an SMTP connection using OAuth"
    Yahoo, AOL      senders.yahooinc.com/smtp-error-codes
    iCloud          support.apple.com/102654
    Fastmail        www.fastmail.help: app passwords
    GMX, WEB.DE     hilfe.gmx.net, postmaster.gmx.net/en/error-messages
    Zoho            www.zoho.com/zeptomail/help/api/smtp-error-codes.html, help.zoho.com
    Amazon SES      docs.aws.amazon.com/ses: "Email sending errors", "Errors related to the sending quotas"
    SendGrid        sendgrid.com/docs: "SMTP errors and troubleshooting"
    Postfix, Exim   what they say where nobody has configured other words
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Stage = Literal["greeting", "password", "token", "sender", "recipient", "message"]
"""What was refused: to talk to us, a login by one or the other, MAIL, RCPT, or DATA and what follows."""

Concern = Literal["message", "account", "limit"]
"""What else would be refused: nothing; all, until somebody changes something; all, for a while."""


class Advice(NamedTuple):
    """What to do, and what it concerns."""

    words: str
    concern: Concern


KEEP = "store it with `digest secret set`"
"""How a password is put where it is kept, unless somebody knows better."""


def advise(stage: Stage, reply: str, host: str, keep: str = KEEP) -> Advice | None:
    """What to do about a reply such as `550 5.1.1 No such user`, of a server of that name.

    `keep` is how another password is put where the one is that was refused.
    """
    status = _STATUS.search(reply)
    codes = f"{reply[:3]} {status[0] if status else ''}"
    for row in _TABLE:
        if (
            stage in row.stages
            and re.search(row.codes, codes)
            and re.search(row.words, reply, re.IGNORECASE)
            and re.search(row.server, f"{host} {reply}", re.IGNORECASE)
        ):
            return Advice(row.advice.replace("{keep}", keep), row.concern)
    return None


# RFC 3463, 2; a piece of an IP address is none.
_STATUS = re.compile(r"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?!\.?\d)")


class _Row(NamedTuple):
    """Patterns, all of which must be found, and what to do then.

    `codes` is looked for in `550 5.1.1`, or in `550 ` where there is no enhanced status code.
    """

    stages: tuple[Stage, ...]
    codes: str
    advice: str
    words: str = ""
    server: str = ""  # in its name, or in what it says
    concern: Concern = "message"


_LOGIN: tuple[Stage, ...] = ("password", "token")
_READER: tuple[Stage, ...] = ("recipient", "message")
_MAIL: tuple[Stage, ...] = ("sender", *_READER)
_NO_LOGIN: tuple[Stage, ...] = ("greeting", *_MAIL)
_ANY: tuple[Stage, ...] = (*_NO_LOGIN, *_LOGIN)

_REFUSED = r"^53[45]|5\.7\.[38]$"  # of a login: RFC 4954, 6; 5.7.3 is Microsoft's
_GOOGLE = r"gsmtp|google|gmail"
_MICROSOFT = r"outlook|office365|hotmail|microsoft"
_YAHOO = r"yahoo|\baol\b|#AUTH\d"

_ENCRYPT = 'Set `email.security` to "starttls" (port 587) or "tls" (port 465)'
_LOG_IN = "Set `email.username` and `email.password`: the server takes mail from those who have logged in"
_SWITCHED_OFF = (
    "Authenticated SMTP is switched off for this mailbox or organisation: "
    "its administrator can switch it on, see https://aka.ms/smtp_auth_disabled"
)
_NO_BASIC_AUTH = (
    "Microsoft takes no password (basic authentication) for this mailbox: "
    "log in with a token, see `[email.oauth2]`, or send through another server"
)
_APP = "{} takes an app password here, not the password of the account: make one {} and {{keep}}"
_APP_OF_GOOGLE = _APP.format("Google", "at https://myaccount.google.com/apppasswords")
_APP_OF_YAHOO = _APP.format("Yahoo (and AOL)", "under “Account security”")
_APP_OF_APPLE = _APP.format("Apple", "at https://account.apple.com")
_APP_OF_FASTMAIL = _APP.format("Fastmail", "under “Privacy & Security”")
_ALLOW_PROGRAMS = (
    "GMX and WEB.DE let no program in until POP3 and IMAP are allowed in the settings of the mailbox; "
    "with two-factor authentication they want an application-specific password"
)
_ZOHO_HOST = (
    "Check that `email.host` is Zoho's server for where the account lives (.com, .eu, .in …); "
    "with two-factor authentication it wants an application-specific password"
)
_SES_LOGIN = (
    "Amazon SES wants SMTP credentials, made in its console for one region, which AWS access keys are not"
)
_SENDGRID_LOGIN = 'SendGrid\'s user name is the word "apikey", and the password an API key that may send mail'
_ACCOUNT_OFF = "The provider has switched this account off: ask it why"
_STRONGER = "The server wants another way to log in than this: see `[email.oauth2]`, or ask its administrator"
_LOGIN_DATA = (
    "Check `email.username` and the password, which many providers want to be an app password: {keep}"
)
_OAUTH = "Check `email.username` and `[email.oauth2]`, the scope first"
_OAUTH_OF_GOOGLE = (
    "Check `email.username` and `[email.oauth2]`: Google wants a token of this very account, "
    "with the scope https://mail.google.com/"
)
_OAUTH_OF_MICROSOFT = (
    "Check `email.username` and `[email.oauth2]`: Microsoft wants a token of this very mailbox, "
    "with the scope https://outlook.office.com/SMTP.Send, and authenticated SMTP switched on for it"
)

_TOO_LARGE = "The mail is too large for the server: lower `max_papers` in the profile"
_FULL = "The recipient's mailbox is full, and has to be cleared there"
_TOO_MUCH = "The recipient is getting too much mail at present; digest comes again by itself"
_NOBODY = "There is no such mailbox: check the address in the profile's `recipients`"
_NOT_FOR_US = "There is no such mailbox, or not for mail from outside: check the profile's `recipients`"
_NO_DOMAIN = "Nobody takes mail for this domain: check the address in the profile's `recipients`"
_DISABLED = "The recipient's mailbox is switched off"

_ASCII = "Use addresses in ASCII, or a server that takes others"

_LIMIT = (
    "The server's limit for this account is reached: what is left goes out by itself when that has passed; "
    "`email.per_minute` and `email.per_day` keep below it"
)

_OWN_ADDRESS = (
    "The account may not send from this address: set `email.from` to one that belongs to `email.username`, "
    "or have this one allowed there (as an alias, a verified sender, by the right to “send as”)"
)
_SES_ADDRESS = (
    "Amazon SES wants the address in `email.from` verified, "
    "and in its sandbox those of the recipients as well"
)
_YAHOO_ADDRESS = (
    "Yahoo says so where `email.from` is not the address of `email.username`, and of what it takes for spam"
)
_NO_SUCH_SENDER = "The server finds no mailbox for the sender: set `email.from` to an address that exists"
_STOPPED = "The provider has stopped this account: log in there with a browser to see why and to release it"

_NO_RELAY = (
    "The server does not pass mail on to this domain for us: set `email.username` and `email.password`, "
    "or use the mail server of your provider"
)
_NO_MAIL_HERE = "This machine takes no mail: check `email.host`"
_UNPROVEN = (
    "The mail is not shown to come from its domain: set up SPF and DKIM for the domain of `email.from`, "
    "or send through the mail server of that domain"
)
_UNKNOWN_MACHINE = (
    "The server does not trust this machine's network address: "
    "send through the mail server of your provider, with a login"
)
_SPAM = "The server takes the mail for spam; the reply may say whom to ask"
_GREYLISTED = (
    "This is normal (greylisting): a server that does not know us yet wants to see us come again, "
    "and digest does so by itself"
)
_PASSES = "The server says that this will pass: digest comes again by itself"

_TABLE = (
    # Encryption, and having logged in at all.
    _Row(
        _ANY,
        "^5",
        _ENCRYPT,
        r"must issue (a )?STARTTLS|(STARTTLS|encryption) (is )?(needed|required)",
        concern="account",
    ),
    _Row(_LOGIN, r"^538| 5\.7\.11$", _ENCRYPT),  # RFC 4954, 6
    _Row(_MAIL, r"^530| 5\.7\.57$", _LOG_IN, concern="account"),  # RFC 4954, 6; Microsoft
    _Row(
        _MAIL,
        "^5",
        _LOG_IN,
        "authentication (is )?required|not authenticated|turn on SMTP auth|without authentication",
        concern="account",
    ),
    # Logins.
    _Row(_LOGIN, "^5", _SWITCHED_OFF, "SmtpClientAuthentication is disabled"),
    _Row(("password",), r" 5\.7\.(30|139)$", _NO_BASIC_AUTH, "basic auth"),
    _Row(("password",), r" 5\.7\.(8|9|14)$", _APP_OF_GOOGLE, server=_GOOGLE),
    _Row(("password",), _REFUSED, _APP_OF_YAHOO, server=_YAHOO),
    _Row(("password",), _REFUSED, _APP_OF_APPLE, server=r"icloud|mail\.me\.com"),
    _Row(("password",), _REFUSED, _APP_OF_FASTMAIL, server="fastmail|messagingengine"),
    _Row(("password",), _REFUSED, _ALLOW_PROGRAMS, server=r"\bgmx\b|\bweb\.de\b"),
    _Row(("password",), _REFUSED, _ZOHO_HOST, server=r"\bzoho"),
    _Row(("password",), _REFUSED, _SES_LOGIN, server="amazonaws|amazonses"),
    _Row(("password",), _REFUSED, _SENDGRID_LOGIN, server="sendgrid"),
    _Row(_LOGIN, r" 5\.7\.13$", _ACCOUNT_OFF),  # RFC 5248, 2.4
    _Row(("password",), r"^534 5\.7\.9$", _STRONGER),  # RFC 4954, 6
    _Row(("password",), _REFUSED, _LOGIN_DATA),
    _Row(("token",), "^5", _OAUTH_OF_GOOGLE, server=_GOOGLE),
    _Row(("token",), "^5", _OAUTH_OF_MICROSOFT, server=_MICROSOFT),
    _Row(("token",), _REFUSED, _OAUTH),
    # The sender.
    _Row(_MAIL, "^5", _SES_ADDRESS, "email address is not verified"),
    _Row(_MAIL, r" 5\.(7\.60|2\.252)$", _OWN_ADDRESS, concern="account"),  # Microsoft
    _Row(
        _MAIL,
        "^5",
        _OWN_ADDRESS,
        "SendAsDenied|not owned by user|permissions? to send as|not allowed to send as"
        "|relaying disallowed as|not authori[sz]ed to send from"
        "|sender address (is )?not allowed|verified sender identity|same as authori[sz]",
        concern="account",
    ),
    _Row(_MAIL, r" [45]\.1\.8$", _NO_SUCH_SENDER, "domain.{0,20} not (found|exist)", concern="account"),
    _Row(
        _MAIL, "^5", _NO_SUCH_SENDER, "sender verify failed|verification failed for", concern="account"
    ),  # Exim
    _Row(
        _MAIL,
        "^5",
        _STOPPED,
        "bad outbound sender|OutboundSpam|unusual sending activity|sender address blocked"
        "|tenant.{0,20} (threshold|blocked)",
        concern="account",
    ),
    _Row(_READER, "^550", _YAHOO_ADDRESS, "request failed.{1,3}mailbox unavailable", _YAHOO),
    # One message or its reader; before the limits, as a mailbox that is full is over a quota too.
    _Row(("sender",), "^552", _TOO_LARGE),  # RFC 1870, 6.1
    _Row(_MAIL, r" 5\.(3\.4|2\.3)$", _TOO_LARGE),
    _Row(_MAIL, "^5", _TOO_LARGE, r"message size|size (limit )?exceed|too (large|big)\b|exceeds.{0,20} size"),
    _Row(_READER, r" [45]\.2\.2$", _FULL),
    _Row(
        _READER,
        "^[45]",
        _FULL,
        "mailbox (is )?full|over ?quota|(mailbox|user|recipient).{0,30} quota|out of storage",
    ),
    _Row(_READER, "^4", _TOO_MUCH, r"receiving (e?mail|messages) (too quickly|at a rate)"),
    _Row(_READER, r"^5.. 5\.1\.(1|6|10)$", _NOBODY),  # RFC 3463, 3.2; 5.1.10 is Microsoft's
    _Row(
        _READER,
        "^5.. $",
        _NOBODY,
        "no such (user|recipient|mailbox|person)|unknown user"
        "|(user|recipient) (is )?unknown|(user|recipient|mailbox) (was )?not found"
        "|(user|account|mailbox).{0,60}does not exist",
    ),
    _Row(_READER, r" 5\.4\.1$", _NOT_FOR_US, "recipient address rejected"),  # Microsoft
    _Row(_READER, r"^556| 5\.1\.2$", _NO_DOMAIN),  # RFC 7504, 4; RFC 3463, 3.2
    _Row(_READER, r" 5\.2\.1$", _DISABLED, "disabled|inactive"),
    _Row(_MAIL, r" 5\.6\.7$", _ASCII),  # RFC 6531, 3.5
    # Limits; Google and Microsoft say them for good, but they pass.
    _Row(_ANY, r" (4\.7\.28|5\.7\.23[23])$", _LIMIT, concern="limit"),
    _Row(_ANY, r" [45]\.4\.5$", _LIMIT, "limit", _GOOGLE, "limit"),
    _Row(
        _ANY,
        "^[45]",
        _LIMIT,
        r"(daily|hourly|sending|submission|relay) (\S+ ){0,4}(limit|quota|rate)\b.{0,40}(exceed|reached)"
        "|(message|submission) rate .{0,40}exceeded"
        r"|exceeded (\S+ ){0,6}(daily|hourly|sending|submission|24.hour|per (day|hour|minute|second))\b"
        "|per (day|hour|minute|second) limit exceeded|sending rate exceeded|SubmissionQuotaExceeded"
        "|maximum credits exceeded|concurrent connections? limit",
        concern="limit",
    ),
    # Where it may go, and whether we are trusted.
    _Row(
        _READER,
        "^[45]",
        _NO_RELAY,
        "relay(ing)? (access )?(is )?(denied|not permitted|not allowed|prohibited)"
        "|not permitted to relay|unable to relay",
    ),
    _Row(("greeting",), "^521", _NO_MAIL_HERE),  # RFC 7504, 3
    _Row(_READER, r" [45]\.7\.2[0-46]$", _UNPROVEN),  # RFC 7372, 3; Google's 5.7.26 is for either
    _Row(_READER, "^5", _UNPROVEN, r"\b(SPF|DKIM|DMARC)\b"),
    _Row(_NO_LOGIN, r" [45]\.7\.25$", _UNKNOWN_MACHINE, concern="account"),  # RFC 7372, 3.3
    _Row(
        ("greeting", "sender", "recipient"),  # later on, it may be an address within the message
        "^5",
        _UNKNOWN_MACHINE,
        "(block|black|deny) ?list|blocked using|spamhaus|reverse (dns|hostname)|dynamic ip",
        concern="account",
    ),
    _Row(_NO_LOGIN, "^5", _UNKNOWN_MACHINE, "send email directly", _GOOGLE, "account"),
    _Row(("message",), "^5", _SPAM, r"\bspam\b|unsolicited"),
    # What passes by itself.
    _Row(_MAIL, "^4", _GREYLISTED, r"gr[ae]y.?list|postgrey"),
    _Row(_ANY, "^4", _PASSES),  # RFC 5321, 4.2.1
)
