"""Reading a selection's text from left to right: numbers, words, and errors with a caret."""

from __future__ import annotations

import re
from math import inf, isfinite

from locstyle.errors import SelectionError
from locstyle.selection import words

_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)")


class Scanner:
    """A text and how far it has been read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def next(self) -> str:
        """The next character that is no space, and "" at the end; spaces before it are read."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def error(self, message: str, at: int | None = None) -> SelectionError:
        """An error at the next character, or at `at`."""
        return SelectionError.at(self.at if at is None else at, self.text, message)

    def take(self, mark: str) -> bool:
        """Reads `mark` if it comes next."""
        found = bool(self.next) and self.text.startswith(mark, self.at)
        self.at += len(mark) if found else 0
        return found

    def expect(self, mark: str, form: str) -> None:
        if not self.take(mark):
            raise self.error(f"expected {mark!r}, got {self.shown}; give {form}")

    @property
    def shown(self) -> str:
        """What comes next, for a message."""
        return repr(self.next) if self.next else "the end"

    def number(
        self, form: str, *, low: float = -inf, high: float = inf, is_whole: bool = False
    ) -> float:
        """A number such as 4, -4, 0.5 or .5."""
        word = "a whole number" if is_whole else "a number"
        found = _NUMBER.match(self.text, self.at) if self.next else None
        if found is None:
            raise self.error(f"expected {word}, got {self.shown}; give {form}")
        value = float(found[0])
        if not isfinite(value) or (is_whole and value != int(value)):
            raise self.error(f"{found[0]} is not {word}; give {form}")
        if not low <= value <= high:
            accepted = f"{low:g} or more" if high == inf else f"{low:g} to {high:g}"
            raise self.error(f"{found[0]} is out of range; give {accepted}")
        self.at = found.end()
        return value

    def numbers(self, count: int, form: str, *, is_whole: bool = False) -> tuple[float, ...]:
        """So many numbers with commas between."""
        found = [self.number(form, is_whole=is_whole)]
        while len(found) < count:
            self.expect(",", form)
            found.append(self.number(form, is_whole=is_whole))
        if self.next == ",":
            raise self.error(f"expected {count} numbers, got more; give {form}")
        return tuple(found)

    def match(self, pattern: str, form: str) -> str:
        """What a regular expression finds here."""
        found = re.compile(pattern).match(self.text, self.at) if self.next else None
        if found is None:
            raise self.error(f"got {self.shown}; give {form}")
        self.at = found.end()
        return found[0]

    def word(self, form: str) -> str:
        """A text in double quotes, or a free one (see `words.free_span`)."""
        return self.quoted() if self.next == '"' else self.free(form)

    def quoted(self) -> str:
        start = self.at
        end = self.text.find('"', start + 1)
        while end >= 0 and self.text[end : end + 2] == '""':
            end = self.text.find('"', end + 2)
        if end < 0:
            raise self.error("these double quotes are never closed")
        if end == start + 1:
            raise self.error("nothing stands between these double quotes")
        self.at = end + 1
        return self.text[start + 1 : end].replace('""', '"')

    def free(self, form: str) -> str:
        start = self.at + (len(self.text[self.at :]) - len(self.text[self.at :].lstrip()))
        end, unclosed = words.free_span(self.text, start)
        if unclosed is not None:
            hint = "close it, or put the name in double quotes"
            raise self.error(f"this parenthesis is never closed; {hint}", unclosed)
        found = self.text[start:end].rstrip()
        if not found:
            raise self.error(f"got {self.shown}; give {form}")
        if (place := words.glued(found)) is not None:
            hint = "put spaces around it to combine, or double quotes around a name that has it"
            raise self.error(f"{found[place]!r} joins a name and a source; {hint}", start + place)
        self.at = start + len(found)
        return found
