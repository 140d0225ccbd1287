"""What options mean, read from the comments beside them in the plugin's source."""

from __future__ import annotations

import ast
import inspect
import io
import textwrap
import tokenize


def meanings(kind: type) -> dict[str, str]:
    """Name → what the comments of a dataclass's fields say; "" without, nothing without source.

    A comment is the field's in whose lines it stands. Lines of nothing but comments are the next
    field's where that has none, else they go on with the one before. A field that says nothing here
    says what it does in the class that is inherited from.
    """
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        found |= {name: said for name, said in _own(one).items() if said or name not in found}
    return found


def _own(kind: type) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(kind))
        body = ast.parse(source).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return {}
    if not isinstance(body, ast.ClassDef):
        return {}
    fields = [node for node in body.body if isinstance(node, ast.AnnAssign)]
    comments = _comments(source)
    found: dict[str, list[str]] = {}
    last: list[str] = []
    at = body.lineno
    for node in fields:
        between = [comments.pop(line) for line in sorted(comments) if at <= line < node.lineno]
        end = node.end_lineno or node.lineno
        mine = [comments.pop(line) for line in sorted(comments) if line <= end]
        if mine:
            last += between
        found[ast.unparse(node.target)] = last = mine or between
        at = end
    last += _directly_below(comments, at)
    return {name: " ".join(words) for name, words in found.items()}


def _comments(source: str) -> dict[int, str]:
    """By line, a comment's words."""
    return {
        token.start[0]: token.string.lstrip("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }


def _directly_below(comments: dict[int, str], line: int) -> list[str]:
    found: list[str] = []
    while (line := line + 1) in comments:
        found.append(comments[line])
    return found
