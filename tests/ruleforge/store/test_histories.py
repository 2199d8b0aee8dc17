"""Whatever jobs do, the table of behaviours is what grouping everything that was measured from scratch would give."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text

from ruleforge.context import Context
from ruleforge.store import Extension, RollBack
from ruleforge.store.behaviours import LOWEST, NOT_FINITE
from ruleforge.store.schema import behaviours, findings, jobs, metadata, rules
from ruleforge.store.schema import settings as contexts

CONTEXTS = [Context.of("reward", 1, {"rate": 1.0}), Context.of("reward", 1, {"rate": 2.0}), Context.of("supervised")]
BEHAVIOURS, TEXTS = 4, ("w*E + R", "E*R + w", "w")
FITNESS = st.sampled_from([-math.inf, -1.5, 0.0, 2.0])
SUMMARY = st.sampled_from([-3.0, 0.0, 5.0, math.nan])
WHICH = st.tuples(st.integers(0, BEHAVIOURS - 1), st.integers(0, len(TEXTS) - 1))
JOB = st.integers(0, 5)
STEP = st.one_of(
    st.tuples(st.just("begin"), st.integers(0, len(CONTEXTS) - 1)),
    st.tuples(st.just("generation"), JOB, st.lists(st.tuples(WHICH, FITNESS), min_size=1, max_size=5)),
    st.tuples(st.just("end"), JOB, st.lists(SUMMARY, max_size=3), st.lists(st.tuples(WHICH, SUMMARY), max_size=3)),
    st.tuples(st.just("further"), JOB, st.integers(0, 2)),
    st.tuples(st.just("delete"), JOB),
    st.tuples(st.just("library"), st.integers(0, len(CONTEXTS) - 1), st.lists(st.tuples(WHICH, SUMMARY), max_size=3)),
)


def emptied(store):
    with store._database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name not in ("contexts", "instances", "settings"):  # of which a connection remembers the numbers
                connection.execute(delete(table))


class History:
    """Jobs in a store, and beside it everything that they measured, in order."""

    def __init__(self, store, records):
        self.store, self.records = store, records
        self.jobs = []  # [id, context, candidates by generation], the deleted ones too
        self.deleted = set()
        self.measured = defaultdict(list)  # (context, behaviour) → [(rule, fitness, outcome, validation)]
        self.libraries = {}

    def rule(self, context, which):
        behaviour, form = which
        task, written = context.task, TEXTS[form]
        number = 1000 * (task == "reward") + 10 * behaviour + form
        return self.records.rule(
            number, task=task, behaviour=f"{behaviour:032x}", text=written, complexity=len(written.split())
        )

    def step(self, kind, *given):
        if kind in ("begin", "library"):
            return getattr(self, kind)(CONTEXTS[given[0]], *given[1:])
        there = [job for job in self.jobs if job[0] not in self.deleted]
        if not there:
            return None
        job = there[given[0] % len(there)]
        state = self.store.job(job[0]).state
        ended = state == "succeeded"
        if kind in ("generation", "end") and state == "queued":
            self.store.set_state(job[0], "running", "taken by a test")
        if ended == (kind in ("further", "delete")):
            event(kind)
            return getattr(self, kind)(job, *given[1:])
        return None

    def begin(self, context):
        id = self.records.running(self.store, task=context.task, context=context)
        self.jobs.append([id, context, []])

    def generation(self, job, found):
        id, context, generations = job
        candidates = [
            replace(self.records.candidate(self.rule(context, which), fitness), order=order)
            for order, (which, fitness) in enumerate(found)
        ]
        self.store.commit_generation(id, self.records.generation(len(generations), candidates))
        generations.append(candidates)
        for candidate in candidates:
            self._measure(context, candidate, None)

    def end(self, job, validations, library):
        id, context, generations = job
        every = [candidate for generation in generations for candidate in generation]
        given = {candidate.rule.id: mean for candidate, mean in zip(every, validations, strict=False)}
        entries = [(self.rule(context, which), self.records.summary(mean)) for which, mean in library]
        self.records.finish(self.store, id, given, library=entries)
        for candidate in every:
            if candidate.rule.id in given:
                self._measure(context, candidate, given[candidate.rule.id])
        self._add_library(context, library)

    def further(self, job, back):
        id, _, generations = job
        record = self.store.job(id)
        kept = max(0, len(generations) - back)
        back_to = RollBack(generation=kept, evaluations=kept, history="", search_state={}) if back else None
        extension = Extension(
            spec=record.spec,
            spec_hash="cd",
            reason="by a test",
            revision=record.revision,
            generation=kept,
            back_to=back_to,
        )
        self.store.extend_job(id, extension)
        del generations[kept:]

    def delete(self, job):
        self.store.delete_job(job[0])
        self.deleted.add(job[0])

    def library(self, context, library):
        self.store.add_library(
            context, [(self.rule(context, which), self.records.summary(mean)) for which, mean in library], []
        )
        self._add_library(context, library)

    def _add_library(self, context, library):
        for which, mean in library:
            rule = self.rule(context, which)
            self.libraries.setdefault((context.digest, rule.behaviour), mean)
            self.measured[context.digest, rule.behaviour].append((rule, None, None, None))

    def _measure(self, context, candidate, validation):
        key = context.digest, candidate.rule.behaviour
        self.measured[key].append((candidate.rule, candidate.fitness, candidate.outcome, validation))

    def found(self):
        """(context, behaviour) → the ids of the jobs that found it."""
        by = defaultdict(set)
        for id, context, generations in self.jobs:
            for candidate in (candidate for generation in generations for candidate in generation):
                by[context.digest, candidate.rule.behaviour].add(id)
        return by

    def grouped(self):
        """Rows of the table from scratch: found, simplest rule, its size, training, outcome, validation, library."""
        found = self.found()
        return {
            key: (
                len(found[key]),
                *self._simplest(of_this),
                *self._best([item for item in of_this if item[2] is not None]),
                _number(self.libraries[key], NOT_FINITE) if key in self.libraries else LOWEST,
            )
            for key, of_this in self.measured.items()
        }

    @staticmethod
    def _simplest(of_this):
        rule = min((item[0] for item in of_this), key=lambda rule: (rule.complexity, len(rule.text), rule.text))
        return rule.id, rule.complexity, rule.text.replace(" ", "").lower()

    @staticmethod
    def _best(scored):
        if not scored:
            return LOWEST, LOWEST, None, None
        _, fitness, outcome, validation = max(scored, key=lambda item: (_number(item[3]), _number(item[1])))
        summary = None if validation is None else (None if math.isnan(validation) else validation, 40)
        return _number(fitness), _number(validation), outcome, summary


def _number(value, none=LOWEST):
    return none if value is None or not math.isfinite(value) else value


def recorded(store):
    """The same from the table."""
    query = select(behaviours, contexts.c.digest, rules.c.id.label("of")).join(
        contexts, contexts.c.number == behaviours.c.settings
    )
    with store._database.reading() as connection:
        rows = connection.execute(query.join(rules, rules.c.number == behaviours.c.simplest)).all()
    return {
        (row.digest, row.behaviour): (
            *(row.found, row.of, row.complexity, row.text, row.best_fitness, row.best_validation, row.outcome),
            row.validation and (row.validation["aggregate"], row.validation["n"]),
            row.best_library,
        )
        for row in rows
    }


def who_found(store):
    """(context, behaviour) → the ids of the jobs that are there: as kept, and as grouping the candidates gives it."""
    by_table, by_candidates = defaultdict(set), defaultdict(set)
    query = (
        select(contexts.c.digest, behaviours.c.behaviour, jobs.c.id)
        .join(behaviours, behaviours.c.settings == contexts.c.number)
        .join(findings, findings.c.behaviour == behaviours.c.number)
        .join(jobs, jobs.c.number == findings.c.job)
    )
    grouping = text(
        "SELECT DISTINCT jobs.context AS digest, rules.behaviour, jobs.id FROM candidates "
        "JOIN jobs ON jobs.number = candidates.job JOIN rules ON rules.number = candidates.rule"
    )
    with store._database.reading() as connection:
        kept = connection.execute(select(findings)).all()
        for into, rows in ((by_table, connection.execute(query)), (by_candidates, connection.execute(grouping))):
            for row in rows:
                into[row.digest, row.behaviour].add(row.id)
    assert len(kept) == sum(map(len, by_table.values()))  # none of a job that is gone
    return by_table, by_candidates


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, max_size=25))
def test_behaviours_are_what_grouping_from_scratch_gives(store, records, steps):
    emptied(store)
    history = History(store, records)
    history.begin(CONTEXTS[0])
    for step in steps:
        history.step(*step)
        assert recorded(store) == history.grouped()
    by_table, by_candidates = who_found(store)
    assert by_table == by_candidates
    there = {key: ids - history.deleted for key, ids in history.found().items()}
    assert by_table == {key: ids for key, ids in there.items() if ids}


@pytest.mark.parametrize("again", [False, True])
def test_what_only_a_generation_that_is_taken_back_found_is_not_found(store, records, again):
    history = History(store, records)
    history.begin(CONTEXTS[0])
    history.begin(CONTEXTS[0])
    job, other = history.jobs
    history.generation(other, [((1, 0), 1.0)])
    history.generation(job, [((0, 0), 1.0)])
    history.generation(job, [((0, 1), 2.0), ((1, 0), 3.0), ((2, 0), 4.0)])
    history.end(job, [], [])
    counted = {entry.rule.behaviour: entry.found for entry in store.rules()}
    assert counted == {f"{number:032x}": found for number, found in enumerate((1, 2, 1))}
    history.further(job, 1)
    assert {entry.rule.behaviour: (entry.found, entry.jobs) for entry in store.rules()} == {
        f"{0:032x}": (1, [job[0]]),
        f"{1:032x}": (1, [other[0]]),
    }
    if again:
        store.set_state(job[0], "running", "taken by a test")
        history.generation(job, [((2, 0), 4.0)])
        assert {entry.rule.behaviour for entry in store.rules()} == set(counted)
    assert recorded(store) == history.grouped()
