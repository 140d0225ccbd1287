"""Segments: the objects a segmenter finds, their files, folders and sheets."""

from locstyle.segments.segment import Segment as Segment
from locstyle.segments.segment import order_segments as order_segments
from locstyle.segments.segment import overlaps as overlaps
from locstyle.segments.segment import points_inside as points_inside
