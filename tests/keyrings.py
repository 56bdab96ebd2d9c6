"""Keyrings that programs find by the environment."""

from __future__ import annotations

from pathlib import Path

# Each is a keyring of its own; all keep their entries in one file, as JSON.
_FAKES = """
import json, os, pathlib, signal, time
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

FILE = pathlib.Path(os.environ["FAKE_KEYRING"])

class Working(KeyringBackend):
    priority = 5
    def _read(self):
        print("a backend that talks")
        return json.loads(FILE.read_text()) if FILE.exists() else {}
    def get_password(self, service, username):
        return self._read().get(f"{service}/{username}")
    def set_password(self, service, username, password):
        FILE.write_text(json.dumps({**self._read(), f"{service}/{username}": password}))
    def delete_password(self, service, username):
        FILE.write_text(json.dumps({k: v for k, v in self._read().items() if k != f"{service}/{username}"}))

class Locked(Working):
    def get_password(self, service, username):
        raise KeyringLocked("\\nthe collection\\nis locked")
    def set_password(self, service, username, password):
        raise KeyringLocked(f"cannot keep {password}")

class Hanging(Working):
    def get_password(self, service, username):
        time.sleep(60)

class Forgetful(Working):
    def set_password(self, service, username, password):
        pass

class Clinging(Working):
    def delete_password(self, service, username):
        raise OSError("it is held fast")

class Interrupting(Working):
    def set_password(self, service, username, password):
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)

class InterruptingLate(Interrupting):
    def set_password(self, service, username, password):
        Working.set_password(self, service, username, password)
        super().set_password(service, username, password)

class Crashing(Working):
    def get_password(self, service, username):
        os._exit(3)

class PlaintextKeyring(Working):
    priority = 9
"""


def with_keyring(folder: Path, kind: str = "Working") -> dict[str, str]:
    """The variables of an environment whose keyring keeps its entries in a folder."""
    modules = folder / "modules"
    (modules / "keyrings" / "alt").mkdir(parents=True)
    (modules / "fakes.py").write_text(_FAKES, encoding="utf-8")
    (modules / "keyrings" / "alt" / "file.py").write_text(
        "import fakes\nclass Keyring(fakes.Working): pass\n", encoding="utf-8"
    )
    return {
        "PYTHONPATH": str(modules),
        "PYTHON_KEYRING_BACKEND": f"fakes.{kind}",
        "FAKE_KEYRING": str(folder / "entries.json"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
