"""The schemas of gateway.networking.k8s.io, which upstream's definitions file does not have.

The API is upstream's standard channel (kubernetes-sigs/gateway-api, release 1.3); the descriptions are ours. What
miniplane does not do is in the schema nevertheless, and refused by conditions on the objects. v1beta1 is the same.
"""

from collections.abc import Mapping
from typing import Any

from miniplane.api.definitions import META, Schema
from miniplane.kinds.schematables import array, number, of, record, text, whole

GROUP = "gateway.networking.k8s.io"
_PACKAGE = "io.k8s.networking.gateway"
KINDS = ("GatewayClass", "Gateway", "HTTPRoute", "ReferenceGrant")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_HOST = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_DURATION = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
_TOKEN = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$"  # noqa: S105  what RFC 9110 calls a token


def definition(version: str, name: str) -> str:
    """The key of a schema of this group."""
    return f"{_PACKAGE}.{version}.{name}"


def _default(schema: Schema, value: Any) -> Schema:
    return {**schema, "default": value}


def _map(schema: Schema, *keys: str) -> Schema:
    """A list whose items are known by some of their fields."""
    return {**schema, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


_NAMESPACE = text("The namespace; without it the object's own. Another one needs a ReferenceGrant there.", maxLength=63)
_NAME = text("The name.", minLength=1, maxLength=253)
_PORT = number("The port.", 1, 65535)
_CONDITIONS = _map(array(f"{META}Condition", "What the implementation says.", 0, 8), "type")
_SERVICE = {
    "group": _default(text("The group; empty for core.", maxLength=253), ""),
    "kind": _default(text("The kind.", maxLength=63), "Service"),
    "name": _NAME,
    "namespace": _NAMESPACE,
    "port": _PORT,
}


def _kind(name: str, description: str, *, status: bool = True) -> dict[str, Schema]:
    own = {"apiVersion": text("The group and version."), "kind": text("What the object is.")}
    fields = {"metadata": of(f"{META}ObjectMeta", "Name, labels and the like."), "spec": of(f"{name}Spec", "The wish.")}
    if status:
        fields["status"] = of(f"{name}Status", "What the implementation reports.")
    return {
        name: record(description, "spec", **own, **fields),
        f"{name}List": record(
            f"A list of {name} objects.",
            "items",
            **own,
            metadata=of(f"{META}ListMeta", "The list's revision and the like."),
            items=array(name, "The objects."),
        ),
    }


def _gateway_class() -> dict[str, Schema]:
    feature = record("A feature.", "name", name=text("Its name.", maxLength=63))
    return {
        "GatewayClassSpec": record(
            "The wish.",
            "controllerName",
            controllerName=text("Who serves the class; it does not change.", minLength=1, maxLength=253),
            description=text("Words for people.", maxLength=64),
            parametersRef=record(
                "An object with more settings for the controller.",
                "group kind name",
                group=text("The group.", maxLength=253),
                kind=text("The kind.", maxLength=63),
                name=_NAME,
                namespace=_NAMESPACE,
            ),
        ),
        "GatewayClassStatus": record(
            "The report.",
            conditions=_CONDITIONS,
            supportedFeatures=_map(array(feature, "What the class can do.", 0, 64), "name"),
        ),
    }


def _gateway() -> dict[str, Schema]:
    address = record(
        "An address.",
        type=_default(text("IPAddress or Hostname.", maxLength=253), "IPAddress"),
        value=text("The address.", maxLength=253),
    )
    words = {"type": "object", "additionalProperties": {"type": "string"}, "description": "Words by name."}
    return {
        "GatewaySpec": record(
            "The wish.",
            "gatewayClassName listeners",
            gatewayClassName=text("The GatewayClass.", minLength=1, maxLength=253),
            listeners=_map(array("Listener", "Where requests come in.", 1, 64), "name"),
            addresses=array(address, "Addresses to serve at. Not chosen in miniplane: the pool gives them.", 0, 16),
            infrastructure=record(
                "What is copied to the pods and Services that serve it.",
                labels=words,
                annotations=words,
                parametersRef=record(
                    "More settings; none are known.", "group kind name", group=text(""), kind=text(""), name=_NAME
                ),
            ),
        ),
        "GatewayStatus": record(
            "The report.",
            addresses=array(address, "Where it is served.", 0, 16),
            conditions=_CONDITIONS,
            listeners=_map(array("ListenerStatus", "Each listener.", 0, 64), "name"),
        ),
        "ListenerStatus": record(
            "One listener's report.",
            "attachedRoutes conditions name",
            name=text("Its name."),
            supportedKinds=array("RouteGroupKind", "Which kinds of routes it takes.", 0, 8),
            attachedRoutes={"type": "integer", "format": "int32", "description": "How many routes are attached."},
            conditions=_CONDITIONS,
        ),
    }


def _listener() -> dict[str, Schema]:
    return {
        "Listener": record(
            "A port, for a host or all.",
            "name port protocol",
            name=text("Its name.", minLength=1, maxLength=253),
            hostname=text("The host, *. and a domain for all names below it; all if empty.", pattern=_HOST),
            port=_PORT,
            protocol=text("HTTP or HTTPS.", minLength=1, maxLength=255),
            tls=of("ListenerTLS", "Certificates, for HTTPS."),
            allowedRoutes=_default(of("AllowedRoutes", "Which routes may attach."), {"namespaces": {"from": "Same"}}),
        ),
        "ListenerTLS": record(
            "How TLS ends.",
            mode=_default(text("Passthrough is not served.", enum=["Terminate", "Passthrough"]), "Terminate"),
            certificateRefs=array(
                record(
                    "A Secret of type kubernetes.io/tls.",
                    "name",
                    group=_default(text("The group.", maxLength=253), ""),
                    kind=_default(text("The kind.", maxLength=63), "Secret"),
                    name=_NAME,
                    namespace=_NAMESPACE,
                ),
                "The certificates; the first one is shown.",
                0,
                64,
            ),
            options={"type": "object", "additionalProperties": {"type": "string"}, "description": "None are known."},
        ),
        "AllowedRoutes": record(
            "Which routes may be attached.",
            namespaces=_default(
                record(
                    "From which namespaces.",
                    **{
                        "from": _default(
                            text("Selector: those that it chooses.", enum=["All", "Selector", "Same"]),
                            "Same",
                        ),
                        "selector": of(f"{META}LabelSelector", "Labels of namespaces, for Selector."),
                    },
                ),
                {"from": "Same"},
            ),
            kinds=array("RouteGroupKind", "Of which kinds; all that fit the protocol if empty.", 0, 8),
        ),
        "RouteGroupKind": record(
            "A kind of routes.",
            "kind",
            group=_default(text("The group.", maxLength=253), GROUP),
            kind=text("The kind.", minLength=1, maxLength=63),
        ),
    }


def _route() -> dict[str, Schema]:
    parent = of("ParentReference", "The Gateway.")
    return {
        "HTTPRouteSpec": record(
            "The wish.",
            parentRefs=array("ParentReference", "The Gateways to be attached to.", 0, 32),
            hostnames=array(text("A host.", pattern=_HOST, maxLength=253), "The hosts; all if empty.", 0, 16),
            rules=_default(
                array("HTTPRouteRule", "What becomes of requests.", 1, 16),
                [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}],
            ),
        ),
        "ParentReference": record(
            "A Gateway, or one of its listeners.",
            "name",
            group=_default(text("The group.", maxLength=253), GROUP),
            kind=_default(text("The kind.", maxLength=63), "Gateway"),
            namespace=_NAMESPACE,
            name=_NAME,
            sectionName=text("A listener's name; all if empty.", maxLength=253),
            port=_PORT,
        ),
        "HTTPRouteRule": record(
            "Matches, and what becomes of what one of them takes.",
            name=text("Its name.", maxLength=253),
            matches=_default(
                array("HTTPRouteMatch", "Any of these.", 0, 64), [{"path": {"type": "PathPrefix", "value": "/"}}]
            ),
            filters=array("HTTPRouteFilter", "What is changed.", 0, 16),
            backendRefs=array("HTTPBackendRef", "Where requests go, by weight.", 0, 16),
            timeouts=record(
                "Time limits.",
                request=text("For the whole request, as 10s; 0s is none.", pattern=_DURATION),
                backendRequest=text("For one backend's answer; not above the other.", pattern=_DURATION),
            ),
        ),
        "HTTPRouteMatch": record(
            "What a request is like; all of it.",
            path=_default(
                record(
                    "The path.",
                    type=_default(text("How.", enum=["Exact", "PathPrefix", "RegularExpression"]), "PathPrefix"),
                    value=_default(text("The path.", maxLength=1024), "/"),
                ),
                {"type": "PathPrefix", "value": "/"},
            ),
            headers=_map(array("HTTPHeaderMatch", "Headers.", 0, 16), "name"),
            queryParams=_map(array("HTTPHeaderMatch", "Query parameters.", 0, 16), "name"),
            method=text("The method.", enum=list(METHODS)),
        ),
        "HTTPHeaderMatch": record(
            "A name and its value.",
            "name value",
            type=_default(text("How.", enum=["Exact", "RegularExpression"]), "Exact"),
            name=text("The name.", minLength=1, maxLength=256, pattern=_TOKEN),
            value=text("The value.", minLength=1, maxLength=4096),
        ),
        "HTTPBackendRef": record(
            "A Service's port and its share.",
            "name",
            **_SERVICE,
            weight=_default(number("Its share of the requests.", 0, 1_000_000), 1),
            filters=array("HTTPRouteFilter", "What is changed for this backend.", 0, 16),
        ),
        "HTTPRouteStatus": record("The report.", "parents", parents=array("RouteParentStatus", "Each Gateway.", 0, 32)),
        "RouteParentStatus": record(
            "What one Gateway says of the route.",
            "controllerName parentRef",
            parentRef=parent,
            controllerName=text("Who says it.", minLength=1, maxLength=253),
            conditions=_CONDITIONS,
        ),
        **_filters(),
    }


def _filters() -> dict[str, Schema]:
    kinds = [
        "RequestHeaderModifier",
        "ResponseHeaderModifier",
        "RequestMirror",
        "RequestRedirect",
        "URLRewrite",
        "ExtensionRef",
    ]
    return {
        "HTTPRouteFilter": record(
            "One change; the field of its type is set.",
            "type",
            type=text("Which.", enum=kinds),
            requestHeaderModifier=of("HTTPHeaderFilter", "Headers of the request."),
            responseHeaderModifier=of("HTTPHeaderFilter", "Headers of the answer."),
            requestMirror=record(
                "A copy to another Service.",
                "backendRef",
                backendRef=record("The Service.", "name", **_SERVICE),
                percent=number("Only a part of the requests: not served.", 0, 100),
                fraction=record(
                    "Only a part of the requests: not served.",
                    "numerator",
                    numerator=number("", 0, 2**31 - 1),
                    denominator=number("", 1, 2**31 - 1),
                ),
            ),
            requestRedirect=record(
                "The client is sent elsewhere.",
                scheme=text("http or https.", enum=["http", "https"]),
                hostname=text("The host.", pattern=_HOST, maxLength=253),
                path=of("HTTPPathModifier", "The path."),
                port=_PORT,
                statusCode=_default({**number("301 or 302.", 301, 302)}, 302),
            ),
            urlRewrite=record(
                "The backend is asked otherwise.",
                hostname=text("The host.", pattern=_HOST, maxLength=253),
                path=of("HTTPPathModifier", "The path."),
            ),
            extensionRef=record(
                "A filter of another API: none is known.",
                "group kind name",
                group=text("", maxLength=253),
                kind=text("", maxLength=63),
                name=_NAME,
            ),
        ),
        "HTTPHeaderFilter": record(
            "Changes of headers.",
            set=_map(array("HTTPHeader", "Headers to have this value alone.", 0, 16), "name"),
            add=_map(array("HTTPHeader", "Values to add.", 0, 16), "name"),
            remove={**array(text("A name."), "Headers to take away.", 0, 16), "x-kubernetes-list-type": "set"},
        ),
        "HTTPHeader": record(
            "A header.",
            "name value",
            name=text("The name.", minLength=1, maxLength=256, pattern=_TOKEN),
            value=text("The value.", minLength=1, maxLength=4096),
        ),
        "HTTPPathModifier": record(
            "Another path.",
            "type",
            type=text("A whole path, or one for what the match took.", enum=["ReplaceFullPath", "ReplacePrefixMatch"]),
            replaceFullPath=text("The path.", maxLength=1024),
            replacePrefixMatch=text("The new beginning.", maxLength=1024),
        ),
    }


def _grant() -> dict[str, Schema]:
    group = text("The group; empty for core.", maxLength=253)
    kind = text("The kind.", minLength=1, maxLength=63)
    namespace = text("The namespace.", minLength=1, maxLength=63)
    return {
        "ReferenceGrantSpec": record(
            "Who may refer to what in this namespace.",
            "from to",
            **{
                "from": array(
                    record("Who.", "group kind namespace", group=group, kind=kind, namespace=namespace),
                    "Any of these.",
                    1,
                    16,
                ),
                "to": array(record("What.", "group kind", group=group, kind=kind, name=_NAME), "Any of these.", 1, 16),
            },
        )
    }


def _table(version: str) -> Mapping[str, Schema]:
    return whole(
        GROUP,
        _PACKAGE,
        version,
        {
            **_kind("GatewayClass", "A class of Gateways, and who serves it."),
            **_kind("Gateway", "Where requests come in."),
            **_kind("HTTPRoute", "Which requests go to which Services."),
            **_kind("ReferenceGrant", "Lets objects of other namespaces refer to some of this one.", status=False),
            **_gateway_class(),
            **_gateway(),
            **_listener(),
            **_route(),
            **_grant(),
        },
        KINDS,
    )


V1 = _table("v1")
"""All four kinds and what is below them."""
V1BETA1 = _table("v1beta1")
"""The same under the older version's name."""
