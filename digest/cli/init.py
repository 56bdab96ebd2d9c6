"""`digest init`."""

from __future__ import annotations

import json
import re
from datetime import time
from pathlib import Path

import click

from digest.cli.output import line
from digest.core import mailbox
from digest.errors import ConfigError

_PROFILE = """# One person's request. Copy this file for another; every file in this folder is a profile.

name = "me"                                   # a-z, 0-9 and "-": names the feeds and the archive
title = "My papers"                           # stands above every digest
{recipients}
max_papers = 30                               # papers beyond are listed by title
lookback_days = 3                             # how far the first digest looks back
{interests}"""

_INTEREST = """
[[interests]]
name = {name}
keywords = [{name}]
# require = ["transformer"]                   # all of these too
# exclude = ["survey"]                        # none of these
"""


@click.command()
@click.option("--yes", is_flag=True, help="Ask nothing; write the examples.")
@click.option(
    "--dir", "folder", type=click.Path(file_okay=False), help="Where to; without: your configuration folder."
)
def init(folder: str | None, *, yes: bool) -> None:
    """Write a commented configuration, asking five questions; never overwrites."""
    import platformdirs

    target = Path(folder) if folder else platformdirs.user_config_path("digest")
    config = target / "digest.toml"
    profile = target / "profiles" / "me.toml"
    for path in (config, profile):
        if path.exists():
            raise ConfigError(
                "this file is there already", place=str(path), remedy="Edit it, or name another --dir."
            )
    topics, address, server, at, inbox = ("Swin, talking face", "", "", "07:00", "") if yes else _ask()
    target.joinpath("profiles").mkdir(parents=True, exist_ok=True)
    interests = [topic.strip() for topic in topics.split(",") if topic.strip()]
    profile.write_text(
        _PROFILE.format(
            recipients=f"recipients = [{json.dumps(address)}]"
            if address and server
            else '# recipients = ["Me <me@example.org>"]',
            interests="".join(
                _INTEREST.format(name=json.dumps(topic, ensure_ascii=False)) for topic in interests
            ),
        ),
        encoding="utf-8",
    )
    config.write_text(_configuration(address, server, at, inbox), encoding="utf-8")
    line("Wrote", str(config), colour="green")
    line("", str(profile))
    if address and server:
        line("Next", "digest secret set digest-smtp")
    line("Next", f"digest check --config {config}")
    line("", f"digest run --config {config}")


def _ask() -> tuple[str, str, str, str, str]:
    topics = click.prompt("Topics, with commas between", default="Swin, talking face")
    address = click.prompt(
        "Your e-mail address (empty: feeds alone)", default="", show_default=False, value_proc=_address
    )
    server = (
        click.prompt("Your mail server", default=f"smtp.{mailbox.parse(address).domain}") if address else ""
    )
    at = click.prompt("When", default="07:00", value_proc=_time)
    inbox = click.prompt(
        "A folder for saved pages, beside Hugging Face (empty: none)", default="", show_default=False
    )
    return topics, address, server, at, inbox


def _address(text: str) -> str:
    try:
        if text:
            mailbox.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return text


def _time(text: str) -> str:
    try:
        return f"{time.fromisoformat(text):%H:%M}"
    except ValueError as error:
        raise click.BadParameter('write a time as "07:00"') from error


def _configuration(address: str, server: str, at: str, inbox: str) -> str:
    """The bundled configuration, with the answers in it."""
    from digest import resources

    text = (resources.folder("config") / "digest.toml").read_text(encoding="utf-8")
    text = text.replace('at = ["07:00"]', f"at = [{json.dumps(at)}]")
    if address and server:
        text = _uncommented(
            text, "# [email]", ("from", "host", "port", "security", "username", "password = { keyring")
        )
        text = text.replace("smtp.example.org", server)
        text = text.replace("me@example.org", mailbox.parse(address).address)
    if inbox:
        text = _uncommented(text, '# [[sources]]\n# kind = "file"', ("paths",))
        text = text.replace('["~/papers/*.txt", "~/papers/inbox/"]', f"[{json.dumps(inbox)}]")
    return text


def _uncommented(text: str, opening: str, keys: tuple[str, ...]) -> str:
    """Put the opening of a table of the example into force, and those of its lines that begin with a key."""
    head, mark, tail = text.partition(opening)
    body, blank, rest = tail.partition("\n\n")
    for key in keys:
        body = re.sub(rf"^# (?={re.escape(key)})", "", body, count=1, flags=re.MULTILINE)
    return head + re.sub("^# ", "", mark, flags=re.MULTILINE) + body + blank + rest
