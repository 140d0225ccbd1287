"""What a plugin must leave as it found it: the process, the pictures, the backbone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from locstyle.engine.backbones.unet import UNetBackbone


@contextmanager
def unchanged(*images: Image.Image, backbone: UNetBackbone | None = None) -> Iterator[None]:
    """Asserts that the block leaves pictures, backbone and the process's settings as they were."""
    before = _state(images, backbone)
    yield
    after = _state(images, backbone)
    changed = [name for name, value in before.items() if after[name] != value]
    assert not changed, f"changed: {', '.join(changed)}"


def _state(images: tuple[Image.Image, ...], backbone: UNetBackbone | None) -> dict[str, Any]:
    """Everything that must be left alone, by name."""
    return {
        "the picture": [image.tobytes() for image in images],
        "the environment": dict(os.environ),
        "the working directory": Path.cwd(),
        "numpy's random state": str(np.random.get_state()),
        "torch's random state": torch.random.get_rng_state().tolist(),
        "torch's default type": torch.get_default_dtype(),
        "whether torch keeps gradients": torch.is_grad_enabled(),
        "torch's threads": torch.get_num_threads(),
        "OpenCV's threads": cv2.getNumThreads(),
        "torch's determinism": torch.are_deterministic_algorithms_enabled(),
        "cuDNN's benchmark mode": torch.backends.cudnn.benchmark,
        **({} if backbone is None else _model_state(backbone)),
    }


def _model_state(backbone: UNetBackbone) -> dict[str, Any]:
    parts = tuple(backbone.modules.values())
    modules = [(name, module) for part in parts for name, module in part.named_modules()]
    return {
        "the backbone's weights": backbone.weights_digest(),
        "the backbone's other weights": backbone.seal.broken(),
        "the backbone's modules": [(name, id(module)) for name, module in modules],
        "whether a module trains": [name for name, module in modules if module.training],
        "which weights take gradients": [
            name for part in parts for name, one in part.named_parameters() if one.requires_grad
        ],
        "gradients": [
            name for part in parts for name, one in part.named_parameters() if one.grad is not None
        ],
        "hooks": [
            (name, [*module._forward_hooks], [*module._forward_pre_hooks])
            for name, module in modules
        ],
        "attention processors": [
            (name, id(module.processor)) for name, module in modules if hasattr(module, "processor")
        ],
        "attributes of modules": [(name, sorted(vars(module))) for name, module in modules],
    }
