"""Which launchers there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from locstyle.errors import RecipeError, did_you_mean

if TYPE_CHECKING:
    from locstyle.batches.launch import Launcher
    from locstyle.batches.task import Batching
    from locstyle.batches.worker import Setting

LAUNCHERS = ("local", "ray")


def open_launcher(how: Batching, setting: Setting) -> Launcher:
    """The launcher of a batch.

    Raises:
        LocstyleError: there is none of that name, or it cannot be used here.
    """
    if not isinstance(how.launcher, str):
        made: Launcher = how.launcher(how, setting)
        return made
    if how.launcher == "local":
        from locstyle.batches.local import Local

        return Local(how, setting)
    if how.launcher == "ray":
        from locstyle.batches.on_ray import OnRay

        return OnRay(how, setting)
    raise RecipeError(f"launcher: {how.launcher!r}; {did_you_mean(how.launcher, LAUNCHERS)}")
