"""`digest check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from digest.cli import exit_code, options
from digest.cli.output import count, document, printable, progress, say
from digest.errors import DigestError
from digest.redaction import redacted

if TYPE_CHECKING:
    from digest.checkup import Finding

_FEW = 10  # alike, one by one
_WORDS = {"green": "ok", "yellow": "note", "red": "fix"}
_INDENT = 17


@click.command()
@options.config
@click.option("--online", is_flag=True, help="Also ask sources and log in to the mail server; sends nothing.")
@options.as_json
def check(config: str | None, *, online: bool, as_json: bool) -> int:
    """Look at everything that a run needs, and say what is wrong; sends nothing, changes nothing."""
    findings = _findings(config, online=online)
    if as_json:
        document(
            [
                {
                    "subject": one.subject,
                    "ok": one.level != "red",
                    "level": one.level,
                    "detail": redacted(one.detail),
                    "remedy": redacted(one.remedy),
                }
                for one in findings
            ]
        )
    else:
        _tell(findings)
    return max((exit_code(one.error) for one in findings if one.error is not None), default=0)


def _findings(config: str | None, *, online: bool) -> Sequence[Finding]:
    from digest import app, checkup

    try:
        loaded = options.load(config)
    except DigestError as error:
        return [checkup.failed("config", error)]
    return list(checkup.Checkup(loaded, app.now(), online=online, progress=progress).findings())


def _tell(findings: Sequence[Finding]) -> None:
    alike: Counter[tuple[str, str]] = Counter()
    for one in findings:
        kind = (one.subject, one.level)
        alike[kind] += 1
        if alike[kind] <= _FEW:
            _say(one)
    if more := sum(number - _FEW for number in alike.values() if number > _FEW):
        say(f"and {more:,} more: digest check --json")
    say("")
    red, yellow = (
        list(dict.fromkeys(one.subject for one in findings if one.level == level))
        for level in ("red", "yellow")
    )
    if red:
        number = sum(one.level == "red" for one in findings)
        need = f"{count(number, 'thing')} {'needs' if number == 1 else 'need'} you: {', '.join(red)}."
        also = f" To look at: {', '.join(yellow)}." if yellow else ""
        say(click.style(need, fg="red", bold=True) + also)
    elif yellow:
        say(click.style(f"Nothing needs you. To look at: {', '.join(yellow)}.", fg="yellow", bold=True))
    else:
        say(click.style("All is well.", fg="green", bold=True))


def _say(finding: Finding) -> None:
    """A line; what follows on lines of its own, such as the place in a query, stands below."""
    text = finding.detail
    if finding.remedy:
        text += finding.remedy if finding.remedy.startswith("\n") else f". {finding.remedy}"
        text += "" if finding.remedy.endswith((".", "?", "!")) or "\n" in finding.remedy else "."
    first, *rest = map(printable, redacted(text).split("\n"))
    word = click.style(f"{_WORDS[finding.level]:<4}", fg=finding.level)
    say(f"{word} {finding.subject:<11} {first}", hang=_INDENT)
    for one in rest:
        say(" " * _INDENT + one, hang=_INDENT)
