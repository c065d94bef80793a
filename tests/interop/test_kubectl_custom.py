"""Kinds of one's own with the real kubectl: defined, explained, made, printed, scaled, refused and deleted."""

import pytest

from tests.interop.conftest import Kubectl

pytestmark = [pytest.mark.kubectl, pytest.mark.timeout(120)]

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: crontabs, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns:
    - {name: Cron, type: string, jsonPath: .spec.cron}
    - {name: Since, type: date, jsonPath: .metadata.creationTimestamp}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-validations: [{rule: self.replicas < 5, message: too many}]
            properties:
              cron: {type: string, description: When it runs.}
              replicas: {type: integer, default: 1}
          status: {type: object, properties: {replicas: {type: integer}}}
"""
CRONTAB = """
apiVersion: example.com/v1
kind: CronTab
metadata: {name: my}
spec: {cron: "* * *"}
"""


async def test_a_kind_of_ones_own(kubectl: Kubectl) -> None:
    """Everything that kubectl does with a built-in kind it does with a custom one, as soon as that is Established."""
    await kubectl("apply", "-f", "-", stdin=DEFINITION)
    await kubectl("wait", "--for=condition=Established", "crd/crontabs.example.com", "--timeout=5s")
    await kubectl("apply", "-f", "-", stdin=CRONTAB)
    lines = (await kubectl("get", "ct")).lines
    assert (lines[0].split(), lines[1].split()[:4]) == (["NAME", "CRON", "SINCE"], ["my", "*", "*", "*"])
    assert "When it runs." in (await kubectl("explain", "crontab.spec.cron")).out
    assert "crontab.example.com/my" in (await kubectl("get", "all")).out
    await kubectl("scale", "ct/my", "--replicas=3")
    refused = await kubectl.run("scale", "ct/my", "--replicas=7")
    assert 'The CronTab "my" is invalid: spec: Invalid value: "object": too many' in refused.err
    assert refused.code == 1
    strict = await kubectl.run("apply", "-f", "-", stdin=CRONTAB.replace("cron:", "corn:"))
    assert 'unknown field "spec.corn"' in strict.err
    await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=CRONTAB)
    await kubectl("delete", "crd", "crontabs.example.com", "--timeout=10s")
    assert "crontabs" not in (await kubectl("api-resources", "-o", "name")).out
