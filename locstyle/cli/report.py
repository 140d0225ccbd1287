"""What a person wants to know after an edit, in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from locstyle.edit import Region
    from locstyle.result import Report, Result


def report_lines(result: Result) -> Iterator[str]:
    """A short table: what each region covers, then cost and fidelity."""
    for number, (region, share) in enumerate(
        zip(result.edit.regions, result.report.coverage, strict=True), start=1
    ):
        yield f"region {number}: {share:7.2%} of the picture  {region_name(region)}"
    yield from _facts(result.report)


def region_name(region: Region) -> str:
    """A region as the command line writes it: `sky.png=neon@0.8`."""
    mask = region.mask if isinstance(region.mask, str) else _kind(region.mask)
    style = region.style if isinstance(region.style, str) else getattr(region.style, "name", "")
    return f"{mask}={style}" + (f"@{region.strength:g}" if region.strength != 1 else "")


def _kind(mask: object) -> str:
    return str(mask["segmenter"]) if isinstance(mask, dict) else "mask"


def _facts(report: Report) -> Iterator[str]:
    seconds = ", ".join(f"{phase} {time:.1f} s" for phase, time in report.seconds.items())
    yield f"rows: {report.rows} denoising, {report.inversion_rows} inverting; {seconds}"
    if report.overlap:
        yield f"overlap: {report.overlap:.2%} of the picture; later regions lie on top"
    if report.reconstruction_psnr is not None:
        yield (
            f"reconstruction: {report.reconstruction_psnr:.1f} dB after inversion, "
            f"{report.autoencoder_psnr:.1f} dB of the autoencoder alone"
        )
    if report.outside_identical is None:
        yield "outside the masks: nothing, they cover the whole picture"
    else:
        yield f"outside the masks: {report.outside_identical:.4%} of the pixels identical"
