"""Styles made on the spot: ENCODER:PICTURE, where the encoder needs no training."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locstyle.edit import FromPicture
from locstyle.engine.backbone import Backbone
from locstyle.engine.progress import ignore
from locstyle.errors import PhotoError, PluginError, RecipeError
from locstyle.files import PICTURES, is_file, is_folder
from locstyle.job.returned import check_style
from locstyle.photo import Photo
from locstyle.plugin.protocols import StyleRequest
from locstyle.style import Style, nearest_file

if TYPE_CHECKING:
    from locstyle.plugin.host import Host


def instant_style(given: FromPicture, backbone: Backbone, host: Host) -> Style:
    """The style of a picture by an encoder that is `instant`, with its default options.

    Raises:
        LocstyleError: no such picture or encoder, one that trains, or one that fails.
    """
    maker = _maker(given, host)
    picture = _opened(Path(given.picture))
    request = StyleRequest(name=Path(given.picture).stem, prompt="")
    who = host.whose("style_encoders", given.encoder)
    with backbone.turns.take("a style encoder"), backbone.seal.kept(who):
        style = maker.encode([picture.srgb], backbone, request, ignore)
    return check_style(style, maker.makes, backbone, who)


def instant_encoders(host: Host) -> dict[str, frozenset[str]]:
    """The style encoders that need no training, and the kinds of style they make."""
    found = {}
    for name in host.names("style_encoders"):
        with suppress(PluginError):  # two plugins claim the name
            maker = host.find("style_encoders", name).factory
            if getattr(maker, "instant", False):
                found[name] = frozenset(getattr(maker, "makes", ()))
    return found


def _maker(given: FromPicture, host: Host) -> Any:
    """The encoder, if it needs no training."""
    try:
        maker = host.style_encoder(given.encoder)
    except RecipeError as error:
        if not is_file(str(given)):
            raise
        raise RecipeError(f"{error}; the file of that name is './{given}'") from error
    if getattr(maker, "instant", False):
        return maker
    raise RecipeError(
        f"style encoder {given.encoder!r} learns by training; do that once, `locstyle train "
        f"{given.encoder} {given.picture} -o mine.safetensors`, and give mine.safetensors; "
        f"without training: {' or '.join(instant_encoders(host)) or 'no installed encoder'}"
    )


def _opened(path: Path) -> Photo:
    if not is_file(path) and not is_folder(path):
        near = nearest_file(path, PICTURES)
        hint = f"did you mean {near!r}?" if near else "give a picture file"
        raise PhotoError(f"{str(path)!r} is not a file; {hint}")
    return Photo.open(path)
