"""Inversions kept on disk: exact, bounded, shared by several runs, and never in the way."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

from locstyle.job.cache import TrajectoryCache


def latents(seed: int = 0, count: int = 4) -> dict[int, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    steps = [-1, *range(1, 20 * (count - 1), 20)]
    return {t: torch.randn(1, 4, 8, 8, generator=draw) for t in steps}


def same(one: dict[int, Tensor] | None, other: dict[int, Tensor]) -> bool:
    return one is not None and set(one) == set(other) and all(
        torch.equal(one[t], other[t]) for t in other
    )  # fmt: skip


def test_what_is_kept_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    cache = TrajectoryCache(tmp_path / "made" / "here")
    assert cache.get("a") is None
    assert not (tmp_path / "made").exists()  # asking makes nothing
    odd = latents()
    odd[1][0, 0, 0] = torch.tensor([0.0, -0.0, 1e-40, 1.0 + 2**-23, 3e38, -1e-45, 0.1, 1 / 3])
    cache.put("a", odd)
    found = TrajectoryCache(tmp_path / "made" / "here").get("a")
    assert found is not None
    for t, latent in odd.items():
        assert found[t].dtype == torch.float32
        assert torch.equal(found[t].view(torch.int32), latent.view(torch.int32))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_layout_in_memory_comes_back(tmp_path: Path, layout: torch.memory_format) -> None:
    """Kernels round differently by layout: a run from the cache would differ in its last bits."""
    kept = {t: latent.contiguous(memory_format=layout) for t, latent in latents().items()}
    TrajectoryCache(tmp_path).put("a", kept)
    found = TrajectoryCache(tmp_path).get("a")
    assert found is not None and same(found, kept)
    for t, latent in kept.items():
        assert found[t].stride() == latent.stride()


def test_only_its_owner_may_look(tmp_path: Path) -> None:
    cache = TrajectoryCache(tmp_path / "cache")
    cache.put("a", latents())
    if os.name == "posix":
        assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


def damaged(data: bytes, how: str) -> bytes:
    half = len(data) // 2
    return {
        "empty": b"",
        "cut": data[:-10],
        "half": data[:half],
        "one bit": data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
        "header": b"\xff" * 16 + data[16:],
        "another file": b"not a trajectory at all",
    }[how]


@pytest.mark.parametrize("how", ["empty", "cut", "half", "one bit", "header", "another file"])
def test_a_damaged_file_counts_as_none_and_is_replaced(tmp_path: Path, how: str) -> None:
    cache = TrajectoryCache(tmp_path)
    cache.put("a", latents())
    (file,) = tmp_path.iterdir()
    file.write_bytes(damaged(file.read_bytes(), how))
    assert cache.get("a") is None
    cache.put("a", latents())
    assert same(cache.get("a"), latents())


def test_a_folder_in_the_place_of_a_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").mkdir()
    assert TrajectoryCache(tmp_path).get("a") is None


def used(cache: TrajectoryCache) -> int:
    return sum(path.stat().st_size for path in cache.folder.iterdir())


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    whole = TrajectoryCache(tmp_path)
    for age, key in enumerate("abc"):
        whole.put(key, latents(age))
        os.utime(tmp_path / f"{key}.safetensors", (1000 + age, 1000 + age))
    one = (tmp_path / "a.safetensors").stat().st_size
    assert whole.get("a") is not None  # used now, so it is the youngest
    cache = TrajectoryCache(tmp_path, limit=3 * one)
    cache.put("d", latents(9))
    assert {path.stem for path in tmp_path.iterdir()} == {"a", "c", "d"}
    assert used(cache) <= cache.limit


def test_what_is_larger_than_the_limit_is_not_kept_and_evicts_nothing(tmp_path: Path) -> None:
    TrajectoryCache(tmp_path).put("a", latents())
    small = TrajectoryCache(tmp_path, limit=used(TrajectoryCache(tmp_path)))
    small.put("b", latents(1, count=8))
    assert same(small.get("a"), latents()) and small.get("b") is None


def test_what_a_killed_run_left_goes_in_its_turn(tmp_path: Path) -> None:
    left = tmp_path / ".locstyle-0123456789ab.safetensors"
    left.write_bytes(b"half")
    os.utime(left, (1000, 1000))
    TrajectoryCache(tmp_path).put("a", latents())
    size = (tmp_path / "a.safetensors").stat().st_size
    TrajectoryCache(tmp_path, limit=2 * size).put("b", latents(1))
    assert {path.stem for path in tmp_path.iterdir()} == {"a", "b"}


def test_a_folder_that_cannot_be_written_is_warned_of_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = TrajectoryCache(tmp_path / "file" / "cache")
    with pytest.warns(UserWarning, match="not kept for later runs"):
        cache.put("a", latents())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.put("b", latents())
    assert cache.get("a") is None


def test_a_full_disk_is_a_warning_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.warns(UserWarning, match="No space left"):
        TrajectoryCache(tmp_path).put("a", latents())
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("locstyle.job.cache.cache_folder", nowhere)
    cache = TrajectoryCache()
    assert cache.get("a") is None
    with pytest.warns(UserWarning, match="home directory"):
        cache.put("a", latents())
    assert "home directory" in cache.describe()


def test_it_says_where_it_lies_and_how_large_it_is(tmp_path: Path) -> None:
    cache = TrajectoryCache(tmp_path / "cache", limit=2**20)
    assert cache.describe() == f"{cache.folder}: 0 inversions, 0.0 MiB of at most 1 MiB"
    for key in "ab":
        cache.put(key, latents(count=30))
    assert "2 inversions, 0.1 MiB of at most 1 MiB" in cache.describe()


BUSY = """
import sys, random
from pathlib import Path
import torch
from test_trajectory_cache import latents, same
from locstyle.job.cache import TrajectoryCache
torch.set_num_threads(1)
folder, limit, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
cache, dice = TrajectoryCache(folder, limit), random.Random(seed)
for _ in range(150):
    number = dice.randrange(6)
    found = cache.get(str(number))
    assert found is None or same(found, latents(number))
    if dice.random() < 0.5:
        cache.put(str(number), latents(number))
    elif dice.random() < 0.1:  # somebody clears the cache
        for path in folder.glob("[0-9]*.safetensors"):
            path.unlink(missing_ok=True)
"""


@pytest.mark.slow
def test_several_runs_share_a_folder_without_harm(tmp_path: Path) -> None:
    TrajectoryCache(tmp_path / "one").put("0", latents())
    limit = 4 * (tmp_path / "one" / "0.safetensors").stat().st_size  # two of six must go
    runs = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", BUSY, str(tmp_path / "c"), str(limit), str(seed)],
            cwd=Path(__file__).parent,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2, 3)
    ]
    for run in runs:
        _, errors = run.communicate(timeout=120)
        assert run.returncode == 0, errors
    assert not [path for path in (tmp_path / "c").iterdir() if path.name.startswith(".locstyle")]
    assert used(TrajectoryCache(tmp_path / "c")) <= limit
