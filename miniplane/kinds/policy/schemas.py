"""The schemas of policy.networking.k8s.io, which upstream's definitions file does not have: one table for each version.

The API is upstream's (kubernetes-sigs/network-policy-api, v1alpha1 as of its release 0.1, v1alpha2 as of 0.2, both with
the experimental fields); the descriptions are ours. Types drive decoding, OpenAPI and `explain`; limits are judged by
`limits.py`.
"""

from collections.abc import Mapping

from miniplane.api.definitions import META, Schema
from miniplane.kinds.schematables import array, choice, number, of, record, text, whole

GROUP = "policy.networking.k8s.io"
_PACKAGE = "io.k8s.networking.policy"
_TCP = {"default": "TCP"}
_SET = {"x-kubernetes-list-type": "set"}


def definition(version: str, name: str) -> str:
    """The key of a schema of this group."""
    return f"{_PACKAGE}.{version}.{name}"


def _kind(name: str, description: str) -> dict[str, Schema]:
    """A kind and its list; the spec's and the status' schemas are named after it."""
    own = {
        "apiVersion": text("The group and version of this representation."),
        "kind": text("What the object is."),
    }
    meta = of(f"{META}ObjectMeta", "Name, labels and the like.")
    conditions = array(f"{META}Condition", "What the implementation says of the policy.") | {
        "x-kubernetes-list-map-keys": ["type"],
        "x-kubernetes-list-type": "map",
        "x-kubernetes-patch-merge-key": "type",
        "x-kubernetes-patch-strategy": "merge",
    }
    return {
        name: record(
            description,
            "spec",
            **own,
            metadata=meta,
            spec=of(f"{name}Spec", "What is wanted."),
            status=of(f"{name}Status", "What the implementation reports."),
        ),
        f"{name}Status": record("What the implementation reports.", "conditions", conditions=conditions),
        f"{name}List": record(
            f"A list of {name} objects.",
            "items",
            **own,
            metadata=of(f"{META}ListMeta", "The list's revision and the like."),
            items=array(name, "The objects."),
        ),
    }


def _spec(rule: str, most: int, required: str, **fields: Schema) -> Schema:
    """A spec: what orders the policy, whom it is about, and its rules."""
    return record(
        "What is wanted.",
        required,
        **fields,
        subject=of("Subject", "The pods that the policy is about."),
        ingress=array(
            f"{rule}IngressRule",
            "Rules for what reaches these pods, in order: the first that matches decides.",
            0,
            most,
        ),
        egress=array(
            f"{rule}EgressRule", "Rules for what these pods send, in order: the first that matches decides.", 0, most
        ),
    )


def _rules(prefix: str, actions: list[str], most: int, ports: dict[str, Schema]) -> dict[str, Schema]:
    """The rules of both directions."""
    name = text("A word for the rule in reports.", maxLength=100)
    action = text("What becomes of what the rule matches.", enum=actions)
    return {
        f"{prefix}IngressRule": record(
            "What becomes of some of what reaches the pods.",
            "action from",
            **{"name": name, "action": action, "from": array("IngressPeer", "Any of these sources.", 1, most)},
            **ports,
        ),
        f"{prefix}EgressRule": record(
            "What becomes of some of what the pods send.",
            "action to",
            name=name,
            action=action,
            to=array("EgressPeer", "Any of these destinations.", 1, most),
            **ports,
        ),
    }


def _selector(description: str) -> Schema:
    return of(f"{META}LabelSelector", description)


def _who(pods_need: str, **more: Schema) -> dict[str, Schema]:
    """Subjects and peers; `more` are the peers of egress that are not pods."""
    pods = {
        "namespaces": _selector(
            "All pods in namespaces with these labels; pods on the host's network are none of them."
        ),
        "pods": of("NamespacedPod", "Pods by their own labels and those of their namespaces."),
    }
    networks = (
        array(
            text("A range of addresses, such as 10.0.0.0/8 or fd00::/8.", maxLength=43),
            "Ranges of addresses, meant for what is outside; pods inside them match as well.",
            1,
            25,
        )
        | _SET
    )
    return {
        "Subject": choice("Whom a policy is about; exactly one field is set.", **pods),
        "NamespacedPod": record(
            "Pods by their own labels and those of their namespaces.",
            pods_need,
            namespaceSelector=_selector("The namespaces; empty means all."),
            podSelector=_selector("The pods in them; empty means all."),
        ),
        "IngressPeer": choice("Who sends; exactly one field is set.", **pods),
        "EgressPeer": choice(
            "To whom it is sent; exactly one field is set.",
            **pods,
            nodes=_selector("The addresses of nodes with these labels; empty means all nodes."),
            networks=networks,
            **more,
        ),
    }


def _range(**more: Schema) -> Schema:
    return record(
        "A range of ports; its start is below its end.",
        "start end",
        **more,
        start=number("The first port.", 1, 65535),
        end=number("The last port.", 1, 65535),
    )


_NAMED = text("The port that the target pod's containers give this name.")
_PROTOCOL = text("TCP, UDP or SCTP.", enum=["SCTP", "TCP", "UDP"], **_TCP)
_PRIORITY = number("What orders the policies of a tier: the lowest comes first.", 0, 1000)
_DOMAINS = (
    array(
        text(
            "A domain name, or *. and one for all names below it.",
            pattern=r"^(\*\.)?([a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$",
        ),
        "Domain names, in rules that accept. Not resolved by miniplane: such a rule matches nothing.",
        1,
        25,
    )
    | _SET
)
_OLD_PORTS = {
    "ports": array("Port", "Any of these ports at the destination; without the field all ports and protocols.", 0, 100)
}
_PROTOCOLS = {
    "protocols": array(
        "Protocol", "Any of these protocols and ports at the destination; without the field everything.", 1, 25
    )
}


V1ALPHA2: Mapping[str, Schema] = whole(
    GROUP,
    _PACKAGE,
    "v1alpha2",
    {
        **_kind("ClusterNetworkPolicy", "A network policy of the whole cluster, before or after the NetworkPolicies."),
        "ClusterNetworkPolicySpec": _spec(
            "",
            25,
            "tier priority subject",
            tier=text(
                "When it is asked: Admin before the NetworkPolicies, Baseline where none of them isolates the pod.",
                enum=["Admin", "Baseline"],
            ),
            priority=_PRIORITY,
        ),
        **_rules("", ["Accept", "Deny", "Pass"], 25, _PROTOCOLS),
        **_who("podSelector", domainNames=_DOMAINS),
        "Protocol": choice(
            "A protocol with its ports, or a port's name; exactly one field is set.",
            tcp=of("Ports", "TCP, at these ports."),
            udp=of("Ports", "UDP, at these ports."),
            sctp=of("Ports", "SCTP, at these ports."),
            destinationNamedPort=_NAMED,
        ),
        "Ports": {
            **record("Ports of a protocol.", destinationPort=of("DestinationPort", "At the destination.")),
            "minProperties": 1,
        },
        "DestinationPort": choice(
            "One port or a range of them; exactly one field is set.",
            number=number("The port.", 1, 65535),
            range=of("PortRange", "From one port to another."),
        ),
        "PortRange": _range(),
    },
    ("ClusterNetworkPolicy",),
)
"""ClusterNetworkPolicy and all below it."""

V1ALPHA1: Mapping[str, Schema] = whole(
    GROUP,
    _PACKAGE,
    "v1alpha1",
    {
        **_kind("AdminNetworkPolicy", "A network policy of the whole cluster that comes before the NetworkPolicies."),
        **_kind(
            "BaselineAdminNetworkPolicy", "What holds for pods that no NetworkPolicy isolates; it is called default."
        ),
        "AdminNetworkPolicySpec": _spec("Admin", 100, "priority subject", priority=_PRIORITY),
        "BaselineAdminNetworkPolicySpec": _spec("Baseline", 100, "subject"),
        **_rules("Admin", ["Allow", "Deny", "Pass"], 100, _OLD_PORTS),
        **_rules("Baseline", ["Allow", "Deny"], 100, _OLD_PORTS),
        **_who("namespaceSelector podSelector"),
        "Port": choice(
            "Some ports; exactly one field is set.",
            portNumber=of("PortNumber", "One port."),
            portRange=of("PortRange", "From one port to another."),
            namedPort=_NAMED,
        ),
        "PortNumber": record(
            "A port of a protocol.", "protocol port", protocol=_PROTOCOL, port=number("The port.", 1, 65535)
        ),
        "PortRange": _range(protocol=_PROTOCOL),
    },
    ("AdminNetworkPolicy", "BaselineAdminNetworkPolicy"),
)
"""AdminNetworkPolicy, BaselineAdminNetworkPolicy and all below them."""
