"""What the failure of a Job's pod means by the Job's podFailurePolicy. Pure.

Upstream: pkg/controller/job/pod_failure_policy.go.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from miniplane.api import meta
from miniplane.api.kind import Object

COUNT, FAIL_INDEX, FAIL_JOB, IGNORE = "Count", "FailIndex", "FailJob", "Ignore"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The action of the first rule that matches, and for FailJob what to tell."""

    action: str = COUNT
    message: str = ""


def verdict(job: Object, pod: Object) -> Verdict:
    """Judge a pod that has failed; without a rule that matches it counts."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or ()
    where = f"{meta.namespace(pod)}/{meta.name(pod)}"
    for index, rule in enumerate(rules):
        why = ""
        if rule.get("onExitCodes"):
            why = _by_exit_code(rule["onExitCodes"], pod, where)
        elif rule.get("onPodConditions"):
            why = _by_condition(rule["onPodConditions"], pod, where)
        if why:
            action = rule["action"]
            return Verdict(action, f"{why} matching {action} rule at index {index}" if action == FAIL_JOB else "")
    return Verdict()


def _by_exit_code(codes: Object, pod: Object, where: str) -> str:
    wanted, is_in = codes.get("values") or (), codes.get("operator") == "In"
    for name, code in _exit_codes(pod):
        if codes.get("containerName") in (None, "", name) and code != 0 and (code in wanted) is is_in:
            return f"Container {name} for pod {where} failed with exit code {code}"
    return ""


def _exit_codes(pod: Object) -> Iterator[tuple[str, int]]:
    status = pod.get("status") or {}
    for key in ("containerStatuses", "initContainerStatuses"):
        for item in status.get(key) or ():
            ended = (item.get("state") or {}).get("terminated")
            if ended:
                yield item["name"], int(ended.get("exitCode") or 0)


def _by_condition(patterns: list[Object], pod: Object, where: str) -> str:
    for pattern in patterns:
        found = meta.condition(pod, pattern["type"])
        if found is not None and found.get("status") == (pattern.get("status") or "True"):
            return f"Pod {where} has condition {pattern['type']}"
    return ""
