"""A style from pictures, by an encoder that may train: the backbone is watched meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from locstyle.engine.backbone import Backbone
from locstyle.engine.progress import OnStep, ignore
from locstyle.job.prompts import warn_of_marks
from locstyle.job.returned import check_style
from locstyle.photo import Photo
from locstyle.plugin.protocols import StyleEncoder, StyleRequest
from locstyle.style import Style

if TYPE_CHECKING:
    from locstyle.plugin.host import Host


def learn_style(
    encoder: tuple[str, StyleEncoder],
    pictures: Sequence[Photo],
    backbone: Backbone,
    request: StyleRequest,
    *,
    host: Host,
    on_step: OnStep = ignore,
) -> Style:
    """The style of pictures on a backbone, as `locstyle train` makes it.

    Args:
        encoder: the name it is offered under by `host`, and the encoder itself.
        backbone: in float32, if the encoder trains.

    Raises:
        LocstyleError: the encoder refuses the pictures or diverges; raising from `on_step` cancels.
        PluginError: it returned what is no style of the kinds it makes, or changed the backbone.
    """
    name, maker = encoder
    who = host.whose("style_encoders", name)
    warn_of_marks(request.prompt)
    shown = [picture.srgb for picture in pictures]
    with backbone.turns.take("a style encoder"), backbone.seal.kept(who):
        style = maker.encode(shown, backbone, request, on_step)
    return check_style(style, maker.makes, backbone, who)
