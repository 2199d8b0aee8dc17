"""The record: every job, generation, rule and score that ever was. Imported by `workers` and `api` only."""

from ruleforge.store.holders import Holder
from ruleforge.store.leases import LEASE_SECONDS, JobHeldError, LeaseLostError, Waiting
from ruleforge.store.opening import upgrade
from ruleforge.store.records import (
    END_STATES,
    STATES,
    CandidateRecord,
    FoundRule,
    GenerationRecord,
    JobRecord,
    NewJob,
    NewStudy,
    RuleRecord,
    ScoreRecord,
    StudyRecord,
)
from ruleforge.store.store import Store, open_store

__all__ = [
    "END_STATES",
    "LEASE_SECONDS",
    "STATES",
    "CandidateRecord",
    "FoundRule",
    "GenerationRecord",
    "Holder",
    "JobHeldError",
    "JobRecord",
    "LeaseLostError",
    "NewJob",
    "NewStudy",
    "RuleRecord",
    "ScoreRecord",
    "Store",
    "StudyRecord",
    "Waiting",
    "open_store",
    "upgrade",
]
