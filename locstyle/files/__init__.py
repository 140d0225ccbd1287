"""Files in and out: what is read is bounded, what is written is whole, what is replaced is ours.

Light on purpose (no torch, no Pillow): the command line checks its paths with this room.
"""

from locstyle.files.bounds import Unreadable as Unreadable
from locstyle.files.bounds import is_file as is_file
from locstyle.files.bounds import is_folder as is_folder
from locstyle.files.bounds import open_file as open_file
from locstyle.files.bounds import read_file as read_file
from locstyle.files.bounds import read_text as read_text
from locstyle.files.contents import Contents as Contents
from locstyle.files.contents import read_contents as read_contents
from locstyle.files.folders import check_folder as check_folder
from locstyle.files.folders import make_folder as make_folder
from locstyle.files.ledger import MARKER as MARKER
from locstyle.files.ledger import Ledger as Ledger
from locstyle.files.ledger import digest_of as digest_of
from locstyle.files.ledger import marker as marker
from locstyle.files.output import LARGEST_SIDE as LARGEST_SIDE
from locstyle.files.output import PHOTO_FORMATS as PHOTO_FORMATS
from locstyle.files.output import PICTURES as PICTURES
from locstyle.files.output import atomic_file as atomic_file
from locstyle.files.output import check_format as check_format
from locstyle.files.output import check_output as check_output
from locstyle.files.output import check_regular as check_regular
from locstyle.files.output import note_written as note_written
from locstyle.files.output import noted_files as noted_files
from locstyle.files.output import settle as settle
from locstyle.files.output import write_atomic as write_atomic
from locstyle.files.places import CACHE as CACHE
from locstyle.files.places import cache_folder as cache_folder
from locstyle.files.places import existing as existing
from locstyle.files.places import lone_file as lone_file
from locstyle.files.places import style_pictures as style_pictures
from locstyle.files.unfinished import sweep as sweep
from locstyle.files.unfinished import unfinished_folder as unfinished_folder
