"""ClusterRole: what may be done in any namespace, to cluster-wide objects and to paths; may gather other roles' rules.

Upstream: rbac.authorization.k8s.io/v1; page "Using RBAC Authorization".
"""

from collections.abc import Iterator, Sequence

from miniplane.api.kind import Kind, Object, Scope, Strategy
from miniplane.api.table import CREATED_AT, NAME
from miniplane.api.validation import FieldError, Path, required
from miniplane.kinds.fields import entries, is_set, section
from miniplane.kinds.rbac.policy import GROUP, rule_errors
from miniplane.kinds.shared import selector_errors


def validate(role: Object, _old: Object | None) -> Sequence[FieldError]:
    """Every rule is complete, and so is the choice of the roles to gather."""
    return [*rule_errors(role, namespaced=False), *_aggregation(role)]


def _aggregation(role: Object) -> Iterator[FieldError]:
    if not is_set(role, "aggregationRule"):
        return
    path = Path("aggregationRule") / "clusterRoleSelectors"
    selectors = entries(section(role, "aggregationRule"), "clusterRoleSelectors")
    if not selectors:
        yield required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")
    for index, selector in enumerate(selectors):
        place = f"{path}[{index}]"
        for error in selector_errors(Path(), {"selector": selector}, "selector"):
            yield FieldError(error.reason, place + error.field.removeprefix("selector"), error.message)


CLUSTER_ROLE = Kind(
    group=GROUP,
    version="v1",
    kind="ClusterRole",
    plural="clusterroles",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.rbac.v1.ClusterRole",
    columns=(NAME, CREATED_AT),
    strategy=Strategy(validate=validate, name_is="path_segment"),
)
