"""The Python client of a ruleforge service: `ruleforge.Client`."""

from api.client.client import Client
from api.client.events import Event
from api.client.job import Job
from api.client.rules import RecordedRule

__all__ = ["Client", "Event", "Job", "RecordedRule"]
