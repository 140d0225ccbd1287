# This room's public names, each loaded when it is first used: not every command needs torch.
from .layers import Layers as Layers
from .layers import shared as shared
from .mask import Mask as Mask
from .mask import read_mask as read_mask
from .partition import Partition as Partition
from .sizes import check_size as check_size
