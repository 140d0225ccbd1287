# This room's public names, each loaded when it is first used: not every command needs torch.
from .data import Delta as Delta
from .data import Tokens as Tokens
from .file import read_style as read_style
from .find import find_style as find_style
from .find import list_styles as list_styles
from .find import nearest_file as nearest_file
from .fit import Coverage as Coverage
from .header import read_header as read_header
from .preview import read_preview as read_preview
from .preview import thumbnail as thumbnail
from .reference import Reference as Reference
from .reference import style_picture as style_picture
from .style import ANY as ANY
from .style import Style as Style
