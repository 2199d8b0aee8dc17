"""The small rules of a grammar, each behaviour once: what a search should look at before it combines anything.

Few behaviours are small: with + − × ÷, two signals and three constants there are 644 of up to 5 nodes, among
4105 texts. Trying them first finds every small rule for certain, and gives evolution tested parts to work with.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ruleforge.language.identity import digest_of, leaf_outputs, outputs
from ruleforge.language.primitives import PRIMITIVES, apply
from ruleforge.language.signals import Slot
from ruleforge.language.tokens import Tokens
from ruleforge.search.grammar import RuleGrammar

# Sizes that need more combinations than this are left to evolution.
MAX_COMBINATIONS = 30_000
MAX_NODES = 5
# Of several slots (or holes of a template) all combinations up to the size at which there would be more than this …
MAX_GRID = 10_000
# … and then so many sampled ones, because there are too many to go through.
MAX_SAMPLED = 100_000

Expression = tuple[Tokens, NDArray[np.float64]]


def small_expressions(
    slot: Slot, operators: Sequence[str], leaves: Sequence[str | float], max_nodes: int = MAX_NODES
) -> list[list[Tokens]]:
    """Expressions of one slot by number of nodes (entry n − 1 holds those of n), the first text of each behaviour."""
    seen: set[str] = set()
    sizes: list[list[Expression]] = []
    for n_nodes in range(1, max_nodes + 1):
        found: list[Expression] = []
        if n_nodes == 1:
            candidates: Iterator[Expression] = (((leaf,), leaf_outputs(leaf, slot)) for leaf in leaves)
        elif _combinations(sizes, operators, n_nodes) > MAX_COMBINATIONS:
            break
        else:
            candidates = _combined(sizes, operators, n_nodes)
        for tokens, values in candidates:
            identity = digest_of(values)
            if identity not in seen:
                seen.add(identity)
                found.append((tokens, values))
        sizes.append(found)
    return [[tokens for tokens, _ in found] for found in sizes]


def _multiples_apart(expressions: Sequence[Tokens], slot: Slot) -> tuple[list[Tokens], list[Tokens]]:
    """The expressions in their order without the positive multiples of earlier ones, and these.

    A multiple is the same rule at another learning rate: worth trying, after what does something else.
    """
    first: dict[str, Tokens] = {}
    multiples: list[Tokens] = []
    for tokens in expressions:
        values = outputs(tokens, slot)
        largest = np.max(np.abs(values), where=np.isfinite(values), initial=0.0)
        if first.setdefault(digest_of(values / largest if largest > 0 else values), tokens) is not tokens:
            multiples.append(tokens)
    return [*first.values()], multiples


def _splits(sizes: Sequence[Sequence[Expression]], arity: int, n_nodes: int) -> Iterator[tuple[int, ...]]:
    """Sizes of the operands of an operator whose expression has n_nodes."""
    if arity == 1:
        yield (n_nodes - 1,)
    else:
        yield from ((left, n_nodes - 1 - left) for left in range(1, n_nodes - 1))


def _combinations(sizes: Sequence[Sequence[Expression]], operators: Sequence[str], n_nodes: int) -> int:
    return sum(
        int(np.prod([len(sizes[part - 1]) for part in split]))
        for name in operators
        for split in _splits(sizes, PRIMITIVES[name].arity, n_nodes)
    )


def _combined(sizes: Sequence[Sequence[Expression]], operators: Sequence[str], n_nodes: int) -> Iterator[Expression]:
    for name in operators:
        primitive = PRIMITIVES[name]
        for split in _splits(sizes, primitive.arity, n_nodes):
            if primitive.arity == 1:
                for tokens, values in sizes[split[0] - 1]:
                    yield (name, *tokens), apply(primitive, [values])
            else:
                for left, left_values in sizes[split[0] - 1]:
                    for right, right_values in sizes[split[1] - 1]:
                        yield (name, *left, *right), apply(primitive, [left_values, right_values])


class SmallRules:
    """The small rules of a grammar in the order of one seed.

    Simpler ones first; of equal size, those that read more of the signals; at random among equals; positive multiples
    of earlier ones at the end. n_essential: positions up to the last rule that reads all signals, multiples aside; 0 if
    there is none, or several slots.

    With several slots (or holes) first all pairs (triples, …) of expressions up to the size at which they are still
    few, in that order. Then pairs are sampled: for each hole a size, and one of that size. What stands at a position
    depends on nothing but grammar and seed; positions from `len()` on do not exist.
    """

    def __init__(self, grammar: RuleGrammar, seed: int) -> None:
        self._seed = seed
        self._holes: list[list[list[Tokens]]] = []  # by size
        reads: list[list[int]] = []  # how many signals each of them reads, in the same order but flat
        for index, hole in enumerate(grammar.holes):
            leaves: list[str | float] = [*hole.signals, *hole.constants]
            generator = self._generator(index)
            ordered: list[list[Tokens]] = []
            for expressions in small_expressions(hole.slot, hole.operators, leaves):
                shuffled = [expressions[i] for i in generator.permutation(len(expressions))]
                # A signal is offered because it is thought to matter, so what reads all of them comes first.
                ordered.append(sorted(shuffled, key=lambda tokens: -len(set(tokens) & set(hole.signals))))
            self._holes.append([found for found in ordered if found])
            reads.append([len(set(tokens) & set(hole.signals)) for found in ordered for tokens in found])
        self._flat = [[tokens for found in hole for tokens in found] for hole in self._holes]
        self.n_essential = 0
        if len(grammar.holes) == 1:
            (hole,) = grammar.holes
            different, multiples = _multiples_apart(self._flat[0], hole.slot)
            whole = [place for place, tokens in enumerate(different) if set(tokens) >= set(hole.signals)]
            self.n_essential = whole[-1] + 1 if whole else 0
            self._flat = [different + multiples]
        self._grid_shape = self._shape_of_grid()
        self._grid = self._ordered_grid(reads)
        self._length = len(self._flat[0]) if len(self._holes) == 1 else len(self._grid) + MAX_SAMPLED

    def __len__(self) -> int:
        return self._length

    def expressions_at(self, position: int) -> tuple[Tokens, ...]:
        """One expression per hole."""
        if len(self._holes) == 1:
            return (self._flat[0][position],)
        if position < len(self._grid):
            places = np.unravel_index(self._grid[position], self._grid_shape)
            return tuple(flat[place] for flat, place in zip(self._flat, places, strict=True))
        generator = self._generator(len(self._holes), position)
        sizes = [hole[generator.integers(len(hole))] for hole in self._holes]
        return tuple(found[generator.integers(len(found))] for found in sizes)

    def _shape_of_grid(self) -> tuple[int, ...]:
        """How many expressions of each hole, simplest first, all combinations are made of."""
        shape = tuple(0 for _ in self._holes)
        for n_classes in range(1, max(map(len, self._holes)) + 1):
            larger = tuple(sum(map(len, hole[:n_classes])) for hole in self._holes)
            if math.prod(larger) > MAX_GRID:
                break
            shape = larger
        return shape

    def _ordered_grid(self, reads: Sequence[Sequence[int]]) -> NDArray[np.int64]:
        """The combinations, numbered as in an array of that shape: simple ones first, as for a single hole."""
        if len(self._holes) == 1 or not all(self._grid_shape):
            return np.zeros(0, np.int64)
        sizes = [[len(tokens) for tokens in flat[:n]] for flat, n in zip(self._flat, self._grid_shape, strict=True)]
        signals = [own[:n] for own, n in zip(reads, self._grid_shape, strict=True)]
        size = functools.reduce(np.add.outer, map(np.asarray, sizes)).ravel()
        n_signals = functools.reduce(np.add.outer, map(np.asarray, signals)).ravel()
        chance = self._generator(len(self._holes)).permutation(len(size))
        return np.lexsort((chance, -n_signals, size))

    def _generator(self, *key: int) -> np.random.Generator:
        # The first entry keeps these streams apart from those of the generations.
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self._seed, spawn_key=(2**32 - 1, *key))))
