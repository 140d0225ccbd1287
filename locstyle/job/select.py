"""From selections to masks: files, the photo's own pixels, and segmenters are asked what is
meant."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import and_, or_, sub
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locstyle.edit import Region, Segmenting
from locstyle.errors import LocstyleError, LocstyleWarning, MaskError, NothingError, at
from locstyle.files import existing, is_file
from locstyle.job.answers import Answers
from locstyle.masks import Mask, read_mask
from locstyle.masks.drawn import drawn_lasso, drawn_strokes
from locstyle.masks.ranges import colour_range, luminance_range
from locstyle.photo import Photo
from locstyle.plugin.protocols import Prompt
from locstyle.segments import Segment
from locstyle.segments.file import SegmentFile, read_segment_file
from locstyle.segments.mask_files import open_alpha, open_map, open_mask, open_scribble
from locstyle.selection import (
    Lasso,
    Selection,
    Source,
    Strokes,
    parse,
    parse_refinements,
    sources,
    tree,
)

if TYPE_CHECKING:
    from locstyle.plugin.host import Host

SMALLEST = 0.001
"""A region that covers a smaller share of the picture is probably not what was meant."""

FAINT = 5 / 255
"""What is meant as black in a mask, though it is not 0."""

_OPERATORS = {"+": or_, "-": sub, "&": and_}
_SHOWN = 5  # segments an error names


class Selector:
    """Finds what selections mean on one photo; `segments` is a list that numbers are taken from,
    `answers` what segmenters said of the photo before."""

    def __init__(
        self,
        photo: Photo,
        host: Host,
        *,
        segmenter: Segmenting | None = None,
        segments: str | Path | None = None,
        answers: Answers | None = None,
    ) -> None:
        self.photo = photo
        self.segmenter = segmenter or Segmenting()
        self.segments = segments
        with at("segments"):
            self._list = None if segments is None else self._listed(segments)
        self._answers = answers or Answers(photo, host)

    @property
    def list_sha256(self) -> str | None:
        """Digest of the list as it was read."""
        return None if self._list is None else self._list.sha256

    def masks(self, regions: Sequence[Region]) -> tuple[Mask, ...]:
        """One mask per region; `rest` is what regions without it in their selection leave over.

        Raises:
            LocstyleError: beginning with the region's place; also where a region covers nothing.
        """
        found: dict[int, Mask] = {}
        for index, answer in self._each(regions):
            if isinstance(answer, LocstyleError):
                raise answer
            found[index] = answer
        return tuple(found[index] for index in range(len(regions)))

    def tried(self, regions: Sequence[Region | LocstyleError]) -> tuple[Mask | LocstyleError, ...]:
        """As `masks`, with the error of each region that has none; such a one claims nothing.

        An error in a region's place stays there.
        """
        found = dict(self._each(regions))
        return tuple(found[index] for index in range(len(regions)))

    def _each(
        self, regions: Sequence[Region | LocstyleError]
    ) -> Iterator[tuple[int, Mask | LocstyleError]]:
        """Each region's number and mask, those with `rest` last."""
        takes_rest = [isinstance(region, Region) and _has_rest(region) for region in regions]
        claims: list[Mask] = []
        for index in sorted(range(len(regions)), key=lambda i: takes_rest[i]):
            region = regions[index]
            if isinstance(region, LocstyleError):
                yield index, region
                continue
            try:
                mask = self.mask(region, f"regions[{index}].mask", claims)
            except LocstyleError as error:
                yield index, error
            else:
                claims += [] if takes_rest[index] else [mask]
                yield index, mask

    def mask(self, region: Region, where: str, claims: Sequence[Mask] = ()) -> Mask:
        """A region's mask; `claims` is what `rest` leaves to others.

        Raises:
            LocstyleError: beginning with `where`; also where it covers nothing.
        """
        with at(where):
            if isinstance(region.mask, Mapping):
                mask = self._asked(region.mask, where)
            elif isinstance(region.mask, str):
                mask = self._selected(region.mask, where, claims)
            else:
                mask = read_mask(region.mask, self.photo, where=where)
        _warn_if_small(mask, where)
        _warn_if_faint(mask, where)
        return mask

    def find(self, selection: Selection, where: str, claims: Sequence[Mask] = ()) -> Mask:
        """The mask of a selection, which may cover nothing; `rest` leaves `claims` to others."""
        match selection:
            case tree.Combined():
                left = self.find(selection.left, where, claims)
                right = self.find(selection.right, where, claims)
                mask: Mask = _OPERATORS[selection.operator](left, right)
                return mask
            case tree.Inverted():
                return ~self.find(selection.of, where, claims)
            case tree.Refined():
                found = self.find(selection.of, where, claims)
                return self._refined(found, selection.name, selection.amount)
            case tree.Rest():
                return reduce(sub, claims, self._all)
        return self._source(selection, where)

    def _selected(self, text: str, where: str, claims: Sequence[Mask]) -> Mask:
        selection = parse(text)
        try:
            mask = self.find(selection, where, claims)
        except MaskError as error:
            if (hint := _unquoted(text, error)) is not None:
                raise hint from error
            raise
        if not mask.area:
            raise self._nothing(selection, where, claims)
        return mask

    def _source(self, source: Source, where: str) -> Mask:
        size = self.photo.size
        match source:
            case tree.All():
                return self._all
            case tree.Box():
                return Mask.box(source.corners, size, where=where)
            case Strokes():
                return drawn_strokes(source.strokes, size, where=where)
            case Lasso():
                return drawn_lasso(source.points, size, where=where)
            case tree.Color():
                return colour_range(self.photo, source.like, source.tolerance, where=where)
            case tree.Light():
                return luminance_range(self.photo, source.low, source.high, where=where)
            case tree.Alpha():
                return open_alpha(existing(source.path, where), size, where=where)
            case tree.Map():
                return open_map(existing(source.path, where), size, source.key, where=where)
            case tree.File():
                path, name = existing(source.path, where), self._name
                return open_mask(path, size, pick=source.pick, photo=name, where=where)
            case tree.Auto():
                return _joined([self._number(number, where) for number in source.numbers])
        return self._best(self.segmenter, self._prompts(source, where))

    def _prompts(self, source: Source, where: str) -> list[Prompt]:
        """What to ask a segmenter: for each box by itself."""
        match source:
            case tree.Points():
                return [Prompt(points=source.inside, outside=source.outside)]
            case tree.Object():
                return [Prompt(boxes=(box,)) for box in source.boxes]
            case tree.Words():
                return [Prompt(text=source.text)]
            case tree.Scribble():
                path = existing(source.path, where)
                return [Prompt(scribble=open_scribble(path, self.photo.size, where=where))]
        raise TypeError(f"{source!r} asks no segmenter")

    def _number(self, number: int, where: str) -> Segment:
        """A segment by its number, of the list if there is one, else as the segmenter counts."""
        if self._list is not None:
            return self._list.pick(str(number), where=f"{where}: {str(self.segments)!r}")
        found = self._answers.found(self.segmenter, Prompt())
        if number <= len(found):
            return found[number - 1]
        largest = ", ".join(f"{n} ({x.share:.1%})" for n, x in enumerate(found[:_SHOWN], start=1))
        raise NothingError(
            f"auto:{number}: segmenter {self.segmenter.name!r} found {len(found)} "
            f"segments, the largest are {largest}; `locstyle segment` shows them all"
        )

    def _listed(self, path: str | Path) -> SegmentFile:
        found = existing(str(path), "segments")
        read = read_segment_file(found, self.photo.size, photo=self._name)
        if read.photo_sha256 not in (None, self.photo.sha256):
            said = (
                f"{str(path)!r} was made from another photo of this size; its numbers may mean "
                "other things here"
            )
            warnings.warn(LocstyleWarning(said, place="segments"), stacklevel=3)
        return read

    def _asked(self, asked: Mapping[str, Any], where: str) -> Mask:
        """The mask a region's own segmenter finds; checked key by key by Region."""
        segmenter = Segmenting(asked["segmenter"], asked.get("preset"), asked.get("options", {}))
        boxes = [asked["box"]] if "box" in asked else asked.get("boxes", [])
        points, outside = _tuples(asked.get("points", ())), _tuples(asked.get("outside", ()))
        prompts = [
            Prompt(points, outside, box, asked.get("text"))
            for box in [_tuples([box]) for box in boxes] or [()]
        ]
        mask = self._best(segmenter, prompts)
        for name, amount in parse_refinements(asked["refine"]) if "refine" in asked else ():
            mask = self._refined(mask, name, amount)
        if not mask.area:
            raise NothingError(f"nothing is left after {asked['refine']!r}")
        return mask

    def _best(self, segmenter: Segmenting, prompts: Iterable[Prompt]) -> Mask:
        """The best answer to each prompt, all together."""
        return _joined([self._answers.found(segmenter, p)[0] for p in prompts])

    def _refined(self, mask: Mask, name: str, amount: float | None) -> Mask:
        given: list[Photo | float] = [self.photo] if name == "snap" else []
        given += [] if amount is None else [amount]
        refined: Mask = getattr(mask, name)(*given)
        return refined

    @property
    def _name(self) -> str | None:
        """The photo's file name, to find it in a list about several."""
        return self.photo.path.name if self.photo.path else None

    @property
    def _all(self) -> Mask:
        return Mask.everywhere(self.photo.size)

    def _nothing(self, selection: Selection, where: str, claims: Sequence[Mask]) -> NothingError:
        """The error of a selection that covers nothing: what its sources cover, each alone."""
        parts = dict.fromkeys(sources(selection))
        shares = ", ".join(f"{part} {self.find(part, where, claims).area:.2%}" for part in parts)
        if parts == {tree.Rest(): None}:
            shares += "; the other regions leave nothing over"
        return NothingError(f"'{selection}' covers nothing; alone, its parts cover {shares}")


def select_mask(
    photo: Photo | str | Path,
    selection: str | Selection,
    *,
    segmenter: str | Segmenting = "classic",
    segments: str | Path | None = None,
    host: Host | None = None,
) -> Mask:
    """The mask of a selection on a photo, as a region of an edit would have it.

    Raises:
        LocstyleError: the selection cannot be read, or covers nothing.
    """
    from locstyle.plugin.host import default_host

    selector = Selector(
        photo if isinstance(photo, Photo) else Photo.open(photo),
        host or default_host(),
        segmenter=Segmenting(segmenter) if isinstance(segmenter, str) else segmenter,
        segments=segments,
    )
    return selector.mask(Region(str(selection), prompt=""), "selection")


def _has_rest(region: Region) -> bool:
    selection = region.selection
    return selection is not None and any(isinstance(x, tree.Rest) for x in sources(selection))


def _unquoted(text: str, error: MaskError) -> MaskError | None:
    """The error with a hint, for a name such as `my - mask.png`, which reads as two."""
    if not isinstance(parse(text), tree.File) and is_file(text):
        return MaskError(f"{error}; {text!r} is a file: put its name in double quotes")
    return None


def _joined(segments: Sequence[Segment]) -> Mask:
    return segments[0].joined(segments[1:]).mask if len(segments) > 1 else segments[0].mask


def _tuples(rows: Iterable[Iterable[float]]) -> tuple[Any, ...]:  # Any: of two or four numbers
    return tuple(tuple(map(float, row)) for row in rows)


def _warn_if_small(mask: Mask, where: str) -> None:
    if mask.area < SMALLEST:
        pixels = mask.area * mask.size[0] * mask.size[1]
        said = (
            f"covers {mask.area:.3%} of the picture, about {pixels:.0f} pixels; hardly anything of "
            "it will show"
        )
        warnings.warn(LocstyleWarning(said, place=where), stacklevel=4)


def _warn_if_faint(mask: Mask, where: str) -> None:
    """Of black that is not quite 0: JPEGs and scans have it, and all of the photo would change."""
    if not (mask.patch.is_floating_point() and mask.patch.numel()):
        return
    height, width = mask.size
    faint = int(((mask.patch > 0) & (mask.patch <= FAINT)).sum())
    black = height * width - int((mask.patch > 0).sum())
    if faint > height * width / 10 and black < faint / 10:
        said = (
            f"{faint / (height * width):.0%} of it is nearly black, up to {FAINT * 255:.0f} of "
            "255, and changes faintly as well; refine it with |above:0.1 for black to be black"
        )
        warnings.warn(LocstyleWarning(said, place=where), stacklevel=4)
