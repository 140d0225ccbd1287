"""Which weights: our own, or a checkpoint the user named; where it may lie and how it is read."""

import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import locstyle as ls

from .guest import guest

if TYPE_CHECKING:
    from torch import nn

OURS = "mini"
SHIPPED = Path(__file__).parent / "weights"
STEM = "fastsam"  # of the file with our weights and of the one with their architecture
ORIGINALS = ("FastSAM-s.pt", "FastSAM-x.pt")
_WHERE = "https://github.com/ultralytics/assets/releases"
_LICENCE = {
    "license": "AGPL-3.0",
    "why": "ultralytics holds that weights trained with its code fall under AGPL-3.0",
}


def find_weights(named: str) -> Path:
    """The file that `named` means: "mini", a path, or a name in the working or cache folder.

    Raises:
        SegmenterError: it is not there, or of a kind we do not read; says where we looked.
    """
    if named == OURS:
        path = SHIPPED / f"{STEM}.safetensors"
        if not path.is_file():
            raise ls.SegmenterError(
                f"segmenter 'fastsam': its own weights are not in {SHIPPED}; install locstyle anew,"
                " or make them: locstyle mini train-fastsam --minutes 50"
            )
        return path
    given = Path(named).expanduser()
    places = [given] if given.parent != Path() else [Path.cwd() / given, ls.cache_folder() / given]
    found = [place for place in places if place.is_file()]
    if not found:
        raise ls.SegmenterError(_not_there(named, places))
    if given.suffix not in (".pt", ".safetensors"):
        raise ls.SegmenterError(
            f"segmenter 'fastsam': weights {named!r} are neither .pt (ultralytics' own) nor "
            f".safetensors (with the architecture beside it as .yaml)"
        )
    return found[0]


def _not_there(named: str, places: list[Path]) -> str:
    looked = " and ".join(str(place.absolute().parent) for place in places)
    near = (
        f"get it from {_WHERE} and put it there"
        if named in ORIGINALS
        else ls.did_you_mean(named, (OURS, *ORIGINALS))
    )
    return (
        f"segmenter 'fastsam': no weights {named!r} in {looked}; without the option `weights`, the "
        f"small ones that come with locstyle are used; {near}"
    )


def load_network(path: Path) -> "nn.Module":
    """The network in a file, on the CPU in single precision, ready to look at pictures.

    Raises:
        SegmenterError: the file is broken or holds anything but a segmentation network.
    """
    with guest() as folder:
        from ultralytics.nn.tasks import SegmentationModel

        network = _pickled(path, folder) if path.suffix == ".pt" else _plain(path)
        if not isinstance(network, SegmentationModel):
            raise ls.SegmenterError(
                f"segmenter 'fastsam': {path} holds a {type(network).__name__}, which finds no "
                "masks; give a segmentation network such as FastSAM-s.pt"
            )
        return network.float().eval().requires_grad_(False)


def write_weights(folder: Path, network: "nn.Module", how: dict[str, str]) -> None:
    """Write the network's weights in half precision, with licence and origin in the header."""
    from safetensors.torch import save

    tensors = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in network.state_dict().items()
    }
    data = save(tensors, {"format": "pt", **_LICENCE, **how})
    ls.write_atomic(folder / f"{STEM}.safetensors", data)


def _plain(path: Path) -> Any:  # a network of ultralytics, which is not typed
    """ultralytics' network built from a description, with weights from a file of tensors."""
    import yaml
    from safetensors.torch import load_file
    from ultralytics.nn.tasks import SegmentationModel

    described = path.with_suffix(".yaml")
    if not described.is_file():
        raise ls.SegmenterError(
            f"segmenter 'fastsam': {path} needs its architecture beside it as {described.name}"
        )
    try:
        network = SegmentationModel(yaml.safe_load(described.read_text("utf-8")), verbose=False)
        network.load_state_dict(load_file(path))
    except Exception as error:  # whatever a foreign file makes ultralytics do
        raise ls.SegmenterError(
            f"segmenter 'fastsam': {path} does not fit {described.name}: {_first_line(error)}"
        ) from error
    return network


def _pickled(path: Path, folder: Path) -> Any:
    """The network in ultralytics' own kind of file, a pickle; read by its restricted loader.

    From a copy: the loader searches the net for paths that it has rewritten (no apostrophes, "u"
    after some names).
    """
    from ultralytics.nn.tasks import torch_safe_load

    warnings.warn(
        f"{path} is a pickle, a kind of file that can run code; you named it, so it is read, by "
        "ultralytics' restricted loader, which makes networks and nothing else",
        stacklevel=2,
    )
    copy = folder / "checkpoint.pt"
    shutil.copyfile(path, copy)
    try:
        held, _ = torch_safe_load(copy, safe_only=True)
        return held.get("ema") or held["model"]
    except Exception as error:
        raise ls.SegmenterError(
            f"segmenter 'fastsam': {path} is not a checkpoint that ultralytics' restricted loader "
            f"reads: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
