"""A procedural paired world: the same scene as a photo and in many styles, with its masks."""

from .scene import World, WorldScene
from .styles import HELD_OUT_STYLES, STYLES, TRAINING_STYLES

__all__ = ["HELD_OUT_STYLES", "STYLES", "TRAINING_STYLES", "World", "WorldScene"]
