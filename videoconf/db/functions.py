"""SQL functions that PostgreSQL and SQLite write differently."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Double, String, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement, GenericFunction

from videoconf.db.types import UTCDateTime


class utc_now(FunctionElement[datetime]):
    """The present by the database's clock."""

    type = UTCDateTime()
    inherit_cache = True


@compiles(utc_now, "postgresql")
def _utc_now_postgresql(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "clock_timestamp()"


@compiles(utc_now, "sqlite")
def _utc_now_sqlite(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    # The width of what SQLAlchemy stores, so that texts compare as times do.
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


class utc_in(FunctionElement[datetime]):
    """So many seconds from now, by the database's clock."""

    type = UTCDateTime()
    inherit_cache = True

    def __init__(self, seconds: float) -> None:
        super().__init__(literal(seconds, Double))


@compiles(utc_in, "postgresql")
def _utc_in_postgresql(element: utc_in, compiler: SQLCompiler, **kw: Any) -> str:
    return f"clock_timestamp() + make_interval(secs => {compiler.process(element.clauses, **kw)})"


@compiles(utc_in, "sqlite")
def _utc_in_sqlite(element: utc_in, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {compiler.process(element.clauses, **kw)} || ' seconds')"


class greatest(GenericFunction[Any]):
    """The larger of two values; a NULL does not count."""

    inherit_cache = True


class least(GenericFunction[Any]):
    """The smaller of two values; a NULL does not count."""

    inherit_cache = True


@compiles(greatest, "sqlite")
@compiles(least, "sqlite")
def _extreme_sqlite(element: GenericFunction[Any], compiler: SQLCompiler, **kw: Any) -> str:
    # SQLite's max(a, b) is NULL as soon as one of them is.
    a, b = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"coalesce({'max' if isinstance(element, greatest) else 'min'}({a}, {b}), {a}, {b})"


class by_code_point(FunctionElement[str]):
    """A text that is compared and sorted by its code points, as Python does, and not by a language's rules."""

    type = String()
    inherit_cache = True


@compiles(by_code_point, "postgresql")
def _by_code_point_postgresql(element: by_code_point, compiler: SQLCompiler, **kw: Any) -> str:
    return f'({compiler.process(element.clauses, **kw)}) COLLATE "C"'


@compiles(by_code_point, "sqlite")
def _by_code_point_sqlite(element: by_code_point, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)  # as it is by default


class digest(FunctionElement[str]):
    """What stands for a string in an index, where the string may be longer than PostgreSQL's B-trees take.

    SQLite's take any length: there it is the string itself. Different strings may have one digest, so a query compares
    both.
    """

    type = String()
    inherit_cache = True


@compiles(digest, "postgresql")
def _digest_postgresql(element: digest, compiler: SQLCompiler, **kw: Any) -> str:
    return f"md5({compiler.process(element.clauses, **kw)})"


@compiles(digest, "sqlite")
def _digest_sqlite(element: digest, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


class starts_with(FunctionElement[bool]):
    """Whether a string begins with another, as a range of the index of its bytes (``varchar_pattern_ops``).

    LIKE would do, but not in a plan that does not know its pattern.
    """

    type = Boolean()
    inherit_cache = True

    def __init__(self, string: Any, prefix: str) -> None:
        end = _behind_all(prefix)
        super().__init__(string, literal(prefix, String), *([] if end is None else [literal(end, String)]))


@compiles(starts_with, "postgresql")
def _starts_with_postgresql(element: starts_with, compiler: SQLCompiler, **kw: Any) -> str:
    return _in_range(element, compiler, ("~>=~", "~<~"), **kw)


@compiles(starts_with, "sqlite")
def _starts_with_sqlite(element: starts_with, compiler: SQLCompiler, **kw: Any) -> str:
    return _in_range(element, compiler, (">=", "<"), **kw)


def _in_range(element: starts_with, compiler: SQLCompiler, operators: tuple[str, str], **kw: Any) -> str:
    string, *bounds = (compiler.process(clause, **kw) for clause in element.clauses)
    return "(" + " AND ".join(f"{string} {name} {one}" for name, one in zip(operators, bounds, strict=False)) + ")"


def _behind_all(prefix: str) -> str | None:
    """Return the first string, by code points, behind all that begin with a prefix; None if all others are less."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return None
    last = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if 0xD800 <= last < 0xE000 else last)  # surrogates are no characters
