"""A batch on a real local Ray cluster, one of whose actors is killed in the middle."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import batch_kit as kit
import pytest

import locstyle as ls
from locstyle.batches import Batch, Batching
from locstyle.batches.on_ray import OnRay

pytest.importorskip("ray")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_an_address_where_nothing_answers_is_said_at_once(address):
    since = time.monotonic()
    with pytest.raises(ls.LocstyleError, match=r"nothing answers at '127\.0\.0\.1:1'"):
        OnRay(Batching(launcher="ray", ray_address=address), None)
    assert time.monotonic() - since < 60  # Ray itself tries for many minutes


@pytest.mark.slow  # half a minute, most of it a cluster's start
@pytest.mark.filterwarnings("ignore")  # what Ray's own modules warn of
def test_an_actor_that_is_killed_is_replaced_and_its_tasks_are_done(tmp_path, monkeypatch):
    kit.make_folder(tmp_path, 2)
    monkeypatch.chdir(tmp_path)
    for name, value in kit.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(tmp_path / "site")
    host = ls.Host(allow=("singlepass", "acme-moody"))

    def batch(output: str, how: Batching) -> Batch:
        axes = {"seed": [1, 2, 3]}
        return Batch.plan(["photos"], "recipe.yaml", output, matrix=axes, how=how, host=host)

    killed: list[int] = []

    class Killing(OnRay):
        """Kills the process of an actor as it is sent its second task."""

        def send(self, seat: int, message: dict) -> None:
            super().send(seat, message)
            writers = sorted(Path("out/.locstyle-batch").glob("*.jsonl"))
            if writers and not killed:
                killed.append(int(writers[0].name.split("-")[-2]))
                os.kill(killed[0], signal.SIGKILL)

    def made(how: Batching, setting: object) -> OnRay:
        return Killing(how, setting)

    found = list(batch("out/{stem}-{seed}.png", Batching(launcher=made, jobs=2)).run())
    assert [one.state for one in found] == ["done"] * 6 and killed
    before = kit.contents(tmp_path / "out")
    Path("out/001-2.png").unlink()
    local = list(batch("out/{stem}-{seed}.png", Batching(jobs=1)).run())
    assert [one.state for one in local] == ["done"] * 6
    assert [one.output for one in local if one.is_new] == ["out/001-2.png"]
    assert kit.contents(tmp_path / "out") == before, "the same bits under both launchers"
