"""Selections: which part of the photo is meant, as data, and the grammar people type it in.

`docs/selections.md` has the grammar. Nothing here looks at a photo; `locstyle.job.select` does.
"""

from locstyle.selection.drawn import Lasso as Lasso
from locstyle.selection.drawn import Stroke as Stroke
from locstyle.selection.drawn import Strokes as Strokes
from locstyle.selection.grammar import parse as parse
from locstyle.selection.grammar import parse_refinements as parse_refinements
from locstyle.selection.refinements import REFINEMENTS as REFINEMENTS
from locstyle.selection.refinements import Refinement as Refinement
from locstyle.selection.tree import All as All
from locstyle.selection.tree import Alpha as Alpha
from locstyle.selection.tree import Auto as Auto
from locstyle.selection.tree import Box as Box
from locstyle.selection.tree import Color as Color
from locstyle.selection.tree import Combined as Combined
from locstyle.selection.tree import File as File
from locstyle.selection.tree import Inverted as Inverted
from locstyle.selection.tree import Light as Light
from locstyle.selection.tree import Map as Map
from locstyle.selection.tree import Object as Object
from locstyle.selection.tree import Points as Points
from locstyle.selection.tree import Refined as Refined
from locstyle.selection.tree import Rest as Rest
from locstyle.selection.tree import Scribble as Scribble
from locstyle.selection.tree import Selection as Selection
from locstyle.selection.tree import Source as Source
from locstyle.selection.tree import Words as Words
from locstyle.selection.tree import paths as paths
from locstyle.selection.tree import sources as sources
from locstyle.selection.tree import with_paths as with_paths
