"""ultralytics as a guest: offline, silent, its settings file elsewhere, nothing global changed.

Importing it writes a settings file, looks up host names, replaces `torch.save` and
`PIL.Image.open`, and sets print options, environment variables, warning filters and OpenCV's
threads. We undo what it did to the process, and never enter the parts that send usage data,
download, or install packages.
"""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import locstyle as ls

if TYPE_CHECKING:
    import torch

_LOGGER = "ultralytics"
# Read when ultralytics is imported (ultralytics/utils/__init__.py). Offline, it looks up no host
# names, sends no usage data and no errors, and updates nothing.
_ENVIRONMENT = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}


@contextmanager
def guest() -> Iterator[Path]:
    """Import and use ultralytics inside; leaves the process as it was, save for its modules.

    Gives a temporary folder, which is also where its settings file goes. A program that imported
    ultralytics before keeps the settings it has.

    Raises:
        SegmenterError: the extra is not installed.
    """
    import cv2
    import numpy as np
    from PIL import Image

    environment, threads = dict(os.environ), cv2.getNumThreads()
    opened = Image.open  # theirs wants another package for every file that is no picture
    logger = logging.getLogger(_LOGGER)
    level = logger.level if _LOGGER in sys.modules else logging.INFO  # what it would set itself
    with (
        tempfile.TemporaryDirectory(prefix="locstyle-") as folder,
        warnings.catch_warnings(),
        np.printoptions(),
        _torch_as_it_was(),
    ):
        os.environ.update(_ENVIRONMENT, YOLO_CONFIG_DIR=folder)
        try:
            _load()
            logger.setLevel(logging.ERROR)
            yield Path(folder)
        finally:
            os.environ.clear()
            os.environ.update(environment)
            cv2.setNumThreads(threads)
            Image.open = opened
            logger.setLevel(level)


def _load() -> None:
    try:
        import ultralytics.nn.tasks  # noqa: F401  does at once all that has to be undone
    except ImportError as error:
        raise ls.SegmenterError(
            f"segmenter 'fastsam': ultralytics cannot be imported ({type(error).__name__}: {error})"
            f"; {ls.pip_line('fastsam')} (ultralytics is AGPL-3.0)"
        ) from error


@contextmanager
def _torch_as_it_was() -> Iterator[None]:
    import torch

    options = _print_options()
    shown, save, safe = dict(vars(options)), torch.save, torch.serialization.get_safe_globals()
    try:
        with torch.random.fork_rng(devices=[]):  # a network is built with random weights at first
            yield
    finally:
        vars(options).update(shown)
        torch.save = save
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(safe)


def _print_options() -> "torch._tensor_str.__PrinterOptions":
    import torch

    return torch._tensor_str.PRINT_OPTS  # there is no public way to read them
