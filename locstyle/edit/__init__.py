"""The request: what an edit says, how it is checked, and how it is written down."""

from locstyle.edit.choice import Fusing as Fusing
from locstyle.edit.choice import Segmenting as Segmenting
from locstyle.edit.edit import VERSION as VERSION
from locstyle.edit.edit import Edit as Edit
from locstyle.edit.framing import Framing as Framing
from locstyle.edit.from_picture import FromPicture as FromPicture
from locstyle.edit.region import Region as Region
from locstyle.edit.styling import Styling as Styling
