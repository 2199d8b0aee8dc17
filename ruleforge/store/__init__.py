"""The record: every job, generation, rule and score that ever was. Imported by `workers` and `api` only."""

from ruleforge.store.opening import upgrade
from ruleforge.store.records import (
    END_STATES,
    STATES,
    CandidateRecord,
    FoundRule,
    GenerationRecord,
    JobRecord,
    NewJob,
    RuleRecord,
    ScoreRecord,
)
from ruleforge.store.store import Store, open_store

__all__ = [
    "END_STATES",
    "STATES",
    "CandidateRecord",
    "FoundRule",
    "GenerationRecord",
    "JobRecord",
    "NewJob",
    "RuleRecord",
    "ScoreRecord",
    "Store",
    "open_store",
    "upgrade",
]
