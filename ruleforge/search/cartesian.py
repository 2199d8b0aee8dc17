"""Cartesian genomes: expressions as a row of nodes, each of which reads inputs or nodes before it (Miller 2011).

A genome is a tuple of integers: for each column the number of a function and two addresses, last the address that is
the result. Addresses: first the inputs, then the columns. Constants are functions without operands, as in Jordan et
al. 2021. Genes that the result does not depend on may change without any effect: silent mutations.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from ruleforge.language.primitives import PRIMITIVES
from ruleforge.language.tokens import Token, Tokens
from ruleforge.search.grammar import Hole

Genome = tuple[int, ...]
GENES_PER_COLUMN = 3


@dataclass(frozen=True)
class Cartesian:
    """The genomes of one hole.

    inputs: the signals (of a hole without any: its constants); columns: nodes in the one row; levels_back: how many
    columns back an address may reach (inputs always may be).
    """

    functions: tuple[Token, ...]
    inputs: tuple[Token, ...]
    columns: int
    levels_back: int

    @classmethod
    def of(cls, hole: Hole, columns: int, levels_back: int | None) -> Cartesian:
        """The genomes of a hole of a grammar; without `levels_back` all columns before a node are in reach."""
        inputs: tuple[Token, ...] = hole.signals or hole.constants
        return cls((*hole.operators, *hole.constants), inputs, columns, levels_back or columns)

    def random(self, generator: Random) -> Genome:
        """Every gene by chance."""
        return tuple(generator.choice(self._allowed(gene)) for gene in range(self.columns * GENES_PER_COLUMN + 1))

    def mutated(self, genome: Genome, rate: float, generator: Random) -> Genome:
        """Each gene takes another of its values with probability `rate`."""
        genes = list(genome)
        for gene, value in enumerate(genome):
            if generator.random() < rate:
                others = [other for other in self._allowed(gene) if other != value]
                genes[gene] = generator.choice(others) if others else value
        return tuple(genes)

    def expression(self, genome: Genome, most_nodes: int) -> Tokens | None:
        """The expression that a genome spells; None if it has more than so many nodes."""
        n_inputs = len(self.inputs)
        sizes = [1] * n_inputs
        for column in range(self.columns):
            operands = self._operands(genome, column)
            sizes.append(1 + sum(sizes[address] for address in operands))
        result = genome[-1]
        if sizes[result] > most_nodes:
            return None
        tokens: list[Token] = []
        waiting = [result]
        while waiting:
            address = waiting.pop()
            if address < n_inputs:
                tokens.append(self.inputs[address])
            else:
                column = address - n_inputs
                tokens.append(self.functions[genome[column * GENES_PER_COLUMN]])
                waiting += reversed(self._operands(genome, column))
        return tuple(tokens)

    def _operands(self, genome: Genome, column: int) -> Genome:
        gene = column * GENES_PER_COLUMN
        function = self.functions[genome[gene]]
        arity = PRIMITIVES[function].arity if isinstance(function, str) else 0
        return genome[gene + 1 : gene + 1 + arity]

    def _allowed(self, gene: int) -> range | list[int]:
        """The values that a gene may take."""
        n_inputs = len(self.inputs)
        column, kind = divmod(gene, GENES_PER_COLUMN)
        if column < self.columns and kind == 0:
            return range(len(self.functions))
        if column == self.columns:  # the result
            return range(n_inputs + self.columns)
        begin = n_inputs + max(0, column - self.levels_back)
        return [*range(n_inputs), *range(begin, n_inputs + column)]
