"""A real mail server gets every mail of a sender that is killed again and again."""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from email.parser import BytesHeaderParser
from pathlib import Path

import pytest
from killed import KILLED, Nursery, Row, nursery, outbox
from mta import IMAP, LOGIN, PORTS, READER, Mta, mta
from world import HOUR, NOON, SWIN_PAGE, configure

pytestmark = pytest.mark.xdist_group("mta")

PROFILES = [f"reader-{number}" for number in range(40)]
DAYS = 5
KILLS = 25

# What the servers put in front of a message.
_ON_THE_WAY = re.compile(
    rb"((Return-Path|Delivered-To|X-Original-To|Received):[^\r]*\r\n([ \t][^\r]*\r\n)*)*"
)


@pytest.fixture(scope="module", name="nursery")
def _nursery() -> Iterator[Nursery]:
    with nursery() as one:
        yield one


@pytest.fixture(scope="module")
def server(shared: Path) -> Iterator[Mta]:
    with mta(shared) as one:
        yield one


@pytest.fixture(scope="module")
def mails(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory in which 200 mails to one reader wait for being sent."""
    folder = tmp_path_factory.mktemp("mails")
    furnish(folder, 'transport = "eml"\nfolder = "mail"')
    for day in range(DAYS):
        page = SWIN_PAGE.replace("SwinLeaf", f"Swin of day {day}")
        (folder / "inbox" / f"{day}.txt").write_text(page, encoding="utf-8")
        for command in ("collect", "compose"):
            when = NOON - timedelta(days=DAYS - day)
            ended = nursery.run(command, "--config", folder / "digest.toml", "--at", when.isoformat())
            assert ended.code == 0, ended.said
    return folder / "data"


def furnish(folder: Path, email: str) -> None:
    configure(folder, extra=f'[email]\nfrom = "Digest <{LOGIN[0]}>"\n{email}', port=None, profiles=PROFILES)
    for path in (folder / "profiles").iterdir():
        said = path.read_text(encoding="utf-8")
        path.write_text(f'recipients = ["{READER}"]\nchannels = ["email"]\n{said}', encoding="utf-8")


def sending_by(server: Mta, folder: Path, data: Path, security: str, *, looks: bool = False) -> Path:
    """A configuration that sends by the server; it `looks` into the mailbox when it does not know."""
    server.mails()  # nothing is left of a test that failed
    shutil.copytree(data, folder / "data")
    password = folder / "password"
    password.touch(mode=0o600)
    password.write_text(LOGIN[1], encoding="utf-8")
    where = f'host = "127.0.0.1"\nsecurity = "{security}"\n'
    email = (
        f'{where}port = {PORTS[security]}\nca_file = "{server.certificate}"\n'
        f'username = "{LOGIN[0]}"\npassword = {{ file = "{password}" }}\n'
    )
    if looks:
        email += (
            f'[email.imap]\nhost = "127.0.0.1"\nport = {IMAP}\nsecurity = "starttls"\nusername = "{READER}"\n'
        )
    furnish(folder, email)
    return folder / "digest.toml"


def send(nursery: Nursery, config: Path, server: Mta, *, seed: int, kills: int, waits: bool) -> list[Row]:
    """Run until everything is sent, killed so many times; gives what was being handed over at those times.

    It `waits` after a kill until what the server took has arrived.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    lost: list[Row] = []
    now = NOON
    for _ in range(kills):
        dying = {"moment": chance.randint(1, 40), "delay": chance.choice((0.0, chance.uniform(0, 0.03)))}
        ended = nursery.run("dispatch", "--config", config, "--at", now.isoformat(), **dying)
        assert ended.code == KILLED, f"seed {seed}: {ended.said}"
        lost += [row for row in outbox(config.parent / "data") if row.state == "handing_over"]
        now += HOUR
        if waits:
            server.settle()
    for when in (now, now + HOUR, now + 2 * HOUR):
        if when > now + HOUR:  # by then it has looked for what the last kill left, too
            for row in outbox(config.parent / "data"):
                if row.state == "uncertain":  # killed at the same mail three times, so somebody decides
                    assert nursery.run("outbox", "resolve", row.id, "--resend", "--config", config).code == 0
        ended = nursery.run("dispatch", "--config", config, "--at", when.isoformat())
        assert ended.code == 0, f"seed {seed}: {ended.said}"
    return lost


def arrived_whole(server: Mta, config: Path) -> Counter[bytes]:
    """The messages that arrived, each byte for byte one of the outbox, and all of those."""
    rows = outbox(config.parent / "data")
    assert {row.state for row in rows} == {"sent"}
    by_id = {id_of(row.message or b""): row.message or b"" for row in rows}
    assert len(by_id) == len(PROFILES) * DAYS
    arrived: Counter[bytes] = Counter()
    for mail in server.mails():
        message = by_id[id_of(mail)]
        assert mail.endswith(message)
        assert _ON_THE_WAY.fullmatch(mail.removesuffix(message))
        arrived[message] += 1
    assert arrived.keys() == set(by_id.values())
    return arrived


def id_of(mail: bytes) -> str:
    return str(BytesHeaderParser().parsebytes(mail)["Message-ID"])


@pytest.mark.parametrize(("security", "kills"), [("starttls", KILLS), ("tls", 0)])
def test_200_mails_arrive_byte_for_byte_and_twice_only_after_a_lost_answer(
    nursery: Nursery, tmp_path: Path, mails: Path, server: Mta, security: str, kills: int
) -> None:
    config = sending_by(server, tmp_path, mails, security)
    seed = random.randrange(10**6)  # noqa: S311 - no secret
    lost = send(nursery, config, server, seed=seed, kills=kills, waits=False)
    allowed = Counter(row.message or b"" for row in lost)
    for message, copies in arrived_whole(server, config).items():
        assert copies <= 1 + allowed[message], f"seed {seed}: {id_of(message)}"


def test_no_mail_comes_twice_where_digest_looks_into_the_mailbox_first(
    nursery: Nursery, tmp_path: Path, mails: Path, server: Mta
) -> None:
    config = sending_by(server, tmp_path, mails, "starttls", looks=True)
    seed = random.randrange(10**6)  # noqa: S311 - no secret
    lost = send(nursery, config, server, seed=seed, kills=KILLS, waits=True)
    assert lost, f"seed {seed}"
    assert set(arrived_whole(server, config).values()) == {1}, f"seed {seed}"
