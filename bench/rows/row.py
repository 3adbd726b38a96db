"""One row of the table in front of a thin link: what it compares, how that is measured, and what was asked for."""

from typing import Callable, NamedTuple, Sequence


class Case(NamedTuple):
    label: str
    of: dict
    """What its measurement is told."""


class Column(NamedTuple):
    field: str
    """Of a sample."""
    title: str
    digits: int


class Row(NamedTuple):
    name: str
    """What the command line and the JSON call it."""
    title: str
    goal: str
    cases: Sequence[Case]
    columns: Sequence[Column]
    measure: Callable[..., tuple]
    """`measure(case, options, number)`: a sample of that case in that round, a named tuple of numbers or None."""
    takes: Callable[..., float]
    """`takes(options)`: seconds that a case takes, about."""
    rounds: Callable[..., int] = lambda options: options.rounds
