"""Writes loras/README.md and a .yaml a style from what the style files say about themselves.

python scripts/index_loras.py            # write
python scripts/index_loras.py --check    # only say whether they are up to date
"""

from __future__ import annotations

import html
import sys
from pathlib import Path

import yaml

import locstyle as ls
from locstyle.style import read_header

LORAS = Path(__file__).parent.parent / "loras"
INTRO = """\
# Shipped styles

[All of them on a real photo](../docs/styles.md). Each was learned from one picture. Embroidery,
engraving, neon, stained glass and swirl are styles that the backbone `mini` never saw in training;
the others it knew by their words. Use one by name:
`locstyle stylize photo.jpg -r mask.png={name} -o out.png`. The commands run in this
folder; `scripts/make_loras.py` runs them all. This page is made by `scripts/index_loras.py`.

| picture learned from | photo of another scene, edit, truth | style | facts | made by |
|---|---|---|---|---|
"""


def main(folder: Path = LORAS, *, check: bool = False) -> int:
    """Writes the index of a folder of styles; with `check` returns 1 where it is out of date."""
    wanted = pages(folder)
    stale = [p for p, text in wanted.items() if not p.exists() or p.read_text("utf-8") != text]
    stray = [p for p in folder.glob("*.yaml") if p not in wanted]
    if check:
        for path in (*stale, *stray):
            print(f"{path}: out of date; run scripts/index_loras.py")
        return 1 if stale or stray else 0
    for path in stale:
        path.write_text(wanted[path], "utf-8")
    for path in stray:
        path.unlink()
    return 0


def pages(folder: Path) -> dict[Path, str]:
    """What the index files of a folder should hold."""
    found: dict[Path, str] = {}
    lines = []
    files = sorted(folder.glob("*.safetensors"))
    for file in files:
        found[file.with_suffix(".yaml")] = yaml.safe_dump(
            facts(file), sort_keys=False, allow_unicode=True, width=100
        )
        lines.append(line(file))
    name = files[0].stem if files else "NAME"
    found[folder / "README.md"] = INTRO.replace("{name}", name) + "\n".join(lines) + "\n"
    return found


def facts(file: Path) -> dict[str, object]:
    """What there is to know about one style file, in the order people ask for it."""
    header, style = read_header(file), ls.read_style(file)[0]
    images = {
        kind: name
        for kind, name in (
            ("image", f"{file.stem.removesuffix('-word')}.png"),
            ("preview", f"{file.stem}-edit.jpg"),
        )
        if (file.parent / name).exists()
    }
    made_of = {"rank": style.rank, "layers": len(style.deltas)} if style.deltas else {}
    if style.words:
        made_of |= {"vectors": sum(len(vectors) for vectors in style.words.values())}
    return {
        "name": style.name,
        "file": file.name,
        **images,
        "trigger": style.trigger,
        "family": style.family,
        "command": header.get("made_by", ""),
        "licence": header.get("licence", ""),
        "encoder": header.get("encoder", ""),
        **made_of,
        "seed": int(header.get("seed", 0)),
        "bytes": file.stat().st_size,
        "digest": style.digest,
        "base_digest": header.get("base_digest", ""),
    }


def line(file: Path) -> str:
    """One row of the table."""
    known = facts(file)
    pictures = [f"![]({known[kind]})" if kind in known else "" for kind in ("image", "preview")]
    bytes_ = file.stat().st_size
    size = f"{bytes_ / 1e6:.1f} MB" if bytes_ > 1e5 else f"{bytes_ / 1e3:.0f} kB"
    if "vectors" in known:
        made_of = f"a learned word of {known['vectors']} vectors"
    else:
        made_of = f"LoRA, rank {known['rank']}, {known['layers']} layers"
    about = f"{made_of}, for {known['family']}, {size}"
    style = f"**{file.stem}**<br>“{html.escape(str(known['trigger']))}”"
    made = f"`{known['command']}`<br>{known['licence']}"
    return f"| {' | '.join([*pictures, style, about, made])} |"


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
