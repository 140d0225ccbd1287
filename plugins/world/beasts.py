"""Heads of animals seen from in front, whole cats and dogs that sit, and birds."""

import numpy as np

from .sketch import Array, Point, Sketch, blur

FURS = {
    "cat": ("gray", "orange", "black", "white", "brown"),
    "dog": ("brown", "black", "white", "gray", "yellow"),
    "deer": ("brown",),
    "cow": ("brown", "black", "white"),
    "horse": ("brown", "black", "white", "gray"),
    "sheep": ("white",),
    "bird": ("red", "blue", "yellow", "brown", "black", "white", "green"),
}
HEADS = ("cat", "dog", "deer", "cow", "horse", "sheep")
SITTERS = ("cat", "dog", "bird")
_ORANGE = (0.80, 0.48, 0.20)
_FACES = {  # half width of the skull, of the muzzle, muzzle's drop, eyes' gap, size of ears
    "cat": (0.94, 0.34, 0.38, 0.40, 0.62),
    "dog": (0.72, 0.38, 0.55, 0.34, 0.70),
    "deer": (0.56, 0.27, 0.95, 0.46, 0.62),
    "cow": (0.66, 0.46, 0.92, 0.52, 0.50),
    "horse": (0.52, 0.34, 1.15, 0.44, 0.46),
    "sheep": (0.54, 0.30, 0.72, 0.42, 0.50),
}


def fur(sketch: Sketch, name: str, stripes: float = 0) -> Array:
    """Hair in a named colour under the sketch's light [S, S, 3]."""
    tone = sketch.tone(name, 0.025)
    if name == "orange":
        tone = np.array(_ORANGE, np.float32)
    hair = 1 + 0.07 * sketch.noise(30, 3, (0.6, 1.6)) + 0.05 * sketch.noise(5, 2)
    shade = 1 + 0.4 * sketch.sun_side * (sketch.x - 0.5) + 0.25 * (0.5 - sketch.y)
    tabby = 1 - stripes * np.clip(2 * sketch.noise(9, 1, (2.5, 0.7)), 0, 1)
    return np.asarray(tone * sketch.light * (hair * shade * tabby)[..., None], np.float32).clip(
        0, 1
    )


def paint_head(sketch: Sketch, species: str, colour: str, x: float, y: float, size: float) -> None:
    """A head seen from in front with neck and chest; `size` is the skull's half height."""
    coat = fur(sketch, colour, 0.3 if species == "cat" and colour in ("gray", "orange") else 0)
    number = sketch.add(species)
    skull, muzzle, drop, _, _ = _FACES[species]
    size = size * (1.3 if species in ("cat", "dog") else 1)
    low = y + drop * size
    face = coat
    if species == "sheep":
        wool = [(x + 1.0 * size * np.cos(t), y - 0.1 * size + size * np.sin(t), 0.34 * size,
                 0.34 * size) for t in np.linspace(0, 6.28, 14)]  # fmt: skip
        chest = (x, y + 2.2 * size, 1.7 * size, 1.5 * size)
        fleece = coat * (0.95 + 0.05 * sketch.noise(22, 2))[..., None]
        sketch.paint(sketch.ellipses((x, y, size, size), chest, *wool), fleece, number)
        face = fur(sketch, "black" if sketch.rng.random() < 0.6 else "brown") * 1.1
    else:
        wide = {"cat": 1.15, "dog": 1.15, "cow": 1.3}.get(species, 0.9) * size
        neck = [(x - 0.62 * skull * size, y), (x + 0.62 * skull * size, y)]
        neck += [(x + wide, 1.05), (x - wide, 1.05)]
        sketch.paint(sketch.polygon(neck), coat * 0.78, number)
    if species == "deer":
        _paint_antlers(sketch, (x, y - 0.7 * size), size, number)
    _paint_ears(sketch, species, (x, y), size, face, number)
    long = (x, (y + low) / 2, 0.9 * muzzle * size + 0.1 * size, 0.5 * (low - y) + 0.3 * size)
    head = sketch.ellipses((x, y, skull * size, 0.82 * size), long)
    snout = sketch.ellipses((x, low, muzzle * size, 0.85 * muzzle * size))
    under = blur(np.maximum(head, snout), 2.5 * sketch.unit)
    sketch.paint(0.45 * under * (sketch.y > y), coat * 0.4)
    sketch.paint(np.maximum(head, snout), face, number)
    pale = 0.35 if species in ("horse", "sheep") else 0.6
    sketch.paint(pale * blur(snout, 1.5 * sketch.unit), _paler(face))
    if species in ("cow", "horse") and sketch.rng.random() < 0.6:
        blaze = sketch.ellipses((x, y + 0.1 * size, 0.16 * size, 0.75 * size))
        sketch.paint(blur(blaze, sketch.unit), sketch.lit(sketch.tone("white", 0.02), 0.03))
    if species in ("dog",) and sketch.rng.random() < 0.5:
        patch = sketch.ellipses((x + 0.34 * size, y - 0.1 * size, 0.28 * size, 0.34 * size))
        sketch.paint(0.8 * blur(patch, sketch.unit) * head, coat * 0.45)
    _paint_face(sketch, species, (x, y), size)


def _paler(coat: Array) -> Array:
    return (0.35 + 0.68 * coat).clip(0, 1).astype(np.float32)


def _paint_ears(
    sketch: Sketch, species: str, at: Point, size: float, coat: Array, number: int
) -> None:
    (x, y), (skull, _, _, _, ear) = at, _FACES[species]
    inner = (0.6 * coat + 0.25 * np.array((0.9, 0.55, 0.5)) * sketch.light).astype(np.float32)
    for s in (-1, 1):
        if species in ("cat", "horse"):
            base = x + s * skull * size * (0.6 if species == "cat" else 0.55)
            half, tip = (0.36 if species == "cat" else 0.18) * size, y - (0.72 + ear) * size
            lean = base + s * (0.16 if species == "cat" else 0.02) * size
            corners = [(base - half, y - 0.5 * size), (lean, tip), (base + half, y - 0.3 * size)]
            middle = np.mean(corners, 0)
            small = [tuple(0.42 * middle + 0.58 * np.array(c)) for c in corners]
            sketch.paint(sketch.polygon(corners), coat * 0.95, number)
            sketch.paint(sketch.polygon(small), inner, number)
        elif species == "dog":
            flap = [(x + s * 0.55 * size, y - 0.6 * size), (x + s * 0.95 * size, y - 0.1 * size)]
            flap += [(x + s * 0.9 * size, y + 0.45 * size)]
            sketch.paint(sketch.line(flap, 0.42 * size), coat * 0.62, number)
        else:
            root = (x + s * 0.7 * skull * size, y - 0.42 * size)
            rise = 0.45 if species == "deer" else 0.05
            end = (root[0] + s * ear * size, root[1] - rise * size)
            sketch.paint(sketch.line([root, end], 0.36 * size), coat * 0.85, number)
            sketch.paint(sketch.line([root, end], 0.16 * size), inner, number)
            if species == "cow":
                horn = [
                    (x + s * 0.4 * size, y - 0.7 * size),
                    (x + s * 0.75 * size, y - 0.95 * size),
                ]
                horn += [(x + s * 0.72 * size, y - 1.25 * size)]
                ivory = sketch.lit(np.array((0.84, 0.78, 0.64), np.float32), 0.03)
                sketch.paint(sketch.line(horn, 0.13 * size), ivory, number)


def _paint_antlers(sketch: Sketch, at: Point, size: float, number: int) -> None:
    (x, y), bone = at, sketch.lit(np.array((0.50, 0.38, 0.25), np.float32), 0.08, shade=0.5)
    spread = sketch.rng.uniform(0.85, 1.15)
    for s in (-1, 1):
        beam = [(0.2, 0.1), (0.55, -0.3), (0.95, -0.75), (0.85, -1.35)]
        tines = [[beam[1], (0.42, -0.85)], [beam[2], (1.4, -1.1)], [(0.92, -1.0), (0.55, -1.35)]]
        for points, width in ((beam, 0.15), *((tine, 0.11) for tine in tines)):
            bent = [(x + s * a * spread * size, y + b * size) for a, b in points]
            sketch.paint(sketch.line(bent, width * size), bone, number)


def _paint_face(sketch: Sketch, species: str, at: Point, size: float) -> None:
    """Eyes, nose and mouth."""
    (x, y), (_, muzzle, drop, gap, _) = at, _FACES[species]
    dark, dim = np.array((0.06, 0.05, 0.05), np.float32), 0.4 + 0.6 * sketch.light
    green = [(0.62, 0.66, 0.22), (0.82, 0.62, 0.16), (0.36, 0.62, 0.46)][sketch.rng.integers(3)]
    eye = 0.2 if species == "cat" else 0.13
    for s in (-1, 1):
        spot = (x + s * gap * size, y - 0.02 * size)
        sketch.paint(sketch.ellipses((*spot, eye * 1.2 * size, eye * size)), dark)
        if species == "cat":
            ball = sketch.ellipses((*spot, eye * size, 0.8 * eye * size))
            sketch.paint(ball, np.array(green, np.float32) * dim)
            sketch.paint(sketch.ellipses((*spot, 0.06 * size, 0.15 * size)), dark)
        glint = (spot[0] + 0.04 * size, spot[1] - 0.06 * size, 0.035 * size, 0.035 * size)
        sketch.paint(sketch.ellipses(glint), np.full(3, 0.9, np.float32))
    low, pink = y + drop * size, species == "cat"
    ink = np.array((0.72, 0.42, 0.40) if pink else (0.10, 0.08, 0.08), np.float32) * dim
    if species in ("cow", "horse"):
        holes = [(x + s * 0.5 * muzzle * size, low, 0.08 * size, 0.1 * size) for s in (-1, 1)]
        sketch.paint(sketch.ellipses(*holes), dark)
    else:
        wide = 0.13 if pink else 0.19
        top = low - 0.12 * size
        sketch.paint(sketch.ellipses((x, top, wide * size, 0.7 * wide * size)), ink)
    mouth = [(x + d * size, low + (0.22 - 1.6 * (abs(d) - 0.12) ** 2) * size)
             for d in (-0.24, -0.12, 0, 0.12, 0.24)]  # fmt: skip
    sketch.paint(0.75 * sketch.line(mouth, 0.045 * size), dark)
    if pink:
        for s in (-1, 1):
            for rise in (-0.1, 0.08):
                ends = [(x + s * 0.2 * size, low), (x + s * 0.95 * size, low + rise * size)]
                sketch.paint(0.5 * sketch.line(ends, 0.025 * size), np.full(3, 0.85, np.float32))


def paint_sitter(sketch: Sketch, species: str, colour: str, x: float, y: float, h: float) -> None:
    """A whole cat or dog that sits and looks at us; (x, y) is the ground between its paws."""
    coat, number = fur(sketch, colour, 0.3 if species == "cat" else 0), sketch.add(species)
    shadow = sketch.ellipses((x - 0.12 * h * sketch.sun_side, y, 0.36 * h, 0.07 * h))
    sketch.paint(0.45 * blur(shadow, 2 * sketch.unit), np.zeros(3, np.float32))
    way = sketch.rng.choice([-1, 1])
    tail = [(x + way * 0.2 * h, y - 0.05 * h), (x + way * 0.38 * h, y - 0.06 * h)]
    tail += [(x + way * 0.42 * h, y - 0.22 * h)]
    sketch.paint(sketch.line(tail, 0.075 * h), coat * 0.8, number)
    body = sketch.ellipses(
        (x, y - 0.26 * h, 0.21 * h, 0.28 * h), (x, y - 0.13 * h, 0.27 * h, 0.13 * h)
    )
    sketch.paint(body, coat * 0.88, number)
    chest = sketch.ellipses((x, y - 0.33 * h, 0.11 * h, 0.18 * h))
    sketch.paint(0.5 * blur(chest, 2 * sketch.unit), _paler(coat))
    for s in (-1, 1):
        leg = [(x + s * 0.075 * h, y - 0.26 * h), (x + s * 0.08 * h, y - 0.03 * h)]
        sketch.paint(sketch.line(leg, 0.115 * h), coat * 0.6, number)
        sketch.paint(sketch.line(leg, 0.085 * h), coat, number)
    paint_head_only(sketch, species, (x, y - 0.70 * h), 0.21 * h, coat, number)


def paint_head_only(
    sketch: Sketch, species: str, at: Point, size: float, coat: Array, number: int
) -> None:
    """The head of a sitting animal."""
    (x, y), (skull, muzzle, drop, _, _) = at, _FACES[species]
    _paint_ears(sketch, species, at, size, coat, number)
    snout = sketch.ellipses((x, y + drop * size, muzzle * size, 0.85 * muzzle * size))
    head = np.maximum(sketch.ellipses((x, y, skull * size, 0.82 * size)), snout)
    sketch.paint(0.4 * blur(head, 2 * sketch.unit) * (sketch.y > y), coat * 0.4)
    sketch.paint(head, coat, number)
    sketch.paint(0.6 * blur(snout, sketch.unit), _paler(coat))
    _paint_face(sketch, species, at, size)


def paint_bird(sketch: Sketch, colour: str, x: float, y: float, h: float) -> None:
    """A bird on a branch, seen from the side; (x, y) is where its feet are."""
    coat, way = fur(sketch, colour), float(sketch.rng.choice([-1, 1]))
    bark = sketch.lit(np.array((0.36, 0.26, 0.19), np.float32), 0.15, 20)
    branch = [(-0.05, y + 0.07), (0.5, y + 0.02), (1.05, y - 0.04)]
    sketch.paint(sketch.line(branch, 0.06), bark, sketch.add("branch"))
    number = sketch.add("bird")
    tail = [(x - way * 0.2 * h, y - 0.25 * h), (x - way * 0.62 * h, y + 0.06 * h)]
    sketch.paint(sketch.line(tail, 0.13 * h), coat * 0.65, number)
    for d in (-0.04, 0.07):
        leg = [(x + d * h, y - 0.15 * h), (x + d * h, y)]
        sketch.paint(sketch.line(leg, 0.03 * h), coat * 0.3, number)
    body = [(0.02, 0.36, 0.25, 0.22), (0.12, 0.46, 0.2, 0.2), (-0.12, 0.29, 0.2, 0.14)]
    trunk = sketch.ellipses(*((x + way * u * h, y - v * h, a * h, b * h) for u, v, a, b in body))
    head = (x + way * 0.3 * h, y - 0.68 * h)
    skull = sketch.ellipses((*head, 0.19 * h, 0.18 * h))
    sketch.paint(np.maximum(trunk, skull), coat, number)
    belly = sketch.ellipses((x + way * 0.14 * h, y - 0.3 * h, 0.2 * h, 0.18 * h))
    sketch.paint(0.7 * blur(belly, 2 * sketch.unit), _paler(coat))
    wing = [(x + way * 0.12 * h, y - 0.5 * h), (x - way * 0.36 * h, y - 0.1 * h)]
    sketch.paint(sketch.line(wing, 0.2 * h), coat * 0.6, number)
    beak = [
        (head[0] + way * 0.15 * h, head[1] - 0.06 * h),
        (head[0] + way * 0.36 * h, head[1] + 0.02 * h),
    ]
    beak += [(head[0] + way * 0.15 * h, head[1] + 0.08 * h)]
    sketch.paint(sketch.polygon(beak), sketch.lit(sketch.tone("orange"), 0.02), number)
    eye = (head[0] + way * 0.07 * h, head[1] - 0.03 * h)
    sketch.paint(sketch.ellipses((*eye, 0.042 * h, 0.042 * h)), np.full(3, 0.04, np.float32))
    glint = (eye[0] + 0.012 * h, eye[1] - 0.014 * h, 0.014 * h, 0.014 * h)
    sketch.paint(sketch.ellipses(glint), np.full(3, 0.95, np.float32))
