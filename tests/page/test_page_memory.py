"""What the server holds: pixels of one photo and one render, however much was asked of it."""

from __future__ import annotations

import gc

import pytest
from calling import Client
from chrome import Tab
from scenes import scene
from serving import serving

import locstyle as ls


def alive() -> dict[str, int]:
    """How many photos and results there are, whoever holds them."""
    gc.collect()
    kinds = [type(one) for one in gc.get_objects()]
    return {kind.__name__: kinds.count(kind) for kind in (ls.Photo, ls.Result)}


def test_what_jobs_made_is_let_go(folder, tmp_path, recipe):
    before = alive()
    with serving(folder, photo="photo.png", kept=tmp_path / "kept") as served:
        client, held, jobs = Client(served), [], []
        for seed in range(3):
            for kind in ("preview", "render"):
                asked = {"recipe": recipe | {"seed": seed}}
                jobs.append(client.ended(client.post(f"/api/{kind}", asked).data))
            held.append(alive())
            lost = client.post("/api/render", {"recipe": recipe | {"steps": 40}}).data
            client.post(f"/api/jobs/{lost['id']}/cancel")
            assert client.ended(lost)["state"] == "cancelled"
            assert alive()["Result"] <= held[-1]["Result"]
        assert {job["state"] for job in jobs} == {"done"}
        assert held[2] == held[1] and held[2]["Result"] <= before["Result"] + 1
        for job in jobs:
            client.call("DELETE", f"/api/results/{job['result']['id']}")
        assert alive()["Result"] == before["Result"]
        client.post("/api/open", {"path": "painting.png"})
        client.post("/api/masks", {"recipe": recipe | {"image": "painting.png"}})
        assert alive()["Photo"] <= before["Photo"] + 2  # the one looked at, and it in sRGB


@pytest.mark.slow
def test_a_hundred_megapixels_are_opened_and_edited(opened, tmp_path):
    """The page holds a preview and the tiles that are seen; the mask is of the photo's pixels."""
    scene(8160, 12240).save(tmp_path / "photo.jpg", quality=80)
    scene(64, 64).rotate(90).save(tmp_path / "painting.png")
    with serving(tmp_path, photo="photo.jpg") as served:
        tab: Tab = opened(served.url)
        tab.until("pictures.bitmaps.photo", seconds=120)
        tab.press("m")
        tab.drag((0.4, 0.4), (0.41, 0.41))
        (mask,) = tab.masks()
        assert all(float(n) > 3000 for n in mask.removeprefix("box:").split(","))
        tab.until("[...store.masks.value.values()][0]?.id", seconds=120)
        tab.page.get_by_role("button", name="painting picture").click()
        tab.until("store.results.value.length && !store.run.value", seconds=240)
        assert tab.js("store.results.value[0].width") == 12240
        tab.page.get_by_role("button", name="Photo", exact=True).click()
        tab.press(".")
        tab.until("[...pictures.tiles.photo.known.values()].some(Boolean)", seconds=120)
        bitmaps = "[pictures.bitmaps.photo, pictures.bitmaps.result]"
        sides = tab.js(f"{bitmaps}.flatMap((one) => [one.width, one.height])")
        assert max(sides) <= 2048
        assert tab.js("pictures.tiles.photo.known.size") < 80
        assert tab.js("performance.memory.usedJSHeapSize") < 100e6
