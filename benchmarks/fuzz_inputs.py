"""What `fuzz.py` feeds to the readers: honest files of every kind, and ways to spoil them."""

from __future__ import annotations

import base64
import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import tifffile
import torch
from PIL import Image
from safetensors.torch import save

from locstyle.photo import png
from locstyle.testing import random_style, tiny_backbone

SIZE = (32, 40)  # height, width of every photo here
SITE = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
NUMBERS = (
    *(0, -1, 1, 2, 3, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64, 10**400),
    *(-(2**31), 1e300, -1e300, 1e-320, float("inf"), float("nan"), 0.5, 31, 32, 40),
)
WORDS = (
    "",
    "a",
    "\0",
    "x" * 300,
    "../" * 40,
    "/dev/zero",
    ".",
    "~",
    "neon",
    "é\u202e",
    "#1",
    "a=b",
)


@dataclass(frozen=True)
class Kind:
    """A kind of input: the name of the file it is written to, and how one is made."""

    suffix: str
    make: Callable[[random.Random], bytes]


def spoiled(data: bytes, dice: random.Random) -> bytes:
    """Bytes with one to four things wrong: flipped, cut, put in, doubled, or lengths that lie."""
    raw = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at, to = sorted((dice.randrange(len(raw) + 1), dice.randrange(len(raw) + 1)))
        near = min(at, len(raw) - 1) if raw else 0
        match dice.randrange(8):
            case 0 if raw:
                raw[near] ^= 1 << dice.randrange(8)
            case 1 if raw:
                raw[near] = dice.randrange(256)
            case 2:
                del raw[at:]
            case 3:
                del raw[at : min(to, at + 64)]
            case 4:
                raw[at:at] = dice.randbytes(dice.randint(1, 32))
            case 5:
                raw[at:at] = raw[at : min(to, at + 256)]
            case 6 if len(raw) >= 4:
                value = dice.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1, dice.getrandbits(32)])
                place = dice.randrange(min(len(raw) - 3, 400))
                raw[place : place + 4] = struct.pack(dice.choice("<>") + "I", value)
            case _ if raw:
                raw[near : near + 8] = b"\xff" * 8
    return bytes(raw)


def value(dice: random.Random, depth: int = 0) -> Any:
    """Any plain value, most often one that nobody asked for."""
    match dice.randrange(9 if depth < 3 else 5):
        case 0 | 1:
            return dice.choice(NUMBERS)
        case 2 | 3:
            return dice.choice(WORDS)
        case 4:
            return dice.choice([None, True, False])
        case 5 | 6:
            return [value(dice, depth + 1) for _ in range(dice.randrange(5))]
        case _:
            keys = ("size", "counts", "name", "id", "mask", "style", "options", "a", "window")
            return {dice.choice(keys): value(dice, depth + 1) for _ in range(dice.randrange(4))}


def mutated(data: Any, dice: random.Random) -> Any:
    """Plain data with one to three values replaced, dropped or doubled."""
    data = json.loads(json.dumps(data))
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        places = list(_places(data))
        if not places:
            return value(dice)
        holder, key = dice.choice(places)
        match dice.randrange(9):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.extend([holder[key]] * dice.choice([1, 30]))
            case 2 if isinstance(holder, dict):
                holder[dice.choice(WORDS)] = holder.pop(key)
            case 3 | 4 if isinstance(holder[key], int | float) and holder[key] is not True:
                holder[key] = dice.choice([holder[key] + 1, holder[key] / 2, -holder[key], 0, 1])
            case 5:
                other, where = dice.choice(places)
                with suppress(KeyError, IndexError):  # it went a moment ago
                    holder[key] = json.loads(json.dumps(other[where]))
            case _:
                holder[key] = value(dice)
    return data


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(data, dict | list):
        for key in list(data) if isinstance(data, dict) else range(len(data)):
            yield data, key
            yield from _places(data[key])


def _json(data: Any, dice: random.Random) -> bytes:
    text = json.dumps(data, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    return spoiled(text, dice) if dice.random() < 0.3 else text


# Pictures


def pixels(dice: random.Random, channels: int, kind: Any = np.uint8) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(dice.getrandbits(32))
    shape = (*SIZE, channels) if channels > 1 else SIZE
    return rng.integers(0, np.iinfo(kind).max + 1, shape, kind)


def png_file(dice: random.Random) -> bytes:
    """A PNG, spoiled as a whole or in one chunk whose checksum is put right again."""
    kind = dice.choice([np.uint8, np.uint16])
    channels = dice.choice([1, 2, 3, 4])
    text = {"Comment": "x" * 50, "locstyle": "{}"}
    array = pixels(dice, channels, kind).reshape(*SIZE, channels)
    chunks = [png.profile_chunk(b"icc" * 50), (b"eXIf", b"II*\0\x08\0\0\0\0\0")]
    chunks += [(b"gAMA", b"\0\0\xb1\x8f"), (b"pHYs", b"\0\0\0\1\0\0\0\1\1")]
    chunks += [png.text_chunk(key, words) for key, words in text.items()]
    data = png.encode_png(array, chunks)
    return spoiled(data, dice) if dice.random() < 0.4 else rechecked(data, dice)


def rechecked(data: bytes, dice: random.Random) -> bytes:
    """A PNG with one chunk spoiled, left out or doubled, its length and checksum right."""
    chunks = list(png.read_chunks(data))
    at = dice.randrange(len(chunks))
    kind, body = chunks[at]
    match dice.randrange(4):
        case 0:
            del chunks[at]
        case 1:
            chunks[at:at] = [chunks[at]] * dice.choice([1, 50])
        case _:
            chunks[at] = kind, spoiled(body, dice) if body else dice.randbytes(9)
    return png.SIGNATURE + b"".join(
        struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(b, zlib.crc32(k)))
        for k, b in chunks
    )


def picture_file(dice: random.Random) -> bytes:
    """A JPEG, WebP, GIF, BMP or TIFF of Pillow's, or a TIFF of tifffile's."""
    file = io.BytesIO()
    form = dice.choice(["JPEG", "WEBP", "TIFF", "TIFF", "GIF", "BMP", "tifffile", "tifffile"])
    if form == "tifffile":
        tifffile.imwrite(
            file,
            pixels(dice, dice.choice([1, 3, 4]), dice.choice([np.uint8, np.uint16])),
            compression=dice.choice([None, "zlib"]),
            byteorder=dice.choice("<>"),
            bigtiff=dice.random() < 0.3,
        )
    else:
        mode = dice.choice(["L", "RGB", "CMYK"] if form in ("JPEG", "TIFF") else ["L", "RGB"])
        image = Image.fromarray(pixels(dice, 3)).convert(mode)
        more = {"compression": dice.choice(["raw", "tiff_lzw", "jpeg"])} if form == "TIFF" else {}
        image.save(file, form, exif=image.getexif().tobytes() if form == "JPEG" else b"", **more)
    return spoiled(file.getvalue(), dice)


def array_file(dice: random.Random) -> bytes:
    """A `.npy` whose header or data lies, or another archive of arrays."""
    file = io.BytesIO()
    array = (np.random.default_rng(0).random(SIZE) > 0.5).astype(
        dice.choice(
            [bool, np.uint8, np.int64, np.float32, np.float16, "S3", "U2", complex, "M8[s]"]
        )
    )
    if dice.random() < 0.3:
        array = np.stack([array] * 3)
    if dice.random() < 0.1:
        np.savez(file, array)
        return spoiled(file.getvalue(), dice)
    np.save(file, np.asfortranarray(array) if dice.random() < 0.3 else array)
    data = file.getvalue()
    if dice.random() < 0.5:
        return spoiled(data, dice)
    shape = dice.choice(["(32, 40)", "(10**9, 40)", "(32,)", "(-1, 40)", "()", "(32, 40, 2)", "x"])
    shape = dice.choice([shape, f"({dice.choice(NUMBERS)!r}, 40)", f"(3, {SIZE[0]}, {SIZE[1]})"])
    kind = dice.choice(["'<f4'", "'|O'", "'<f8'", "'|b1'", "[('a','<f4')]", "'x'", "3", "'<V9'"])
    header = f"{{'descr': {kind}, 'fortran_order': {dice.choice('TF')}, 'shape': {shape}}}"
    header = header.replace("T,", "True,").replace("F,", "False,")
    text = header.encode() + b"\n"
    version = dice.choice([b"\x01\0", b"\x01\0", b"\x02\0", b"\x03\0", b"\x09\0"])
    length = struct.pack("<H" if version == b"\x01\0" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + data[128:]


# Segments


def segments_file(dice: random.Random) -> bytes:
    """Our own list, SAM's or COCO's, with values that nobody asked for."""
    runs: Any = dice.choice([{"size": list(SIZE), "counts": [100, 50, 1130]}, [[1, 1, 9, 1, 9, 9]]])
    entry = {"id": 1, "segmentation": runs, "category_id": 1, "score": 0.5, "image_id": 1}
    data: Any = {
        "annotations": [entry, {**entry, "id": 2}],
        "categories": [{"id": 1, "name": "dog"}],
        "images": dice.choice([[], [{"id": 1, "file_name": "photo.png"}, {"id": 2}]]),
        "photo": {"sha256": "x", "size": list(SIZE)},
        "segmenter": {"name": "classic"},
    }
    if dice.random() < 0.2:
        entry["segmentation"] = {"size": list(SIZE), "counts": dice.choice(["R3b0000", "o" * 5000])}
    if dice.random() < 0.05:
        return b"[" * 200_000
    return _json(mutated(data if dice.random() < 0.7 else data["annotations"], dice), dice)


# Styles


@cache
def _styles() -> list[tuple[dict[str, torch.Tensor], dict[str, str]]]:
    """Tensors and header of an honest style of every layout."""
    backbone = tiny_backbone()
    style = random_style(backbone, 0)
    common = {"locstyle.format": "1", "name": "x", "family": "tiny", "preview": _preview()}
    out, inner = backbone.sites[SITE].shape
    down, up = torch.ones(2, inner), torch.ones(out, 2)
    attention = SITE.removesuffix(".to_q")
    return [
        (style.tensors, {**common, "kind": "deltas"}),
        ({"words.<ink>": torch.ones(2, 16)}, {**common, "kind": "words"}),
        (
            {f"tokens.{attention}.k": torch.ones(2, 8), f"tokens.{attention}.v": torch.ones(2, 8)},
            {**common, "kind": "tokens"},
        ),
        (
            {"references.0.pixels": torch.zeros(8, 9, 3, dtype=torch.uint8)},
            {**common, "family": "any", "kind": "reference"},
        ),
        (
            {
                f"base_model.model.{SITE}.lora_A.weight": down,
                f"base_model.model.{SITE}.lora_B.weight": up,
            },
            {"lora_adapter_metadata": json.dumps({"lora_alpha": 4, "alpha_pattern": {"to_q": 2}})},
        ),
        ({f"unet.{SITE}.lora.down.weight": down, f"unet.{SITE}.lora.up.weight": up}, {}),
        (
            {
                f"lora_unet_{SITE.replace('.', '_')}.lora_down.weight": down,
                f"lora_unet_{SITE.replace('.', '_')}.lora_up.weight": up,
                f"lora_unet_{SITE.replace('.', '_')}.alpha": torch.tensor(2.0),
            },
            {"ss_base_model_version": "sd_v1"},
        ),
        ({"emb_params": torch.ones(2, 768)}, {}),
    ]


def _preview() -> str:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def style_file(dice: random.Random) -> bytes:
    """A style of any layout with tensors, names, header or bytes that lie."""
    tensors, header = dice.choice(_styles())
    tensors, header = dict(tensors), dict(header)
    for _ in range(dice.choice([0, 1, 1, 2])):
        name = dice.choice(list(tensors))
        match dice.randrange(8):
            case 0:
                kinds = [torch.float64, torch.int8, torch.bool, torch.bfloat16, torch.complex64]
                tensors[name] = tensors[name].to(dice.choice(kinds))
            case 1:
                shape = [dice.choice([0, 1, 2, 3, 5]) for _ in range(dice.randrange(4))]
                tensors[name] = torch.full(shape, dice.choice([1.0, 1e38, float("nan")]))
            case 2 if len(tensors) > 1:
                del tensors[name]
            case 3:
                end = dice.choice(["", "x", ".weight", ".scale"])
                tensors[name[:-1] + end] = tensors[name].clone()
            case 4:
                huge = float(dice.choice([1e38, -1e38, float("inf"), 3e38]))
                tensors[name] = torch.full_like(tensors[name].double(), huge)
            case 5:
                header[dice.choice(list(header) or ["kind"])] = str(value(dice))
            case 6:
                config = {"lora_alpha": value(dice), "alpha_pattern": {_pattern(dice): value(dice)}}
                header["lora_adapter_metadata"] = json.dumps(config)
            case _:
                header["preview"] = spoiled(header.get("preview", "").encode(), dice).decode(
                    "latin-1"
                )
    data = save({name: one.contiguous() for name, one in tensors.items()}, header)
    if dice.random() < 0.2:
        length = struct.unpack("<Q", data[:8])[0]
        head = spoiled(data[8 : 8 + length], dice)
        data = struct.pack("<Q", len(head)) + head + data[8 + length :]
    return spoiled(data, dice) if dice.random() < 0.1 else data


def _pattern(dice: random.Random) -> str:
    pieces = ["to_q", "(", ")", "a+", ".*", "|", "^", "$", "\\", "[a-z]", "[", "+", "?", "{9}", "."]
    return "".join(dice.choices(pieces, k=dice.randint(1, 30)))


# Recipes, and what is typed

RECIPE: dict[str, Any] = {
    "locstyle": 2,
    "image": "photo.png",
    "regions": [
        {"mask": "mask.png|feather:2", "style": "style.safetensors", "window": [0, 0.5]},
        {"mask": {"segmenter": "classic", "box": [8, 4, 34, 28]}, "prompt": "x", "guidance": 2},
        {"mask": "box:1,1,9,9", "styles": [{"style": "style.safetensors", "strength": 1}]},
    ],
    "backbone": "tiny",
    "fusion": {"name": "singlepass", "preset": None, "options": {"guidance": 4}},
    "segmenter": {"name": "classic", "options": {}},
    "segments": "segments.json",
    "steps": 2,
    "seed": 1,
    "size": [32, 40],
    "feather": 1.5,
    "digests": {"image": "x"},
}


def recipe_json(dice: random.Random) -> bytes:
    if dice.random() < 0.05:
        return dice.choice([b"[" * 90_000, b'{"a":' * 90_000, b"1" * 9000, b"\xef\xbb\xbf{}"])
    return _json(mutated(RECIPE, dice), dice)


def recipe_yaml(dice: random.Random) -> bytes:
    import yaml

    if dice.random() < 0.15:
        text = "\n".join(
            dice.choice(
                ["a", "- ", "? ", "&a ", "*a", "!!int ", "[", "{", "<<: ", "| ", "\t", ": "]
            )
            * dice.choice([1, 3, 500])
            + dice.choice(WORDS)
            for _ in range(dice.randint(1, 9))
        )
        return text.encode("utf-8", "surrogatepass")
    if dice.random() < 0.1:
        bomb = ["a0: &a0 [x, x, x, x]"]
        bomb += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
        return "\n".join([*bomb, f"{dice.choice(list(RECIPE))}: *a11"]).encode()
    text = yaml.safe_dump(mutated(RECIPE, dice), allow_unicode=True).encode("utf-8", "replace")
    text = text.decode().encode(dice.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"]))
    return spoiled(text, dice) if dice.random() < 0.4 else text


def carrying_png(dice: random.Random) -> bytes:
    """A finished picture whose recipe lies."""
    text = recipe_json(dice).decode("utf-8", "replace")
    array = pixels(dice, 3).reshape(*SIZE, 3)
    data = png.encode_png(array, [png.text_chunk("locstyle", text)])
    return rechecked(data, dice) if dice.random() < 0.2 else data


def selection_text(dice: random.Random) -> bytes:
    """What stands before the = of -r."""
    pieces = [
        *("mask.png", "all", "rest", "box:1,1,9,9", "point:3,4", "auto:1", "color:#ff0000~20"),
        *("segments.json#1", "mask.npy#1", "alpha:mask.png", "map:mask.png#255", "light:0-0.5"),
        *("|grow:3", "|feather:9999", "|smooth:1e300", "|fill", "|largest:99999999999", "|snap:-1"),
        *("+", " - ", "&", "!", "(", ")", '"', "'", "#", ":", ",", ";", "~", "=", "@", "\\", "\0"),
        *("box:1e400,2,3,4", "point:nan,1", "text:dog", "9" * 400, "x" * 300, "/dev/zero", "\n"),
        *("scribble:mask.png", "~/x.png", "é"),
    ]
    if dice.random() < 0.5:  # what can be read, up to a point
        marks = dice.choices(["+", " - ", "&", "|grow:2", "|feather:3", "|fill", "|snap:2"], k=3)
        return "".join(map(str.__add__, dice.choices(pieces[:12], k=3), marks)).encode()
    return "".join(dice.choices(pieces, k=dice.randint(1, 9))).encode()


def option_text(dice: random.Random) -> bytes:
    """What stands behind -O, --set and -r's last =."""
    forms = [
        "guidance={}",
        "structure={}",
        "preset={}",
        "{}={}",
        "1.guidance={}",
        "2.{}={}",
        "all={}@{}",
    ]
    text = dice.choice(forms)
    return text.format(*(str(value(dice)) for _ in range(text.count("{}")))).encode(
        "utf-8", "replace"
    )


KINDS = {
    "photo, PNG": Kind("photo.png", png_file),
    "photo, other": Kind("photo.tif", picture_file),
    "mask, picture": Kind("mask.png", png_file),
    "mask, array": Kind("mask.npy", array_file),
    "segments": Kind("segments.json", segments_file),
    "style": Kind("style.safetensors", style_file),
    "recipe, YAML": Kind("recipe.yaml", recipe_yaml),
    "recipe, JSON": Kind("recipe.json", recipe_json),
    "recipe in a PNG": Kind("made.png", carrying_png),
    "selection": Kind("selection.txt", selection_text),
    "option": Kind("option.txt", option_text),
}
