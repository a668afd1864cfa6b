"""The artifact audit: what a model and an explainer add to maps by themselves (METHODS.md, section 7)."""

from __future__ import annotations

from seqplrp.recovery.audit.findings import CheckResult, Finding
from seqplrp.recovery.audit.permutation import Retraining
from seqplrp.recovery.audit.profiles import AuditLimits
from seqplrp.recovery.audit.report import audit_json, audit_page
from seqplrp.recovery.audit.run import AUDIT_CHECKS, Audit, AuditOptions, run_audit
from seqplrp.recovery.audit.strides import pool_strides
from seqplrp.recovery.audit.subject import ExplainFunction, HasMaps, OtherOutputs

__all__ = [
    "AUDIT_CHECKS",
    "Audit",
    "AuditLimits",
    "AuditOptions",
    "CheckResult",
    "ExplainFunction",
    "Finding",
    "HasMaps",
    "OtherOutputs",
    "Retraining",
    "audit_json",
    "audit_page",
    "pool_strides",
    "run_audit",
]
