"""Values as plain documents, for `--json` and for whoever compares them."""

from __future__ import annotations

from dataclasses import fields
from datetime import date

from digest.core.model import Listing, Paper, Reading


def reading_document(reading: Reading) -> dict[str, object]:
    """A reading as JSON can hold it: what a paper is and how it was listed, together, dates in ISO 8601."""
    return {
        "layout": reading.layout,
        "captured_on": _plain(reading.captured_on),
        "complete": reading.complete,
        "notes": list(reading.notes),
        "papers": [_listing(listing) for listing in reading.listings],
    }


def paper_document(paper: Paper) -> dict[str, object]:
    """A paper as JSON can hold it."""
    return {item.name: _plain(getattr(paper, item.name)) for item in fields(paper)}


def _listing(listing: Listing) -> dict[str, object]:
    own = {item.name: _plain(getattr(listing, item.name)) for item in fields(listing) if item.name != "paper"}
    return paper_document(listing.paper) | own


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value
