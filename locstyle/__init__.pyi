# The public names, all of them. Loaded lazily by `__init__.py`; plugins import nothing else.
from .edit import Edit, Fusing, Region
from .editor import Editor
from .engine.attend import Read, combine
from .engine.backbone import Backbone, Text, load_backbone
from .engine.denoise import denoise
from .engine.interventions import Deltas, RegionalText, Share, ShareFeature
from .engine.intervene import MIXED, Call, Intervention, Row
from .engine.ownership import Ownership
from .engine.plan import Branch, Compose, Hold, Plan, Predictions, Scene, SceneRegion, Window, guide
from .engine.progress import OnStep, Step
from .engine.schedule import CLEAN, Schedule
from .engine.sites import Site, Sites
from .engine.trajectory import Inversion, Trajectory, invert
from .engine.training import Training, generator, noise_loss, train
from .errors import (
    BackboneError,
    DenoiseError,
    LocstyleError,
    MaskError,
    OutputError,
    PhotoError,
    PluginError,
    RecipeError,
    SegmenterError,
    SiteError,
    StyleError,
    did_you_mean,
)
from .hookspecs import Register, hookimpl
from .host import Host, default_host
from .masks import Mask, Partition
from .photo import Canvas, Photo
from .protocols import Fusion, Prompt, Segmenter, StyleEncoder, StyleRequest
from .style import Coverage, Delta, Style, find_style, list_styles, read_style, thumbnail

__version__: str
