"""How long it says that something still takes."""

from __future__ import annotations

import pytest
from locstyle_plugins.page import headway

import locstyle as ls


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test counts itself."""
    now = [100.0]
    monkeypatch.setattr(headway.time, "monotonic", lambda: now[0])
    return now


def told(clock, phases: dict[str, int]) -> list[tuple[float, float]]:
    """The seconds left that are said, and those that were, of phases of steps of a second each."""
    progress, found, total = headway.Headway(), [], sum(phases.values())
    progress.enter("resolve")
    for phase, count in phases.items():
        for index in range(1, count + 1):
            clock[0] += 1
            progress.step(ls.Step(phase, index, count))
            found.append((progress.to_dict()["seconds_left"], total - len(found) - 1))
    return found


def test_what_was_kept_from_before_is_not_counted_as_done_quickly(clock):
    assert all(said == pytest.approx(left, abs=0.1) for said, left in told(clock, {"denoise": 6}))


def test_of_a_whole_edit_it_is_about_right_from_the_start(clock):
    for said, left in told(clock, {"invert": 10, "denoise": 20}):
        assert said == pytest.approx(left, rel=0.6, abs=0.1)
