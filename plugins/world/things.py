"""The things that stand in a scene: houses, trees, animals, boats and flowers.

Each painter takes the foot point (x, y) and the height of its thing, fractions of the side.
"""

import numpy as np

from .sketch import Array, Point, Sketch, blur

HOUSE_COLOURS = ("red", "blue", "white", "yellow", "brown", "gray")
TREES = ("green tree", "pine tree", "orange tree")
FLOWER_COLOURS = ("red", "yellow", "purple", "pink", "white")
BOAT_COLOURS = ("red", "white", "blue", "brown")
ANIMALS = (
    "white sheep",
    "brown cow",
    "black cow",
    "brown deer",
    "brown horse",
    "black horse",
    "white horse",
)
_BUILDS = {  # legs, neck, half body length, half body depth: fractions of the height
    "sheep": (0.38, 0.16, 0.46, 0.30),
    "cow": (0.42, 0.20, 0.52, 0.25),
    "deer": (0.48, 0.36, 0.36, 0.15),
    "horse": (0.48, 0.28, 0.44, 0.17),
}


def paint_shadow(sketch: Sketch, x: float, y: float, width: float) -> None:
    """The soft shadow a thing casts on the ground, away from the sun."""
    cover = sketch.ellipses((x - 0.3 * width * sketch.sun_side, y, width, 0.22 * width))
    sketch.paint(0.38 * blur(cover, 1.5 * sketch.unit), np.zeros(3, np.float32))


def paint_house(sketch: Sketch, x: float, y: float, height: float, colour: str) -> None:
    """A gabled house seen from a corner, its windows lit when it is dark."""
    rng = sketch.rng
    width, wall = height * rng.uniform(0.36, 0.46), height * rng.uniform(0.52, 0.60)
    side, ridge, eaves = width * rng.uniform(0.7, 1.1), y - height, y - wall
    paint_shadow(sketch, x + side / 2, y, 1.4 * width)
    number, tone = sketch.add("house"), sketch.tone(colour)
    left, right = x - width, x + 0.95 * width
    front = [(left, y), (left, eaves), (x, ridge), (right, eaves), (right, y)]
    back = [(right, y), (right, eaves), (right + side, eaves), (right + side, y - 0.05 * wall)]
    roof = [(x, ridge), (right + 0.02, eaves + 0.01), (right + side + 0.02, eaves + 0.01)]
    roof += [(x + side, ridge)]
    roofing = np.array(
        [(0.48, 0.24, 0.18), (0.34, 0.34, 0.40), (0.60, 0.28, 0.18)][rng.integers(3)], np.float32
    )
    sketch.paint(sketch.polygon(back), sketch.lit(tone * 0.66, 0.03), number)
    sketch.paint(sketch.polygon(front), sketch.lit(tone, 0.03), number)
    sketch.paint(sketch.polygon(roof), sketch.lit(roofing, 0.06), number)
    edge = sketch.line([(left - 0.02, eaves + 0.015), (x, ridge), (right + 0.02, eaves + 0.015)],
                       max(0.016, 0.07 * width))  # fmt: skip
    sketch.paint(edge, sketch.lit(roofing * 0.75, 0.03), number)
    _paint_openings(sketch, (x, y), width, wall, number)


def _paint_openings(sketch: Sketch, foot: Point, width: float, wall: float, number: int) -> None:
    x, y = foot
    half = 0.2 * width
    door = sketch.polygon(_box(x - half, y - 0.58 * wall, x + half, y))
    sketch.paint(door, sketch.lit(np.array((0.30, 0.19, 0.12), np.float32), 0.03), number)
    dark = sketch.light.mean() < 0.8
    glass = np.array((0.99, 0.84, 0.42) if dark else (0.28, 0.36, 0.46), np.float32)
    for centre in (x - 0.6 * width, x + 0.57 * width):
        low, high = y - 0.42 * wall, y - 0.80 * wall
        window = sketch.polygon(_box(centre - 0.8 * half, high, centre + 0.8 * half, low))
        sketch.paint(window, glass, number)


def _box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def paint_tree(sketch: Sketch, x: float, y: float, height: float, kind: str) -> None:
    """A round or a conical tree, lit from the sun's side."""
    paint_shadow(sketch, x, y, 0.32 * height)
    number, half = sketch.add("tree"), 0.05 * height
    trunk = [(x - half, y), (x - 0.6 * half, y - 0.5 * height), (x + 0.6 * half, y - 0.5 * height)]
    bark = sketch.lit(np.array((0.38, 0.26, 0.17), np.float32), 0.1)
    sketch.paint(sketch.polygon([*trunk, (x + half, y)]), bark, number)
    crown = _cone(sketch, x, y, height) if kind == "pine tree" else _crown(sketch, x, y, height)
    leaf = {"pine tree": (0.16, 0.36, 0.24), "orange tree": (0.86, 0.45, 0.12)}
    ink = np.array(leaf.get(kind, (0.27, 0.50, 0.17)), np.float32)
    ink = ink + sketch.rng.normal(0, 0.025, 3).astype(np.float32)
    across = sketch.sun_side * (sketch.x - x) / height
    light = 1 - 0.9 * (sketch.y - (y - 0.62 * height)) / height + 0.8 * across
    leaves = 1 + 0.15 * sketch.noise(16, 4)
    shade = np.clip(light, 0.5, 1.4) * leaves
    sketch.paint(crown, (ink * sketch.light * shade[..., None]).astype(np.float32), number)


def _cone(sketch: Sketch, x: float, y: float, height: float) -> Array:
    tiers = []
    for tier in range(3):
        half, low = (0.30 - 0.07 * tier) * height, y - (0.14 + 0.25 * tier) * height
        tiers.append([(x - half, low), (x, low - 0.40 * height), (x + half, low)])
    return sketch.polygon(*tiers)


def _crown(sketch: Sketch, x: float, y: float, height: float) -> Array:
    rng = sketch.rng
    puffs = [(x, y - 0.66 * height, 0.24 * height, 0.22 * height)]
    for _ in range(7):
        turn, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.13, 0.19) * height
        centre = x + 0.17 * height * np.cos(turn), y - (0.66 + 0.15 * np.sin(turn)) * height
        puffs.append((*centre, size, size))
    return sketch.ellipses(*puffs)


def paint_animal(sketch: Sketch, x: float, y: float, height: float, kind: str) -> None:
    """A four-legged animal seen from the side, facing left or right."""
    colour, species = kind.split()
    legs, _, length, depth = (height * part for part in _BUILDS[species])
    way = 1.0 if x < 0.5 else -1.0  # looking into the picture
    paint_shadow(sketch, x, y, 1.1 * length)
    number, tone = sketch.add("animal"), sketch.tone(colour, 0.03)
    dark = sketch.lit(tone * 0.62, 0.03)
    middle = y - legs - 0.6 * depth
    for along, is_far in ((-0.62, True), (-0.8, False), (0.55, True), (0.75, False)):
        foot = x + way * along * length
        step = 0.10 * length * sketch.rng.uniform(-1, 1)
        leg = sketch.line([(foot, middle), (foot + step, y)], max(0.016, 0.065 * height))
        sketch.paint(leg, dark if is_far else sketch.lit(tone * 0.8, 0.03), number)
    rise = np.clip(1.15 - 0.4 * (sketch.y - middle) / depth, 0.6, 1.25)[..., None]
    body = (sketch.lit(tone, 0.05) * rise).astype(np.float32)
    sketch.paint(_body(sketch, (x, middle), length, depth, species), body, number)
    _paint_head(sketch, (x + way * 0.82 * length, middle - 0.3 * depth), way * height, kind, number)
    if species == "horse":
        tail = [(x - way * 0.95 * length, middle - 0.3 * depth)]
        tail += [(x - way * 1.2 * length, middle + 1.4 * depth)]
        sketch.paint(sketch.line(tail, max(0.016, 0.07 * height)), dark, number)
    if species == "deer":
        belly = sketch.ellipses((x, middle + 0.7 * depth, 0.6 * length, 0.25 * depth))
        sketch.paint(0.6 * belly, sketch.lit(tone * 1.35, 0.03).clip(0, 1))
    if species == "cow":
        spot = sketch.ellipses((x - 0.2 * length, middle - 0.2 * depth, 0.3 * length, 0.5 * depth))
        sketch.paint(spot, sketch.lit(sketch.tone("white", 0.02), 0.03), number)


def _body(sketch: Sketch, middle: Point, length: float, depth: float, species: str) -> Array:
    x, y = middle
    if species == "sheep":
        turns = np.linspace(0, 2 * np.pi, 11, endpoint=False)
        wool = [
            (x + 0.8 * length * np.cos(t), y + 0.75 * depth * np.sin(t), 0.35 * depth, 0.35 * depth)
            for t in turns
        ]
        return sketch.ellipses((x, y, 0.92 * length, 0.95 * depth), *wool)
    rump, chest = x - 0.55 * length, x + 0.55 * length
    return sketch.ellipses(
        (x, y, length, 0.88 * depth),
        (rump, y, 0.48 * length, depth),
        (chest, y, 0.48 * length, depth),
    )


def _paint_head(sketch: Sketch, chest: Point, reach: float, kind: str, number: int) -> None:
    """Neck, head, ears, and antlers of a deer; `reach` is the height, signed by direction."""
    colour, species = kind.split()
    height, way = abs(reach), np.sign(reach)
    neck, size = _BUILDS[species][1] * height, 0.10 * height
    x, y = chest[0] + way * 0.55 * neck, chest[1] - 0.85 * neck
    tone = sketch.tone("black" if kind == "white sheep" else colour, 0.02)
    ink, dark = sketch.lit(tone * 0.95, 0.03), sketch.lit(tone * 0.55, 0.03)
    thick = max(0.02, (0.11 if species in ("deer",) else 0.16) * height)
    sketch.paint(sketch.line([(chest[0] - way * 0.04, chest[1]), (x, y)], thick), ink, number)
    head = sketch.ellipses((x, y, size, 0.9 * size))
    nose = sketch.line([(x, y), (x + way * 1.5 * size, y + 0.6 * size)], 1.1 * size)
    ears = [sketch.line([(x, y), (x + d * size, y - 1.3 * size)], 0.45 * size) for d in (-1, 0.3)]
    for cover in (*ears, np.maximum(head, nose)):
        sketch.paint(cover, ink, number)
    sketch.paint(sketch.ellipses((x + way * 1.7 * size, y + 0.7 * size, 0.35 * size, 0.35 * size)),
                 dark, number)  # fmt: skip
    eye = 0.16 * size
    sketch.paint(sketch.ellipses((x + way * 0.35 * size, y - 0.15 * size, eye, eye)), dark, number)
    if species == "deer":
        for d in (-0.9, 0.6):
            beam = [(x, y - 0.6 * size), (x + d * 1.5 * size, y - 2.2 * size)]
            beam += [(x + d * 1.1 * size, y - 3.6 * size)]
            tine = [beam[1], (x + d * 2.6 * size, y - 2.9 * size)]
            for points in (beam, tine):
                sketch.paint(sketch.line(points, max(0.014, 0.028 * height)), dark, number)


def paint_boat(sketch: Sketch, x: float, y: float, height: float, colour: str) -> None:
    """A small boat with a white sail; (x, y) lies on the water line."""
    number, half = sketch.add("boat"), 0.5 * height
    hull = [(x - half, y - 0.14 * height), (x + half, y - 0.14 * height)]
    hull += [(x + 0.7 * half, y + 0.1 * height), (x - 0.7 * half, y + 0.1 * height)]
    sketch.paint(sketch.polygon(hull), sketch.lit(sketch.tone(colour), 0.04), number)
    mast = sketch.line([(x, y - 0.1 * height), (x, y - height)], max(0.012, 0.035 * height))
    sketch.paint(mast, sketch.lit(np.array((0.32, 0.22, 0.15), np.float32), 0), number)
    sail = [(x + 0.04 * height, y - 0.22 * height), (x + 0.04 * height, y - 0.97 * height)]
    cloth = sketch.lit(np.array((0.95, 0.93, 0.88), np.float32), 0.03, shade=0.4).clip(0, 1)
    sketch.paint(sketch.polygon([*sail, (x + 0.85 * half, y - 0.22 * height)]), cloth, number)


def paint_flower(sketch: Sketch, x: float, y: float, height: float, colour: str) -> None:
    """A flower on its stem, petals around a yellow or brown heart."""
    rng, number = sketch.rng, sketch.add("flower")
    petal, heart = 0.16 * height, 0.11 * height
    top, lean = y - height + 1.9 * petal, rng.normal(0, 0.05) * height
    bend = (x + 0.3 * lean, y - 0.4 * height)
    stem = sketch.line([(x, y), bend, (x + lean, top)], 0.045 * height)
    green = sketch.lit(np.array((0.22, 0.46, 0.16), np.float32), 0.06)
    leaves = sketch.line([(x, y - 0.1 * height), (x + 0.22 * height, y - 0.36 * height)],
                         0.09 * height)  # fmt: skip
    sketch.paint(np.maximum(stem, leaves), green, number)
    turns = np.linspace(0, 2 * np.pi, rng.integers(6, 9), endpoint=False)
    centre, tone = x + lean, sketch.tone(colour, 0.03)
    for order, turn in enumerate(turns):
        spot = centre + 1.15 * petal * np.cos(turn), top + 1.15 * petal * np.sin(turn)
        ink = sketch.lit(tone * (1.05 if order % 2 else 0.86), 0.03).clip(0, 1)
        sketch.paint(sketch.ellipses((*spot, 0.72 * petal, 0.72 * petal)), ink, number)
    yolk = sketch.tone("brown" if colour == "yellow" else "yellow")
    sketch.paint(sketch.ellipses((centre, top, heart, heart)), sketch.lit(yolk), number)
