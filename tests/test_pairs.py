"""What `make test` takes of a product of parameters."""

from __future__ import annotations

import itertools

from tests.support.pairs import covering, in_pairs, pairs_of


def test_every_two_values_meet_and_few_do_so_twice():
    rows = list(itertools.product(range(3), range(2), range(3), range(2)))
    chosen = covering(rows)
    assert set().union(*map(pairs_of, chosen)) == set().union(*map(pairs_of, rows))
    assert 9 <= len(chosen) <= 11 and len(rows) == 36


def test_the_rest_of_the_product_is_long():
    rows = in_pairs(a="xyz", b=[1, 2], c=[None, 0.5]).mark.args[1]
    assert len(rows) == 12
    short = [row.values for row in rows if not row.marks]
    assert {row[:2] for row in short} == set(itertools.product("xyz", [1, 2]))
    assert {mark.name for row in rows for mark in row.marks} == {"long"}
