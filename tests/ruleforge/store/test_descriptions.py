"""What may be changed of a job afterwards: its description, its revision with it, and in the end its being there."""

from __future__ import annotations

import pytest

from ruleforge.errors import InputError
from ruleforge.store import NewStudy, RequestKey, RevisionError, RuleQuery


def test_a_description_is_changed_in_part(store, records):
    id = store.create_job(records.job(name="a", notes="b", tags=("c",)))
    before = store.job(id)
    changed = store.describe(id, name="new")
    assert (changed.name, changed.notes, changed.tags) == ("new", "b", ("c",))
    changed = store.describe(id, notes=None, tags=["x", "y"])
    assert (changed.name, changed.notes, changed.tags) == ("new", None, ("x", "y"))
    assert changed == store.job(id)
    assert (changed.spec, changed.spec_hash, changed.created) == (before.spec, before.spec_hash, before.created)
    assert store.describe(id) == changed  # nothing to change
    with pytest.raises(InputError, match="no job 'x'"):
        store.describe("x", name="new")


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_a_text_that_no_database_takes_is_refused(store, records, contents, text):
    id = store.create_job(records.job())
    before = contents(store)
    for call in (
        lambda: store.describe(id, name=text),
        lambda: store.describe(id, notes=text),
        lambda: store.create_job(records.job(name=text)),
        lambda: store.create_job_once(records.job(), RequestKey(text, "ab")),
    ):
        with pytest.raises(InputError, match="without NUL and unpaired surrogates"):
            call()
    assert contents(store) == before
    # JSON writes such characters with escapes.
    assert store.describe(id, tags=[text]).tags == (text,)


def test_every_change_of_a_job_raises_its_revision(store, records):
    id = store.create_job(records.job())
    revisions = [store.job(id).revision]
    for change in (
        lambda: store.describe(id, name="x"),
        lambda: store.set_state(id, "running", ""),
        lambda: store.commit_generation(id, records.generation()),
        lambda: records.finish(store, id, {}),
        lambda: store.describe(id, notes="after the end"),
    ):
        change()
        revisions.append(store.job(id).revision)
    assert revisions == sorted(set(revisions))


def test_a_change_of_what_was_not_seen_is_refused(store, records, contents):
    id = store.create_job(records.job())
    seen = store.job(id).revision
    store.describe(id, name="somebody else's", revision=seen)
    before = contents(store)
    with pytest.raises(RevisionError, match=r"was changed meanwhile .*: read it again, then change it"):
        store.describe(id, name="mine", revision=seen)
    assert contents(store) == before
    assert issubclass(RevisionError, InputError)


def test_a_page_of_jobs(store, records):
    ids = [
        store.create_job(records.job(task=task, kind=kind, spec_hash=f"{index % 2}"))
        for index, (task, kind) in enumerate(
            [("reward", "evolution"), ("supervised", "evolution"), ("reward", "evaluation")] * 3
        )
    ]
    store.set_state(ids[4], "cancelled", "")

    def pages(limit, **filters):
        cursor, found = None, []
        while True:
            page = store.jobs_page(cursor=cursor, limit=limit, **filters)
            found += [job.id for job in page.items]
            cursor = page.next
            if cursor is None:
                return found
            ids.append(store.create_job(records.job(kind="other")))  # comes before the cursor: on no later page

    submitted = list(ids)
    for limit in (1, 2, 9):
        assert pages(limit, task="reward", kind="evolution") == [submitted[i] for i in (6, 3, 0)]
    assert pages(2, kind="evaluation") == [submitted[i] for i in (8, 5, 2)]
    assert pages(2, state="cancelled") == [submitted[4]]
    assert pages(2, spec_hash="1", task="supervised") == [submitted[i] for i in (7, 1)]
    assert pages(4)[-9:] == submitted[::-1]
    assert pages(2, task="no such task") == []
    assert pages(2, task="\0") == []
    with pytest.raises(InputError, match="unknown state 'done'"):
        store.jobs_page(state="done")
    foreign = store.jobs_page(limit=1).next
    with pytest.raises(InputError, match="expected the `next` of a page") as refused:
        store.jobs_page(task="reward", cursor=foreign)
    assert refused.value.pointer == "/cursor"


@pytest.mark.parametrize("state", ["queued", "running", "paused"])
def test_only_a_job_that_has_ended_is_deleted(store, records, contents, state):
    id = store.create_job(records.job())
    store.set_state(id, state, "")
    before = contents(store)
    with pytest.raises(InputError, match=f"job {id} is {state}, and only a job that has ended can be deleted: cancel"):
        store.delete_job(id)
    assert contents(store) == before
    with pytest.raises(InputError, match="no job 'x'"):
        store.delete_job("x")


def test_a_deleted_job_leaves_its_rules_and_their_best_figures(store, records, contents):
    best, other = records.rule(1), records.rule(2)
    gone = records.found(store, records.candidate(best, 5.0), records.candidate(other, 1.0))
    records.finish(store, gone, {best.id: 4.0})
    stays = records.found(store, records.candidate(best, 3.0))
    before = {entry.rule.id: entry for entry in store.rules()}
    judged = store.statistics().rules_judged
    held = store.rule(best.id)
    store.delete_job(gone)
    after = store.rules()
    assert [(entry.rule, entry.fitness, entry.outcome, entry.validation, entry.found) for entry in after] == [
        (entry.rule, entry.fitness, entry.outcome, entry.validation, entry.found) for entry in before.values()
    ]
    assert (after[0].fitness, after[0].validation["mean"], after[0].found, after[0].jobs) == (5.0, 4.0, 2, [stays])
    assert after[1].jobs == []
    assert (store.rule(best.id).validation, store.rule(best.id).fitness) == (held.validation, 5.0)
    assert store.rule(other.id).fitness == 1.0
    assert store.statistics().rules_judged == judged
    key = records.score(best).instance
    assert store.cached_scores("context", [best.id], [key])
    with pytest.raises(InputError, match="no job"):
        store.job(gone)
    left = contents(store)
    assert [len(left[table]) for table in ("jobs", "candidates", "generations", "findings")] == [1, 1, 1, 1]
    assert left["results"] == []
    assert len(left["events"]) == 4
    # Found again, it is counted as one more job, and a better figure still replaces the kept one.
    again = records.found(store, records.candidate(best, 9.0))
    records.finish(store, again, {best.id: 8.0})
    (entry, _) = store.browse(RuleQuery()).items
    assert (entry.found, entry.jobs, entry.validation["mean"]) == (3, [again, stays], 8.0)


def test_a_job_of_a_study_is_deleted_and_made_anew(store, records):
    jobs = [("small", records.job(spec={"seed": 1})), ("large", records.job(spec={"seed": 2}))]
    study = NewStudy(spec={}, spec_hash="ab", name=None, jobs=jobs)
    id = store.create_study(study)
    (_, first), (_, second) = store.study(id).jobs
    store.set_state(first, "cancelled", "")
    store.delete_job(first)
    assert store.study(id).jobs == (("large", second),)
    assert store.create_study(study) == id
    (_, anew), (_, same) = store.study(id).jobs
    assert (same, store.job(anew).spec) == (second, {"seed": 1})
    for job in (anew, second):
        store.set_state(job, "cancelled", "")
        store.delete_job(job)
    with pytest.raises(InputError, match="no study"):
        store.study(id)
    assert store.create_study(study) != id
