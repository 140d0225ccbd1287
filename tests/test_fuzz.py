"""Malformed files of every kind: read, or refused in our words, in time, and nothing lost."""

from __future__ import annotations

import importlib
import random
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "benchmarks" / "fuzz.py"


@pytest.mark.slow
def test_no_malformed_file_breaks_a_reader() -> None:
    command = [sys.executable, str(FUZZ), "--count", "200", "--seed", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]


def test_a_few_of_every_kind_break_no_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process and without a watch, so that the harness itself does not rot."""
    monkeypatch.syspath_prepend(str(FUZZ.parent))
    fuzz = importlib.import_module("fuzz")
    readers = fuzz.made_readers()
    for kind, read in readers.items():
        for number in range(2):
            fuzz.honest_files(tmp_path)
            made = fuzz.KINDS[kind]
            (tmp_path / made.suffix).write_bytes(made.make(random.Random(f"{kind} {number}")))
            before = fuzz.state(tmp_path)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert "failure" not in fuzz.answer(read, tmp_path)
            assert fuzz.state(tmp_path) == before
