"""A short mail of a few paragraphs, such as a test of the way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from textwrap import fill

from digest.core.mailbox import Mailbox
from digest.core.message import assemble, quoted_printable

_COLUMNS = 72


def letter(
    sender: Mailbox, recipient: Mailbox, subject: str, paragraphs: Sequence[str], *, at: datetime, key: str
) -> bytes:
    """The message, RFC 5322 with CRLF; `key` is what tells it from others. Raises RenderError."""
    text = "\n\n".join(fill(one, _COLUMNS, break_long_words=False) for one in paragraphs)
    html = "\n".join(f"<p>{escape(one)}</p>" for one in paragraphs)
    headers: dict[str, str | Mailbox] = {
        "From": sender,
        "To": recipient,
        "Subject": subject,
        "Date": format_datetime(at.astimezone(UTC)),
        "Message-ID": f"<{key}@{sender.domain}>",
        "Auto-Submitted": "auto-generated",  # RFC 3834, 5
    }
    parts = {
        "plain": [quoted_printable(f"{text}\n")],
        "html": [quoted_printable(f'<!doctype html>\n<html lang="en">\n<body>\n{html}\n</body>\n</html>\n')],
    }
    return assemble(headers, parts, key=key)
