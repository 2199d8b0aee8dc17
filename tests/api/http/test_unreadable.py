"""One row of the record that cannot be read takes nothing else along: every list, front and count is answered."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3

import httpx
import pytest

from api.http.app import create_app
from ruleforge.store import open_store
from tests.api.http.conftest import SMALL
from tests.api.http.test_errors import problem
from workers.study import study, submit_study

FIRST_RULE = "number = (SELECT min(number) FROM rules)"
FIRST_CANDIDATE = "number = (SELECT min(number) FROM candidates)"
# What is done to one rule or one job; whether the rule can still be read as such.
RULE_DAMAGES = {
    "family not installed": f"UPDATE rules SET task = 'oja' WHERE {FIRST_RULE}",
    "name of a family that none can have": f"UPDATE rules SET task = '../é\n' WHERE {FIRST_RULE}",
    "text of another grammar": f"UPDATE rules SET text = 'where(R, E)', tokens = '[[\"?\"]]' WHERE {FIRST_RULE}",
    "no text": f"UPDATE rules SET text = '', tokens = '[[]]' WHERE {FIRST_RULE}",
    "tokens cut short": f"UPDATE rules SET tokens = substr(tokens, 1, 4) WHERE {FIRST_RULE}",
    "tokens that are a number": f"UPDATE rules SET tokens = '5' WHERE {FIRST_RULE}",
    "tokens that are an object": f"UPDATE rules SET tokens = '{{\"a\": 1}}' WHERE {FIRST_RULE}",
    "no tokens": f"UPDATE rules SET tokens = 'null' WHERE {FIRST_RULE}",
    "tokens too deep": f"UPDATE rules SET tokens = '{'[' * 3000}' WHERE {FIRST_RULE}",
    "tokens nested": f"UPDATE rules SET tokens = '{'[' * 400}{']' * 400}' WHERE {FIRST_RULE}",
    "too many slots": f'UPDATE rules SET tokens = \'[["R"], ["E"]]\' WHERE {FIRST_RULE}',
    "signal that is no more": f'UPDATE rules SET text = \'Q*E\', tokens = \'[["*", "Q", "E"]]\' WHERE {FIRST_RULE}',
    "infinite number": f"UPDATE rules SET text = '1e999', tokens = '[[1e999]]' WHERE {FIRST_RULE}",
    "own writing damaged": f"UPDATE candidates SET text = 'Q', tokens = '{{' WHERE {FIRST_CANDIDATE}",
    "parents damaged": f"UPDATE candidates SET parents = '[' WHERE {FIRST_CANDIDATE}",
}
JOB_DAMAGES = {
    "family not installed": "UPDATE jobs SET task = 'oja'",
    "specification cut short": "UPDATE jobs SET spec = substr(spec, 1, 20)",
    "specification that is a list": "UPDATE jobs SET spec = '[]'",
    "empty specification": "UPDATE jobs SET spec = '{}'",
    "budget that is a number": 'UPDATE jobs SET spec = \'{"task": "reward", "budget": 3}\'',
    "specification of another version": "UPDATE jobs SET spec = json_set(spec, '$.parameters.no_such', 1)",
    "parameters that are refused": "UPDATE jobs SET spec = json_set(spec, '$.parameters.n_trials', -5)",
    "versions damaged": "UPDATE jobs SET versions = '{'",
    "tags damaged": "UPDATE jobs SET tags = 'x'",
    "tags that are no texts": "UPDATE jobs SET tags = '[1, null, {}]'",
    "result cut short": "UPDATE results SET result = substr(result, 1, 50)",
    "result of nothing": "UPDATE results SET result = '{}'",
    "front damaged": "UPDATE generations SET front = '['",
    "events damaged": "UPDATE events SET payload = '{' WHERE kind <> 'state'",
    "first event damaged": "UPDATE events SET payload = '[]' WHERE id = (SELECT min(id) FROM events)",
    "study damaged": "UPDATE studies SET spec = '{'",
}


@pytest.fixture(scope="module")
def whole(filled_record, tmp_path_factory):
    """The filled record with a study in it."""
    path = tmp_path_factory.mktemp("whole") / "record.db"
    shutil.copy(filled_record, path)
    with open_store(f"sqlite:///{path}") as store:
        submit_study(store, study({**SMALL, "replicates": 2}))
    return path


def damaged(whole, tmp_path, statement):
    path = tmp_path / "damaged.db"
    shutil.copy(whole, path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        assert connection.execute(statement).rowcount >= 1
        (rule,) = connection.execute(f"SELECT id FROM rules WHERE {FIRST_RULE}").fetchone()
        jobs = [id for (id,) in connection.execute("SELECT id FROM jobs ORDER BY number")]
        (study_id,) = connection.execute("SELECT id FROM studies").fetchone()
    connection.close()
    return f"sqlite:///{path}", rule, jobs, study_id


def answers(url, paths, accept="*/*"):
    """Each path of the application on this record, asked in turn."""

    async def ask():
        with open_store(url) as store:
            transport = httpx.ASGITransport(app=create_app(store), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return [await client.get(path, headers={"accept": accept}) for path in paths]

    return asyncio.run(ask())


LISTS = (
    "/api/v1/jobs",
    "/api/v1/rules?limit=200",
    "/api/v1/rules?sort=newest&limit=200",
    "/api/v1/jobs/{job}/front",
    "/api/v1/jobs/{job}/history",
    "/api/v1/jobs/{job}/events",
    "/api/v1/studies/{study}",
    "/api/v1/cluster",
    "/api/v1/tasks",
    "/metrics",
    "/readyz",
)


@pytest.mark.parametrize("damage", [*RULE_DAMAGES.values(), *JOB_DAMAGES.values()], ids=[*RULE_DAMAGES, *JOB_DAMAGES])
def test_lists_are_whole(whole, tmp_path, damage):
    url, _rule, jobs, study_id = damaged(whole, tmp_path, damage)
    paths = [path.replace("{job}", jobs[0]).replace("{study}", study_id) for path in LISTS]
    before, after = answers(f"sqlite:///{whole}", paths), answers(url, paths)
    for path, sound, answer in zip(LISTS, before, after, strict=True):
        assert answer.status_code == sound.status_code == 200, (path, answer.text)
        if not path.startswith(("/metrics", "/api/v1/jobs/{job}/events", "/readyz", "/api/v1/cluster")):
            rows = "jobs" if "studies" in path else "items"
            if not (path.endswith("front") and "generations" in damage):
                assert len(answer.json()[rows]) == len(sound.json()[rows]), path
        if path.endswith("events"):
            assert answer.text.count("id: ") == sound.text.count("id: ")
    for accept in ("text/csv", "application/x-latex"):
        (answer,) = answers(url, [f"/api/v1/jobs/{jobs[0]}/front"], accept)
        assert answer.status_code == 200
        assert "None" not in answer.text


@pytest.mark.parametrize("damage", RULE_DAMAGES.values(), ids=RULE_DAMAGES)
def test_the_one_rule_is_told_about_in_a_sentence(whole, tmp_path, damage):
    url, rule, _jobs, _study = damaged(whole, tmp_path, damage)
    shown, lineage = answers(url, [f"/api/v1/rules/{rule}", f"/api/v1/rules/{rule}/lineage"])
    assert shown.status_code == lineage.status_code == 200
    if "candidates" in damage:
        return
    assert shown.json()["nearest_known"] is None
    parts = [
        "simplified",
        "trace",
        "figure.svg",
        "export",
        "export?format=latex",
        "export?format=json",
        "export?format=python",
    ]
    for answer in answers(url, [f"/api/v1/rules/{rule}/{part}" for part in parts]):
        detail = problem(answer, 422)["detail"]
        assert detail.startswith("the rule ")
        if "task" in damage:
            assert "not installed here: install the package" in detail


@pytest.mark.parametrize("damage", JOB_DAMAGES.values(), ids=JOB_DAMAGES)
def test_the_one_job_is_shown(whole, tmp_path, damage):
    url, rule, jobs, _ = damaged(whole, tmp_path, damage)
    for answer in answers(url, [f"/api/v1/jobs/{id}" for id in jobs]):
        assert answer.status_code == 200, answer.text
    (exported,) = answers(url, [f"/api/v1/rules/{rule}/export?format=json"])
    if exported.status_code != 200:
        problem(exported, 422)


@pytest.mark.parametrize("damage", [*RULE_DAMAGES.values(), *JOB_DAMAGES.values()], ids=[*RULE_DAMAGES, *JOB_DAMAGES])
def test_the_command_line_lists_and_shows(whole, tmp_path, here, damage):
    url, rule, _jobs, _study = damaged(whole, tmp_path, damage)
    sound = {name: here(name, "--db", f"sqlite:///{whole}", "--json").json for name in ("jobs", "rules")}
    for name in ("jobs", "rules"):
        assert here(name, "--db", url).code == 0
        assert len(here(name, "--db", url, "--json").json[name]) == len(sound[name][name])
    for command in (("show", rule), ("export", rule, "--format", "latex")):
        done = here(*command, "--db", url)
        assert done.code in (0, 1, 2), done.err
        assert "Traceback" not in done.err
