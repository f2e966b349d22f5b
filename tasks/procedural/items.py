"""The procedural items: the same bytes for the same number, on any machine and in any version.

Every item is a prompt and a few single-character options, so that a harness which reuses the
logits of a shared prompt scores an item with one forward pass. lm-eval loads this file by its
path, as the ``custom_dataset`` of the YAML files beside it.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

__all__ = ["BENCHMARKS", "Draw", "Item", "benchmark_items", "dataset", "item"]

VERSION = 1
N_TEST = 400
_LETTERS = string.ascii_lowercase[:16]
_PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}


class Item(NamedTuple):
    """One question whose answer is one character."""

    prompt: str
    options: str
    """The characters to choose from, in a fixed order."""

    answer: str
    rest: str = ""
    """What completes the line after the answer, in a text written for training."""

    @property
    def question(self) -> str:
        """The prompt without what it already gives of the answer."""
        return self.prompt[: self.prompt.index("=") + 1]

    @property
    def line(self) -> str:
        """The line of text that this item is the beginning of."""
        return f"{self.prompt}{self.answer}{self.rest}"


class Draw:
    """Uniform integers from a BLAKE2b stream that a text names: no library can change them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._block = 0
        self._left = 0
        self._value = 0

    def below(self, n: int) -> int:
        """Return an integer from 0 to n - 1 (n far below 2**32, so that the bias is nil)."""
        if self._left < 64:
            digest = blake2b(f"{self._name}:{self._block}".encode()).digest()
            self._value, self._left = int.from_bytes(digest), 512
            self._block += 1
        self._value, drawn = divmod(self._value, n)
        self._left -= n.bit_length()
        return drawn

    def one_of(self, letters: str) -> str:
        """Return one character."""
        return letters[self.below(len(letters))]

    def shuffled(self, letters: str) -> str:
        """Return the characters in random order."""
        out = list(letters)
        for i in range(len(out) - 1, 0, -1):
            j = self.below(i + 1)
            out[i], out[j] = out[j], out[i]
        return "".join(out)


def copying(draw: Draw) -> Item:
    """Continue the copy of a word of 4 to 12 different letters."""
    word = draw.shuffled(_LETTERS)[: 4 + draw.below(9)]
    return _continued(draw, f"copy {word}=", word, word)


def reversing(draw: Draw) -> Item:
    """Continue the mirror image of a word of 4 to 12 different letters."""
    word = draw.shuffled(_LETTERS)[: 4 + draw.below(9)]
    return _continued(draw, f"turn {word}=", word[::-1], word)


def counting(draw: Draw) -> Item:
    """Count one letter, 1 to 5 times among up to 4 others."""
    wanted = draw.one_of(_LETTERS)
    others = _LETTERS.replace(wanted, "")
    times = 1 + draw.below(5)
    word = draw.shuffled(
        wanted * times + "".join(draw.one_of(others) for _ in range(draw.below(5)))
    )
    return Item(f"many {wanted} {word}=", "12345", str(times))


def length(draw: Draw) -> Item:
    """Count the letters of a word, 1 to 8 of them."""
    size = 1 + draw.below(8)
    return Item(
        f"size {''.join(draw.one_of(_LETTERS) for _ in range(size))}=", "12345678", str(size)
    )


def addition(draw: Draw) -> Item:
    """Give one digit of the sum of two numbers below 100, those before it given."""
    one, other = draw.below(100), draw.below(100)
    return _digit(draw, f"plus {one}+{other}=", str(one + other))


def subtraction(draw: Draw) -> Item:
    """Give one digit of the difference of two numbers below 100, those before it given."""
    low, high = sorted((draw.below(100), draw.below(100)))
    return _digit(draw, f"less {high}-{low}=", str(high - low))


def closing(draw: Draw) -> Item:
    """Close the innermost of up to 8 open brackets."""
    text, stack = _nest(draw, 3 + draw.below(14))
    if not stack:
        text, stack = _opened(draw, text, stack)
    closers = "".join(_PAIRS[b] for b in reversed(stack))
    return Item(f"close {text}=", ")]}>", closers[0], closers[1:])


def depth(draw: Draw) -> Item:
    """Count the brackets still open, 1 to 4 of them."""
    wanted = 1 + draw.below(4)
    text, stack = _nest(draw, draw.below(8))
    while len(stack) < wanted:
        text, stack = _opened(draw, text, stack)
    while len(stack) > wanted:
        text, stack = text + _PAIRS[stack[-1]], stack[:-1]
    return Item(f"deep {text}=", "1234", str(wanted))


BENCHMARKS: dict[str, Callable[[Draw], Item]] = {
    f.__name__: f
    for f in (copying, reversing, counting, length, addition, subtraction, closing, depth)
}


def item(benchmark: str, stream: str, number: int) -> Item:
    """Return item ``number`` of a benchmark in a stream such as "test" or "train"."""
    return BENCHMARKS[benchmark](Draw(f"{benchmark}/{stream}/{number}"))


def benchmark_items(benchmark: str, n: int = N_TEST) -> list[Item]:
    """Return the first ``n`` different items of the test stream."""
    return list(_different(benchmark, n))


def dataset(benchmark: str, n: int = N_TEST, **metadata: Any) -> dict[str, Any]:
    """Return the test split as lm-eval asks for it, which passes the task's metadata along.

    Raises
    ------
    ValueError
        The task definition names another version of the items than this file holds.

    """
    if metadata.get("version") != VERSION:
        raise ValueError(f"{benchmark}: these items are version {VERSION}, not that of {metadata}")
    from datasets import Dataset

    rows = [
        {"prompt": i.prompt, "options": list(i.options), "answer": i.options.index(i.answer)}
        for i in benchmark_items(benchmark, n)
    ]
    return {"test": Dataset.from_list(rows)}


def _different(benchmark: str, n: int) -> Iterator[Item]:
    seen: set[str] = set()
    number = 0
    while len(seen) < n:
        drawn = item(benchmark, "test", number)
        number += 1
        if drawn.prompt not in seen:
            seen.add(drawn.prompt)
            yield drawn


def _nest(draw: Draw, steps: int) -> tuple[str, str]:
    """Return a text of brackets and those of them still open."""
    text, stack = "", ""
    for _ in range(steps):
        if stack and (len(stack) == 8 or draw.below(9) < 4):
            text, stack = text + _PAIRS[stack[-1]], stack[:-1]
        else:
            text, stack = _opened(draw, text, stack)
    return text, stack


def _opened(draw: Draw, text: str, stack: str) -> tuple[str, str]:
    bracket = draw.one_of("([{<")
    return text + bracket, stack + bracket


def _continued(draw: Draw, question: str, whole: str, letters: str) -> Item:
    at = draw.below(len(whole))
    answer = whole[at]
    wrong = draw.shuffled(letters.replace(answer, ""))[:3]
    return Item(question + whole[:at], "".join(sorted(answer + wrong)), answer, whole[at + 1 :])


def _digit(draw: Draw, question: str, result: str) -> Item:
    at = draw.below(len(result))
    return Item(question + result[:at], string.digits, result[at], result[at + 1 :])
