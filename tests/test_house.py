"""The rules of the house, checked by machines: style, types, layers, spelling, and what is in a wheel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def command(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_has_nothing_to_say() -> None:
    command("ruff", "check", "--no-cache", ".")
    command("ruff", "format", "--no-cache", "--check", ".")


def test_the_types_hold() -> None:
    command("mypy")


def test_imports_point_inwards() -> None:
    command("importlinter.cli", "lint-imports", "--no-cache")


def test_the_spelling_is_right() -> None:
    command("codespell_lib", ".")


def test_a_wheel_holds_the_templates_and_the_configuration(tmp_path: Path) -> None:
    command(
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        str(ROOT),
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    for folder in ("templates", "config"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file():
                assert f"digest/_{folder}/{path.relative_to(ROOT / folder).as_posix()}" in names
    assert not any(name.startswith("tests/") for name in names)


def test_the_pinned_requirements_name_every_dependency_and_no_index() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-", text, re.MULTILINE)
    pinned = {
        re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in text.splitlines() if "==" in line
    }
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = re.findall(r'^  "([A-Za-z0-9._-]+)(?:\[\w+\])?[><=~]', project, re.MULTILINE)
    assert wanted
    missing = {re.sub(r"[-_.]+", "-", name).lower() for name in wanted} - pinned
    assert not missing


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout")
def test_no_file_speaks_of_the_machine_it_was_written_on() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=60
    ).stdout.decode()
    indexes = "|".join(("pypi" + r"\.org", "python" + "hosted", "registry" + r"\.npmjs"))
    wrong = re.compile(rf"{indexes}|{re.escape(str(ROOT))}")
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix != ".png":
            found = wrong.search(path.read_text(encoding="utf-8", errors="replace"))
            assert found is None, f"{name}: {found}"


def test_the_working_copy_is_used_and_not_a_stale_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import digest; print(digest.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": ""},
        timeout=60,
    )
    assert Path(done.stdout.strip()).is_relative_to(ROOT)
