"""Photos as photographers have them: files in, files out, the working size and the way back."""

from locstyle.photo.canvas import Canvas as Canvas
from locstyle.photo.photo import Part as Part
from locstyle.photo.photo import Photo as Photo
from locstyle.photo.photo import read_text as read_text
