"""What the server answers: photos, masks, styles, runs, saving, state."""

from __future__ import annotations

import gzip
import io
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from calling import Client
from PIL import Image
from serving import serving

import locstyle as ls


def picture(answer) -> Image.Image:
    assert answer.status == 200, answer.body
    return Image.open(io.BytesIO(answer.body))


def test_the_page_and_its_files_come_without_a_token(client):
    page = client.get("/", headers={"Locstyle-Token": None})
    assert page.status == 200 and b"<html" in page.body
    assert "default-src 'self'" in page.headers["content-security-policy"]
    script = client.get("/static/app.js", headers={"Locstyle-Token": None})
    assert script.status == 200 and script.headers["content-type"].startswith("text/javascript")
    assert script.headers["x-content-type-options"] == "nosniff"


def test_hello_says_what_the_command_was_started_with(client, folder):
    said = client.get("/api/hello").data
    assert said["api"] == 1 and said["root"] == str(folder) and said["backbone"] == "tiny"
    assert said["photo"]["image"] == "photo.png" and said["recipe"] is None
    assert (said["photo"]["width"], said["photo"]["height"]) == (128, 96)
    assert said["photo"]["suggested"] == "photo-styled.png"
    assert "singlepass" in {fusion["name"] for fusion in said["fusions"]}


def test_a_photo_is_shown_small_and_in_tiles(client):
    photo = client.post("/api/open", {"path": "photo.jpg"}).data["photo"]
    assert photo["not_kept"] and photo["levels"] == 1
    small = picture(client.get(f"/api/photos/{photo['id']}/preview"))
    assert small.size == (128, 96) == (photo["preview"]["width"], photo["preview"]["height"])
    tile = picture(client.get(f"/api/photos/{photo['id']}/tiles/0/0/0"))
    assert tile.size == (128, 96)
    assert client.get(f"/api/photos/{photo['id']}/tiles/0/1/0").status == 404
    assert client.get("/api/photos/nobody/preview").error["kind"] == "NotFound"


def test_an_upload_opens_like_a_file(client, folder):
    data = (folder / "photo.jpg").read_bytes()
    answer = client.post("/api/upload?name=..%2F..%2Fmy%20photo.jpg", raw=data)
    photo = answer.data["photo"]
    assert photo["name"] == "my photo.jpg" and Path(photo["image"]).is_absolute()
    again = client.post("/api/open", {"path": photo["image"]}).data["photo"]
    assert again["id"] == photo["id"]


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.safetensors", "x"])
def test_an_upload_that_is_no_picture_is_refused_and_not_kept(client, served, name):
    before = sorted(served.desk.uploads.glob("*/*"))
    answer = client.post(f"/api/upload?name={name}", raw=b"no picture at all")
    assert (answer.status, answer.error["kind"]) == (422, "PhotoError")
    assert client.post(f"/api/upload?name={name}", raw=b"").status == 422
    assert sorted(served.desk.uploads.glob("*/*")) == before


def test_segments_are_a_list_and_a_map_of_the_preview(client, folder):
    asked = {"image": "photo.png", "segmenter": "classic"}
    job = client.ended(client.post("/api/segments", asked).data)
    found = client.get(f"/api/segments/{job['result']['segments']}").data
    body = client.get(f"/api/segments/{found['id']}/map", headers={"Accept-Encoding": "gzip"})
    who = np.frombuffer(gzip.decompress(body.body), "<u2").reshape(found["height"], found["width"])
    assert (found["width"], found["height"]) == (128, 96)
    numbers = {one["number"] for one in found["segments"]}
    assert set(np.unique(who)) <= numbers | {0} and len(numbers) >= 3
    inside = who[20, 30]
    assert ls.select_mask(folder / "photo.png", f"auto:{inside}").values[20, 30] == 1


def test_masks_say_what_each_region_covers_and_hide_none_for_anothers_error(client):
    regions = [
        {"mask": "box:0,0,64,96"},
        {"mask": "brush:10:20,20;40,20/!5:30,20"},
        {"mask": "pont:3,4"},
        {"mask": "rest"},
        {"mask": "nowhere.png", "style": 7},
    ]
    said = client.post("/api/masks", {"recipe": {"image": "photo.png", "regions": regions}}).data
    box, stroke, wrong, rest, missing = said["regions"]
    assert box["coverage"] == 0.5 and box["box"] == [0, 0, 64, 96] and box["error"] is None
    assert wrong["error"]["place"] == "regions[2].mask"
    assert "did you mean 'point'" in wrong["error"]["message"]
    assert missing["error"]["place"] == "regions[4].mask"
    assert rest["coverage"] == pytest.approx(0.5)
    assert {(o["a"], o["b"]) for o in said["overlaps"]} == {(0, 1)}
    assert said["overlap"] == pytest.approx(stroke["coverage"])
    assert said["alone"][0] == pytest.approx(0.5 - stroke["coverage"])
    shown = np.asarray(picture(client.get(f"/api/masks/{stroke['mask']}")))
    assert shown.shape == (96, 128) and shown[20, 20] == 255 and shown[20, 30] == 0
    assert (shown > 127).mean() == pytest.approx(stroke["coverage"])


def test_styles_are_listed_with_their_pictures(client):
    said = client.get("/api/styles").data
    by_style = {style["style"]: style for style in said["styles"]}
    assert by_style["neon"]["origin"] == "known" and by_style["neon"]["family"] == "mini"
    painting, mine = by_style["painting.png"], by_style["mine.safetensors"]
    assert painting["kind"] == "reference" and painting["ways"][0]["style"] == "painting.png"
    assert mine["thumbnail"] and mine["kind"] == "deltas"
    for style in (painting, mine, by_style["neon"]):
        picture(client.get(f"/api/styles/{style['id']}/thumbnail"))
    assert {"lora", "qformer"} <= {encoder["name"] for encoder in said["encoders"]}


def test_a_style_of_another_family_is_refused_where_it_is_dropped(client, folder):
    ours = client.post(
        "/api/styles/upload?name=ours.safetensors", raw=(folder / "mine.safetensors").read_bytes()
    ).data
    assert ours["fits"] and Path(ours["style"]).is_absolute()
    neon = ls.find_style("neon").read_bytes()
    other = client.post("/api/styles/upload?name=neon.safetensors", raw=neon)
    assert other.status == 422 and other.error["kind"] == "StyleError"
    assert "mini" in other.error["message"] and "tiny" in other.error["message"]
    painting = (folder / "painting.png").read_bytes()
    dropped = client.post("/api/styles/upload?name=a.png", raw=painting).data
    assert dropped["kind"] == "reference" and dropped["fits"]


def test_a_preview_tells_its_steps_and_ends_in_a_result(client, recipe):
    job = client.post("/api/preview", {"recipe": recipe, "client": "a"}).data
    assert job["kind"] == "preview"
    events = list(client.events(f"/api/jobs/{job['id']}/events"))
    names = [name for _, name, _ in events]
    assert names[-1] == "done" and "step" in names and "picture" in names
    fractions = [data["fraction"] for _, name, data in events if name == "step"]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert [n for n, _, _ in events] == list(range(1, len(events) + 1))
    again = list(client.events(f"/api/jobs/{job['id']}/events?after={len(events) - 1}"))
    assert again == events[-1:]
    step = client.get(f"/api/jobs/{job['id']}/picture")
    assert picture(step).size[0] / picture(step).size[1] == pytest.approx(128 / 96, rel=0.05)
    result = events[-1][2]["result"]
    assert result["kind"] == "preview" and result["asked"]["steps"] == 3
    assert result["recipe"]["steps"] == 6 and result["recipe"]["image"] == "photo.png"
    assert result["report"]["outside_identical"] == 1.0
    assert picture(client.get(f"/api/results/{result['id']}/preview")).size == (128, 96)
    assert client.get("/api/results").data["results"][0]["id"] == result["id"]


def test_a_render_is_saved_as_it_is_and_never_onto_the_photo(client, recipe, folder):
    before = (folder / "photo.png").read_bytes()
    job = client.ended(client.post("/api/render", {"recipe": recipe, "client": "a"}).data)
    result = job["result"]
    assert client.get(f"/api/results/{result['id']}").data["held"]
    picture(client.get(f"/api/results/{result['id']}/tiles/0/0/0"))
    save = f"/api/results/{result['id']}/save"
    saved = client.ended(client.post(save, {"path": "sub/out.png"}).data)["result"]
    assert saved["words"] == "outside: 100.0 % identical" and saved["is_exact"]
    there = client.post(save, {"path": "sub/out.png"})
    assert (there.status, there.error["kind"]) == (409, "Exists")
    assert client.post(save, {"path": "sub/out.png", "force": True}).status == 202
    for path in ("photo.png", "sub/../photo.png", "mine.safetensors", "x.bmp", "no/out.png"):
        refused = client.post(save, {"path": path, "force": True})
        assert (refused.status, refused.error["place"]) == (422, "output"), path
    assert (folder / "photo.png").read_bytes() == before
    edit = ls.embedded_edit(folder / "sub" / "out.png")
    assert Path(str(edit.image)).samefile(folder / "photo.png") and edit.steps == 3


def test_a_picture_that_carries_a_recipe_opens_as_its_recipe(client, recipe, folder):
    job = client.post("/api/save", {"recipe": recipe, "path": "carrier.png"}).data
    assert client.ended(job)["result"]["path"] == "carrier.png"
    opened = client.post("/api/open", {"path": "carrier.png"}).data
    assert opened["photo"]["image"] == "photo.png"
    assert opened["recipe"]["regions"][0]["mask"] == "box:8,8,56,40"
    plain = client.post("/api/open", {"path": "carrier.png", "as": "photo"}).data
    assert plain["recipe"] is None and plain["photo"]["image"] == "carrier.png"
    elsewhere = (folder / "carrier.png").read_bytes()
    dropped = client.post("/api/upload?name=carrier.png", raw=elsewhere).data
    assert dropped["recipe"] == opened["recipe"]
    lost = ls.Edit.from_dict(recipe | {"image": "gone.png"})
    carrying = ls.Photo.open(folder / "photo.png")
    carrying.save(folder / "lost.png", text={"locstyle": json.dumps(lost.to_dict())})
    opened = client.post("/api/open", {"path": "lost.png"}).data
    assert opened["recipe"] is None and opened["photo"]["image"] == "lost.png"
    assert "gone.png" in opened["remark"] and opened["carried"]["image"] == "gone.png"


def test_a_sixteen_bit_photo_is_saved_at_sixteen_bits(client, recipe, folder):
    import cv2

    rng = np.random.default_rng(0)
    cv2.imwrite(str(folder / "deep.tif"), rng.integers(0, 65535, (48, 64, 3), np.uint16))
    region = {"mask": "brush:10:20,20", "style": "mine.safetensors"}
    deep = recipe | {"image": "deep.tif", "regions": [region]}
    saved = client.ended(client.post("/api/save", {"recipe": deep, "path": "deep-out.tif"}).data)
    assert saved["result"]["depth"] == 16 and saved["result"]["outside_identical"] == 1.0


def test_the_newest_preview_wins_and_cancel_ends_within_a_step(client, recipe):
    slow = recipe | {"steps": 200}
    first = client.post("/api/render", {"recipe": slow, "client": "b"}).data
    previews = [client.post("/api/preview", {"recipe": recipe, "client": "b"}).data for _ in "123"]
    other = client.post("/api/preview", {"recipe": recipe, "client": "c"}).data
    states = [client.get(f"/api/jobs/{one['id']}").data["state"] for one in previews]
    assert states == ["cancelled", "cancelled", "waiting"]
    for _, name, _ in client.events(f"/api/jobs/{first['id']}/events"):
        if name == "step":
            break
    told = client.post(f"/api/jobs/{first['id']}/cancel").data
    ended = client.ended(first)
    assert ended["state"] == "cancelled"
    # The step that is being done is finished: of 200, the longest is 0.65 / 200 of the whole.
    assert ended["step"]["fraction"] - told["step"]["fraction"] <= 0.0035
    assert client.ended(previews[-1])["state"] == client.ended(other)["state"] == "done"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"regions": [{"mask": "all", "style": "noen"}]}, "regions[0].style"),
        ({"regions": [{"mask": "box:0,0,999,9", "style": "mine.safetensors"}]}, "regions[0].mask"),
        ({"regions": []}, "regions"),
        ({"fusion": "snglepass"}, "fusion"),
        ({"backbone": "mini"}, "backbone"),
        ({"feather": -1}, "feather"),
        ({"image": "nobody.png"}, "image"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_errors_say_where_they_belong(client, recipe, change, place):
    wrong = recipe | change
    said = client.post("/api/validate", {"recipe": wrong}).data
    assert [error["place"] for error in said["errors"]] == [place], said
    answer = client.post("/api/preview", {"recipe": wrong, "client": "d"})
    if answer.status == 202:
        answer.body = json.dumps({"error": client.ended(answer.data)["error"]}).encode()
    else:
        assert answer.status == 422
    assert answer.error == said["errors"][0]


def test_what_is_right_has_no_errors_and_can_be_estimated(client, recipe):
    assert client.post("/api/validate", {"recipe": recipe}).data["errors"] == []
    client.ended(client.post("/api/preview", {"recipe": recipe, "client": "e"}).data)
    said = client.post("/api/estimate", {"recipe": recipe}).data
    assert said["preview"] >= 0 and said["render"] >= 0 and said["device"] == "cpu"


def test_how_long_it_takes_is_foretold_before_anything_ran(folder, tmp_path, recipe):
    with serving(folder, kept=tmp_path / "kept") as served:
        client = Client(served)
        assert client.post("/api/estimate", {"recipe": recipe}).data["because"] == "unknown"
        served.desk.backbone()
        asked = {"recipe": recipe | {"steps": 40}}
        for _ in range(10):  # while the model is busy it is not known
            said = client.post("/api/estimate", asked).data
            if said["because"] != "unknown":
                break
        assert said["because"] == "foretold" and 0 < said["preview"] < said["render"]
        assert client.get("/api/jobs").data["jobs"] == []
        wrong = recipe | {"regions": [{"mask": "box:900,900,999,999", "style": "mine.safetensors"}]}
        assert client.post("/api/estimate", {"recipe": wrong}).data["render"] is None


def test_old_uploads_go_when_a_server_begins_and_when_it_ends(folder, tmp_path):
    import os

    def old(client: Client, data: bytes) -> Path:
        sent = client.post("/api/upload?name=a.png", raw=data).data["photo"]["image"]
        os.utime(sent, (0, 0))
        return Path(sent)

    pictures = [(folder / name).read_bytes() for name in ("photo.png", "painting.png")]
    with serving(folder, kept=tmp_path / "kept") as served:
        named, other = (old(Client(served), data) for data in pictures)
        sent = {"revision": 0, "state": {"image": str(named)}}
        assert Client(served).call("PUT", "/api/state", sent).status == 200
    assert named.exists() and not other.parent.exists()


def test_the_recipe_can_be_taken_elsewhere(client, recipe):
    texts = {
        form: client.post("/api/as", {"recipe": recipe, "form": form}).data["text"]
        for form in ("command", "yaml", "json", "python")
    }
    assert shlex.split(texts["command"])[:3] == ["locstyle", "stylize", "photo.png"]
    assert ls.Edit.from_text(texts["yaml"]) == ls.Edit.from_text(texts["json"])
    assert client.post("/api/open", {"text": texts["yaml"]}).data["recipe"]["steps"] == 3
    assert client.post("/api/as", {"recipe": recipe, "form": "xml"}).status == 400
    saved = client.post("/api/recipes/save", {"recipe": recipe, "path": "sub/edit.yaml"})
    assert saved.data == {"path": "sub/edit.yaml"}
    opened = client.post("/api/open", {"path": "sub/edit.yaml"}).data
    assert opened["recipe"]["image"] == "photo.png"


def test_no_event_falls_between_the_greeting_and_those_after(client, served, monkeypatch):
    hello = served.desk.hello

    def changed_meanwhile():
        said = hello()
        served.desk.events.add("model", served.desk.easel.to_dict())
        return said

    monkeypatch.setattr(served.desk, "hello", changed_meanwhile)
    stream = client.events("/api/events")
    assert [next(stream)[1] for _ in range(2)] == ["hello", "model"]
    stream.close()


def test_state_is_kept_and_another_tabs_is_not_overwritten(client):
    revision = client.get("/api/state").data["revision"]
    new = client.call("PUT", "/api/state", {"revision": revision, "state": {"a": [1]}}).data
    assert new == {"revision": revision + 1}
    assert client.get("/api/state").data == {"revision": revision + 1, "state": {"a": [1]}}
    late = client.call("PUT", "/api/state", {"revision": revision, "state": 2})
    assert (late.status, late.error["kind"]) == (409, "Conflict")
    assert late.data["current"] == revision + 1


def test_a_style_is_learned_with_progress_and_can_be_used(client, recipe, folder):
    asked = {"encoder": "lora", "pictures": ["painting.png"], "name": "learned", "prompt": "x"}
    asked |= {"options": {"steps": 2, "rank": 2, "batch": 1}}
    job = client.post("/api/styles/train", asked)
    assert job.status == 202, job.body
    done = client.ended(job.data)
    assert done["state"] == "done", done
    assert done["result"]["style"] == "learned.safetensors"
    assert (folder / "learned.safetensors").exists() and not (folder / "learned.resume").exists()
    again = client.post("/api/styles/train", asked)
    assert (again.status, again.error["kind"]) == (409, "Exists")
    refused = client.post("/api/styles/train", asked | {"name": "../x"})
    assert refused.status == 422


@pytest.mark.parametrize(
    ("method", "path", "raw"),
    [
        ("POST", "/api/masks", b"{"),
        ("POST", "/api/masks", b"[]"),
        ("POST", "/api/masks", b"[" * 100_000),
        ("POST", "/api/masks", b'{"recipe": 3}'),
        ("POST", "/api/preview", b'{"recipe": {}, "client": 3}'),
        ("POST", "/api/preview", b"\xff\xfe"),
        ("POST", "/api/upload", b"x"),
        ("POST", "/api/open", b'{"path": true}'),
        ("PUT", "/api/state", b'{"revision": "x"}'),
        ("GET", "/api/jobs/x/events?after=-1", None),
        ("GET", "/api/nothing", None),
        ("DELETE", "/api/results/x", None),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(client, method, path, raw):
    answer = client.call(method, path, raw=raw)
    assert 400 <= answer.status < 500 and answer.error["message"]


def test_saying_hello_opens_no_photo_again(client, monkeypatch):
    """It would take the place of the one that is worked on."""
    client.post("/api/open", {"path": "photo.jpg"})
    opened: list[object] = []
    usual = ls.Photo.open
    monkeypatch.setattr(ls.Photo, "open", lambda path: opened.append(path) or usual(path))
    assert client.get("/api/hello").data["photo"]["image"] == "photo.png"
    assert client.post("/api/open", {"path": "photo.png"}).status == 200
    assert opened == []


def test_a_jpeg_says_what_it_loses(client, recipe):
    asked = {"recipe": recipe | {"image": "photo.jpg"}, "path": "lossy.jpg"}
    saved = client.ended(client.post("/api/save", asked).data)["result"]
    assert saved["outside_identical"] < 1 and not saved["is_exact"]
    assert "JPEG is lossy" in saved["words"]


def test_warnings_are_told_where_they_belong(folder, tmp_path, recipe):
    """By a server that began after pytest had its own way with them."""
    tiny = {"recipe": recipe | {"regions": [{"mask": "box:0,0,1,1", "style": "mine.safetensors"}]}}
    with serving(folder, kept=tmp_path / "kept") as served:
        said = Client(served).post("/api/masks", tiny).data
        assert [w["place"] for w in said["regions"][0]["warnings"]] == ["regions[0].mask"]
