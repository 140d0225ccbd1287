"""Who may call, what may be named, and what the server survives."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from pathlib import Path

import pytest
from calling import Client
from PIL import Image
from serving import serving

import locstyle as ls


def jobs_and_files(served) -> tuple[int, list[Path], bytes]:
    """What an attack must not change."""
    desk = served.desk
    state = desk.startup.folder / "state.json"
    kept = sorted(desk.uploads.rglob("*"))
    return len(desk.jobs()), kept, state.read_bytes() if state.exists() else b""


OTHERS = {
    "no token": {"Locstyle-Token": None},
    "another token": {"Locstyle-Token": "x" * 32},
    "an empty token": {"Locstyle-Token": ""},
    "a token that is no ASCII": {"Locstyle-Token": "\xff\xfe"},
    "another name for this machine": {"Host": "evil.test"},
    "a name that begins like ours": {"Host": "127.0.0.1.evil.example"},
    "a name that begins like localhost": {"Host": "localhost.evil.example:80"},
    "a name before ours": {"Host": "evil.test@127.0.0.1"},
    "an empty name": {"Host": ""},
    "a page on another port": {"Origin": "http://127.0.0.1:37809"},
    "a page on no port": {"Origin": "http://127.0.0.1"},
    "a sandboxed frame": {"Origin": "null"},
    "another scheme": {"Origin": "https://127.0.0.1:{port}"},
    "our other name": {"Origin": "http://localhost:{port}"},
    "a page elsewhere": {"Origin": "https://evil.example"},
    "another site, by an old browser's <img>": {"Sec-Fetch-Site": "same-site"},
    "another site": {"Sec-Fetch-Site": "cross-site"},
}


@pytest.mark.parametrize("headers", OTHERS.values(), ids=OTHERS)
def test_others_are_refused_and_nothing_is_run(client, served, recipe, headers):
    said = {k: v and v.format(port=client.port) for k, v in headers.items()}
    before = jobs_and_files(served)
    for method, path, data in (
        ("GET", "/api/hello", None),
        ("GET", "/api/photos/x/preview", None),
        ("GET", "/api/events", None),
        ("POST", "/api/preview", {"recipe": recipe}),
        ("POST", "/api/upload?name=x.png", {"a": 1}),
        ("PUT", "/api/state", {"revision": 0, "state": 1}),
        ("OPTIONS", "/api/preview", None),
    ):
        answer = client.call(method, path, data, headers=said)
        assert answer.status in (401, 403), (method, path)
        assert answer.error["kind"] == "Refused"
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert jobs_and_files(served) == before


def test_a_token_elsewhere_than_in_its_header_is_none(client):
    bare = {"Locstyle-Token": None}
    assert client.get(f"/api/hello?token={client.token}", headers=bare).status == 401
    cookie = {**bare, "Cookie": f"token={client.token}; Locstyle-Token={client.token}"}
    assert client.get("/api/hello", headers=cookie).status == 401
    assert client.get("/api/hello", headers=bare | {"Authorization": client.token}).status == 401


def test_our_own_page_is_let_in_by_each_of_our_names(client):
    for name in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        host = f"{name}:{client.port}"
        said = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        assert client.get("/api/hello", headers=said).status == 200


def test_two_hosts_in_one_request_are_refused(client):
    token = f"Locstyle-Token: {client.token}\r\n"
    text = f"GET /api/hello HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.test\r\n{token}"
    assert spoken(client, f"{text}Connection: close\r\n\r\n").split()[1] in ("400", "403")
    absolute = f"GET http://evil.test/api/hello HTTP/1.1\r\nHost: evil.test\r\n{token}"
    assert spoken(client, f"{absolute}Connection: close\r\n\r\n").split()[1] in ("400", "403")


def spoken(client, text: str) -> str:
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as wire:
        wire.sendall(text.encode())
        found = b""
        while chunk := wire.recv(65536):
            found += chunk
    return found.decode("latin-1")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../startup.py",
        "/static/%2e%2e/startup.py",
        "/static/..%2fstartup.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/vendor/../../desk.py",
        "/../pyproject.toml",
        "/startup.py",
    ],
)
def test_no_file_but_the_pages_own_is_served(client, path):
    answer = spoken(client, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.split()[1] == "404"


@pytest.fixture(scope="module")
def outside(folder: Path) -> list[str]:
    """Paths that lead out of the root, each in its own way."""
    secret, sub = folder.parent / "secret.png", folder.parent / "elsewhere"
    sub.mkdir()
    Image.open(secret).save(sub / "inner.png")
    (sub / "adapter_model.safetensors").write_bytes((folder / "mine.safetensors").read_bytes())
    (folder / "link.png").symlink_to(secret)
    (folder / "linked").symlink_to(sub)
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_model.safetensors").symlink_to(sub / "adapter_model.safetensors")
    (folder / "round").symlink_to(folder / "round")
    return ["../secret.png", str(secret), "link.png", "linked/inner.png", "sub/../../secret.png"]


def test_no_path_that_leads_outside_is_opened(client, folder, outside):
    for path in [*outside, "a\0b.png", "round/x.png", "/etc/passwd", "/dev/zero"]:
        answer = client.post("/api/open", {"path": path})
        assert (answer.status, answer.error["kind"]) == (422, "RecipeError"), path
        assert "leads outside" in answer.error["message"]


def test_no_recipe_names_what_lies_outside(client, recipe, folder, outside, monkeypatch):
    monkeypatch.chdir(folder)
    region = recipe["regions"][0]
    existing = str(folder.parent / "secret.png")
    for path in outside:
        for place, change in {
            "image": {"image": path},
            "regions[0].mask": {"regions": [region | {"mask": f"all - file:{path}"}]},
            "regions[0].style": {"regions": [region | {"style": path}]},
            "segments": {"segments": path},
        }.items():
            refused(client, recipe | change, place)
        encoded = f"qformer:{path}"
        refused(client, recipe | {"regions": [region | {"style": encoded}]}, "regions[0].style")
        several = {"mask": "all", "styles": [{"style": "neon"}, {"style": path}]}
        refused(client, recipe | {"regions": [several]}, "regions[0].styles[1].style")
    adapter = recipe | {"regions": [region | {"style": "adapter/"}]}
    refused(client, adapter, "regions[0].style")
    options = {
        "name": "classic",
        "options": {"weights": existing, "deep": {"x": ["../secret.png"]}},
    }
    refused(client, recipe | {"segmenter": options}, "segmenter.options.weights")
    own = {"segmenter": "sam", "options": {"weights": "../secret.png"}}
    refused(
        client, recipe | {"regions": [region | {"mask": own}]}, "regions[0].mask.options.weights"
    )
    masks = client.post(
        "/api/masks", {"recipe": recipe | {"regions": [{"mask": outside[0]}, region]}}
    )
    assert "leads outside" in masks.data["regions"][0]["error"]["message"]
    assert masks.data["regions"][1]["error"] is None


def refused(client, recipe, place):
    for route, more in (
        ("/api/preview", {}),
        ("/api/save", {"path": "o.png"}),
        ("/api/as", {"form": "yaml"}),
    ):
        answer = client.post(route, {"recipe": recipe, **more})
        assert answer.status == 422, (route, recipe)
        assert answer.error["place"] == place
        assert "outside" in answer.error["message"]


def test_nothing_is_written_outside(client, recipe, folder, outside):
    before = {p: p.stat().st_mtime_ns for p in folder.parent.rglob("*") if p.is_file()}
    for path in ("../out.png", str(folder.parent / "out.png"), "linked/out.png", "link.png"):
        answer = client.post("/api/save", {"recipe": recipe, "path": path, "force": True})
        assert (answer.status, answer.error["place"]) == (422, "output"), path
        recipe_path = path.replace(".png", ".yaml")
        if path != "link.png":
            saved = client.post("/api/recipes/save", {"recipe": recipe, "path": recipe_path})
            assert saved.status == 422
    kept = client.get("/api/hello").data
    assert kept["photo"]["image"] == "photo.png"
    own = str(folder.parent / "photos-kept" / "uploads" / "x.png")
    assert client.post("/api/save", {"recipe": recipe, "path": own}).status == 422
    asked = {"encoder": "lora", "pictures": [outside[0]], "name": "stolen"}
    assert client.post("/api/styles/train", asked).error["place"] == "pictures[0]"
    assert client.get("/api/files?path=..").status == 422
    assert client.get("/api/files?path=linked").status == 422
    listed = client.get("/api/files").data
    assert "photo.png" in [file["path"] for file in listed["files"]]
    assert client.get("/api/styles").status == 200  # whatever else lies in the folder
    after = {p: p.stat().st_mtime_ns for p in folder.parent.rglob("*") if p.is_file()}
    assert after == before


def test_uploads_are_bounded_before_and_while_they_are_read(folder, tmp_path):
    with serving(
        folder, kept=tmp_path / "kept", upload_bytes=10_000, uploads_bytes=15_000
    ) as small:
        client = Client(small)
        told = client.post("/api/upload?name=a.png", raw=b"x" * 20_000)
        assert (told.status, told.error["kind"]) == (413, "TooLarge")
        token = f"Locstyle-Token: {client.token}\r\n"
        head = f"POST /api/upload?name=a.png HTTP/1.1\r\nHost: localhost\r\n{token}"
        chunk = f"{4000:x}\r\n{'y' * 4000}\r\n" * 5
        answer = spoken(
            client, f"{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunk}0\r\n\r\n"
        )
        assert answer.split()[1] == "413"
        gone = socket.create_connection(("127.0.0.1", client.port))
        gone.sendall(f"{head}Content-Length: 9000\r\n\r\nabc".encode())
        gone.close()
        until, empty = time.monotonic() + 60, 0
        while empty < 20 and time.monotonic() < until:  # it may not have come in yet
            empty = 0 if list(small.desk.uploads.iterdir()) else empty + 1
            time.sleep(0.02)
        assert not list(small.desk.uploads.rglob("*"))
        body = client.post("/api/masks", raw=b" " * (4 * 2**20 + 1))
        assert body.status == 413


def test_a_picture_that_unfolds_to_more_than_is_read_is_refused(client):
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    answer = client.post("/api/upload?name=bomb.png", raw=bomb)
    assert (answer.status, answer.error["kind"]) == (422, "PhotoError")


def test_ten_clients_at_once_are_answered_and_leave_nothing_behind(folder, tmp_path, recipe):
    with serving(folder, kept=tmp_path / "kept") as served:
        client = Client(served)
        photo = client.post("/api/open", {"path": "photo.png"}).data["photo"]
        draft = {"recipe": recipe | {"regions": [{"mask": "brush:9:40,40"}, {"mask": "rest"}]}}
        client.post("/api/masks", draft)
        client.ended(client.post("/api/preview", {"recipe": recipe}).data)
        threads, held = threading.active_count(), resident()
        until, statuses = time.monotonic() + 1.5, []

        def hammer(number: int) -> None:
            turn = 0
            while time.monotonic() < until:
                turn += 1
                strokes = f"brush:{1 + turn % 9}:{turn % 128},40"
                draft = {"recipe": {"image": "photo.png", "regions": [{"mask": strokes}]}}
                statuses.append(client.post("/api/masks", draft).status)
                statuses.append(client.get(f"/api/photos/{photo['id']}/preview").status)
                sent = {"recipe": recipe, "client": str(number)}
                statuses.append(client.post("/api/preview", sent).status)

        clients = [threading.Thread(target=hammer, args=(n,)) for n in range(10)]
        for one in clients:
            one.start()
        for one in clients:
            one.join()
        assert set(statuses) <= {200, 202, 429} and statuses.count(200) > 9
        for job in client.get("/api/jobs").data["jobs"]:
            client.post(f"/api/jobs/{job['id']}/cancel")
        assert client.get("/api/hello").status == 200
        assert threading.active_count() <= threads + 45  # the pool of threads that answer
        assert resident() - held < 150 * 2**20


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_a_client_that_goes_away_cancels_nothing_and_leaves_no_stream(client, served, recipe):
    job = client.post("/api/render", {"recipe": recipe | {"steps": 6}, "client": "gone"}).data
    streams = [client.events(f"/api/jobs/{job['id']}/events"), client.events("/api/events")]
    for stream in streams:
        next(stream)
        stream.close()
    until = time.monotonic() + 60
    while served.desk.streams and time.monotonic() < until:
        time.sleep(0.05)
    assert served.desk.streams == 0
    assert client.ended(job)["state"] == "done"


def test_more_streams_than_are_taken_are_refused(folder, tmp_path):
    with serving(folder, kept=tmp_path / "kept", streams=2) as served:
        client = Client(served)
        streams = [client.events("/api/events") for _ in range(2)]
        hello = [next(stream) for stream in streams]
        assert [name for _, name, _ in hello] == ["hello", "hello"]
        assert client.get("/api/events").error["kind"] == "TooMany"
        for stream in streams:
            stream.close()


def test_a_photo_that_goes_away_is_said_and_comes_back(folder, tmp_path, recipe, monkeypatch):
    from locstyle_plugins.page import app

    monkeypatch.setattr(app, "LOOKS", 0.05)
    here = tmp_path / "here"
    here.mkdir()
    for name in ("photo.png", "mine.safetensors"):
        (here / name).write_bytes((folder / name).read_bytes())
    with serving(here, photo="photo.png") as served:
        client = Client(served)
        photo = client.get("/api/hello").data["photo"]
        stream = client.events("/api/events")
        assert next(stream)[1] == "hello"
        data = (here / "photo.png").read_bytes()
        (here / "photo.png").unlink()
        assert next(d for _, name, d in stream if name == "photo")["state"] == "gone"
        assert client.get(f"/api/photos/{photo['id']}/preview").status == 200
        assert client.get(f"/api/photos/{photo['id']}/tiles/0/0/0").error["kind"] == "PhotoError"
        said = client.post("/api/validate", {"recipe": recipe}).data
        assert [error["place"] for error in said["errors"]] == ["image"]
        failed = client.ended(client.post("/api/preview", {"recipe": recipe}).data)
        assert failed["state"] == "failed" and failed["error"]["place"] == "image"
        assert client.get("/api/hello").data["first_error"]["kind"] == "PhotoError"
        (here / "photo.png").write_bytes(data)
        assert client.ended(client.post("/api/preview", {"recipe": recipe}).data)["state"] == "done"


def test_a_bug_in_one_job_ends_no_other(folder, tmp_path, recipe, monkeypatch, capfd):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("in a plugin")

    with serving(folder, kept=tmp_path / "kept") as served:
        client = Client(served)
        with monkeypatch.context() as patch:
            patch.setattr(ls.Editor, "run", broken)
            failed = client.ended(client.post("/api/preview", {"recipe": recipe}).data)
        assert failed["error"]["kind"] == "Bug" and "in a plugin" in failed["error"]["message"]
        assert client.ended(client.post("/api/preview", {"recipe": recipe}).data)["state"] == "done"


def test_the_state_outlives_the_server(folder, tmp_path):
    for expected, new in ((None, {"a": 1}), ({"a": 1}, [2])):
        with serving(folder, kept=tmp_path / "kept") as served:
            client = Client(served)
            found = client.get("/api/state").data
            assert found["state"] == expected
            sent = {"revision": found["revision"], "state": new}
            assert client.call("PUT", "/api/state", sent).status == 200
    (tmp_path / "kept" / "state.json").write_text("{broken")
    with serving(folder, kept=tmp_path / "kept") as served:
        assert Client(served).get("/api/state").data == {"revision": 0, "state": None}


def test_ending_the_server_says_goodbye_and_stops_what_runs(folder, tmp_path, recipe):
    with serving(folder, kept=tmp_path / "kept") as served:
        client = Client(served)
        job = client.post("/api/render", {"recipe": recipe | {"steps": 900}}).data
        stream = client.events("/api/events")
        for _, name, data in client.events(f"/api/jobs/{job['id']}/events"):
            if name == "step" and data["index"]:
                break
        next(stream)
    assert [name for _, name, _ in stream][-1] == "bye"
    assert served.desk.job(job["id"]).state == "cancelled"


WEIRD = (
    *(None, True, -1, 0, 2**70, 1e308, float("inf"), "", "\0", "../secret.png", "all|grow:1e9"),
    *("brush:1:" + "1,1;" * 3000 + "1,1", "lasso:" + "0,0;" * 3 + "9,9", "auto:99999", "x" * 9999),
    *([], [[]], {}, {"mask": {}}, {"segmenter": "classic", "points": [[1e300, -1]]}, [1, [2, [3]]]),
)


def changed(value, dice):
    """Plain data with one part of it replaced by something else."""
    if not isinstance(value, dict | list) or not value or dice.random() < 0.2:
        return dice.choice(WEIRD)
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = dice.choice(list(keys))
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = changed(copy[key], dice)
    return copy


def test_no_recipe_is_a_bug_of_the_server(client, recipe):
    """Whatever is wrong with one, it is answered or refused in words."""
    dice = random.Random(5)
    brush = {"mask": "brush:9~0.5:20,20;50,50/!3:30,30", "styles": [{"style": "mine.safetensors"}]}
    full = recipe | {"regions": [brush, *recipe["regions"]], "segmenter": {"name": "classic"}}
    for turn in range(60):
        sent = {"recipe": changed(full, dice)}
        for path in ("/api/masks", "/api/validate", "/api/as"):
            answer = client.post(path, {**sent, "form": "command"})
            assert answer.status in (200, 400, 422), (turn, path, sent, answer.body)
