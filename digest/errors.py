"""What can go wrong, by who can put it right.

    DigestError
    ├── ConfigError             the user edits a file
    │   └── QueryError          a keyword or query that cannot be read
    ├── CredentialError         the user stores a secret
    ├── PluginError             the plug-in's author
    ├── SourceError
    │   ├── FetchError          the network, or the site's server
    │   └── LayoutError         the page no longer looks as it did
    ├── StoreError
    │   ├── SchemaError         the database is of another version than the program
    │   └── BusyError           another run holds the data directory
    ├── RenderError             a template
    └── DeliveryError
        ├── TransientDeliveryError      the same message may be accepted later
        │   └── UnreachableError        there is no way to the server, for no message
    │       └── LimitReachedError   it takes no more messages for some time
        ├── PermanentDeliveryError      it will not, until somebody changes something
        │   └── RefusedByServerError    nor would any other message: login, TLS, a setting
        └── UncertainDeliveryError      it may have been accepted: the answer was lost

A message has three parts: the place, what is wrong there, and what to do next.
"""

from __future__ import annotations


class DigestError(Exception):
    """Something that the person who runs digest is told in words.

    `place` says where (a file and line, a URL, a server), `message` what is wrong,
    `remedy` what to do next.
    """

    def __init__(self, message: str, *, place: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.remedy = remedy

    @property
    def head(self) -> str:
        """What is wrong, and where, without what to do about it."""
        return f"{self.place}: {self.message}" if self.place else self.message

    def __str__(self) -> str:
        """Give place, message and remedy on one line."""
        if not self.remedy:
            return self.head
        return f"{self.head}. {self.remedy}" + ("" if self.remedy.endswith((".", "?", "!")) else ".")


class ConfigError(DigestError):
    """The configuration says something that digest cannot do."""


class QueryError(ConfigError):
    """A keyword or query breaks the grammar of `digest.core.query`, at `column` (from 1)."""

    def __init__(self, message: str, *, query: str, column: int, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.query = query
        self.column = column

    @property
    def head(self) -> str:
        """What is wrong, and where in the query."""
        return f"{super().head}, at column {self.column}"

    def __str__(self) -> str:
        """Give the message, and below it the query with a caret under the column."""
        shown = "".join(" " if character.isspace() else character for character in self.query)
        return f"{super().__str__()}\n    {shown}\n    {' ' * (self.column - 1)}^ column {self.column}"


class CredentialError(DigestError):
    """A secret is missing or cannot be read; never holds the secret."""


class PluginError(DigestError):
    """A plug-in cannot be loaded or breaks its contract."""


class SourceError(DigestError):
    """A source could not be read; the others go on."""


AGAIN = "digest tries again at the next run"
"""The remedy of what passes by itself; of a source that fails, nothing but its words is stored."""


class FetchError(SourceError):
    """The bytes of a page could not be had.

    `status` is the HTTP status if there was an answer, `retry_after` the seconds the
    server asked to wait, and `transient` says whether the same request may work later.
    """

    def __init__(
        self,
        message: str,
        *,
        place: str | None = None,
        remedy: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        transient: bool = False,
    ) -> None:
        super().__init__(message, place=place, remedy=remedy)
        self.status = status
        self.retry_after = retry_after
        self.transient = transient


class LayoutError(SourceError):
    """A page was fetched but does not hold what its kind of page always held.

    It is never read as "no papers today".
    """


class StoreError(DigestError):
    """The database cannot be read or written."""


class SchemaError(StoreError):
    """The database was written by a newer digest."""


class BusyError(StoreError):
    """Another run is active on the same data directory."""


class RenderError(DigestError):
    """A template is missing, wrong, or uses a name that does not exist."""


class DeliveryError(DigestError):
    """A message was not delivered."""


class TransientDeliveryError(DeliveryError):
    """Not delivered now: connection lost, or a 4yz reply (RFC 5321, 4.2.1)."""


class UnreachableError(TransientDeliveryError):
    """There is no way to the server: the message waits until there is one, however long that takes."""


class LimitReachedError(UnreachableError):
    """The server takes no more messages for some time: an hour, or a day."""


class PermanentDeliveryError(DeliveryError):
    """Refused: a 5yz reply (RFC 5321, 4.2.1) to this message or its recipient."""


class RefusedByServerError(PermanentDeliveryError):
    """The server refused us, not the message: the message waits until somebody has put it right."""


class UncertainDeliveryError(DeliveryError):
    """The whole message was sent and the answer was lost (RFC 5321, 6.1)."""
