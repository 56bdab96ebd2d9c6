"""Where secrets come from: the keyring, the environment, a file or a command, and never the configuration.

A keyring is asked in a process of its own, because a locked one may wait for ever for somebody to unlock it.
One that keeps nothing, or keeps it in plain text, is refused.
No error holds a secret, nor a foreign error that might hold one.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from digest.errors import CredentialError
from digest.redaction import Secret

KEYRING_TIMEOUT = 20.0  # seconds
COMMAND_TIMEOUT = 30.0  # seconds
_KEY_LENGTH = 32  # bytes, as many as the hash has (RFC 2104, 3)

_ANOTHER_PLACE = 'say env = "NAME" or file = "PATH" (chmod 600) in place of keyring'


@dataclass(frozen=True, slots=True)
class CredentialReference:
    """Where to find a secret: exactly one place. Raises CredentialError otherwise."""

    keyring: str = ""  # an entry of digest's, see `store`
    env: str = ""
    file: str = ""  # a relative one may be a credential of systemd's, or is in `folder`
    command: tuple[str, ...] = ()  # run without a shell
    folder: Path = Path()

    def __post_init__(self) -> None:
        """Check that there is one place."""
        if sum(map(bool, (self.keyring, self.env, self.file, self.command))) != 1:
            raise CredentialError("a secret comes from exactly one of keyring, env, file and command")


def resolve(reference: CredentialReference, *, environ: Mapping[str, str]) -> Secret:
    """The secret that a reference points at. Raises CredentialError, with how to put it right."""
    if reference.keyring:
        value = _ask_keyring("get", reference.keyring, environ)
    elif reference.env:
        value = _from_environment(reference.env, environ)
    elif reference.file:
        value = _from_file(reference.file, reference.folder, environ)
    else:
        value = _from_command(reference.command, environ)
    if not value:
        raise CredentialError("it is empty", place=describe(reference), remedy="Store the secret there")
    return Secret(value)


def describe(reference: CredentialReference) -> str:
    """Where a secret comes from, in words; a command's arguments are left out, for they may tell."""
    if reference.keyring:
        return f'keyring entry "{reference.keyring}"'
    if reference.env:
        return f"environment variable {reference.env}"
    if reference.file:
        return f"file {reference.file}"
    return f"command {reference.command[0]}"


def keep(reference: CredentialReference) -> str:
    """How another secret is put there, in words that end a sentence."""
    if reference.keyring:
        return f"store it with `digest secret set {reference.keyring}`"
    if reference.command:
        return f"put it where {describe(reference)} finds it"
    return f"put it into {describe(reference)}"


def look(name: str, *, environ: Mapping[str, str]) -> None:
    """See that there is a keyring that opens, whether or not it has an entry. Raises CredentialError."""
    _ask_keyring("look", name, environ)


def store(name: str, secret: Secret, *, environ: Mapping[str, str]) -> None:
    """Put a secret into the keyring and see that it is there. Raises CredentialError."""
    if not secret.reveal():
        raise CredentialError("an empty secret is not stored", place=_entry(name))
    _ask_keyring("set", name, environ, secret.reveal())


def forget(name: str, *, environ: Mapping[str, str]) -> None:
    """Take a secret out of the keyring. Raises CredentialError, also when there is none."""
    _ask_keyring("forget", name, environ)


def own_key(path: Path) -> bytes:
    """The 32 random bytes that digest signs its own links with, made when the file is not there.

    Two processes that make it at once agree on one. Raises CredentialError.
    """
    try:
        if not path.exists():
            _make_key(path)
        mode, key = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise CredentialError(
            f"it can be neither read nor made: {error.strerror}",
            place=f"file {path}",
            remedy="Check the permissions of its folder",
        ) from error
    if len(key) != _KEY_LENGTH:
        raise CredentialError(
            "it is damaged",
            place=f"file {path}",
            remedy="Restore it, or delete it: then links in mails that were sent before stop working",
        )
    if mode & 0o077 and os.name == "posix":
        raise CredentialError("others can read it", place=f"file {path}", remedy=f"Run `chmod 600 {path}`")
    return key


def _make_key(path: Path) -> None:
    # Linking replaces nothing, and what it names is whole.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # for its owner alone
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - it is open already
            stream.write(secrets.token_bytes(_KEY_LENGTH))
            stream.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):  # another process was first
            os.link(name, path)
    finally:
        Path(name).unlink()


def _entry(name: str) -> str:
    return describe(CredentialReference(keyring=name))


def _in_keyring(name: str) -> str:
    return f'or run `digest secret set {name}` and say keyring = "{name}"'


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    place = f"environment variable {name}"
    if not (value := environ.get(name)):
        raise CredentialError(
            "it is empty" if name in environ else "it is not set",
            place=place,
            remedy=f"Set it where digest is started, {_in_keyring('NAME')}",
        )
    return _text(value.encode("utf-8", "surrogatepass"), place)


def _from_file(name: str, folder: Path, environ: Mapping[str, str]) -> str:
    place = f"file {name}"
    try:
        path = Path(name).expanduser()
        # systemd hands credentials over in a folder of its own (systemd.exec(5), LoadCredential=).
        handed_over = Path(environ.get("CREDENTIALS_DIRECTORY", ""), path)
        by_systemd = "CREDENTIALS_DIRECTORY" in environ and not path.is_absolute() and handed_over.is_file()
        if not by_systemd:
            path = folder / path
            place = f"file {path}"
        with (handed_over if by_systemd else path).open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read()
    except (OSError, RuntimeError) as error:  # RuntimeError: nobody has such a home
        raise CredentialError(
            f"it cannot be read: {getattr(error, 'strerror', None) or error}",
            place=place,
            remedy=f"Write the secret into it and `chmod 600` it, {_in_keyring('NAME')}",
        ) from error
    if mode & 0o077 and not by_systemd and os.name == "posix":
        raise CredentialError("others can read it", place=place, remedy=f"Run `chmod 600 {path}`")
    return _text(content, place).rstrip("\r\n")


def _from_command(command: tuple[str, ...], environ: Mapping[str, str]) -> str:
    place = f"command {command[0]}"
    try:
        # What it complains of goes where digest's own messages go, and never into an error of ours.
        done = _run(command, environ, COMMAND_TIMEOUT)
    except OSError as error:
        raise CredentialError(
            f"it cannot be run: {error.strerror}", place=place, remedy="Check its name and the PATH"
        ) from error
    if done is None:
        raise CredentialError(
            f"it did not end within {COMMAND_TIMEOUT:g} s",
            place=place,
            remedy="Run it in a terminal to see what it waits for",
        )
    if done.returncode:
        raise CredentialError(
            f"it failed with status {done.returncode}", place=place, remedy="Run it in a terminal to see why"
        )
    return _text(done.stdout, place).partition("\n")[0].rstrip("\r")


def _text(raw: bytes, place: str) -> str:
    text = raw.decode("utf-8", "replace")  # a UnicodeDecodeError would hold the bytes
    if text.encode() != raw:
        raise CredentialError("it is not UTF-8", place=place, remedy="Store the secret as UTF-8 text")
    return text


def _run(
    command: Sequence[str],
    environ: Mapping[str, str],
    timeout: float,
    *,
    given: bytes = b"",
    stderr: int | None = None,
) -> subprocess.CompletedProcess[bytes] | None:
    """Run a command without a shell; gives None when it had to be ended."""
    with suppress(subprocess.TimeoutExpired):  # which holds what the command had written
        return subprocess.run(  # noqa: S603 - the user's own command, or this interpreter
            command,
            input=given,
            stdout=subprocess.PIPE,
            stderr=stderr,
            timeout=timeout,
            env=dict(environ),
            check=False,
        )
    return None


def _ask_keyring(
    action: Literal["get", "set", "forget", "look"], name: str, environ: Mapping[str, str], secret: str = ""
) -> str:
    done = _run(
        (sys.executable, "-P", "-c", _CHILD, action, name),
        environ,
        KEYRING_TIMEOUT,
        given=json.dumps(secret).encode(),
        stderr=subprocess.DEVNULL,
    )
    if done is None:
        raise CredentialError(
            f"the keyring did not answer within {KEYRING_TIMEOUT:g} s; it may be locked",
            place=_entry(name),
            remedy=f"Unlock it, or {_ANOTHER_PLACE}",
        )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = {"problem": "broken", "detail": f"status {done.returncode}"}
    if "problem" in answer:
        message, remedy = _PROBLEMS[answer["problem"]]
        raise CredentialError(
            message.format(detail=answer["detail"]), place=_entry(name), remedy=remedy.format(name=name)
        )
    return str(answer["secret"])


_REPLACE_KEYRING = f"Choose another (`keyring --list-backends`), or {_ANOTHER_PLACE}"

_PROBLEMS = {
    "backend": (
        "the keyring cannot be loaded ({detail})",
        "Check PYTHON_KEYRING_BACKEND and keyringrc.cfg. " + _REPLACE_KEYRING,
    ),
    "none": ("this machine has no keyring", _REPLACE_KEYRING),
    "unsafe": ("{detail} keeps secrets in plain text or not at all", _REPLACE_KEYRING),
    "missing": ("there is no such entry", "Store it with `digest secret set {name}`"),
    "lost": ("{detail} did not keep the secret", _REPLACE_KEYRING),
    "locked": ("the keyring is locked ({detail})", f"Unlock it, or {_ANOTHER_PLACE}"),
    "failed": ("the keyring failed ({detail})", _REPLACE_KEYRING),
    "broken": ("the keyring's process broke off ({detail})", _REPLACE_KEYRING),
}

# The chainer holds several keyrings; reading and writing ask the safe ones alone.
# What backends print goes to standard error, so that standard output is the answer.
_CHILD = """
import json, sys

def words(error):
    text = f"{type(error).__name__}: {error}".replace(secret or "\\0", "<secret>")
    return " ".join(text.split())

def answer(action, name):
    try:
        import keyring
        from keyring.backends import chainer, fail
        found = keyring.get_keyring()
    except Exception as error:
        return {"problem": "backend", "detail": words(error)}
    rings = found.backends if isinstance(found, chainer.ChainerBackend) else [found]
    rings = [ring for ring in rings if not isinstance(ring, fail.Keyring)]
    if not rings:
        return {"problem": "none", "detail": ""}
    names = {ring: f"{type(ring).__module__}.{type(ring).__qualname__}" for ring in rings}
    unsafe = ("keyring.backends.null.", "keyrings.alt.")
    safe = [r for r in rings if not names[r].startswith(unsafe) and "plaintext" not in names[r].lower()]
    if not safe:
        return {"problem": "unsafe", "detail": ", ".join(names.values())}
    if action == "set":
        safe[0].set_password("digest", name, secret)
        if safe[0].get_password("digest", name) != secret:
            return {"problem": "lost", "detail": names[safe[0]]}
        return {"secret": ""}
    if action == "look":
        safe[0].get_password("digest", name)
        return {"secret": ""}
    for ring in safe:
        stored = ring.get_password("digest", name)
        if stored is not None:
            if action == "forget":
                ring.delete_password("digest", name)
            return {"secret": stored if action == "get" else ""}
    return {"problem": "missing", "detail": ""}

out, sys.stdout = sys.stdout, sys.stderr
secret = json.load(sys.stdin)
try:
    said = answer(*sys.argv[1:])
except Exception as error:
    kind = "locked" if any(one.__name__ == "KeyringLocked" for one in type(error).__mro__) else "failed"
    said = {"problem": kind, "detail": words(error)}
json.dump(said, out)
out.flush()
"""
