"""Who may call: checked before anything else looks at a request. Pure ASGI, so that a client that
goes away is noticed.

Any page in any browser on this machine can send requests here; docs/server.md says which header
stops which. A page under another name for this address (DNS rebinding) has another Host; one on
another port has another Origin; and none of them has the token.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any  # messages of ASGI

from .refusals import Refusal

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN = "locstyle-token"
NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HOST = re.compile(r"(\[::1\]|[a-z0-9.-]+)(?::[0-9]{1,5})?")
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
    "content-security-policy": _POLICY,
}


class Guard:
    """Lets through what comes from the server's own page, or from who has the token."""

    def __init__(self, app: App, token: str) -> None:
        self.app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # a websocket: there are none
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = _armoured(send)
        try:
            self._check(scope)
        except Refusal as refusal:
            await _refuse(refusal, answer)
        else:
            await self.app(scope, receive, answer)

    def _check(self, scope: Scope) -> None:
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        host = _only(headers, b"host") or ""
        found = _HOST.fullmatch(host)
        if found is None or found[1] not in NAMES:
            raise Refusal(403, "Refused", "Host is not one of this server's own names")
        origin = _only(headers, b"origin")
        if origin is not None and origin != f"http://{host}":
            raise Refusal(403, "Refused", "Origin is another site's")
        if not scope["path"].startswith("/api"):
            return
        if _only(headers, b"sec-fetch-site") not in (None, "same-origin", "none"):
            raise Refusal(403, "Refused", "the request comes from another site")
        token = (_only(headers, TOKEN.encode()) or "").encode("utf-8", "replace")
        if not hmac.compare_digest(token, self._token):
            said = "no token, or another server's; open the address that the server printed"
            raise Refusal(401, "Refused", said)


def _only(headers: dict[bytes, list[bytes]], name: bytes) -> str | None:
    values = headers.get(name, [])
    if len(values) > 1:
        raise Refusal(403, "Refused", f"{name.decode()} is given twice")
    return (
        values[0].decode("latin-1").lower()
        if values and name != TOKEN.encode()
        else (values[0].decode("latin-1") if values else None)
    )


def _armoured(send: Send) -> Send:
    """`send`, with what every answer's head says."""

    async def armoured(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message.get("headers", [])}
            more = {**_ALWAYS, "cache-control": "no-store"}
            message["headers"] = [
                *message.get("headers", []),
                *((k.encode(), v.encode()) for k, v in more.items() if k.encode() not in given),
            ]
        await send(message)

    return armoured


async def _refuse(refusal: Refusal, send: Send) -> None:
    body = json.dumps(refusal.to_dict()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
