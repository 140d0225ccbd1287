# The kit's public names, all of them; loaded lazily by `__init__.py`.
from .backbones import check_backbone as check_backbone
from .fusions import check_fusion as check_fusion
from .metrics import check_metric as check_metric
from .segmenters import check_segmenter as check_segmenter
from .segmenters import two_objects as two_objects
from .style_encoders import check_style_encoder as check_style_encoder
from .tiny import ATTENTION as ATTENTION
from .tiny import CONTEXT as CONTEXT
from .tiny import random_style as random_style
from .tiny import random_tokens as random_tokens
from .tiny import random_words as random_words
from .tiny import save_tiny as save_tiny
from .tiny import strips as strips
from .tiny import tiny_backbone as tiny_backbone
from .tiny import tiny_parts as tiny_parts
from .tiny import tiny_scene as tiny_scene
from .tiny import tiny_tokenizer as tiny_tokenizer
