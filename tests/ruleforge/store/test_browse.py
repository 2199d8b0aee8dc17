"""Pages of rules: the right ones in the right order, each once, whatever comes in between."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event

from ruleforge.context import Context
from ruleforge.errors import InputError
from ruleforge.store import SORTS, RuleQuery
from ruleforge.store import browse as browse_module
from ruleforge.store.schema import metadata


def texts(page):
    return [entry.rule.text for entry in page.items]


def walk(store, query, limit, between=lambda: None):
    """All pages, one after the other."""
    pages, cursor = [], None
    while not pages or cursor is not None:
        page = store.browse(query, cursor, limit)
        assert len(page.items) <= limit
        pages.append(page.items)
        cursor = page.next
        between()
    assert all(pages[:-1])
    return [entry for page in pages for entry in page]


def test_each_order(store, records):
    simple = records.rule(1, complexity=1)
    often = records.rule(2, complexity=5)
    good = records.rule(3, complexity=5)
    first = records.found(store, records.candidate(often, 1.0), records.candidate(good, 9.0))
    second = records.found(store, records.candidate(often, 2.0), records.candidate(simple, -math.inf))
    in_order = {sort: texts(store.browse(RuleQuery(sort=sort))) for sort in SORTS}
    assert in_order == {
        "fitness": ["R*3", "R*2", "R*1"],
        "complexity": ["R*1", "R*3", "R*2"],
        "found": ["R*2", "R*3", "R*1"],
        "newest": ["R*1", "R*3", "R*2"],
    }
    assert [(entry.found, entry.jobs) for entry in store.browse(RuleQuery(sort="found")).items] == [
        (2, [second, first]),
        (1, [first]),
        (1, [second]),
    ]
    records.finish(store, first, {often.id: -3.0})
    assert texts(store.browse(RuleQuery())) == ["R*2", "R*3", "R*1"]
    assert texts(store.browse(RuleQuery(sort="complexity"))) == ["R*1", "R*2", "R*3"]


def test_each_filter(store, records):
    named = records.rule(1, text="E*(R - 1)", known_as="policy gradient = E*(R - 1)", known_factor=2.0, complexity=5)
    plain = records.rule(2, text="exp(E) + R", complexity=4)
    failed = records.rule(3, text="log(0)", complexity=2)
    other = records.rule(4, task="supervised", text="s*(v - u)", known_as="delta rule", complexity=5)
    records.found(
        store, records.candidate(named, 7.0), records.candidate(plain, 7.5), records.candidate(failed, -math.inf)
    )
    records.found(store, records.candidate(other, 1.0), task="supervised")
    expected = {
        RuleQuery(task="reward"): [plain, named, failed],
        RuleQuery(task="correlation"): [],
        RuleQuery(known="policy gradient"): [named],
        RuleQuery(known="policy gradient = E*(R - 1)"): [named],
        RuleQuery(known="policy"): [],
        RuleQuery(known="any"): [named, other],
        RuleQuery(known="none"): [plain, failed],
        RuleQuery(min_fitness=7.0): [plain, named],
        RuleQuery(min_fitness=-math.inf): [plain, named, failed, other],
        RuleQuery(min_fitness=math.inf): [],
        RuleQuery(max_complexity=4): [plain, failed],
        RuleQuery(max_complexity=-(10**30)): [],
        RuleQuery(max_complexity=10**30): [plain, named, failed, other],
        RuleQuery(text="E*(R-1)"): [named],
        RuleQuery(text=" e *( r "): [named],
        RuleQuery(text="(V-"): [other],
        RuleQuery(text="  "): [plain, named, failed, other],
        RuleQuery(text="%"): [],
        RuleQuery(text="\0"): [],
        RuleQuery(task="\ud800"): [],
        RuleQuery(text="e", task="reward", max_complexity=5, min_fitness=7.2, known="none"): [plain],
    }
    for query, rules in expected.items():
        assert [entry.rule for entry in store.browse(query).items] == rules, query


def test_a_rule_that_no_job_found_is_in_no_list(store, records):
    store.add_scores([records.rule(1)], [records.score(1)])
    for sort in SORTS:
        assert store.browse(RuleQuery(sort=sort)).items == []
    records.found(store, records.candidate(1, 2.0))
    assert [entry.fitness for entry in store.browse(RuleQuery()).items] == [2.0]


def test_a_query_that_cannot_be_answered_is_refused(store, records):
    with pytest.raises(InputError, match=r"unknown sort 'best': expected one of fitness, complexity, found, newest"):
        store.browse(RuleQuery(sort="best"))
    with pytest.raises(InputError, match="nan came") as refused:
        store.browse(RuleQuery(min_fitness=math.nan))
    assert refused.value.pointer == "/min_fitness"
    with pytest.raises(InputError, match="limit of 1 or more, and 0 came") as refused:
        store.browse(RuleQuery(), limit=0)
    assert refused.value.pointer == "/limit"


def test_a_cursor_of_another_list_is_refused(store, records):
    records.found(store, *(records.candidate(number, float(number)) for number in range(5)))
    mine = store.browse(RuleQuery(), limit=2).next
    assert mine is not None
    assert mine.isascii()
    assert mine.replace("-", "").replace("_", "").isalnum()
    assert texts(store.browse(RuleQuery(), mine, 2)) == ["R*2", "R*1"]
    jobs_next = [records.running(store) for _ in range(2)] and store.jobs_page(limit=1).next
    foreign = [
        store.browse(RuleQuery(sort="newest"), limit=2).next,
        store.browse(RuleQuery(task="reward"), limit=2).next,
        jobs_next,
    ]
    malformed = ["", "x", "ü", "\0", "%%%", mine[:-2], mine + "A", "W10", "bnVsbA", "W" * 5000, "Ww" * 50_000]
    for cursor in [*foreign, *malformed]:
        with pytest.raises(InputError, match="expected the `next` of a page of this same list") as refused:
            store.browse(RuleQuery(), cursor, 2)
        assert refused.value.pointer == "/cursor"
        assert len(str(refused.value)) < 300


TASKS = ("reward", "supervised", "correlation")
RULES = st.tuples(
    st.integers(0, 12),  # which behaviour
    st.integers(1, 4),  # complexity
    st.sampled_from([-math.inf, -1.5, 0.0, 2.0, 2.0**-40, 1e300]),
    st.sampled_from([None, "delta rule", "STDP = w*x"]),
    st.one_of(st.none(), st.sampled_from([-2.0, 3.0, math.nan])),  # validation
    st.one_of(st.none(), st.sampled_from([-7.0, 0.0, 7.0, math.nan])),  # on the library
)
# Task, learning rate, rules.
JOBS = st.lists(
    st.tuples(st.sampled_from(TASKS), st.sampled_from([1.0, 5.0]), st.lists(RULES, min_size=1, max_size=12)),
    min_size=1,
    max_size=5,
)
QUERIES = st.builds(
    RuleQuery,
    task=st.sampled_from([None, "reward", "supervised"]),
    parameters=st.sampled_from([None, None, "rate=5.0"]),
    known=st.sampled_from([None, None, "any", "none", "STDP"]),
    min_fitness=st.sampled_from([None, None, 0.0, 2.0]),
    max_complexity=st.sampled_from([None, None, 2]),
    text=st.sampled_from([None, None, "r*1", "7"]),
    sort=st.sampled_from(SORTS),
)


def in_context(task, rate):
    return Context.of(task, 1, {"rate": rate})


def written(records, task, behaviour, complexity, known=None):
    number = TASKS.index(task) * 1000 + behaviour * 10 + complexity
    return records.rule(
        number, task=task, behaviour=f"{behaviour:032x}", complexity=complexity, known_as=known, known_factor=1.0
    )


def add(store, records, job):
    """A job that found these, the text of each belonging to task, behaviour and complexity."""
    task, rate, found = job
    candidates, validations, library = [], {}, {}
    for behaviour, complexity, fitness, known, validation, on_library in found:
        rule = written(records, task, behaviour, complexity, known)
        candidates.append(records.candidate(rule, fitness))
        if validation is not None:
            validations[rule.id] = validation
        if on_library is not None:
            library.setdefault(rule.id, (rule, records.summary(on_library)))
    job = records.found(store, *candidates, task=task, context=in_context(task, rate))
    records.finish(store, job, validations, library=list(library.values()))
    return job


def fulfils(entry, query):
    rule = entry.rule
    name = rule.known_as and rule.known_as.partition(" = ")[0]
    known = {None: True, "any": name is not None, "none": name is None}.get(query.known, name == query.known)
    return (
        query.task in (None, rule.task)
        and (query.parameters is None or entry.context == in_context(rule.task, 5.0).digest)
        and known
        and (query.min_fitness is None or entry.fitness >= query.min_fitness)
        and (query.max_complexity is None or rule.complexity <= query.max_complexity)
        and (query.text is None or query.text in rule.text.lower().replace(" ", ""))
    )


def lowest_if_none(summary, not_finite=-math.inf):
    return -math.inf if summary is None else not_finite if summary["aggregate"] is None else summary["aggregate"]


def place(entry, sort):
    best = (-lowest_if_none(entry.library, -1e308), -lowest_if_none(entry.validation), -entry.fitness)
    own = {"fitness": best, "complexity": (entry.rule.complexity, *best), "found": (-entry.found, *best)}[sort]
    return entry.rule.task, own


def emptied(store):
    with store._database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name not in ("contexts", "instances", "settings"):  # of which a connection remembers the numbers
                connection.execute(delete(table))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JOBS, QUERIES, st.integers(1, 7), st.sampled_from([1, 4, 2000]))
def test_the_pages_together_are_the_list(store, records, monkeypatch, jobs, query, limit, steps):
    monkeypatch.setattr(browse_module, "WALK", steps)
    emptied(store)
    for found in jobs:
        add(store, records, found)
    whole = store.browse(query, limit=10_000).items
    assert walk(store, query, limit) == whole
    everything = store.browse(RuleQuery(sort="newest"), limit=10_000).items
    assert {entry.rule.id for entry in whole} == {entry.rule.id for entry in everything if fulfils(entry, query)}
    if query.sort == "newest":
        assert whole == [entry for entry in everything if fulfils(entry, query)]
    else:
        groups = [list(group) for _, group in itertools.groupby(whole, key=lambda entry: entry.context)]
        contexts = [group[0].context for group in groups]
        assert len(set(contexts)) == len(contexts)  # none is ranked among those of another
        listed = list(store.contexts())
        assert contexts == [context for context in listed if context in contexts]
        for group in groups:
            places = [place(entry, query.sort) for entry in group]
            assert places == sorted(places)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JOBS, JOBS, QUERIES, st.integers(1, 4), st.sampled_from([1, 4, 2000]))
def test_what_comes_between_two_pages_repeats_and_hides_nothing(
    store, records, monkeypatch, before, between, query, limit, steps
):
    monkeypatch.setattr(browse_module, "WALK", steps)
    emptied(store)
    for found in before:
        add(store, records, found)
    at_first = store.browse(query, limit=10_000).items
    waiting = iter(between)
    seen = walk(store, query, limit, lambda: [add(store, records, found) for found in [next(waiting, None)] if found])
    behaviours = [(entry.context, entry.rule.behaviour) for entry in seen]
    assert len(behaviours) == len(set(behaviours))
    touched = {
        (in_context(task, rate).digest, f"{behaviour:032x}") for task, rate, found in between for behaviour, *_ in found
    }
    # A name that changes, changes in every context.
    renamed = {behaviour for _, behaviour in touched}
    untouched = [entry for entry in at_first if entry.rule.behaviour not in renamed]
    assert [entry for entry in seen if entry.rule.behaviour not in renamed] == untouched


@pytest.mark.parametrize("sort", SORTS)
def test_a_page_is_read_from_an_index(store, records, sort):
    """Otherwise each page sorts all behaviours."""
    for start in range(0, 3000, 1000):
        found = [records.candidate(records.rule(n), float(n % 7)) for n in range(start, start + 1000)]
        records.found(store, *found)
    with store._database.writing() as connection:
        connection.exec_driver_sql("ANALYZE")
        sqlite = connection.dialect.name == "sqlite"
    cursor = store.browse(RuleQuery(sort=sort), limit=1500).next
    statements = []

    def remember(_connection, _cursor, statement, parameters, *_):
        if "AS shown" in statement:
            statements.append((statement, parameters))

    engine = store._database._reading_engine
    event.listen(engine, "before_cursor_execute", remember)
    try:
        store.browse(RuleQuery(sort=sort), cursor)
    finally:
        event.remove(engine, "before_cursor_execute", remember)
    ((statement, parameters),) = statements
    with store._database.reading() as connection:
        explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, parameters))
    if sort != "newest":  # for which the rows themselves may lie in order
        assert f"ix_behaviours_{sort}" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan
