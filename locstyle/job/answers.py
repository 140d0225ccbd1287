"""What segmenters answer about one photo: each looks once, and finds everything once."""

from __future__ import annotations

import json
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING

from locstyle.edit import Segmenting
from locstyle.errors import NothingError, PluginError
from locstyle.job.returned import check_segments
from locstyle.photo import Photo
from locstyle.plugin.protocols import Embedding, Prompt, Segmenter
from locstyle.segments import Segment
from locstyle.segments.prompting import check_prompt, embedded

if TYPE_CHECKING:
    from locstyle.plugin.host import Host


class Answers:
    """Segmenters and what they made of one photo, kept as long as this object is.

    Any thread may ask; one question is answered after the other, so that nothing is found twice.
    """

    def __init__(self, photo: Photo, host: Host) -> None:
        self.photo = photo
        self.host = host
        self._made: dict[str, tuple[Segmenter, Embedding]] = {}
        self._everything: dict[str, list[Segment]] = {}
        self._asking = RLock()

    def found(self, segmenter: Segmenting, prompt: Prompt) -> list[Segment]:
        """What a segmenter answers, best first: at least one segment, none of them empty.

        Raises:
            LocstyleError: nobody offers the segmenter, it hit nothing, or it returned what is no
                segment of the photo.
        """
        with self._asking:
            return self._found(segmenter, prompt)

    def _found(self, segmenter: Segmenting, prompt: Prompt) -> list[Segment]:
        key = json.dumps([segmenter.name, segmenter.preset, segmenter.options], sort_keys=True)
        if prompt.everything and key in self._everything:
            return self._everything[key]
        name, size = segmenter.name, self.photo.size
        made, embedding = self._looked(key, segmenter, prompt)
        check_prompt(name, prompt, size, made.prompts, self._able(prompt))
        answer = embedding.segment(prompt)
        found = check_segments(answer, size, self.host.whose("segmenters", name))
        if not found:
            raise NothingError(f"segmenter {name!r} found nothing")
        if prompt.everything:
            self._everything[key] = found
        return found

    def _able(self, prompt: Prompt) -> list[str]:
        """The segmenters that say they answer such a prompt."""
        found = []
        for name in self.host.names("segmenters"):
            with suppress(PluginError):  # two plugins claim the name
                factory = self.host.find("segmenters", name).factory
                if prompt.kinds <= set(getattr(factory, "prompts", ())):
                    found.append(name)
        return found

    def _looked(
        self, key: str, segmenter: Segmenting, prompt: Prompt
    ) -> tuple[Segmenter, Embedding]:
        """A segmenter and its embedding of the photo, which costs nothing for a bad prompt."""
        if key not in self._made:
            made: Segmenter = self.host.segmenter(
                segmenter.name, segmenter.options, preset=segmenter.preset
            )
            able = self._able(prompt)
            check_prompt(segmenter.name, prompt, self.photo.size, made.prompts, able)
            self._made[key] = made, embedded(made, self.photo.srgb.convert("RGB"))
        return self._made[key]
