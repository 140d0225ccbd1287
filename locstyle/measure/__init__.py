"""Weights-free measures of an edit: what was kept, what was restyled, what shows at the border."""

from locstyle.measure.layout import Things as Things
from locstyle.measure.layout import things_taken as things_taken
from locstyle.measure.scores import Area as Area
from locstyle.measure.scores import Picture as Picture
from locstyle.measure.scores import beyond_recolour as beyond_recolour
from locstyle.measure.scores import colour_distance as colour_distance
from locstyle.measure.scores import edge_agreement as edge_agreement
from locstyle.measure.scores import identical_share as identical_share
from locstyle.measure.scores import psnr as psnr
from locstyle.measure.scores import recolour as recolour
from locstyle.measure.scores import seam_index as seam_index
from locstyle.measure.scores import ssim_luminance as ssim_luminance
from locstyle.measure.scores import texture_distance as texture_distance
from locstyle.measure.scores import texture_parts as texture_parts
