"""What property tests draw from: texts and selections of every kind."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from locstyle.selection import (
    REFINEMENTS,
    All,
    Alpha,
    Auto,
    Box,
    Color,
    Combined,
    File,
    Inverted,
    Lasso,
    Light,
    Map,
    Object,
    Points,
    Refined,
    Rest,
    Scribble,
    Stroke,
    Strokes,
    Words,
)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
names = texts.filter(bool)
# Names in which the grammar's own marks stand everywhere.
tricky = st.lists(
    st.sampled_from([*"+-&!|()#:;,=@~\"'. aZ", " + ", " - ", "all", "rest", "box:", ".json#", "3"]),
    min_size=1,
    max_size=6,
).map("".join)
paths = names | tricky
whole = st.integers(-9999, 99999)
numbers = whole.map(float) | st.floats(-1e6, 1e6)
points = st.tuples(numbers, numbers)
corners = st.tuples(numbers, numbers, numbers, numbers)
hexes = st.integers(0, 0xFFFFFF).map("#{:06x}".format)
shares = st.floats(0, 1)


def some(parts: st.SearchStrategy, least: int = 1) -> st.SearchStrategy:
    return st.lists(parts, min_size=least, max_size=3).map(tuple)


even = st.builds(Stroke, st.floats(1e-6, 1e6), some(points), shares, st.booleans())
pressed = st.builds(
    lambda stroke, radii: replace(
        stroke, radii=(stroke.radius / 2, *radii)[: len(stroke.points)] if radii else ()
    ),
    even,
    st.just(()) | st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)),
)
strokes = even | pressed
brushes = some(strokes, 0).map(
    lambda drawn: Strokes((Stroke(2.5, ((3.0, 4.5),)), *drawn))  # the first draws
)

sources = st.one_of(
    st.just(All()),
    st.just(Rest()),
    st.builds(Points, some(points), some(points, 0)),
    st.builds(Object, some(corners)),
    st.builds(Box, st.tuples(whole, whole, whole, whole)),
    brushes,
    st.builds(Lasso, st.lists(points, min_size=3, max_size=5).map(tuple)),
    st.builds(Words, paths),
    st.builds(Auto, some(st.integers(1, 999))),
    st.builds(File, paths, st.none() | paths),
    st.builds(Alpha, paths),
    st.builds(Scribble, paths),
    st.builds(Map, paths, hexes | st.integers(0, 999)),
    st.builds(Color, hexes | points, st.floats(0, 200)),
    st.builds(lambda low, high: Light(*sorted((low, high))), shares, shares),
)


def refined(of: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(
        st.builds(
            Refined,
            of,
            st.just(name),
            (st.none() if rule.takes is None or rule.is_optional else st.nothing())
            | (
                st.nothing()
                if rule.takes is None
                else st.integers(1, 50).map(float)
                if rule.is_whole
                else st.floats(rule.lowest, 999)
            ),
        )
        for name, rule in REFINEMENTS.items()
    )


selections = st.recursive(
    sources,
    lambda inner: (
        st.builds(Inverted, inner)
        | st.builds(Combined, st.sampled_from("+-&"), inner, inner)
        | refined(inner)
    ),
    max_leaves=6,
)
