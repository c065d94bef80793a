"""A small cluster as API objects: two nodes, the seed's three kinds of pods, their Service and policy."""

from typing import Any

from miniplane.api.kind import Object
from miniplane.config import Network

NETWORK = Network()


def make(kind: str, name: str, namespace: str = "default", **parts: Any) -> Object:
    """An object; `labels` go to its metadata."""
    labels = parts.pop("labels", {})
    space = {"namespace": namespace} if namespace else {}
    return {"kind": kind, "metadata": {"name": name, **space, "labels": labels}, **parts}


def node(number: int) -> Object:
    """`node-N` with the pod range 10.244.N.0/24."""
    addresses = [{"type": "InternalIP", "address": f"172.30.0.{10 + number}"}]
    return make(
        "Node", f"node-{number}", "", spec={"podCIDR": f"10.244.{number}.0/24"}, status={"addresses": addresses}
    )


def pod(name: str, address: str, *, namespace: str = "default", phase: str = "Running", **spec: Any) -> Object:
    """A pod with the label `app` = its name up to the first dash, on the node of its range."""
    number = address.split(".")[2] if address.startswith("10.") else str(int(address.split(".")[3]) - 10)
    spec = {"nodeName": f"node-{number}", "containers": [], **spec}
    labels = {"app": name.split("-", maxsplit=1)[0]}
    return make("Pod", name, namespace, labels=labels, spec=spec, status={"podIP": address, "phase": phase})


def service(name: str = "api", address: str = "10.96.0.20", **spec: Any) -> Object:
    """A Service with port 80 → 8000, or as said."""
    status = spec.pop("status", {})
    ports = [{"port": 80, "protocol": "TCP", "targetPort": 8000}]
    return make(
        "Service", name, spec={"type": "ClusterIP", "clusterIP": address, "ports": ports, **spec}, status=status
    )


def endpoint(address: str, *, ready: bool = True, serving: bool = True, terminating: bool = False) -> Object:
    """An endpoint on the node of its range."""
    conditions = {"ready": ready, "serving": serving, "terminating": terminating}
    return {"addresses": [address], "nodeName": f"node-{address.split('.')[2]}", "conditions": conditions}


def endpoint_slice(service_name: str, *endpoints: Object, protocol: str = "TCP", port: int = 8000) -> Object:
    """A slice with one unnamed port."""
    return make(
        "EndpointSlice",
        f"{service_name}-x",
        labels={"kubernetes.io/service-name": service_name},
        addressType="IPv4",
        ports=[{"name": "", "port": port, "protocol": protocol}],
        endpoints=list(endpoints),
    )


def policy(name: str, **spec: Any) -> Object:
    """A NetworkPolicy."""
    return make("NetworkPolicy", name, spec=spec)


def labelled(app: str) -> Object:
    """A selector of `app`."""
    return {"matchLabels": {"app": app}}


def seed_policy() -> Object:
    """The seed's `api-policy`."""
    return policy(
        "api-policy",
        podSelector=labelled("api"),
        policyTypes=["Ingress", "Egress"],
        ingress=[{"from": [{"podSelector": labelled("web")}], "ports": [{"port": 8000}]}],
        egress=[{"to": [{"podSelector": labelled("database")}], "ports": [{"port": 5432}]}],
    )


def seed() -> list[Object]:
    """Nodes 1 and 2; web-1 and outsider on node-1, api-1 on node-1, api-2 and database-1 on node-2; the Service."""
    return [
        make("Namespace", "default", ""),
        node(1),
        node(2),
        pod("web-1", "10.244.1.2"),
        pod("outsider", "10.244.1.3"),
        pod("api-1", "10.244.1.4"),
        pod("api-2", "10.244.2.2"),
        pod("database-1", "10.244.2.3"),
        service(),
        endpoint_slice("api", endpoint("10.244.1.4"), endpoint("10.244.2.2")),
    ]


DUAL = Network(pod_cidrs=("10.244.0.0/16", "fd00:244::/32"), service_cidrs=("10.96.0.0/16", "fd00:96::/112"))


def dual_seed(*extra: Object) -> list[Object]:
    """The seed in both families: node N has fd00:30::N and fd00:244:N::/64, the pod 10.244.N.X also fd00:244:N::X."""
    made = []
    for item in [*seed(), *extra]:
        spec, status = {**item.get("spec", {})}, {**item.get("status", {})}
        if item["kind"] == "Node":
            number = item["metadata"]["name"].removeprefix("node-")
            spec["podCIDRs"] = [spec["podCIDR"], f"fd00:244:{number}::/64"]
            status["addresses"] = [*status["addresses"], {"type": "InternalIP", "address": f"fd00:30::{number}"}]
        if item["kind"] == "Pod":
            status["podIPs"] = [{"ip": status["podIP"]}, {"ip": six(status["podIP"])}]
        if item["kind"] == "Service":
            spec["clusterIPs"] = [spec["clusterIP"], f"fd00:96::{spec['clusterIP'].rpartition('.')[2]}"]
        made.append({**item, "spec": spec, "status": status})
        if item["kind"] == "EndpointSlice":
            ends = [{**end, "addresses": [six(end["addresses"][0])]} for end in item["endpoints"]]
            name = {**item["metadata"], "name": f"{item['metadata']['name']}-6"}
            made.append({**item, "metadata": name, "addressType": "IPv6", "endpoints": ends})
    return made


def six(address: str) -> str:
    """The pod's IPv6 address for its IPv4 one."""
    return f"fd00:244:{address.split('.')[2]}::{address.split('.')[3]}"
