"""What edits share that run one after another: read once, within a bound, the same to the bit."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import locstyle as ls
from locstyle.job.shelf import KeptInversions, Shelf
from locstyle.testing import random_style


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    Image.fromarray(noise).save("photo.png")
    return tmp_path


class Halves:
    """Finds the left half and the right, and counts how often it is asked to look."""

    looked = 0
    prompts = frozenset({"everything"})

    def segment(self, image: Image.Image, prompt: ls.Prompt) -> list[ls.Segment]:
        Halves.looked += 1
        left = np.zeros((image.height, image.width), bool)
        left[:, : image.width // 2] = True
        return [ls.Segment.of(left), ls.Segment.of(~left)]


class Plugin:
    @ls.hookimpl
    def register_segmenters(self, register: ls.Register) -> None:
        register("halves", Halves)


def edit(style: str, **more: object) -> ls.Edit:
    region = ls.Region("auto:2", style)
    return ls.Edit("photo.png", [region], segmenter=ls.Segmenting("halves"), steps=2, **more)


def test_a_shared_photo_is_read_segmented_and_inverted_once(folder, backbone):
    for seed in (1, 2):
        random_style(backbone, seed).save(f"{seed}.safetensors")
    edits = [edit("1.safetensors"), edit("2.safetensors"), edit("1.safetensors", seed=3)]
    with ls.Host(allow=("singlepass",)).temporarily(Plugin(), name="halves") as host:
        alone = [ls.Editor(backbone, host).run(one) for one in edits]
        before, shelf = Halves.looked, Shelf()
        editor = ls.Editor(backbone, host, cache=KeptInversions())
        shared = [editor.run(editor.resolve(one, shelf=shelf)) for one in edits]
    assert Halves.looked - before == 1
    assert [one.report.cached_inversions for one in shared] == [0, 1, 1]
    assert shared[0].source is shared[2].source and shared[0].styles[0][0] is shared[2].styles[0][0]
    for one, other in zip(alone, shared, strict=True):
        assert one.encoded("out.png") == other.encoded("out.png")


def test_a_file_that_changed_is_read_again(folder, backbone):
    random_style(backbone, 1).save("a.safetensors")
    shelf, editor = Shelf(), ls.Editor(backbone, ls.Host(allow=("singlepass",)))
    asked = ls.Edit("photo.png", [ls.Region("all", "a.safetensors")], steps=1)
    first = editor.resolve(asked, shelf=shelf)
    Image.new("RGB", (40, 32), "teal").save("photo.png")
    os.utime("photo.png", ns=(1, 1))
    random_style(backbone, 2).save("a.safetensors")
    second = editor.resolve(asked, shelf=shelf)
    assert first.photo.sha256 != second.photo.sha256
    assert first.styles[0][0].digest != second.styles[0][0].digest


def test_a_file_is_read_once_and_meanwhile_others_are_too(folder, monkeypatch):
    Image.new("RGB", (40, 32), "teal").save("large.png")
    began, may_end, opened = threading.Event(), threading.Event(), []

    def slowly(path):
        opened.append(str(path))
        if str(path) == "large.png":
            began.set()
            assert may_end.wait(30)
        return ls.Photo.from_image(np.zeros((32, 40, 3), np.uint8))

    monkeypatch.setattr(ls.Photo, "open", slowly)
    shelf = Shelf()
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(shelf.photo, "large.png") for _ in range(2)]
        try:
            assert began.wait(30)
            assert shelf.photo("photo.png") is shelf.photo("photo.png")
        finally:
            may_end.set()
        assert both[0].result() is both[1].result()
    assert sorted(opened) == ["large.png", "photo.png"]


def test_styles_stay_within_the_bound(folder, backbone):
    style = random_style(backbone)
    one = sum(t.numel() * t.element_size() for t in style.tensors.values())
    shelf = Shelf(limit=3 * one)
    for number in range(10):
        path = style.save(folder / f"{number}.safetensors")
        shelf.style(str(path), path, lambda: style)
        assert shelf.bytes <= 3 * one
    path = folder / "9.safetensors"
    assert shelf.style(str(path), path, lambda: pytest.fail("is kept")) is style


def test_inversions_in_memory_stay_within_the_bound():
    latents = {t: torch.zeros(1, 4, 8, 8) for t in range(4)}
    kept = KeptInversions(limit=3 * 4096)
    for key in "abcd":
        kept.put(key, latents)
        kept.get("a")
        assert kept.bytes <= 3 * 4096
    assert kept.get("b") is None and kept.get("a") is not None and kept.get("d") is not None
