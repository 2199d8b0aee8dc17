"""The record: every job, generation, rule and score that ever was. Imported by `workers` and `api` only."""

from ruleforge.store.holders import Holder
from ruleforge.store.jobs import RevisionError
from ruleforge.store.leases import LEASE_SECONDS, Held, JobHeldError, LeaseLostError, Waiting
from ruleforge.store.opening import upgrade
from ruleforge.store.records import (
    END_STATES,
    KEEP,
    SORTS,
    STATES,
    CandidateRecord,
    Created,
    FoundRule,
    FrontItem,
    GenerationRecord,
    JobRecord,
    Lineage,
    LineageNode,
    NewJob,
    NewStudy,
    Page,
    RecordStatistics,
    RequestKey,
    RuleQuery,
    RuleRecord,
    ScoreRecord,
    StudyRecord,
)
from ruleforge.store.requests import KeyReusedError
from ruleforge.store.store import Store, open_store

__all__ = [
    "END_STATES",
    "KEEP",
    "LEASE_SECONDS",
    "SORTS",
    "STATES",
    "CandidateRecord",
    "Created",
    "FoundRule",
    "FrontItem",
    "GenerationRecord",
    "Held",
    "Holder",
    "JobHeldError",
    "JobRecord",
    "KeyReusedError",
    "LeaseLostError",
    "Lineage",
    "LineageNode",
    "NewJob",
    "NewStudy",
    "Page",
    "RecordStatistics",
    "RequestKey",
    "RevisionError",
    "RuleQuery",
    "RuleRecord",
    "ScoreRecord",
    "Store",
    "StudyRecord",
    "Waiting",
    "open_store",
    "upgrade",
]
