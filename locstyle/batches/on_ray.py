"""Workers as actors of a Ray cluster: paths go in and a few words come out.

Nothing but Ray's own placement decides where a worker is. Every machine needs locstyle and sees the
same files under the same paths.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any  # Any: Ray's handles, which have no types

from locstyle.batches.launch import News, refusal
from locstyle.errors import LocstyleError, PluginError
from locstyle.extras import pip_line

if TYPE_CHECKING:
    from locstyle.batches.task import Batching
    from locstyle.batches.worker import Message, Setting, Worker

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""What a cluster that we start is told: to report to nobody."""

_PATIENCE = 10.0  # seconds for a cluster's head to take a connection


class Seat:
    """The actor: a worker, made when it is greeted, so that what hinders it can be said."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._worker: Worker | None = None

    def hello(self) -> Message:
        """The worker's facts, or why there is none."""
        from locstyle.batches.worker import Worker

        try:
            self._worker = Worker(self._setting)
        except LocstyleError as error:
            return refusal(error)
        return self._worker.facts

    def do(self, message: Message) -> Message:
        """What became of a task."""
        assert self._worker is not None
        return self._worker.do(message)


class OnRay:
    """A `Launcher` of actors.

    Raises:
        PluginError: Ray is not installed.
        LocstyleError: there is no cluster at the address, or it has nothing to give.
    """

    def __init__(self, how: Batching, setting: Setting) -> None:
        self._ray = _imported()
        self._setting = setting
        self._is_ours = not self._ray.is_initialized()
        if self._is_ours:
            _connect(self._ray, how.ray_address)
        self._asks = _asks(self._ray.cluster_resources(), how)
        self.seats = how.jobs or _room(self._ray.cluster_resources(), self._asks)
        self._actors: dict[int, Any] = {}
        self._pending: dict[Any, tuple[int, str]] = {}

    def start(self, seat: int) -> None:
        """See `Launcher`."""
        on_gpu = bool(self._asks["num_gpus"])
        device = "cuda" if on_gpu and self._setting.device == "auto" else self._setting.device
        kind = self._ray.remote(Seat).options(**self._asks, max_restarts=0, max_concurrency=1)
        self._actors[seat] = kind.remote(replace(self._setting, device=device))
        self._pending[self._actors[seat].hello.remote()] = seat, "hello"

    def send(self, seat: int, message: Message) -> None:
        """See `Launcher`."""
        self._pending[self._actors[seat].do.remote(message)] = seat, "answer"

    def wait(self, seconds: float) -> list[News]:
        """See `Launcher`."""
        if not self._pending:
            return []
        found, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=seconds)
        return [self._news(reference) for reference in found]

    def stop(self, seat: int) -> None:
        """See `Launcher`."""
        if (actor := self._actors.pop(seat, None)) is not None:
            self._ray.kill(actor, no_restart=True)
        self._pending = {ref: to for ref, to in self._pending.items() if to[0] != seat}

    def close(self) -> None:
        """See `Launcher`; a cluster that was started for this ends as well."""
        for seat in list(self._actors):
            self.stop(seat)
        if self._is_ours:
            self._ray.shutdown()

    def _news(self, reference: Any) -> News:
        seat, kind = self._pending.pop(reference)
        try:
            said = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._actors.pop(seat, None)
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            words = f"its actor ended ({type(error).__name__}: {'; '.join(lines[:3])})"
            return News(seat, "died", {"error": words[:1000]})
        return News(seat, "hello" if kind == "hello" else "answer", said)


def _imported() -> Any:
    try:
        import ray
    except ImportError as error:
        raise PluginError(
            f"launcher 'ray': cannot be imported ({error}); {pip_line('ray')}, or leave "
            "--launcher out"
        ) from error
    return ray


def _connect(ray: Any, address: str | None) -> None:
    _check_reachable(address or os.environ.get("RAY_ADDRESS", ""))
    with _environment(_QUIET):
        try:
            ray.init(
                address=address,
                include_dashboard=False if address is None else None,
                logging_level="error",
                log_to_driver=False,
                configure_logging=False,
            )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            where = repr(address) if address else "here"
            raise LocstyleError(f"launcher 'ray': no cluster {where} ({error})") from error


def _check_reachable(address: str) -> None:
    """Refuses a HOST:PORT where nothing listens, which Ray itself tries for many minutes."""
    place = address.removeprefix("ray://")
    host, _, port = place.rpartition(":")
    if not (host and port.isdecimal()):  # "auto", "local", or for Ray to judge
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise LocstyleError(
            f"launcher 'ray': nothing answers at {place!r} ({error}); give the address of a "
            "running cluster, or leave --ray-address and RAY_ADDRESS out to start one here"
        ) from error


def _asks(resources: dict[str, float], how: Batching) -> dict[str, float]:
    """What each actor asks for."""
    has_gpus = resources.get("GPU", 0) > 0 and how.device != "cpu"
    gpus = (1.0 if has_gpus else 0.0) if how.gpus is None else how.gpus
    return {"num_cpus": float(how.threads), "num_gpus": gpus}


def _room(resources: dict[str, float], asks: dict[str, float]) -> int:
    """How many actors the cluster holds now."""
    names = {"num_cpus": "CPU", "num_gpus": "GPU"}
    room = min(int(resources.get(names[k], 0) // wanted) for k, wanted in asks.items() if wanted)
    if room < 1:
        raise LocstyleError(
            f"launcher 'ray': each worker asks for {asks['num_cpus']:g} CPUs and "
            f"{asks['num_gpus']:g} GPUs, and the cluster has {resources.get('CPU', 0):g} and "
            f"{resources.get('GPU', 0):g}; give fewer --threads, or --jobs to wait for more"
        )
    return room


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables that are set inside the `with`, unless they are set already."""
    added = {key: value for key, value in values.items() if key not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for key in added:
            os.environ.pop(key, None)
