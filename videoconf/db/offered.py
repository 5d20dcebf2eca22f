"""Which filters and orders of a list go together: those that an index serves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from videoconf.errors import FilterCombination
from videoconf.formats import camel_case


@dataclass(frozen=True)
class Offered:
    """The combinations of one list. A test reads them and expects an index for each."""

    filters: Mapping[frozenset[str], tuple[str, ...]]
    """Filters that may be given together, and the columns that the list can then be sorted by."""
    ranges: Mapping[str, tuple[str, str]]
    """The two bounds of each sort column."""

    def check(self, given: Collection[str], sort: str) -> None:
        """Refuse a combination without an index.

        :param given: the names of the filters and bounds that the caller gave.
        :param sort: the column that the list is sorted by, without its direction.
        :raises FilterCombination: names the combinations that work.
        """
        bounds = {name for pair in self.ranges.values() for name in pair}
        filters = frozenset(given) - bounds
        if sort in self.filters.get(filters, ()) and (set(given) & bounds) <= set(self.ranges[sort]):
            return
        raise FilterCombination(f"These filters do not go together. These work: {'; '.join(self._described())}.")

    def behind(self, given: frozenset[str], sort: str, *, descending: bool) -> frozenset[str]:
        """Return the filters that a part behind a position needs: all but the bound at which the list begins.

        Every row behind the position is within that bound. With both in a statement, PostgreSQL begins at the bound and
        reads all rows up to the position.

        :param sort: the column that the list is sorted by, without its direction.
        """
        since, until = self.ranges[sort]
        return given - {until if descending else since}

    def _described(self) -> Iterator[str]:
        sorted_by: dict[tuple[str, ...], list[str]] = {}
        for filters, sorts in self.filters.items():
            words = " with ".join(camel_case(name) for name in sorted(filters)) or "no filter"
            sorted_by.setdefault(sorts, []).append(words)
        one = len(self.ranges) == 1
        for sorts, alternatives in sorted_by.items():
            yield ", or ".join(alternatives) + ("" if one else f", sorted by {' or '.join(sorts)}")
        for sort, pair in self.ranges.items():
            yield " and ".join(map(camel_case, pair)) + (" with each" if one else f" where it is sorted by {sort}")
