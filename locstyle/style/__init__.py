"""Styles as data, their files, and where they are found; the names below are its public face."""

from locstyle.style.data import Delta as Delta
from locstyle.style.data import Tokens as Tokens
from locstyle.style.file import read_header as read_header
from locstyle.style.file import read_style as read_style
from locstyle.style.find import find_style as find_style
from locstyle.style.find import list_styles as list_styles
from locstyle.style.find import nearest_file as nearest_file
from locstyle.style.fit import Coverage as Coverage
from locstyle.style.preview import thumbnail as thumbnail
from locstyle.style.reference import Reference as Reference
from locstyle.style.reference import style_picture as style_picture
from locstyle.style.style import ANY as ANY
from locstyle.style.style import Style as Style
