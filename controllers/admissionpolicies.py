"""Admission policies' status: which generation the server judges by; it looks at what is stored, so always the newest.

Upstream: pkg/controller/validatingadmissionpolicystatus, which also checks the types of expressions.
"""

from miniplane.api import meta
from miniplane.api.meta import Key
from miniplane.kinds import VALIDATING_ADMISSION_POLICY
from miniplane.runtime import Context, On

on = On("admissionpolicies", component="validatingadmissionpolicy-status")


@on.reconcile(VALIDATING_ADMISSION_POLICY)
async def observe(key: Key, ctx: Context) -> None:
    """Tell the generation of one policy."""
    policy = ctx.cache(VALIDATING_ADMISSION_POLICY).get(key)
    if policy is None or meta.is_deleted(policy):
        return
    generation = meta.generation(policy)
    if (policy.get("status") or {}).get("observedGeneration") != generation:
        status = {"observedGeneration": generation, "typeChecking": {}}
        await ctx.client.patch(VALIDATING_ADMISSION_POLICY, key, {"status": status}, subresource="status")
