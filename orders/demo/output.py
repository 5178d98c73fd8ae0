"""What the launcher writes: its own words and the parts' lines, each under its part's name."""

from __future__ import annotations

from django.core.management.base import OutputWrapper
from django.utils.termcolors import colorize

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red")
_NAME_WIDTH = 9
# Before the facts of a line about an attempt: they are for machines, and five times as long as its words.
_FACTS = ' event="attempt '


class Output:
    """Lines on one stream. A stream that is gone (its terminal was closed) is not an error."""

    def __init__(self, stream: OutputWrapper, *, coloured: bool) -> None:
        self._stream = stream
        self._coloured = coloured
        self._colours: dict[str, str] = {}

    def line(self, name: str, text: str) -> None:
        self._write(f"{self._label(name)} {text.partition(_FACTS)[0]}")

    def say(self, text: str) -> None:
        self.line("demo", text)

    def plain(self, text: str) -> None:
        self._write(text)

    def _label(self, name: str) -> str:
        label = f"{name:<{_NAME_WIDTH}} |"
        if not self._coloured:
            return label
        colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
        return colorize(label, fg=colour)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            return
