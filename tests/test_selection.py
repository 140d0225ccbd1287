"""The grammar of selections: what it reads is what it writes, and errors point at the character."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import paths, selections, sources, tricky

from locstyle.errors import RecipeError, SelectionError
from locstyle.selection import (
    All,
    Auto,
    Box,
    Color,
    Combined,
    File,
    Inverted,
    Lasso,
    Light,
    Map,
    Points,
    Refined,
    Rest,
    Stroke,
    Strokes,
    Words,
    parse,
    parse_refinements,
    with_paths,
)
from locstyle.selection import paths as paths_of
from locstyle.selection import sources as sources_of

A, B, C = File("a.png"), File("b.png"), File("c.png")


@settings(deadline=None)  # other programs share the machine
@given(selections)
def test_what_is_written_reads_back(selection):
    assert parse(str(selection)) == selection


@settings(deadline=None)
@given(st.text(max_size=20) | tricky)
def test_any_text_is_read_or_refused_with_its_place(text):
    try:
        selection = parse(text)
    except SelectionError as error:
        message, shown, caret = str(error).split("\n")
        assert message and caret.endswith("^") and len(shown) <= 2 + len(text)
    else:
        assert parse(str(selection)) == selection


@settings(deadline=None)
@given(selections, paths)
def test_moving_paths_changes_paths_only(selection, to):
    assert with_paths(selection, lambda path: path) == selection
    moved = with_paths(selection, lambda path: to)
    assert paths_of(moved) == [to] * len(paths_of(selection))
    assert [type(s) for s in sources_of(moved)] == [type(s) for s in sources_of(selection)]


@settings(deadline=None)
@given(sources, sources, sources)
def test_operators_bind_as_published(a, b, c):
    assert parse(f"{a} + {b} & {c}") == Combined("+", a, Combined("&", b, c))
    assert parse(f"{a} - {b} - {c}") == Combined("-", Combined("-", a, b), c)
    assert parse(f"({a} - ({b} - {c}))") == Combined("-", a, Combined("-", b, c))
    assert parse(f"!{a} & {b}") == Combined("&", Inverted(a), b)
    assert parse(f"{a} + {b}|fill") == Refined(Combined("+", a, b), "fill")
    assert parse(f"{a} + ({b}|fill)") == Combined("+", a, Refined(b, "fill"))


@pytest.mark.parametrize(
    "name",
    [
        "sky.png",
        "my-mask.png",
        "a+b.png",
        "a=b.png",
        "mask#1.png",
        "my mask.png",
        "sky (1).png",
        "rest-of-it.png",
        "all.png",
        "a&b!.png",
        "masks/sky.png",
        r"C:\masks\sky.png",
        "+.png",
        "-1.png",
        "mask (a - b).png",
        'say "sky".png',
        "空.png",
    ],
)
def test_ordinary_file_names_need_no_quotes(name):
    assert parse(name) == parse(f"file:{name}") == File(name)
    assert parse(f" ({name}) ") == File(name)
    assert parse(f"{name}|grow:2") == Refined(File(name), "grow", 2)
    assert parse(f"!{name} - {name}") == Combined("-", Inverted(File(name)), File(name))
    assert str(parse(name)) == name


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("all", All()),
        ("rest", Rest()),
        ("file:all", File("all")),
        ('"all"', File("all")),
        ("point:212,160", Points(((212, 160),))),
        ("point: 1 , 2.5 ; !3,4 ; 5,6", Points(((1, 2.5), (5, 6)), ((3, 4),))),
        ("box:0,0,4,4+box:1,1,2,2", Combined("+", Box((0, 0, 4, 4)), Box((1, 1, 2, 2)))),
        ("auto:1,4-rest", Combined("-", Auto((1, 4)), Rest())),
        ("text:the dog (left) & all", Combined("&", Words("the dog (left)"), All())),
        ('text:"black | white"', Words("black | white")),
        ('"say ""hi"".png"', File('say "hi".png')),
        ("file:coco.json#3", File("coco.json", "3")),
        ("labels.NPY#2", File("labels.NPY", "2")),
        ("file:coco.json#the dog + a.png", Combined("+", File("coco.json", "the dog"), A)),
        ('"a b.json"#7', File("a b.json", "7")),
        ("map:a#b.png#FF0000", Map("a#b.png", "#ff0000")),
        ("map:a.png#3", Map("a.png", 3)),
        ('map:"a + b.png"#003', Map("a + b.png", 3)),
        ("brush:12:1,2", Strokes((Stroke(12, ((1, 2),)),))),
        (
            "brush: 2.5 ~ .5 : 1,2 ; -3,4 / !8:5,6",
            Strokes((Stroke(2.5, ((1, 2), (-3, 4)), 0.5), Stroke(8, ((5, 6),), erases=True))),
        ),
        (
            "brush:9~.5:1,2;3,4,2.5;5,6,9",
            Strokes((Stroke(9, ((1, 2), (3, 4), (5, 6)), 0.5, radii=(9, 2.5, 9)),)),
        ),
        ("brush:9:1,2,9;3,4,9", Strokes((Stroke(9, ((1, 2), (3, 4))),))),
        ("lasso:0,0;9,0;9,9", Lasso(((0, 0), (9, 0), (9, 9)))),
        ("color:#87CEEB~20", Color("#87ceeb", 20)),
        ("color:212,160", Color((212, 160), 20)),
        ("light:.6..1", Light(0.6, 1)),
        ("a.png|largest|largest:2", Refined(Refined(A, "largest"), "largest", 2)),
        ("((a.png))", A),
    ],
)
def test_every_source_is_read(text, meant):
    assert parse(text) == meant


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 0, "expected a source, got the end"),
        ("pont:2,3", 0, "no source 'pont'; did you mean 'point'?"),
        ("colour:#aabbcc", 0, "did you mean 'color'?"),
        ("a.png + Box:1", 8, "no source 'Box'; did you mean 'box'?"),
        ("point:2", 7, "expected ',', got the end; give point:x,y"),
        ("point:2,x", 8, "expected a number, got 'x'"),
        ("point:!1,2", 10, "only points to leave out; give one inside"),
        ("box:1,2,3,4,5", 11, "expected 4 numbers, got more"),
        ("box:1.5,2,3,4", 4, "1.5 is not a whole number"),
        ("box:1,2,3,4 5", 12, "expected '+', '-', '&', '|' or the end, got '5'"),
        ("auto:0", 5, "0 is out of range; give 1 or more"),
        ("light:0.9..0.2", 11, "0.2 is out of range; give 0.9 to 1"),
        ("brush:12", 8, "expected ':', got the end; give brush:radius:x,y"),
        ("brush:0:1,2", 6, "a radius of 0 draws nothing"),
        ("brush:-3:1,2", 6, "-3 is out of range; give 0 to 1e+06"),
        ("brush:12~2:1,2", 9, "2 is out of range; give 0 to 1"),
        ("brush:12:1,2;3", 14, "expected ',', got the end"),
        ("brush:12:1,2,-1", 13, "-1 is out of range; give 0 to 1e+06"),
        ("brush:12:1,2,3,4", 14, "or the end, got ','"),
        ("lasso:1,2,3;4,5;6,7", 9, "a lasso has three points or more, got 1"),
        ("brush:12:1,2/", 13, "expected a number, got the end"),
        ("brush:12:9999999,2", 9, "9999999 is out of range"),
        ("brush:!12:1,2/!3:1,2", 20, "only strokes that erase; draw one before them"),
        ("brush:12:" + "1,2;" * 20_000 + "1,2", 61, "more than 20000 points; leave out some"),
        ("lasso:1,2;3,4", 13, "a lasso has three points or more, got 2"),
        ("color:#fff", 6, "give six digits"),
        ("map:a.png", 9, "no colour after 'a.png'; give map:regions.png#ff0000"),
        ("map:a.png#red", 10, "got 'r'; give map:regions.png#ff0000"),
        ("a.png + ", 8, "expected a source, got the end"),
        ("a.png - + b", 8, "expected a source, got '+'"),
        ("a.png+box:1,2,3,4", 5, "'+' joins a name and a source; put spaces around it"),
        ("(a.png + b.png", 0, "this parenthesis is never closed"),
        ("a.png)", 5, "this parenthesis closes nothing"),
        ("mask (1.png", 5, "put the name in double quotes"),
        ('"abc', 0, "these double quotes are never closed"),
        ('""', 0, "nothing stands between"),
        ("a.png|gorw:3", 6, "no refinement 'gorw'; did you mean 'grow'?"),
        ("a.png|grow", 10, "expected ':', got the end; give grow:pixels"),
        ("a.png|grow:-1", 11, "-1 is out of range; give 0 or more"),
        ("a.png|largest:1.5", 14, "1.5 is not a whole number"),
        ("a.png|fill:3", 10, "'fill' takes no number"),
        ("a.png|grow:2 + b", 13, "put parentheses around what it refines"),
        ("!" * 300 + "a", 100, "more than 100 parts"),
        ("(" * 300 + "a", 100, "more than 100 parts"),
    ],
)
def test_errors_point_at_the_character(text, column, message):
    with pytest.raises(SelectionError) as caught:
        parse(text)
    first, shown, caret = str(caught.value).split("\n")
    assert message in first
    assert len(caret) - 3 == min(column, 61)
    assert shown.strip(" …") in text
    assert isinstance(caught.value, RecipeError)


def test_the_caret_stands_under_wide_and_combining_characters():
    with pytest.raises(SelectionError) as caught:
        parse("空e\u0301.png|x")
    assert str(caught.value).split("\n")[2] == "  " + " " * 8 + "^"


def test_refinements_are_read_alone_too():
    assert parse_refinements("grow:4|fill|snap") == [("grow", 4), ("fill", None), ("snap", None)]
    for text in ("", "grow:4|", "grow:4 fill"):
        with pytest.raises(SelectionError):
            parse_refinements(text)
