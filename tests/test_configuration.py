"""What README and config/digest.toml tell people to write does what they say."""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple, get_args

import pytest
from click.testing import CliRunner
from pydantic import BaseModel
from world import configure

from digest import app, plugins
from digest.cli import cli
from digest.config import tables
from digest.config.document import read_document
from digest.config.tables import (
    EmailTable,
    FeedsTable,
    ImapTable,
    InterestTable,
    NetworkTable,
    OAuth2Table,
    ProfileTable,
    RootTable,
    ScheduleTable,
    Security,
    ServeTable,
    WebhookTable,
)
from digest.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
PAGE = b"""<ul>
<li class="preprint"><a href="https://lab.example.org/1">Swin for Ferns</a></li>
<li class="preprint"><a href="https://lab.example.org/2">Counting Moss</a></li>
</ul>"""


class _Lab(BaseHTTPRequestHandler):
    content = PAGE

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def lab() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Lab) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_the_source_of_ones_own_in_the_readme_works(
    tmp_path: Path, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("### A source of your own")[2]
    code, table = re.findall(r"```(?:python|toml)\n(.*?)```", section, re.DOTALL)[:2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    (tmp_path / "lab.py").write_text(code, encoding="utf-8")
    table = table.replace("https://lab.example.org/preprints", lab)
    config = configure(tmp_path, extra=table)
    result = CliRunner().invoke(cli, ["collect", "--config", str(config)])
    assert "our lab: 2 papers listed, 2 new" in result.output
    monkeypatch.setattr(_Lab, "content", b"<p>We have moved.</p>")
    result = CliRunner().invoke(cli, ["collect", "--config", str(config)])
    assert "our lab: " + lab + ": no preprints are listed. The page is kept in " in result.output
    place = result.output.partition("The page is kept in data_dir/")[2].splitlines()[0]
    kept = tmp_path / "data" / place
    assert kept.read_bytes() == b"<p>We have moved.</p>"
    kept.unlink()
    result = CliRunner().invoke(cli, ["run", "--dry-run", "--config", str(config)])
    assert "no preprints are listed" in result.output
    assert "is kept" not in result.output
    kept.parent.rmdir()
    kept.parent.write_text("")  # where the folder would be
    result = CliRunner().invoke(cli, ["collect", "--config", str(config)])
    assert "no preprints are listed" in result.output
    assert "is kept" not in result.output


# --- the example configuration ----------------------------------------------------------------


class Said(NamedTuple):
    """A line of a file that sets a key or opens a table, in force or behind a "#"."""

    file: str
    number: int
    table: str
    kind: str  # of a source
    key: str  # empty for the opening of a table
    value: Any
    toml: str
    remark: str
    is_explained: bool  # by a remark, or by a sentence above it


EXAMPLE = "digest.toml"
PROFILES = tuple(f"profiles/{path.name}" for path in sorted((ROOT / "config/profiles").glob("*.toml")))
ROOTS: dict[str, type[BaseModel]] = {
    "": RootTable,
    "schedule": ScheduleTable,
    "network": NetworkTable,
    "email": EmailTable,
    "email.oauth2": OAuth2Table,
    "email.imap": ImapTable,
    "webhooks": WebhookTable,
    "feeds": FeedsTable,
    "serve": ServeTable,
}
OF_PROFILES: dict[str, type[BaseModel]] = {
    "": ProfileTable,
    "schedule": ScheduleTable,
    "interests": InterestTable,
}
DEFAULTS: dict[str, Any] = {  # in words
    "the machine's": None,
    "your platform's folder for such data": None,
    "data_dir/public": None,
    "sqlite, in data_dir/digest.db": None,
    "every day": list(tables.DAYS),
    "the kind": None,
    "all": [],
    "no limit": None,
    "465 for tls, 587 for starttls, 25 for none": None,
    "993 for tls, else 143": None,
    "that of [email], and so is the password": None,
    "e-mail if there are recipients, and the others": None,
    "that of digest.toml": None,
    "none": None,
}
_OPENING = re.compile(r"(?:# )?(\[\[?([\w.]+)\]\]?)(?: +#.*)?$")
_KEY = re.compile(r"(?:# )?((\w+) = .+)$")


@cache
def said(file: str) -> tuple[Said, ...]:
    """What a file of the example says. A "#" in front of a key or a table counts as none."""
    found = []
    table = kind = ""
    is_explained = False
    for number, line in enumerate((ROOT / "config" / file).read_text("utf-8").splitlines(), 1):
        if opens := _OPENING.match(line):
            table, kind = opens[2], ""
            found.append(Said(file, number, table, "", "", None, opens[1], "", is_explained=True))
        elif sets := _KEY.match(line):
            (value,) = tomllib.loads(sets[1]).values()
            kind = value if (table, sets[2]) == ("sources", "kind") else kind
            remark = re.search(r" # (.*)$", sets[1])
            explained = is_explained or remark is not None
            what = (sets[2], value, sets[1], remark[1] if remark else "")
            found.append(Said(file, number, table, kind, *what, is_explained=explained))
        else:
            is_explained = line.startswith("#")
    return tuple(found)


class Table(NamedTuple):
    """A table of the configuration or of a profile, with what the examples say of it."""

    name: str
    model: type[BaseModel]
    lines: list[Said]
    within: set[str]  # the tables in it


def every_table() -> Iterator[Table]:
    profiles = tuple(one for file in PROFILES for one in said(file))
    for models, lines in ((ROOTS, said(EXAMPLE)), (OF_PROFILES, profiles)):
        for name, model in models.items():
            parts = (one.table.rpartition(".") for one in lines if one.table)
            within = {last for around, _, last in parts if around == name}
            yield Table(name, model, [one for one in lines if one.table == name], within)


def parameters(kind: str) -> dict[str, Any]:
    """The keys of a kind of source, with their defaults; what is not needed."""
    signature = inspect.signature(plugins.load("sources", kind))
    provided = {"name", "readers", "folder", "contact"}
    return {name: one.default for name, one in signature.parameters.items() if name not in provided}


def test_every_key_of_the_configuration_stands_in_the_example_and_every_key_there_exists() -> None:
    for table in every_table():
        keys = {field.alias or name for name, field in table.model.model_fields.items()}
        assert {one.key for one in table.lines if one.key} | table.within == keys, table.model.__name__
    places = {key for file in (EXAMPLE, *PROFILES) for one in said(file) for key in keys_of(one.value)}
    assert set(tables.CredentialTable.model_fields) <= places


def keys_of(value: object) -> set[str]:
    return set(value) if isinstance(value, dict) else set()


def test_every_key_of_every_kind_of_source_stands_in_the_example_and_every_key_there_exists() -> None:
    kinds: dict[str, set[str]] = {}
    for one in said(EXAMPLE):
        if one.table == "sources" and one.key:
            kinds.setdefault(one.kind, set()).add(one.key)
    assert set(plugins.names("sources")) - set(kinds) == {"medrxiv"}
    assert parameters("medrxiv") == parameters("biorxiv")
    for kind in kinds.keys() & set(plugins.names("sources")):
        assert kinds[kind] - {"kind", "name"} == set(parameters(kind)), kind


@pytest.mark.parametrize("file", [EXAMPLE, *PROFILES])
def test_every_key_of_the_example_is_explained_where_it_stands(file: str) -> None:
    assert [f"{one.file}:{one.number}" for one in said(file) if not one.is_explained] == []


def test_every_default_that_the_example_speaks_of_is_the_one_of_the_program() -> None:
    for table in every_table():
        fields = {field.alias or name: field for name, field in table.model.model_fields.items()}
        defaults = {key: one.get_default() for key, one in fields.items() if not one.is_required()}
        agree(table.lines, defaults)
    for kind in plugins.names("sources"):
        lines = [one for one in said(EXAMPLE) if (one.table, one.kind) == ("sources", kind)]
        required = inspect.Parameter.empty
        agree(lines, {key: value for key, value in parameters(kind).items() if value is not required})
    ports = [
        EmailTable(**{"from": "a@example.org", "host": "h", "security": one}) for one in get_args(Security)
    ]
    assert {one.security: one.service_port for one in ports} == {"tls": 465, "starttls": 587, "none": 25}
    boxes = [ImapTable(host="h", security=one) for one in get_args(Security)]
    assert {one.security: one.service_port for one in boxes} == {"tls": 993, "starttls": 143, "none": 143}


def agree(lines: Sequence[Said], defaults: Mapping[str, Any]) -> None:
    """A line shows the default, or its remark says it, or there is nothing without the key."""
    met = set()
    for one in lines:
        if one.key not in defaults or (one.file, one.key) in met:  # what stands there again is an alternative
            continue
        met.add((one.file, one.key))
        default = plain(defaults[one.key])
        words = re.search(r"\bdefault: (?P<it>[^;]+)|(?P<value>\S+) if left out", one.remark)
        if words and words["it"] in DEFAULTS:
            shown = DEFAULTS[words["it"]]
        elif words:
            shown = tomllib.loads(f"it = {words['it'] or words['value']}")["it"]
        else:
            shown = one.value if default not in (None, [], {}) else default
        assert default in (shown, [shown], shown or []), f"{one.file}:{one.number}: {one.toml}"


def plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


# What cannot stand together in `[email]`, and so is tried in turn: which values of its keys, and which
# keys of `[email.oauth2]`.
OF_SMTP = {"host", "port", "security", "username", "ca_file", "per_minute", "per_run", "per_day"}
OF_ALL = {"from", "when_empty", "when_uncertain"}
REFRESHED = {"token_url", "client_id", "client_secret", "refresh_token", "scope"}
TRANSPORTS = {
    "smtp": OF_SMTP | {"timeout", "imap"},
    "sendmail": {"command", "timeout"},
    "maildir": {"folder"},
    "eml": {"folder"},
}


def alternatives() -> Iterator[tuple[str, list[Said]]]:
    """Sets of lines of the example that can stand together, with a name for each."""
    lines = said(EXAMPLE)
    mail = [one for one in lines if one.table == "email"]
    rest = [one for one in lines if not one.table.startswith("email")]
    passwords = [one for one in mail if one.key == "password"]
    for transport in (one for one in mail if one.key == "transport"):
        known = TRANSPORTS[transport.value] | OF_ALL
        folders = [one for one in mail if one.key == "folder" and one.number > transport.number][:1]
        fixed = [one for one in mail if not one.key or (one.key in known and one.key != "folder")]
        fixed += [transport, *(folders if "folder" in known else [])]
        imap = [one for one in lines if one.table == "email.imap" and "imap" in known]
        if transport.value != "smtp":
            yield transport.toml, [*rest, *fixed, *imap]
            continue
        for password in passwords:
            yield password.toml, [*rest, *fixed, password, *imap]
        for keys in ({"token"}, REFRESHED):
            oauth2 = [
                one for one in lines if one.table == "email.oauth2" and (not one.key or one.key in keys)
            ]
            yield f"oauth2 by {' '.join(sorted(keys))}", [*rest, *fixed, *oauth2, *imap]


@pytest.mark.parametrize("lines", [pytest.param(lines, id=name) for name, lines in alternatives()])
def test_the_example_works_with_all_its_comments_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[Said]
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "lab.py").write_text(
        "class LabPage:\n    def __init__(self, name: str, *, url: str) -> None:\n        self.name = name\n"
    )
    (tmp_path / "ca.pem").touch()
    (tmp_path / "templates").mkdir()
    (tmp_path / "profiles").mkdir()
    for file in PROFILES:
        (tmp_path / file).write_text("\n".join(one.toml for one in said(file)), encoding="utf-8")
    (tmp_path / EXAMPLE).write_text("\n".join(one.toml for one in lines), encoding="utf-8")
    made = app.load(str(tmp_path / EXAMPLE), {})
    # medRxiv stands there as an alternative of bioRxiv, and LabPage is not ours.
    assert len(made.sources) == len(plugins.names("sources"))
    assert made.config.email is not None
    assert len(made.config.webhooks) == 1
    assert len(made.config.profiles) == len(PROFILES)


def test_no_line_of_the_example_is_left_untried() -> None:
    tried = {one.number for _, lines in alternatives() for one in lines}
    assert [f"{one.file}:{one.number}" for one in said(EXAMPLE) if one.number not in tried] == []


def test_the_readme_names_every_kind_of_source() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## Where papers come from")[2].partition("### A source")[0]
    assert set(plugins.names("sources")) <= set(re.findall(r"`(\w+)`", table))


def test_a_check_looks_for_the_keys_of_sources_and_of_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = (
        '[network]\nproxy = "http://127.0.0.1:9"\nproxy_username = "me"\n'
        'proxy_password = { env = "DIGEST_TEST_PROXY" }\n'
        '[[sources]]\nkind = "pubmed"\nquery = "ferns"\nkey = { env = "DIGEST_TEST_KEY" }\n'
    )
    config = configure(tmp_path, extra=keys)
    monkeypatch.setenv("DIGEST_TEST_KEY", "hunter2")
    monkeypatch.setenv("DIGEST_TEST_PROXY", "hunter3")
    result = CliRunner().invoke(cli, ["check", "--config", str(config)], standalone_mode=False)
    assert "pubmed: " in result.output
    assert "proxy: " in result.output
    assert "hunter" not in result.output
    assert result.return_value == 0
    monkeypatch.delenv("DIGEST_TEST_KEY")
    result = CliRunner().invoke(cli, ["check", "--config", str(config)], standalone_mode=False)
    assert "DIGEST_TEST_KEY" in result.output
    assert result.return_value == 2
    configure(tmp_path, extra=keys.replace("query", "quarry"))
    result = CliRunner().invoke(cli, ["check", "--config", str(config)], standalone_mode=False)
    assert "Did you mean query?" in result.output
    assert "DIGEST_TEST_KEY" not in result.output


PARTS = "a." * 50


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (f"{PARTS}a = 1", r"digest\.toml:2: a key has more than 50 parts"),
        (f"[[{PARTS}a]]", r"digest\.toml:2: a key has more than 50 parts"),
        (f"x = {{ y = 1, {PARTS}a = 1 }}", r"digest\.toml:2: a key has more than 50 parts"),
        (
            "# x\n" * 250_000,
            r"digest\.toml: it has 1,000,007 characters, and no more than 1,000,000 are read",
        ),
    ],
    ids=["key", "table", "inline", "large"],
)
def test_what_nobody_writes_is_refused_before_the_parser_takes_its_square(
    tmp_path: Path, written: str, said: str
) -> None:
    file = tmp_path / "digest.toml"
    file.write_text(f"# mine\n{written}")
    with pytest.raises(ConfigError, match=said):
        read_document(file)


def test_a_text_may_have_many_points(tmp_path: Path) -> None:
    file = tmp_path / "digest.toml"
    file.write_text(f'a = "{PARTS}a"\nb = [\n  "{PARTS}a",\n]\nc.d = 1')
    assert read_document(file).values == {"a": f"{PARTS}a", "b": [f"{PARTS}a"], "c": {"d": 1}}
