"""A procedural paired world: the same scene as a photo and in many styles, with its masks.

The one package of ours that other plugins of ours may import; it needs nothing of locstyle.
"""

from .endless import endless
from .styles import HELD_OUT_STYLES, STYLES, TRAINING_STYLES
from .world import HELD_OUT_WORLD, TRAINING_WORLD, World, WorldScene

__all__ = [
    "HELD_OUT_STYLES",
    "HELD_OUT_WORLD",
    "STYLES",
    "TRAINING_STYLES",
    "TRAINING_WORLD",
    "World",
    "WorldScene",
    "endless",
]
