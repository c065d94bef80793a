"""The schemas of policy.networking.k8s.io, which upstream's definitions file does not have: one table for each version.

The API is upstream's (kubernetes-sigs/network-policy-api, v1alpha1 as of its release 0.1, v1alpha2 as of 0.2, both with
the experimental fields); the descriptions are ours. Types drive decoding, OpenAPI and `explain`; limits are judged by
`limits.py`.
"""

from collections.abc import Mapping
from typing import Any

from miniplane.api.definitions import META, REF, Schema

GROUP = "policy.networking.k8s.io"
_PACKAGE = "io.k8s.networking.policy"
_TCP = {"default": "TCP"}
_SET = {"x-kubernetes-list-type": "set"}


def definition(version: str, name: str) -> str:
    """The key of a schema of this group."""
    return f"{_PACKAGE}.{version}.{name}"


def _text(description: str, **limits: Any) -> Schema:
    return {"type": "string", "description": description, **limits}


def _number(description: str, low: int, high: int) -> Schema:
    return {"type": "integer", "format": "int32", "description": description, "minimum": low, "maximum": high}


def _of(name: str, description: str) -> Schema:
    """A field that holds another schema: of this version, or by its whole name."""
    return {"$ref": name, "description": description}


def _list(items: Schema | str, description: str, low: int = 0, high: int = 0) -> Schema:
    limits = {"minItems": low} if low else {}
    if high:
        limits["maxItems"] = high
    of = {"$ref": items} if isinstance(items, str) else items
    return {"type": "array", "description": description, "items": of, **limits}


def _object(description: str, required: str = "", /, **fields: Schema) -> Schema:
    made: Schema = {"type": "object", "description": description, "properties": fields}
    return made | {"required": required.split()} if required else made


def _choice(description: str, /, **fields: Schema) -> Schema:
    """Exactly one field is set."""
    return {**_object(description, **fields), "minProperties": 1, "maxProperties": 1}


def _kind(name: str, description: str) -> dict[str, Schema]:
    """A kind and its list; the spec's and the status' schemas are named after it."""
    own = {
        "apiVersion": _text("The group and version of this representation."),
        "kind": _text("What the object is."),
    }
    meta = _of(f"{META}ObjectMeta", "Name, labels and the like.")
    conditions = _list(f"{META}Condition", "What the implementation says of the policy.") | {
        "x-kubernetes-list-map-keys": ["type"],
        "x-kubernetes-list-type": "map",
        "x-kubernetes-patch-merge-key": "type",
        "x-kubernetes-patch-strategy": "merge",
    }
    return {
        name: _object(
            description,
            "spec",
            **own,
            metadata=meta,
            spec=_of(f"{name}Spec", "What is wanted."),
            status=_of(f"{name}Status", "What the implementation reports."),
        ),
        f"{name}Status": _object("What the implementation reports.", "conditions", conditions=conditions),
        f"{name}List": _object(
            f"A list of {name} objects.",
            "items",
            **own,
            metadata=_of(f"{META}ListMeta", "The list's revision and the like."),
            items=_list(name, "The objects."),
        ),
    }


def _spec(rule: str, most: int, required: str, **fields: Schema) -> Schema:
    """A spec: what orders the policy, whom it is about, and its rules."""
    return _object(
        "What is wanted.",
        required,
        **fields,
        subject=_of("Subject", "The pods that the policy is about."),
        ingress=_list(
            f"{rule}IngressRule",
            "Rules for what reaches these pods, in order: the first that matches decides.",
            0,
            most,
        ),
        egress=_list(
            f"{rule}EgressRule", "Rules for what these pods send, in order: the first that matches decides.", 0, most
        ),
    )


def _rules(prefix: str, actions: list[str], most: int, ports: dict[str, Schema]) -> dict[str, Schema]:
    """The rules of both directions."""
    name = _text("A word for the rule in reports.", maxLength=100)
    action = _text("What becomes of what the rule matches.", enum=actions)
    return {
        f"{prefix}IngressRule": _object(
            "What becomes of some of what reaches the pods.",
            "action from",
            **{"name": name, "action": action, "from": _list("IngressPeer", "Any of these sources.", 1, most)},
            **ports,
        ),
        f"{prefix}EgressRule": _object(
            "What becomes of some of what the pods send.",
            "action to",
            name=name,
            action=action,
            to=_list("EgressPeer", "Any of these destinations.", 1, most),
            **ports,
        ),
    }


def _selector(description: str) -> Schema:
    return _of(f"{META}LabelSelector", description)


def _who(pods_need: str, **more: Schema) -> dict[str, Schema]:
    """Subjects and peers; `more` are the peers of egress that are not pods."""
    pods = {
        "namespaces": _selector(
            "All pods in namespaces with these labels; pods on the host's network are none of them."
        ),
        "pods": _of("NamespacedPod", "Pods by their own labels and those of their namespaces."),
    }
    networks = (
        _list(
            _text("A range of addresses, such as 10.0.0.0/8 or fd00::/8.", maxLength=43),
            "Ranges of addresses, meant for what is outside; pods inside them match as well.",
            1,
            25,
        )
        | _SET
    )
    return {
        "Subject": _choice("Whom a policy is about; exactly one field is set.", **pods),
        "NamespacedPod": _object(
            "Pods by their own labels and those of their namespaces.",
            pods_need,
            namespaceSelector=_selector("The namespaces; empty means all."),
            podSelector=_selector("The pods in them; empty means all."),
        ),
        "IngressPeer": _choice("Who sends; exactly one field is set.", **pods),
        "EgressPeer": _choice(
            "To whom it is sent; exactly one field is set.",
            **pods,
            nodes=_selector("The addresses of nodes with these labels; empty means all nodes."),
            networks=networks,
            **more,
        ),
    }


def _range(**more: Schema) -> Schema:
    return _object(
        "A range of ports; its start is below its end.",
        "start end",
        **more,
        start=_number("The first port.", 1, 65535),
        end=_number("The last port.", 1, 65535),
    )


_NAMED = _text("The port that the target pod's containers give this name.")
_PROTOCOL = _text("TCP, UDP or SCTP.", enum=["SCTP", "TCP", "UDP"], **_TCP)
_PRIORITY = _number("What orders the policies of a tier: the lowest comes first.", 0, 1000)
_DOMAINS = (
    _list(
        _text(
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
    "ports": _list("Port", "Any of these ports at the destination; without the field all ports and protocols.", 0, 100)
}
_PROTOCOLS = {
    "protocols": _list(
        "Protocol", "Any of these protocols and ports at the destination; without the field everything.", 1, 25
    )
}


def _whole(version: str, schemas: Mapping[str, Schema], kinds: tuple[str, ...]) -> dict[str, Schema]:
    """The table with whole names: of the schemas, and in their references."""

    def spelled(schema: Schema) -> Schema:
        made = dict(schema)
        if (ref := schema.get("$ref")) is not None:
            made["$ref"] = REF + (definition(version, ref) if ref in schemas else ref)
        if "items" in schema:
            made["items"] = spelled(schema["items"])
        if "properties" in schema:
            made["properties"] = {key: spelled(child) for key, child in schema["properties"].items()}
        return made

    table = {definition(version, name): spelled(schema) for name, schema in schemas.items()}
    for kind in kinds:
        for name in (kind, f"{kind}List"):
            gvk = [{"group": GROUP, "version": version, "kind": name}]
            table[definition(version, name)]["x-kubernetes-group-version-kind"] = gvk
    return table


V1ALPHA2: Mapping[str, Schema] = _whole(
    "v1alpha2",
    {
        **_kind("ClusterNetworkPolicy", "A network policy of the whole cluster, before or after the NetworkPolicies."),
        "ClusterNetworkPolicySpec": _spec(
            "",
            25,
            "tier priority subject",
            tier=_text(
                "When it is asked: Admin before the NetworkPolicies, Baseline where none of them isolates the pod.",
                enum=["Admin", "Baseline"],
            ),
            priority=_PRIORITY,
        ),
        **_rules("", ["Accept", "Deny", "Pass"], 25, _PROTOCOLS),
        **_who("podSelector", domainNames=_DOMAINS),
        "Protocol": _choice(
            "A protocol with its ports, or a port's name; exactly one field is set.",
            tcp=_of("Ports", "TCP, at these ports."),
            udp=_of("Ports", "UDP, at these ports."),
            sctp=_of("Ports", "SCTP, at these ports."),
            destinationNamedPort=_NAMED,
        ),
        "Ports": {
            **_object("Ports of a protocol.", destinationPort=_of("DestinationPort", "At the destination.")),
            "minProperties": 1,
        },
        "DestinationPort": _choice(
            "One port or a range of them; exactly one field is set.",
            number=_number("The port.", 1, 65535),
            range=_of("PortRange", "From one port to another."),
        ),
        "PortRange": _range(),
    },
    ("ClusterNetworkPolicy",),
)
"""ClusterNetworkPolicy and all below it."""

V1ALPHA1: Mapping[str, Schema] = _whole(
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
        "Port": _choice(
            "Some ports; exactly one field is set.",
            portNumber=_of("PortNumber", "One port."),
            portRange=_of("PortRange", "From one port to another."),
            namedPort=_NAMED,
        ),
        "PortNumber": _object(
            "A port of a protocol.", "protocol port", protocol=_PROTOCOL, port=_number("The port.", 1, 65535)
        ),
        "PortRange": _range(protocol=_PROTOCOL),
    },
    ("AdminNetworkPolicy", "BaselineAdminNetworkPolicy"),
)
"""AdminNetworkPolicy, BaselineAdminNetworkPolicy and all below them."""
