"""The mutants of ``make mutants`` fit the code: each changes text that stands there once, for a test that exists."""

import pytest

from tests.mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_fits_the_code(mutant: Mutant) -> None:
    for path, old, _ in ((mutant.path, mutant.old, mutant.new), *mutant.also):
        assert (ROOT / path).read_text().count(old) == 1, path
    file, _, name = mutant.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text()
