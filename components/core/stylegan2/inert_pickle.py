"""Pickles read as data, without executing them.

A pickle is a program for a stack machine. Python's own machine imports every module that the program names and calls
its functions. This one calls none of them: the reader lists the names that it knows, each with a function of
its own, and any other name ends the reading. Time and memory are linear in the file's size.
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
# A set is read as a list: hashing a hostile nest can overflow the stack.
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
    """The arguments of an object that is not built."""

    arguments: tuple[Any, ...]
    state: Any = None


def shell(*arguments: Any) -> Shell:
    """The builder of a global whose objects are not needed."""
    return Shell(arguments)


def read_pickle(
    file: Readable, builders: Mapping[str, Builder], what: str, persistent_load: Builder | None = None
) -> Any:
    """Reads one pickle of protocol 2 to 5; the file position is then right after it.

    Args:
        file: File at the start of the pickle: an mmap or BytesIO, which are safe from false lengths, not a buffered
            file.
        builders: Function for each global, `module.name`, that the pickle may name. It receives the arguments of the
            call, and must not take more time and memory than their size.
        what: Name of the file, for messages.
        persistent_load: Function that resolves persistent ids; None = the pickle must not have any.

    Raises:
        DataError: The pickle names another global, is torn, or has opcodes that no network needs.
    """
    machine = _Machine(builders, what, persistent_load)
    try:
        for opcode, argument, _ in pickletools.genops(file):  # type: ignore[arg-type]
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except MALFORMED as error:
        raise pickle_error(what, error) from None
    raise pickle_error(what, "it does not end")


def pickle_error(what: str, reason: object) -> DataError:
    """The error about a file that is torn, or of another kind."""
    return DataError(f"{what} is torn, or not a network pickle ({one_line(reason)}): copy it again.")


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
            arguments, name = self.pop(), self.pop()
            push(self._builders[name.path](*arguments))
        elif opcode == "BUILD":
            state, target = self.pop(), self._stack[-1]
            self._expect(target, Shell).state = state
        elif opcode == "BINPERSID" and self._persistent_load:
            push(self._persistent_load(self.pop()))
        elif opcode not in ("PROTO", "FRAME"):
            raise ValueError(f"opcode {opcode}")

    def _name(self, module: Any, name: Any) -> Name:
        if not (isinstance(module, str) and isinstance(name, str)):  # printing a hostile nest may never end
            raise TypeError("a name that is not a string")
        path = f"{module}.{name}"
        if path not in self._builders:
            raise DataError(
                f"{self._what} names {path[:80]!r}, which no network needs, so it was not read: use a file from a "
                "source that you trust, or export its tensors where it was written."
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
            raise TypeError(f"a {type(value).__name__} in place of a {kind.__name__}")
        return value
