"""Pickles read as data.

A pickle is a program for a stack machine. Python's own machine imports every module that the program names and calls
what it finds there. This one has nothing to call: a name stays a name, the reader says beforehand which names it knows
and what each stands for, and any other ends the reading. Time and memory are linear in the file's size.
"""

import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from components.core.errors import DataError, one_line

Builder = Callable[..., Any]

_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
# A set is read as a list: hashing what a stranger nested can overflow the stack.
_EMPTY: dict[str, Builder] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": list, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
MALFORMED = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, struct.error)


class Readable(Protocol):
    """A binary file, a BytesIO or an mmap."""

    def read(self, size: int, /) -> bytes: ...
    def readline(self) -> bytes: ...
    def tell(self) -> int: ...


@dataclass(frozen=True)
class Name:
    """A global that the pickle names; it is never looked up."""

    path: str


@dataclass(eq=False)
class Shell:
    """What an object was to be built of, where the object itself is not wanted."""

    arguments: tuple[Any, ...]
    state: Any = None


def shell(*arguments: Any) -> Shell:
    """The builder of a global whose objects nobody asks for."""
    return Shell(arguments)


def read_pickle(
    file: Readable, builders: Mapping[str, Builder], what: str, persistent_load: Builder | None = None
) -> Any:
    """Reads one pickle of protocol 2 to 5 and leaves the file behind it.

    Args:
        file: Where it starts. To be safe from lengths that lie, not a buffered file but an mmap or BytesIO.
        builders: The globals that the pickle may name, `module.name`, each with a function of our own that gets the
            arguments of its call and must cost no more than they do.
        what: The file's name, for messages.
        persistent_load: Resolves persistent ids; None = there must be none.

    Raises:
        DataError: Another global is named, or the pickle is torn or of a kind that no network is written in.
    """
    machine = _Machine(builders, what, persistent_load)
    try:
        for opcode, argument, _ in pickletools.genops(file):  # type: ignore[arg-type]
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except MALFORMED as error:
        raise torn(what, error) from None
    raise torn(what, "it does not end")


def torn(what: str, reason: object) -> DataError:
    """The sentence for a file that is not what it should be."""
    return DataError(f"{what} is torn or is no network pickle ({one_line(reason)}): copy it again.")


class _Machine:
    def __init__(self, builders: Mapping[str, Builder], what: str, persistent_load: Builder | None) -> None:
        self._builders, self._what, self._persistent_load = builders, what, persistent_load
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def pop(self) -> Any:
        return self._stack.pop()

    def step(self, opcode: str, argument: Any) -> None:
        push = self._stack.append
        if opcode in _LITERALS:
            push(argument)
        elif opcode in _CONSTANTS:
            push(_CONSTANTS[opcode])
        elif opcode in _EMPTY:
            push(_EMPTY[opcode]())
        elif opcode in _TUPLES:
            push(tuple([self.pop() for _ in range(_TUPLES[opcode])][::-1]))
        elif opcode in ("BINGET", "LONG_BINGET"):
            push(self._memo[argument])
        elif opcode in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._stack[-1]
        elif opcode == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif opcode == "MARK":
            self._marks.append(len(self._stack))
        elif opcode == "TUPLE":
            push(tuple(self._since_mark()))
        elif opcode in ("APPENDS", "ADDITEMS"):
            self._extend(self._since_mark())
        elif opcode == "APPEND":
            self._extend([self.pop()])
        elif opcode == "SETITEMS":
            self._update(self._since_mark())
        elif opcode == "SETITEM":
            self._update([self.pop(), self.pop()][::-1])
        elif opcode == "GLOBAL":
            push(self._name(*argument.split(" ", 1)))
        elif opcode == "STACK_GLOBAL":
            name, module = self.pop(), self.pop()
            push(self._name(module, name))
        elif opcode in ("REDUCE", "NEWOBJ"):
            arguments, called = self.pop(), self.pop()
            push(self._builders[called.path](*arguments))
        elif opcode == "BUILD":
            state, built = self.pop(), self._stack[-1]
            self._expect(built, Shell).state = state
        elif opcode == "BINPERSID" and self._persistent_load:
            push(self._persistent_load(self.pop()))
        elif opcode not in ("PROTO", "FRAME"):
            raise ValueError(f"opcode {opcode}")

    def _name(self, module: Any, name: Any) -> Name:
        if not (isinstance(module, str) and isinstance(name, str)):  # to write down what is nested may never end
            raise TypeError("a name that is no text")
        path = f"{module}.{name}"
        if path not in self._builders:
            raise DataError(
                f"{self._what} names {path[:80]!r}, which no network needs, so nothing of it was read: take the file "
                "from a source that you trust, or export its tensors where it was made."
            )
        return Name(path)

    def _since_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _extend(self, items: list[Any]) -> None:
        self._expect(self._stack[-1], list).extend(items)

    def _update(self, items: list[Any]) -> None:
        keys, values = items[::2], items[1::2]
        if not all(isinstance(key, str | int) for key in keys):
            raise TypeError("a key that is neither text nor number")
        self._expect(self._stack[-1], dict).update(zip(keys, values, strict=True))

    @staticmethod
    def _expect(value: Any, kind: type) -> Any:
        if type(value) is not kind:
            raise TypeError(f"a {type(value).__name__} in the place of a {kind.__name__}")
        return value
