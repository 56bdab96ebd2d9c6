from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

import pytest
from keyrings import with_keyring

from digest import credentials
from digest.credentials import CredentialReference, describe, forget, keep, resolve, store
from digest.errors import CredentialError
from digest.redaction import Secret

HIDDEN = "hübsch & geheim"
SPOILT = b"geheim\xff"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose keyring is the working one, and where no other can be found."""
    return os.environ | with_keyring(tmp_path)


def said(error: BaseException) -> str:
    """All that a report of the error could print."""
    links = [link for link in (error, error.__cause__, error.__context__) if link]
    return "".join(traceback.format_exception(error)) + repr([(link.args, vars(link)) for link in links])


def python(program: str) -> CredentialReference:
    return CredentialReference(command=(sys.executable, "-c", program))


def test_secret_shows_itself_only_when_asked_by_name() -> None:
    secret = Secret(HIDDEN)
    assert secret.reveal() == HIDDEN
    assert [repr(secret), str(secret), f"{secret}", f"{secret:>40}", "%s" % secret] == ["<secret>"] * 5  # noqa: UP031


@pytest.mark.parametrize("places", [{}, {"env": "A", "file": "b"}, {"keyring": ""}, {"command": ()}])
def test_reference_names_exactly_one_place(places: dict[str, str]) -> None:
    with pytest.raises(CredentialError, match="exactly one"):
        CredentialReference(**places)  # type: ignore[arg-type] # as a configuration might


def test_place_says_how_another_secret_is_put_there() -> None:
    assert [
        keep(CredentialReference(keyring="smtp")),
        keep(CredentialReference(env="SMTP_PASSWORD")),
        keep(CredentialReference(file="~/smtp")),
        keep(CredentialReference(command=("pass", HIDDEN))),
    ] == [
        "store it with `digest secret set smtp`",
        "put it into environment variable SMTP_PASSWORD",
        "put it into file ~/smtp",
        "put it where command pass finds it",
    ]


def test_place_is_described_and_a_command_without_its_arguments() -> None:
    assert [
        describe(CredentialReference(keyring="smtp")),
        describe(CredentialReference(env="SMTP_PASSWORD")),
        describe(CredentialReference(file="~/smtp")),
        describe(CredentialReference(command=("echo", HIDDEN))),
    ] == ['keyring entry "smtp"', "environment variable SMTP_PASSWORD", "file ~/smtp", "command echo"]


def test_environment_variable_is_read_from_the_environment_given() -> None:
    reference = CredentialReference(env="SMTP_PASSWORD")
    assert resolve(reference, environ={"SMTP_PASSWORD": HIDDEN}).reveal() == HIDDEN


@pytest.mark.parametrize(
    ("environ", "words"), [({}, "it is not set"), ({"SMTP_PASSWORD": ""}, "it is empty")]
)
def test_missing_environment_variable_says_what_to_run(environ: dict[str, str], words: str) -> None:
    with pytest.raises(CredentialError, match=f"SMTP_PASSWORD: {words}.*digest secret set"):
        resolve(CredentialReference(env="SMTP_PASSWORD"), environ=environ)


def test_secret_that_is_not_utf8_is_refused_and_not_shown() -> None:
    with pytest.raises(CredentialError, match="not UTF-8") as caught:
        resolve(CredentialReference(env="SMTP_PASSWORD"), environ={"SMTP_PASSWORD": os.fsdecode(SPOILT)})
    assert "geheim" not in said(caught.value)


def private(path: Path, content: bytes) -> CredentialReference:
    path.write_bytes(content)
    path.chmod(0o600)
    return CredentialReference(file=str(path))


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_file_is_read_without_its_last_line_end(tmp_path: Path, end: str) -> None:
    reference = private(tmp_path / "smtp", f"{HIDDEN} {end}".encode())
    assert resolve(reference, environ={}).reveal() == f"{HIDDEN} "


def test_file_in_the_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    private(tmp_path / "smtp", HIDDEN.encode())
    assert resolve(CredentialReference(file="~/smtp"), environ={}).reveal() == HIDDEN


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_file_that_others_can_open_says_how_to_close_it(tmp_path: Path, mode: int) -> None:
    reference = private(tmp_path / "smtp", HIDDEN.encode())
    (tmp_path / "smtp").chmod(mode)
    with pytest.raises(CredentialError, match=f"Run `chmod 600 {tmp_path / 'smtp'}`"):
        resolve(reference, environ={})


@pytest.mark.parametrize("name", ["smtp", ".", "~nobody-of-this-name/smtp"])
def test_file_that_cannot_be_read_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CredentialError, match=f"file {name}: it cannot be read: .*digest secret set"):
        resolve(CredentialReference(file=name), environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_empty_file_is_no_secret(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="it is empty"):
        resolve(private(tmp_path / "smtp", b"\n"), environ={})


def test_file_that_is_not_utf8_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="not UTF-8") as caught:
        resolve(private(tmp_path / "smtp", SPOILT), environ={})
    assert "geheim" not in said(caught.value)


def test_credential_of_systemd_comes_first_and_keeps_its_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    private(tmp_path / "smtp", b"of the working folder")
    handed_over = tmp_path / "credentials"
    handed_over.mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(handed_over)}
    reference = CredentialReference(file="smtp")
    assert resolve(reference, environ=environ).reveal() == "of the working folder"
    (handed_over / "smtp").write_bytes(b"of systemd")
    (handed_over / "smtp").chmod(0o440)
    assert resolve(reference, environ=environ).reveal() == "of systemd"
    assert resolve(CredentialReference(file=str(tmp_path / "smtp")), environ=environ).reveal() == (
        "of the working folder"
    )


def test_command_gives_the_first_line_of_its_output(environ: dict[str, str]) -> None:
    program = r"import sys; sys.stdout.buffer.write('h\xfcbsch & geheim\r\nlogin: me\n'.encode())"
    assert resolve(python(program), environ=environ).reveal() == HIDDEN


def test_command_is_given_the_environment_and_no_shell(environ: dict[str, str]) -> None:
    program = "import os, sys; print(os.environ['WHOSE'], sys.argv[1])"
    reference = CredentialReference(command=(sys.executable, "-c", program, "$WHOSE; echo"))
    assert resolve(reference, environ={**environ, "WHOSE": "mine"}).reveal() == "mine $WHOSE; echo"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (python("print('geheim'); raise SystemExit(3)"), "it failed with status 3"),
        (python("pass"), "it is empty"),
        (python("input()"), "it failed with status 1"),
        (python(r"import sys; sys.stdout.buffer.write(b'geheim\xff')"), "it is not UTF-8"),
        (CredentialReference(command=("no-such-command-here",)), "it cannot be run: No such file"),
    ],
)
def test_command_that_gives_no_secret_is_named(
    environ: dict[str, str], reference: CredentialReference, words: str
) -> None:
    with pytest.raises(CredentialError, match=f"command .*: {words}") as caught:
        resolve(reference, environ=environ)
    assert "geheim" not in repr((caught.value.args, caught.value.__cause__, str(caught.value)))


def test_command_that_does_not_end_is_ended(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "COMMAND_TIMEOUT", 0.5)
    with pytest.raises(CredentialError, match=r"it did not end within 0\.5 s") as caught:
        resolve(python("import time; print('geheim', flush=True); time.sleep(60)"), environ=environ)
    assert caught.value.__context__ is None  # subprocess.TimeoutExpired holds what was printed


def test_keyring_keeps_gives_and_forgets_a_secret(environ: dict[str, str]) -> None:
    reference = CredentialReference(keyring="smtp")
    store("smtp", Secret(HIDDEN), environ=environ)
    assert resolve(reference, environ=environ).reveal() == HIDDEN
    forget("smtp", environ=environ)
    with pytest.raises(CredentialError, match=r"no such entry.*digest secret set smtp"):
        resolve(reference, environ=environ)
    with pytest.raises(CredentialError, match="no such entry"):
        forget("smtp", environ=environ)


def test_empty_secret_is_not_stored(environ: dict[str, str]) -> None:
    with pytest.raises(CredentialError, match='keyring entry "smtp": an empty secret'):
        store("smtp", Secret(""), environ=environ)


FAULTS = [
    ("keyring.backends.fail.Keyring", "this machine has no keyring"),
    ("keyring.backends.null.Keyring", "null.Keyring keeps secrets in plain text or not at all"),
    ("keyrings.alt.file.Keyring", r"keyrings\.alt\.file\.Keyring keeps secrets in plain text"),
    ("fakes.PlaintextKeyring", "fakes.PlaintextKeyring keeps secrets in plain text"),
    ("no_such_module.Keyring", r"cannot be loaded \(ModuleNotFoundError: .*PYTHON_KEYRING_BACKEND"),
    ("fakes.NoSuchClass", r"cannot be loaded \(AttributeError: "),
    ("nonsense", r"cannot be loaded \(ValueError: "),
    ("fakes.Locked", r"the keyring is locked \(KeyringLocked: "),
    ("fakes.Crashing", r"the keyring's process broke off \(status 3\)"),
]


@pytest.mark.parametrize(("backend", "words"), FAULTS)
def test_keyring_that_cannot_be_used_is_told_with_other_places_for_the_secret(
    environ: dict[str, str], backend: str, words: str
) -> None:
    there = {**environ, "PYTHON_KEYRING_BACKEND": backend}
    with pytest.raises(CredentialError, match=words) as reading:
        resolve(CredentialReference(keyring="smtp"), environ=there)
    with pytest.raises(CredentialError) as writing:
        store("smtp", Secret(HIDDEN), environ=there)
    for caught in (reading, writing):
        assert 'keyring entry "smtp"' in str(caught.value)
        assert "env =" in str(caught.value)
        assert HIDDEN not in said(caught.value)


def test_keyring_that_hangs_is_given_up(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "KEYRING_TIMEOUT", 0.5)
    with pytest.raises(CredentialError, match=r"did not answer within 0\.5 s; it may be locked.*env ="):
        resolve(
            CredentialReference(keyring="smtp"),
            environ={**environ, "PYTHON_KEYRING_BACKEND": "fakes.Hanging"},
        )


def test_keyring_that_does_not_keep_what_it_was_given_is_noticed(environ: dict[str, str]) -> None:
    with pytest.raises(CredentialError, match=r"fakes\.Forgetful did not keep the secret"):
        store("smtp", Secret(HIDDEN), environ={**environ, "PYTHON_KEYRING_BACKEND": "fakes.Forgetful"})


def test_module_named_keyring_in_the_working_folder_is_not_run(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keyring.py").write_text("raise SystemExit('not the keyring')")
    monkeypatch.chdir(tmp_path)
    store("smtp", Secret(HIDDEN), environ=environ)
    assert resolve(CredentialReference(keyring="smtp"), environ=environ).reveal() == HIDDEN


def test_several_keyrings_are_asked_but_for_the_unsafe_ones(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "modules" / "chained.py").write_text(
        "import fakes\n"
        "from keyring.backends.chainer import ChainerBackend\n"
        "class Chained(ChainerBackend):\n"
        "    backends = [fakes.PlaintextKeyring(), fakes.Working()]\n"
        "    priority = 10\n"
    )
    there = {**environ, "PYTHON_KEYRING_BACKEND": "chained.Chained"}
    store("smtp", Secret(HIDDEN), environ=there)
    assert resolve(CredentialReference(keyring="smtp"), environ=there).reveal() == HIDDEN
