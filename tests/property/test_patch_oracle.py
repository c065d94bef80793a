"""Our patches against kubectl's own, which carries upstream's code: `kubectl patch --local`."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniplane.api import definitions
from miniplane.api.kind import Object
from miniplane.api.patch import json_patch, merge_patch, strategic_merge
from miniplane.api.schema import Schema
from miniplane.errors import ApiError
from miniplane.kinds import POD

VIEW = Schema(definitions.load([POD])).view(POD)
KUBECTL = shutil.which("kubectl")

pytestmark = [pytest.mark.kubectl, pytest.mark.skipif(KUBECTL is None, reason="no kubectl on PATH")]


def _kubectl(folder: Path, pod: Object, patch: Any, form: str) -> Object | None:
    """What kubectl makes of the pod, None where it refuses the patch."""
    assert KUBECTL is not None
    (folder / "pod.json").write_text(json.dumps(pod))
    (folder / "patch.json").write_text(json.dumps(patch))
    done = subprocess.run(
        [KUBECTL, "patch", "--local", "--type", form, "-f", "pod.json", "--patch-file", "patch.json", "-o", "json"],
        cwd=folder,
        env={"HOME": str(folder), "KUBECONFIG": os.devnull, "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
        timeout=30,
    )
    result: Object | None = json.loads(done.stdout) if done.returncode == 0 else None
    return result


def _name(item: Any) -> str:
    return str(item["name"])


NAMES = st.sampled_from("pqr")
TEXT = st.sampled_from(("", "x", "y"))
OPTIONAL = {
    "image": TEXT | st.none(),
    "args": st.lists(TEXT, max_size=2) | st.none(),
    "env": st.lists(st.fixed_dictionaries({"name": NAMES, "value": TEXT}), max_size=2, unique_by=_name),
    "$patch": st.just("delete"),
}
CONTAINERS: st.SearchStrategy[list[Object]] = st.lists(
    st.fixed_dictionaries({"name": NAMES}, optional=OPTIONAL), max_size=3, unique_by=_name
)
FINALIZERS = st.lists(st.sampled_from(("u/1", "u/2", "u/3")), unique=True, max_size=3)
PATCHES = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "labels": st.dictionaries(NAMES, TEXT | st.none(), max_size=2)
                | st.just({"$patch": "replace", "z": "1"}),
                "finalizers": FINALIZERS,
                "$deleteFromPrimitiveList/finalizers": FINALIZERS,
                "$setElementOrder/finalizers": FINALIZERS.filter(bool),
            },
        ),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "containers": CONTAINERS,
                "$setElementOrder/containers": st.lists(
                    st.fixed_dictionaries({"name": NAMES}), min_size=1, max_size=3, unique_by=_name
                ),
                "securityContext": st.sampled_from(({"runAsUser": 2}, {"$patch": "delete"}, None)),
            },
        ),
    },
)


def _is_definite(patch: Object) -> bool:
    """Adding and deleting the same finalizer ends as Go's random order of maps has it."""
    metadata = patch.get("metadata", {})
    return not set(metadata.get("finalizers", ())) & set(metadata.get("$deleteFromPrimitiveList/finalizers", ()))


def _pod(names: list[str], finalizers: list[str], labels: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "finalizers": finalizers, "labels": labels},
        "spec": {
            "containers": [{"name": name, "image": "i", "env": [{"name": "p", "value": "1"}]} for name in names],
            "securityContext": {"runAsUser": 1, "fsGroup": 1},
        },
    }


PODS = st.builds(
    _pod,
    st.lists(NAMES, unique=True, min_size=1, max_size=3),
    FINALIZERS.filter(bool),  # upstream refuses to set the order of a list that is empty and stays so
    st.dictionaries(NAMES, st.just("v"), max_size=2),
)
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _compact(value: Any) -> Any:
    """Without what Go leaves out when empty."""
    if isinstance(value, dict):
        children = {key: _compact(child) for key, child in value.items()}
        return {key: child for key, child in children.items() if child not in (None, "", [], {})}
    return [_compact(item) for item in value] if isinstance(value, list) else value


def _check(folder: Path, pod: Object, patch: Any, form: str) -> None:
    theirs = _kubectl(folder, pod, patch, form)
    try:
        ours = {
            "strategic": lambda: strategic_merge(pod, patch, VIEW),
            "merge": lambda: merge_patch(pod, patch),
            "json": lambda: json_patch(pod, patch),
        }[form]()
    except ApiError:
        assert theirs is None
        return
    assert theirs is not None
    for word in ("metadata", "spec"):
        assert _compact(ours.get(word)) == _compact(theirs.get(word))


@given(PODS, PATCHES.filter(_is_definite))
@QUICK
def test_strategic_merge(tmp_path: Path, pod: Object, patch: Object) -> None:
    """Every directive does what upstream does, or is refused where upstream refuses."""
    _check(tmp_path, pod, patch, "strategic")


@given(PODS, PATCHES)
@QUICK
def test_merge_patch(tmp_path: Path, pod: Object, patch: Object) -> None:
    """A merge patch, in which directives mean nothing."""
    spec = patch.get("spec", {})
    spec.pop("$setElementOrder/containers", None)
    _check(tmp_path, pod, patch, "merge")
