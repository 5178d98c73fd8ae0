"""Workflows: steps with an order between them, results that go from one to the next, and what an operator can do.

flow = Flow("order", key=f"order-{order.pk}")
flow.step("charge", charge_order.prepare(order.pk))
flow.step("fulfil", fulfil.prepare(order.pk, result_of("charge", "receipt")), after="charge")
flow.step("tell", report_failure.prepare(order.pk), after=failed("charge"))
flow.start()
"""

from jobs.errors import NoCurrentRun, NoCurrentStep
from jobs.workflows.conditions import condition, holds
from jobs.workflows.defining import Flow, any_of, chain, ended, failed, item, previous, result_of
from jobs.workflows.following import follow
from jobs.workflows.inside import CurrentStep, current
from jobs.workflows.keeping import is_anything_prunable, prune
from jobs.workflows.operating import cancel, resume, retry_from, skip
from jobs.workflows.stalling import recover, stalled

__all__ = [
    "CurrentStep",
    "Flow",
    "NoCurrentRun",
    "NoCurrentStep",
    "any_of",
    "cancel",
    "chain",
    "condition",
    "current",
    "ended",
    "failed",
    "follow",
    "holds",
    "is_anything_prunable",
    "item",
    "previous",
    "prune",
    "recover",
    "result_of",
    "resume",
    "retry_from",
    "skip",
    "stalled",
]
