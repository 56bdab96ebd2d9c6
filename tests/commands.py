"""Commands as a person runs them, within the process of the test."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from digest.cli import main


class Run:
    """Runs commands; gives the exit code and keeps what was printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: object) -> int:
        umask = os.umask(0o022)
        try:
            with pytest.raises(SystemExit) as ended:
                main([str(argument) for argument in arguments])
        finally:
            os.umask(umask)
        self.out, self.err = self._capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return code

    def json(self, *arguments: object) -> Any:  # noqa: ANN401 - a document
        assert self(*arguments, "--json") == 0, self.err
        return json.loads(self.out)
