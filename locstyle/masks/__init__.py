"""Masks and partitions: who owns which pixel of the photo, softly."""

from locstyle.masks.boxes import Box as Box
from locstyle.masks.layers import Layers as Layers
from locstyle.masks.layers import shared as shared
from locstyle.masks.mask import Mask as Mask
from locstyle.masks.mask import check_size as check_size
from locstyle.masks.mask import read_mask as read_mask
from locstyle.masks.partition import Partition as Partition
