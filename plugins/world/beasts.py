"""Heads of animals seen from in front, whole cats and dogs that sit, and birds."""

import numpy as np

from .canvas import Array, Canvas, Point, blur

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


def fur(canvas: Canvas, name: str, stripes: float = 0) -> Array:
    """Hair in a named colour under the canvas's light [S, S, 3]."""
    tone = canvas.tone(name, 0.025)
    if name == "orange":
        tone = np.array(_ORANGE, np.float32)
    hair = 1 + 0.07 * canvas.noise(30, 3, (0.6, 1.6)) + 0.05 * canvas.noise(5, 2)
    shade = 1 + 0.4 * canvas.sun_side * (canvas.x - 0.5) + 0.25 * (0.5 - canvas.y)
    tabby = 1 - stripes * np.clip(2 * canvas.noise(9, 1, (2.5, 0.7)), 0, 1)
    return np.asarray(tone * canvas.light * (hair * shade * tabby)[..., None], np.float32).clip(
        0, 1
    )


def paint_head(canvas: Canvas, species: str, colour: str, x: float, y: float, size: float) -> None:
    """A head seen from in front with neck and chest; `size` is the skull's half height."""
    coat = fur(canvas, colour, 0.3 if species == "cat" and colour in ("gray", "orange") else 0)
    number = canvas.add(species)
    skull, muzzle, drop, _, _ = _FACES[species]
    size = size * (1.3 if species in ("cat", "dog") else 1)
    low = y + drop * size
    face = coat
    if species == "sheep":
        wool = [(x + 1.0 * size * np.cos(t), y - 0.1 * size + size * np.sin(t), 0.34 * size,
                 0.34 * size) for t in np.linspace(0, 6.28, 14)]  # fmt: skip
        chest = (x, y + 2.2 * size, 1.7 * size, 1.5 * size)
        fleece = coat * (0.95 + 0.05 * canvas.noise(22, 2))[..., None]
        canvas.paint(canvas.ellipses((x, y, size, size), chest, *wool), fleece, number)
        face = fur(canvas, "black" if canvas.rng.random() < 0.6 else "brown") * 1.1
    else:
        wide = {"cat": 1.15, "dog": 1.15, "cow": 1.3}.get(species, 0.9) * size
        neck = [(x - 0.62 * skull * size, y), (x + 0.62 * skull * size, y)]
        neck += [(x + wide, 1.05), (x - wide, 1.05)]
        canvas.paint(canvas.polygon(neck), coat * 0.78, number)
    if species == "deer":
        _paint_antlers(canvas, (x, y - 0.7 * size), size, number)
    _paint_ears(canvas, species, (x, y), size, face, number)
    long = (x, (y + low) / 2, 0.9 * muzzle * size + 0.1 * size, 0.5 * (low - y) + 0.3 * size)
    head = canvas.ellipses((x, y, skull * size, 0.82 * size), long)
    snout = canvas.ellipses((x, low, muzzle * size, 0.85 * muzzle * size))
    under = blur(np.maximum(head, snout), 2.5 * canvas.unit)
    canvas.paint(0.45 * under * (canvas.y > y), coat * 0.4)
    canvas.paint(np.maximum(head, snout), face, number)
    pale = 0.35 if species in ("horse", "sheep") else 0.6
    canvas.paint(pale * blur(snout, 1.5 * canvas.unit), _paler(face))
    if species in ("cow", "horse") and canvas.rng.random() < 0.6:
        blaze = canvas.ellipses((x, y + 0.1 * size, 0.16 * size, 0.75 * size))
        canvas.paint(blur(blaze, canvas.unit), canvas.lit(canvas.tone("white", 0.02), 0.03))
    if species in ("dog",) and canvas.rng.random() < 0.5:
        patch = canvas.ellipses((x + 0.34 * size, y - 0.1 * size, 0.28 * size, 0.34 * size))
        canvas.paint(0.8 * blur(patch, canvas.unit) * head, coat * 0.45)
    _paint_face(canvas, species, (x, y), size)


def _paler(coat: Array) -> Array:
    return (0.35 + 0.68 * coat).clip(0, 1).astype(np.float32)


def _paint_ears(
    canvas: Canvas, species: str, at: Point, size: float, coat: Array, number: int
) -> None:
    (x, y), (skull, _, _, _, ear) = at, _FACES[species]
    inner = (0.6 * coat + 0.25 * np.array((0.9, 0.55, 0.5)) * canvas.light).astype(np.float32)
    for s in (-1, 1):
        if species in ("cat", "horse"):
            base = x + s * skull * size * (0.6 if species == "cat" else 0.55)
            half, tip = (0.36 if species == "cat" else 0.18) * size, y - (0.72 + ear) * size
            lean = base + s * (0.16 if species == "cat" else 0.02) * size
            corners = [(base - half, y - 0.5 * size), (lean, tip), (base + half, y - 0.3 * size)]
            middle = np.mean(corners, 0)
            small = [tuple(0.42 * middle + 0.58 * np.array(c)) for c in corners]
            canvas.paint(canvas.polygon(corners), coat * 0.95, number)
            canvas.paint(canvas.polygon(small), inner, number)
        elif species == "dog":
            flap = [(x + s * 0.55 * size, y - 0.6 * size), (x + s * 0.95 * size, y - 0.1 * size)]
            flap += [(x + s * 0.9 * size, y + 0.45 * size)]
            canvas.paint(canvas.line(flap, 0.42 * size), coat * 0.62, number)
        else:
            root = (x + s * 0.7 * skull * size, y - 0.42 * size)
            rise = 0.45 if species == "deer" else 0.05
            end = (root[0] + s * ear * size, root[1] - rise * size)
            canvas.paint(canvas.line([root, end], 0.36 * size), coat * 0.85, number)
            canvas.paint(canvas.line([root, end], 0.16 * size), inner, number)
            if species == "cow":
                horn = [
                    (x + s * 0.4 * size, y - 0.7 * size),
                    (x + s * 0.75 * size, y - 0.95 * size),
                ]
                horn += [(x + s * 0.72 * size, y - 1.25 * size)]
                ivory = canvas.lit(np.array((0.84, 0.78, 0.64), np.float32), 0.03)
                canvas.paint(canvas.line(horn, 0.13 * size), ivory, number)


def _paint_antlers(canvas: Canvas, at: Point, size: float, number: int) -> None:
    (x, y), bone = at, canvas.lit(np.array((0.50, 0.38, 0.25), np.float32), 0.08, shade=0.5)
    spread = canvas.rng.uniform(0.85, 1.15)
    for s in (-1, 1):
        beam = [(0.2, 0.1), (0.55, -0.3), (0.95, -0.75), (0.85, -1.35)]
        tines = [[beam[1], (0.42, -0.85)], [beam[2], (1.4, -1.1)], [(0.92, -1.0), (0.55, -1.35)]]
        for points, width in ((beam, 0.15), *((tine, 0.11) for tine in tines)):
            bent = [(x + s * a * spread * size, y + b * size) for a, b in points]
            canvas.paint(canvas.line(bent, width * size), bone, number)


def _paint_face(canvas: Canvas, species: str, at: Point, size: float) -> None:
    """Eyes, nose and mouth."""
    (x, y), (_, muzzle, drop, gap, _) = at, _FACES[species]
    dark, dim = np.array((0.06, 0.05, 0.05), np.float32), 0.4 + 0.6 * canvas.light
    green = [(0.62, 0.66, 0.22), (0.82, 0.62, 0.16), (0.36, 0.62, 0.46)][canvas.rng.integers(3)]
    eye = 0.2 if species == "cat" else 0.13
    for s in (-1, 1):
        spot = (x + s * gap * size, y - 0.02 * size)
        canvas.paint(canvas.ellipses((*spot, eye * 1.2 * size, eye * size)), dark)
        if species == "cat":
            ball = canvas.ellipses((*spot, eye * size, 0.8 * eye * size))
            canvas.paint(ball, np.array(green, np.float32) * dim)
            canvas.paint(canvas.ellipses((*spot, 0.06 * size, 0.15 * size)), dark)
        glint = (spot[0] + 0.04 * size, spot[1] - 0.06 * size, 0.035 * size, 0.035 * size)
        canvas.paint(canvas.ellipses(glint), np.full(3, 0.9, np.float32))
    low, pink = y + drop * size, species == "cat"
    ink = np.array((0.72, 0.42, 0.40) if pink else (0.10, 0.08, 0.08), np.float32) * dim
    if species in ("cow", "horse"):
        holes = [(x + s * 0.5 * muzzle * size, low, 0.08 * size, 0.1 * size) for s in (-1, 1)]
        canvas.paint(canvas.ellipses(*holes), dark)
    else:
        wide = 0.13 if pink else 0.19
        top = low - 0.12 * size
        canvas.paint(canvas.ellipses((x, top, wide * size, 0.7 * wide * size)), ink)
    mouth = [(x + d * size, low + (0.22 - 1.6 * (abs(d) - 0.12) ** 2) * size)
             for d in (-0.24, -0.12, 0, 0.12, 0.24)]  # fmt: skip
    canvas.paint(0.75 * canvas.line(mouth, 0.045 * size), dark)
    if pink:
        for s in (-1, 1):
            for rise in (-0.1, 0.08):
                ends = [(x + s * 0.2 * size, low), (x + s * 0.95 * size, low + rise * size)]
                canvas.paint(0.5 * canvas.line(ends, 0.025 * size), np.full(3, 0.85, np.float32))


def paint_sitter(canvas: Canvas, species: str, colour: str, x: float, y: float, h: float) -> None:
    """A whole cat or dog that sits and looks at us; (x, y) is the ground between its paws."""
    coat, number = fur(canvas, colour, 0.3 if species == "cat" else 0), canvas.add(species)
    shadow = canvas.ellipses((x - 0.12 * h * canvas.sun_side, y, 0.36 * h, 0.07 * h))
    canvas.paint(0.45 * blur(shadow, 2 * canvas.unit), np.zeros(3, np.float32))
    way = canvas.rng.choice([-1, 1])
    tail = [(x + way * 0.2 * h, y - 0.05 * h), (x + way * 0.38 * h, y - 0.06 * h)]
    tail += [(x + way * 0.42 * h, y - 0.22 * h)]
    canvas.paint(canvas.line(tail, 0.075 * h), coat * 0.8, number)
    body = canvas.ellipses(
        (x, y - 0.26 * h, 0.21 * h, 0.28 * h), (x, y - 0.13 * h, 0.27 * h, 0.13 * h)
    )
    canvas.paint(body, coat * 0.88, number)
    chest = canvas.ellipses((x, y - 0.33 * h, 0.11 * h, 0.18 * h))
    canvas.paint(0.5 * blur(chest, 2 * canvas.unit), _paler(coat))
    for s in (-1, 1):
        leg = [(x + s * 0.075 * h, y - 0.26 * h), (x + s * 0.08 * h, y - 0.03 * h)]
        canvas.paint(canvas.line(leg, 0.115 * h), coat * 0.6, number)
        canvas.paint(canvas.line(leg, 0.085 * h), coat, number)
    paint_head_only(canvas, species, (x, y - 0.70 * h), 0.21 * h, coat, number)


def paint_head_only(
    canvas: Canvas, species: str, at: Point, size: float, coat: Array, number: int
) -> None:
    """The head of a sitting animal."""
    (x, y), (skull, muzzle, drop, _, _) = at, _FACES[species]
    _paint_ears(canvas, species, at, size, coat, number)
    snout = canvas.ellipses((x, y + drop * size, muzzle * size, 0.85 * muzzle * size))
    head = np.maximum(canvas.ellipses((x, y, skull * size, 0.82 * size)), snout)
    canvas.paint(0.4 * blur(head, 2 * canvas.unit) * (canvas.y > y), coat * 0.4)
    canvas.paint(head, coat, number)
    canvas.paint(0.6 * blur(snout, canvas.unit), _paler(coat))
    _paint_face(canvas, species, at, size)


def paint_bird(canvas: Canvas, colour: str, x: float, y: float, h: float) -> None:
    """A bird on a branch, seen from the side; (x, y) is where its feet are."""
    coat, way = fur(canvas, colour), float(canvas.rng.choice([-1, 1]))
    bark = canvas.lit(np.array((0.36, 0.26, 0.19), np.float32), 0.15, 20)
    branch = [(-0.05, y + 0.07), (0.5, y + 0.02), (1.05, y - 0.04)]
    canvas.paint(canvas.line(branch, 0.06), bark, canvas.add("branch"))
    number = canvas.add("bird")
    tail = [(x - way * 0.2 * h, y - 0.25 * h), (x - way * 0.62 * h, y + 0.06 * h)]
    canvas.paint(canvas.line(tail, 0.13 * h), coat * 0.65, number)
    for d in (-0.04, 0.07):
        leg = [(x + d * h, y - 0.15 * h), (x + d * h, y)]
        canvas.paint(canvas.line(leg, 0.03 * h), coat * 0.3, number)
    body = [(0.02, 0.36, 0.25, 0.22), (0.12, 0.46, 0.2, 0.2), (-0.12, 0.29, 0.2, 0.14)]
    trunk = canvas.ellipses(*((x + way * u * h, y - v * h, a * h, b * h) for u, v, a, b in body))
    head = (x + way * 0.3 * h, y - 0.68 * h)
    skull = canvas.ellipses((*head, 0.19 * h, 0.18 * h))
    canvas.paint(np.maximum(trunk, skull), coat, number)
    belly = canvas.ellipses((x + way * 0.14 * h, y - 0.3 * h, 0.2 * h, 0.18 * h))
    canvas.paint(0.7 * blur(belly, 2 * canvas.unit), _paler(coat))
    wing = [(x + way * 0.12 * h, y - 0.5 * h), (x - way * 0.36 * h, y - 0.1 * h)]
    canvas.paint(canvas.line(wing, 0.2 * h), coat * 0.6, number)
    beak = [
        (head[0] + way * 0.15 * h, head[1] - 0.06 * h),
        (head[0] + way * 0.36 * h, head[1] + 0.02 * h),
    ]
    beak += [(head[0] + way * 0.15 * h, head[1] + 0.08 * h)]
    canvas.paint(canvas.polygon(beak), canvas.lit(canvas.tone("orange"), 0.02), number)
    eye = (head[0] + way * 0.07 * h, head[1] - 0.03 * h)
    canvas.paint(canvas.ellipses((*eye, 0.042 * h, 0.042 * h)), np.full(3, 0.04, np.float32))
    glint = (eye[0] + 0.012 * h, eye[1] - 0.014 * h, 0.014 * h, 0.014 * h)
    canvas.paint(canvas.ellipses(glint), np.full(3, 0.95, np.float32))
