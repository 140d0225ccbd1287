"""Masks and partitions: who owns which pixel of the photo, softly."""

from locstyle.masks.mask import Mask as Mask
from locstyle.masks.mask import Partition as Partition
from locstyle.masks.mask import check_size as check_size
from locstyle.masks.mask import read_mask as read_mask
