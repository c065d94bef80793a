"""The line discipline of an emulated terminal: echo, line editing, Ctrl-C and Ctrl-D.

`kubectl exec -it` puts the user's terminal into raw mode and sends each key; a real pseudo-terminal on the other side
would do what this does.
"""

from collections.abc import Callable

_INTERRUPT, _END, _KILL, _ESCAPE = 0x03, 0x04, 0x15, 0x1B
_ERASERS = (0x08, 0x7F)
_RETURNS = (0x0D, 0x0A)
_CONTROLS = frozenset((_INTERRUPT, _END, _KILL, _ESCAPE, *_ERASERS, *_RETURNS))
_ERASE = b"\b \b"


class Terminal:
    """Collects keys into lines."""

    def __init__(
        self,
        *,
        echo: Callable[[bytes], None],
        line: Callable[[bytes], None],
        end: Callable[[], None],
        interrupt: Callable[[], None],
    ) -> None:
        self._echo = echo
        self._line = line
        self._end = end
        self._interrupt = interrupt
        self._typed = bytearray()
        self._in_escape = False

    def feed(self, data: bytes) -> None:
        """Take keys."""
        for key in data:
            self._key(key)

    def _key(self, key: int) -> None:
        if self._in_escape:
            # Arrow keys and their like: sequences that end with a letter or a tilde.
            self._in_escape = not (chr(key).isalpha() or key == ord("~"))
        elif key in _CONTROLS:
            self._control(key)
        else:
            self._typed.append(key)
            self._echo(bytes([key]))

    def _control(self, key: int) -> None:
        if key in _RETURNS:
            self._echo(b"\r\n")
            self._line(bytes(self._typed) + b"\n")
            self._typed.clear()
        elif key == _KILL or (key in _ERASERS and self._typed):
            count = len(self._typed) if key == _KILL else 1
            self._echo(_ERASE * count)
            del self._typed[len(self._typed) - count :]
        elif key == _INTERRUPT:
            self._echo(b"^C\r\n")
            if self._typed:
                self._typed.clear()
                self._line(b"\n")
            else:
                self._interrupt()
        elif key == _END and not self._typed:
            self._end()
        elif key == _ESCAPE:
            self._in_escape = True
