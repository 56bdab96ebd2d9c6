"""Mailboxes as people write them in a configuration: `Name <name@example.org>` (RFC 5322, 3.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from digest.core.lines import clean

_MAILBOX = re.compile(r"(?P<name>[^<>]*)<(?P<inner>[^<>\s]+)>|(?P<bare>[^<>\s]+)")
_LONGEST_DOMAIN = 255  # RFC 5321, 4.5.3.1.2; the codec takes the square of a label's length
_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f-\x9f]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A name, which may be empty, and an address whose domain is in ASCII."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """What stands behind the @."""
        return self.address.rpartition("@")[2]


def parse(text: str) -> Mailbox:
    """Read a mailbox, with or without a name; a comma in a name needs no quotes. Raises ValueError."""
    found = _MAILBOX.fullmatch(text.strip())
    address = found and (found["inner"] or found["bare"])
    if found and address:
        local, _, domain = address.rpartition("@")
        try:
            address = f"{local}@{_in_ascii(domain)}" if len(domain) <= _LONGEST_DOMAIN else ""
        except UnicodeError:
            address = ""
        if _ADDRESS.fullmatch(address):
            name = (found["name"] or "").strip()
            if len(name) > 1 and name[0] == name[-1] == '"':
                name = re.sub(r"\\(.)", r"\1", name[1:-1])
            if clean(name) == name and "\n" not in name:  # a control would stand in the header as it is
                return Mailbox(name, address)
    raise ValueError('write an address as "Name <name@example.org>"')


@lru_cache(maxsize=1 << 10)  # ten thousands of people have an address at the same few places
def _in_ascii(domain: str) -> str:
    return domain.encode("idna").decode("ascii")  # RFC 5890: ASCII for the envelope


def key(text: str) -> str:
    """What two mailboxes have in common that are one: the address, its domain in lower case.

    What stands before the @ is the receiving server's to compare (RFC 5321, 2.4).
    A text that is no mailbox is its own key.
    """
    try:
        local, _, domain = parse(text).address.rpartition("@")
    except ValueError:
        return text
    return f"{local}@{domain.lower()}"
