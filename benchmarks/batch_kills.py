"""Is a batch that is killed again and again what an undisturbed one is, byte for byte?

    python benchmarks/batch_kills.py [--tasks 300] [--kills 20] [--jobs 1] [--seed 0] [--ray]

On the tiny backbone of the tests: one undisturbed run; then, in another folder of the same form,
the same command killed (SIGKILL, with no time to tidy up) at random moments and given again, until
it ends by itself. With `--ray` a random actor's process is killed each time instead, in one run.
Says how many tasks each run did, whether workers outlived the command, how large they grew, and
ends with status 1 if anything differs. Needs a POSIX system.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import batch_kit as kit  # noqa: E402

OUT = "out/{stem}-{seed}.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ray", action="store_true")
    wanted = parser.parse_args()
    draw = random.Random(wanted.seed)
    with tempfile.TemporaryDirectory() as folder:
        calm, torn = Path(folder, "calm"), Path(folder, "torn")
        for place in (calm, torn):
            place.mkdir()
            kit.make_folder(place, wanted.tasks // 3)
        command = batch(wanted.jobs)
        since = time.monotonic()
        largest = run(calm, command)
        took = time.monotonic() - since
        print(f"undisturbed: {done(calm)} tasks in {took:.0f} s; {largest}", flush=True)
        if wanted.ray:
            kill_actors(torn, command, wanted.kills, draw)
        else:
            kill_runs(torn, command, wanted, draw)
        before, after = (kit.contents(place / "out") for place in (calm, torn))
        apart = [name for name in before | after if before.get(name) != after.get(name)]
    print(f"{len(before)} files, different: {len(apart)} {apart[:5]}")
    sys.exit(bool(apart) or len(before) != wanted.tasks // 3 * 3 + 1)


def batch(jobs: int) -> list[str]:
    words = ("photos", "--recipe", "recipe.yaml", "-o", OUT, "--matrix", "seed=1..3")
    return kit.command("batch", *words, "--jobs", jobs, "--json")


def started(folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=folder, env=kit.environment(folder), **quiet)


def run(folder: Path, command: list[str]) -> str:
    """One run to its end; how large its workers were, once after the first tasks and at the end."""
    process, sizes = started(folder, command), []
    while process.poll() is None:
        time.sleep(1)
        if done(folder) > 20 and (sizes_now := [rss(pid) for pid in workers(folder)]):
            sizes.append(max(sizes_now))
    assert process.returncode == 0, process.returncode
    if not sizes:
        return "memory not seen"
    return f"a worker {sizes[0]:.0f} MiB after the first tasks, {sizes[-1]:.0f} MiB at the end"


def kill_runs(folder: Path, command: list[str], wanted: argparse.Namespace, draw: random.Random):
    """Kills the command at random tasks, until nothing is left to kill."""
    for number in range(wanted.kills):
        before = done(folder)
        moment = before + draw.uniform(0, 2) * wanted.tasks / wanted.kills * 0.8
        process = started(folder, command)
        while process.poll() is None and done(folder) < moment:
            time.sleep(draw.uniform(0.01, 0.1))
        pids = workers(folder)
        process.kill()
        process.wait()
        time.sleep(1)
        left = [pid for pid in pids if Path(f"/proc/{pid}").exists() and pid in workers(folder)]
        print(
            f"kill {number + 1}: {done(folder) - before} tasks more, {done(folder)} in all; of "
            f"{len(pids)} workers {len(left)} outlived it",
            flush=True,
        )
        assert not left, left
    before = done(folder)
    run(folder, command)
    print(f"the last run did {done(folder) - before} tasks", flush=True)


def kill_actors(folder: Path, command: list[str], kills: int, draw: random.Random):
    """Kills actors of one run on Ray at random moments."""
    process, killed = started(folder, [*command, "--launcher", "ray"]), 0
    while process.poll() is None:
        time.sleep(draw.uniform(2, 12))
        pids = [pid for pid in writers(folder) if Path(f"/proc/{pid}").exists()]
        if killed < kills and pids:
            os.kill(draw.choice(pids), signal.SIGKILL)
            killed += 1
            print(f"killed actor {killed}, {done(folder)} tasks done", flush=True)
    print(f"on Ray: {done(folder)} tasks, {killed} actors killed, status {process.returncode}")


def journals(folder: Path) -> list[Path]:
    return sorted((folder / "out" / ".locstyle-batch").glob("*.jsonl"))


def writers(folder: Path) -> list[int]:
    return [int(path.name.split("-")[-2]) for path in journals(folder)]


def workers(folder: Path) -> list[int]:
    """Processes of workers that live in the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes()
            if b"locstyle.batches.seat" in words and str(folder).encode() in words:
                found.append(int(path.name))
        except OSError:
            continue
    return found


def rss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(x.split()[1]) / 1024 for x in lines if x.startswith("VmRSS")), 0.0)


def done(folder: Path) -> int:
    """Tasks with a line that says so."""
    found = set()
    for path in journals(folder):
        for line in path.read_bytes().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record["is"] == "done":
                found.add(record["output"])
    return len(found)


if __name__ == "__main__":
    main()
