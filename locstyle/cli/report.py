"""What a person wants to know before and after an edit, in a few lines."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from locstyle.edit.written import write_styling
from locstyle.errors import LocstyleWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from locstyle.edit import Region
    from locstyle.job.forecast import Forecast
    from locstyle.job.resolve import Job
    from locstyle.result import Report, Written


HIDDEN = 0.9
"""A region of which another hides a larger share is probably in the wrong place."""


def region_lines(job: Job) -> Iterator[str]:
    """What each region covers, and what two of them both claim; warns of one that is hidden."""
    for number, (region, share) in enumerate(
        zip(job.edit.regions, job.coverage, strict=True), start=1
    ):
        face = _face(region) if number - 1 in job.faces else ""
        yield f"region {number}: {share:7.2%} of the picture  {region_name(region)}{face}"
    for (below, above), share in job.overlaps().items():
        covered = share / job.coverage[below]
        if covered >= HIDDEN:
            said = (
                f"region {above + 1} lies on top of {covered:.0%} of region {below + 1}, of which "
                f"hardly anything will show; to have it on top, give it after {above + 1}"
            )
            warnings.warn(LocstyleWarning(said, place=f"regions[{below}].mask"), stacklevel=2)
        else:
            yield (
                f"overlap: {share:7.2%} of the picture is in regions {below + 1} and {above + 1}; "
                f"{above + 1} lies on top, over {covered:.0%} of {below + 1}"
            )


def _face(region: Region) -> str:
    """What a region got because it shows a face, and how finely it is drawn, whoever said so."""
    finer = "" if region.detail is None else f", drawn at detail {region.detail:g}"
    return f"; a face, so structure {region.structure:g}{finer}"


def plan_lines(job: Job, plan: Sequence[Forecast]) -> Iterator[str]:
    """What will be denoised together, how finely, and what that will take: a line for each
    frame."""
    for number, (frame, told) in enumerate(zip(job.frames, plan, strict=True), start=1):
        x0, y0, x1, y1 = told.box
        yield (
            f"frame {number}: {frame.describe()}, of {x1 - x0} × {y1 - y0} photo pixels at "
            f"{x0},{y0}; {told.rows + told.inversion_rows} rows{_taking([told])}"
        )
    if len(plan) > 1 and (taking := _taking(plan)):
        yield f"all {len(plan)} frames{taking}"
    memory = [one.memory for one in plan if one.memory is not None]
    if memory and plan[0].model is not None:
        whole = plan[0].model + max(memory)
        yield f"memory: about {_roughly(whole / 2**20)} MiB with the weights of the model"


def _taking(plan: Sequence[Forecast]) -> str:
    """Seconds of frames one after another, and the memory of the largest, as far as they are
    known."""
    seconds = [one.seconds for one in plan if one.seconds is not None]
    memory = [one.memory for one in plan if one.memory is not None]
    said = f", about {_roughly(sum(seconds))} s" if seconds else ""
    return said + (f" and {_roughly(max(memory) / 2**20)} MiB" if memory else "")


def _roughly(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def report_lines(report: Report, written: Written) -> Iterator[str]:
    """What an edit cost, and what the file it was written to keeps."""
    seconds = ", ".join(f"{phase} {time:.1f} s" for phase, time in report.seconds.items())
    kept = f" ({report.cached_inversions} from the cache)" if report.cached_inversions else ""
    checked = f", {report.check_rows} checking" if report.check_rows else ""
    rows = f"{report.rows} denoising, {report.inversion_rows} inverting{kept}{checked}"
    yield f"rows: {rows}; {seconds}"
    if report.reconstruction_psnr is not None:
        yield (
            f"reconstruction: {report.reconstruction_psnr:.1f} dB after inversion, "
            f"{report.autoencoder_psnr:.1f} dB of the autoencoder alone"
        )
    yield f"outside the masks: {_outside(written)}"


def _outside(written: Written) -> str:
    if written.outside_identical is None:
        return "nothing, they cover the whole picture"
    same = f"{written.outside_identical:.4%} of the pixels identical"
    if written.is_exact:
        return same
    if written.format == "JPEG":
        return (
            f"{same} in the file, the others off by {255 * written.off:.1f} of 255 on average: "
            "JPEG is lossy; .png, .tif and .webp keep every pixel"
        )
    return f"{same}, at {written.depth} bits a channel"


def with_all_seconds(report: Report, seconds: Mapping[str, float]) -> Report:
    """The report with what the command did besides: `seconds` of its phases start, run, save.

    What `run` took and no phase of the report did, such as importing, is part of the start.
    """
    beside = seconds["run"] - sum(report.seconds.values())
    start, save = max(0.0, seconds["start"] + beside), seconds["save"]
    whole = {"start": start, **report.seconds, "save": save}
    return replace(report, seconds={phase: round(time, 3) for phase, time in whole.items()})


def region_name(region: Region) -> str:
    """A region as the command line writes it: `sky.png=neon@0.8`."""
    mask = region.mask if isinstance(region.mask, str) else _kind(region.mask)
    return f"{mask}={','.join(write_styling(one) for one in region.stylings)}"


def _kind(mask: object) -> str:
    return str(mask["segmenter"]) if isinstance(mask, Mapping) else "mask"
