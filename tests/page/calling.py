"""A small client of the server, over a real socket."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.data["error"]


class Client:
    """Calls with the token, as the page does; `headers` replace what it says, or (None) do not."""

    def __init__(self, served: Any) -> None:
        self.origin, self.token = served.origin, served.token
        self.port = urlsplit(served.origin).port

    def call(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str | None] | None = None,
    ) -> Answer:
        sent: dict[str, str | None] = {"Locstyle-Token": self.token, **(headers or {})}
        body = raw if data is None else json.dumps(data).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            kept = {name: value for name, value in sent.items() if value is not None}
            connection.request(method, path, body, kept)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, path: str, **more: Any) -> Answer:
        return self.call("GET", path, **more)

    def post(self, path: str, data: Any = None, **more: Any) -> Answer:
        return self.call("POST", path, {} if data is None and "raw" not in more else data, **more)

    def ended(self, job: Any) -> Any:
        """A job once it has ended."""
        for _ in range(600):
            found = self.get(f"/api/jobs/{job['id']}").data
            if found["state"] not in ("waiting", "running"):
                return found
            time.sleep(0.05)
        raise AssertionError(f"still {found['state']}")

    def events(self, path: str, **headers: str) -> Iterator[tuple[int, str, Any]]:
        """Number, name and data of each event, until the stream ends or the caller stops."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers={"Locstyle-Token": self.token, **headers})
            response = connection.getresponse()
            assert response.status == 200, response.read()
            assert response.getheader("content-type", "").startswith("text/event-stream")
            said: dict[str, str] = {}
            for line in response:
                text = line.decode().rstrip("\n")
                if text.startswith(":"):
                    continue
                if text:
                    name, _, value = text.partition(": ")
                    said[name] = value
                elif said:
                    yield int(said["id"]), said["event"], json.loads(said["data"])
                    said = {}
        finally:
            connection.close()
