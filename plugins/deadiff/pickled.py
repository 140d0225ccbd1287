"""Checkpoints that are pickles, read with torch's weights-only loader and nothing else.

The one place that reads a pickle; `locstyle convert --allow-ckpt` alone comes here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import locstyle as ls


def read_pickle(path: Path) -> dict[str, Any]:
    """The tensors of a pickled checkpoint, by name.

    Raises:
        StyleError: it holds anything but tensors and plain containers, or cannot be read.
    """
    import pickle

    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ls.StyleError(
            f"checkpoint: {str(path)!r} could not be read as weights alone: {error}"
        ) from error
    state = found.get("state_dict", found) if isinstance(found, dict) else {}
    tensors = {key: part for key, part in state.items() if isinstance(part, torch.Tensor)}
    if not tensors:
        raise ls.StyleError(f"checkpoint: {str(path)!r} holds no weights by name")
    return tensors
