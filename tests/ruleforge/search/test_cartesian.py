"""Cartesian genomes: what they spell, what may change, and the published settings."""

from __future__ import annotations

from random import Random

import pytest

from ruleforge.family import Outcome
from ruleforge.language.tokens import checked
from ruleforge.search.cartesian import Cartesian
from ruleforge.spec import job_spec

KIND = Cartesian(("+", "*", "neg", 1.0), ("R", "E"), columns=3, levels_back=3)


def test_a_genome_spells_an_expression():
    # Three genes for each column (function, two addresses), then the result; 0 and 1 are R and E, 2 the first column.
    constant_first = (3, 0, 0, 0, 0, 1, 1, 3, 2, 4)
    assert KIND.expression(constant_first, 25) == ("*", "+", "R", "E", 1.0)
    assert KIND.expression((0, 0, 1, 1, 2, 2, 3, 0, 0, 3), 25) == ("*", "+", "R", "E", "+", "R", "E")
    assert KIND.expression((2, 1, 0, 3, 0, 0, 0, 2, 3, 4), 25) == ("+", "neg", "E", 1.0)
    assert KIND.expression((*constant_first[:-1], 0), 25) == ("R",)


def test_what_would_be_too_large_is_not_written_out():
    kind = Cartesian(("+",), ("R",), columns=150, levels_back=150)
    doubling = [gene for column in range(150) for gene in (0, column, column)] + [150]
    assert kind.expression(tuple(doubling), 200) is None


@pytest.mark.parametrize("levels_back", [1, 2, 5])
def test_addresses_stay_within_reach(levels_back):
    kind = Cartesian(("+", "-", 0.5), ("R", "E"), columns=5, levels_back=levels_back)
    generator = Random(1)
    genome = kind.random(generator)
    for _ in range(300):
        genome = kind.mutated(genome, 0.3, generator)
        for column in range(5):
            assert genome[3 * column] in range(3)
            for address in genome[3 * column + 1 : 3 * column + 3]:
                assert address < 2 or 2 + column - levels_back <= address < 2 + column
        expression = kind.expression(genome, 200)
        assert checked(expression, ("R", "E")) == expression


def test_genes_change_with_the_given_probability():
    generator = Random(2)
    genome = KIND.random(generator)
    changed = sum(
        a != b for _ in range(2000) for a, b in zip(genome, KIND.mutated(genome, 0.1, generator), strict=True)
    )
    assert 0.08 < changed / (2000 * len(genome)) < 0.12


def test_a_hole_without_signals_reads_its_constants(bench):
    search = bench.new(search={"method": "jordan2021"}, grammar={"signals": [], "constants": [2.0, 3.0]})
    rules = [item.rule for generation in bench.run(search, 5) for item in generation.judged]
    assert {t for rule in rules for t in rule.expressions[0] if not isinstance(t, str)} == {2.0, 3.0}


def test_the_published_settings():
    """Parameter files of Jordan et al. 2021."""
    search = job_spec({"task": "reward", "search": {"method": "jordan2021"}}).search
    assert (search.population, search.offspring, search.tournament) == (4, 4, 1)
    assert (search.columns, search.levels_back, search.mutation_rate) == (5, None, 0.045)
    assert job_spec({"task": "supervised", "search": {"method": "jordan2021"}}).search.columns == 12
    search = job_spec({"task": "correlation", "search": {"method": "jordan2021", "offspring": 9}}).search
    assert (search.population, search.offspring, search.mutation_rate) == (8, 9, 0.05)
    again = job_spec({"task": "correlation", "search": search.model_dump(mode="json")}).search
    assert again == search
    assert job_spec({"task": "correlation"}).search.population == 16


def test_silent_mutations_gather(bench):
    """Offspring that spell their parent's rule take its place without being asked for."""
    search = bench.new(search={"method": "jordan2021", "columns": 12, "mutation_rate": 0.02})
    bench.step(search)
    moved = 0
    for _ in range(15):
        before = {item.candidate.behaviour: item.genomes for item in search._population}
        bench.step(search, lambda rule: (-float(rule.complexity), Outcome.ok))
        after = {item.candidate.behaviour: item.genomes for item in search._population}
        moved += any(before[b] != after[b] for b in before.keys() & after.keys())
    assert moved > 3
