# This room's public names, each loaded when it is first used: not every command needs torch.
from .canvas import Canvas as Canvas
from .first_look import Glance as Glance
from .first_look import glance as glance
from .photo import Patch as Patch
from .photo import Photo as Photo
from .photo import read_indices as read_indices
from .photo import read_text as read_text
from .picture import eight_bit as eight_bit
