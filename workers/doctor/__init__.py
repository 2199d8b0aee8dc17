"""What keeps ruleforge from working here, each finding with its remedy."""

from workers.doctor.findings import ACTION, NOTE, OK, Finding, Look, findings

__all__ = ["ACTION", "NOTE", "OK", "Finding", "Look", "findings"]
