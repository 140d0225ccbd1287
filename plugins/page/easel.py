"""The model: loaded when somebody needs it, by the one thread that uses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any  # plain data

import locstyle as ls

from .refusals import spoken
from .startup import Startup


class Easel:
    """An editor that is not there yet; `on_change` is called whenever that changes."""

    def __init__(self, settings: Startup, host: ls.Host, on_change: Callable[[], None]) -> None:
        self._settings, self._host, self._on_change = settings, host, on_change
        self._editor: ls.Editor | None = None
        self._error: BaseException | None = None
        self._state = "unloaded"

    @property
    def backbone(self) -> ls.Backbone | None:
        """The model, if it is loaded."""
        return None if self._editor is None else self._editor.backbone

    @property
    def is_new(self) -> bool:
        """Whether nobody has asked for the model yet."""
        return self._state == "unloaded"

    def to_dict(self) -> dict[str, Any]:
        said: dict[str, Any] = {"state": self._state, "backbone": self._settings.backbone}
        backbone = self.backbone
        if backbone is not None:
            said |= {
                "family": backbone.family,
                "device": str(backbone.device),
                "dtype": str(backbone.dtype).removeprefix("torch."),
                "native": backbone.native,
            }
        return {**said, "error": None if self._error is None else spoken(self._error)}

    def editor(self) -> ls.Editor:
        """The editor; loads it the first time, and again after it failed.

        Raises:
            BackboneError: it cannot be loaded.
        """
        if self._editor is None:
            self._tell("loading", None)
            try:
                self._editor = self._loaded()
            except BaseException as error:
                self._tell("failed", error)
                raise
            self._tell("ready", None)
        return self._editor

    def exact(self, editor: ls.Editor) -> ls.Backbone:
        """The model in float32, as trainings need it."""
        import torch

        if editor.backbone.dtype == torch.float32:
            return editor.backbone
        asked = self._settings
        return ls.Editor.load(
            asked.backbone,
            device=asked.device,
            dtype=torch.float32,
            host=self._host,
            config=asked.backbone_config,
        ).backbone

    def _loaded(self) -> ls.Editor:
        import torch

        asked = self._settings
        return ls.Editor.load(
            asked.backbone,
            device=asked.device,
            dtype=None if asked.dtype == "auto" else getattr(torch, asked.dtype),
            host=self._host,
            cache=ls.TrajectoryCache() if asked.cache else None,
            config=asked.backbone_config,
            memory=asked.memory,
        )

    def _tell(self, state: str, error: BaseException | None) -> None:
        self._state, self._error = state, error
        self._on_change()
