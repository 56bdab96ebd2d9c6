"""`digest terms`."""

from __future__ import annotations

import click

from digest.cli import options, values
from digest.cli.output import document, line, printable, progress, say

_SHOWN = 15
_ORIGINS = {"related": "learned", "liked": "likes", "pinned": "pinned"}
_ADVICE = 'In an interest, pin = ["word"] makes a word count and ban = ["word"] makes one never count.'


@click.command(epilog="Example: digest terms vision --all")
@click.argument("profile", required=False, shell_complete=values.profiles)
@click.option("--all", "everything", is_flag=True, help=f"Every word, not {_SHOWN} of each interest at most.")
@options.config
@options.as_json
def terms(profile: str | None, config: str | None, *, everything: bool, as_json: bool) -> None:
    """The words that were learned of each interest of a profile, and what they count."""
    from digest import pipeline
    from digest.app import now

    app = options.load(config)
    chosen = app.profile(profile)
    with app.store() as store, progress("Learning"):
        found = [
            (interest, list(words))
            for interest, words in pipeline.learned(store, chosen, app.ranker, now=now())
        ]
    if as_json:
        document(
            [
                {
                    "interest": interest.name,
                    "words": [
                        {"word": word, "weight": weight, "from": origin} for word, weight, origin in words
                    ],
                }
                for interest, words in found
            ]
        )
        return
    for interest, words in found:
        say(click.style(printable(interest.name), bold=True))
        if not words:
            line("", "nothing yet: too few papers are stored, or none of them answers it")
        for origin, label in _ORIGINS.items():
            own = [(word, weight) for word, weight, where in words if where == origin]
            shown = own if everything else own[:_SHOWN]
            if shown:
                more = f" and {len(own) - len(shown)} more" if len(own) > len(shown) else ""
                line(label, ", ".join(f"{printable(word)} {weight:.1f}" for word, weight in shown) + more)
        if interest.ban:
            line("banned", ", ".join(map(printable, interest.ban)))
    say(_ADVICE, err=True)
