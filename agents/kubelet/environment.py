"""The environment of a container: variables, arguments and files. Pure; what it needs is fetched before.

Counterpart upstream: kubelet's container environment (service links, the downward API, ConfigMaps and Secrets).
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.quantity import Quantity

_REFERENCE = re.compile(r"\$(?:\$|\(([-._a-zA-Z][-._a-zA-Z0-9]*)\))")
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ConfigError(Exception):
    """The container can't be made as its spec says; the text is the state's message."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A ConfigMap or Secret that a pod reads."""

    kind: str
    """`configmap` or `secret`."""
    name: str
    is_optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What variables and files can be taken from."""

    pod: Object
    node: str
    host_ip: str
    pod_ip: str
    hostname: str
    allocatable: Mapping[str, str] = field(default_factory=dict)
    services: Sequence[Object] = ()
    """The Services of the pod's namespace and `default/kubernetes`."""
    objects: Mapping[tuple[str, str], Object] = field(default_factory=dict)
    """`{(configmap|secret, name): object}`, of what was found."""


def references(container: Object) -> list[Reference]:
    """What the container's variables are read from."""
    found: list[Reference] = []
    for source in container.get("envFrom") or ():
        for key, kind in (("configMapRef", "configmap"), ("secretRef", "secret")):
            if reference := source.get(key):
                found.append(Reference(kind, reference.get("name", ""), bool(reference.get("optional"))))
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        for key, kind in (("configMapKeyRef", "configmap"), ("secretKeyRef", "secret")):
            if reference := source.get(key):
                found.append(Reference(kind, reference.get("name", ""), bool(reference.get("optional"))))
    return found


def volume_references(pod: Object) -> list[Reference]:
    """What the pod's volumes are read from."""
    found: list[Reference] = []
    for volume in pod["spec"].get("volumes") or ():
        for source in [volume, *((volume.get("projected") or {}).get("sources") or ())]:
            if (config := source.get("configMap")) is not None:
                found.append(Reference("configmap", config.get("name", ""), bool(config.get("optional"))))
            if (secret := source.get("secret")) is not None:
                name = secret.get("secretName") or secret.get("name", "")
                found.append(Reference("secret", name, bool(secret.get("optional"))))
    return found


def values_of(kind: str, obj: Object) -> dict[str, str]:
    """The data of a ConfigMap or Secret as text; what is no text keeps its readable part."""
    if kind == "configmap":
        texts = dict(obj.get("data") or {})
        return texts | {name: _decoded(text) for name, text in (obj.get("binaryData") or {}).items()}
    return {name: _decoded(text) for name, text in (obj.get("data") or {}).items()}


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return ""


def variables(container: Object, around: Surroundings) -> dict[str, str]:
    """The container's variables, service links first, `env` last.

    Raises:
        ConfigError: A ConfigMap, Secret or key that is not optional is not there.
    """
    env = {"PATH": _PATH, "HOSTNAME": around.hostname}
    env |= service_links(around)
    for source in container.get("envFrom") or ():
        env |= _all_of(source, around)
    for variable in container.get("env") or ():
        if "valueFrom" in variable:
            value = _value_from(variable["valueFrom"], container, around)
            if value is not None:
                env[variable["name"]] = value
        else:
            env[variable["name"]] = expand(variable.get("value", ""), env)
    return env


def expand(text: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` replaced where the name is known; `$$` is a dollar sign."""
    return _REFERENCE.sub(lambda match: "$" if match[1] is None else env.get(match[1], match[0]), text)


def _all_of(source: Object, around: Surroundings) -> dict[str, str]:
    prefix = source.get("prefix", "")
    for key, kind in (("configMapRef", "configmap"), ("secretRef", "secret")):
        if reference := source.get(key):
            obj = _found(kind, reference, around)
            texts = values_of(kind, obj) if obj else {}
            return {prefix + name: text for name, text in texts.items() if _VARIABLE.fullmatch(prefix + name)}
    return {}


def _found(kind: str, reference: Object, around: Surroundings) -> Object | None:
    name = reference.get("name", "")
    obj = around.objects.get((kind, name))
    if obj is None and not reference.get("optional"):
        raise ConfigError(f'{kind} "{name}" not found')
    return obj


def _value_from(source: Object, container: Object, around: Surroundings) -> str | None:
    for key, kind, shown in (("configMapKeyRef", "configmap", "ConfigMap"), ("secretKeyRef", "secret", "Secret")):
        if reference := source.get(key):
            obj = _found(kind, reference, around)
            if obj is None:
                return None
            value = values_of(kind, obj).get(reference["key"])
            if value is None and not reference.get("optional"):
                where = f"{meta.namespace(around.pod)}/{reference.get('name', '')}"
                raise ConfigError(f"couldn't find key {reference['key']} in {shown} {where}")
            return value
    if reference := source.get("fieldRef"):
        return field_value(reference.get("fieldPath", ""), around)
    if reference := source.get("resourceFieldRef"):
        return resource_value(reference, container, around)
    return None


def field_value(path: str, around: Surroundings) -> str:
    """A field of the pod, by the downward API."""
    spec = around.pod["spec"]
    fixed: dict[str, Callable[[], str]] = {
        "spec.nodeName": lambda: around.node,
        "spec.serviceAccountName": lambda: spec.get("serviceAccountName", "default"),
        "status.hostIP": lambda: around.host_ip,
        "status.hostIPs": lambda: around.host_ip,
        "status.podIP": lambda: around.pod_ip,
        "status.podIPs": lambda: around.pod_ip,
        "metadata.labels": lambda: _pairs(meta.labels(around.pod)),
        "metadata.annotations": lambda: _pairs(meta.annotations(around.pod)),
    }
    if path in fixed:
        return fixed[path]()
    value: Any = meta.get_path(around.pod, path)
    return "" if value is None else str(value)


def _pairs(table: Mapping[str, str]) -> str:
    return "\n".join(f'{name}="{table[name]}"' for name in sorted(table))


def resource_value(reference: Object, container: Object, around: Surroundings) -> str:
    """A request or limit of the container in units of `divisor`, rounded up; the node's where none is set."""
    kind, _, name = reference.get("resource", "").partition(".")
    amounts = (container.get("resources") or {}).get(kind) or {}
    text = amounts.get(name) or (around.allocatable.get(name, "0") if kind == "limits" else "0")
    divisor = reference.get("divisor") or "1"
    amount, unit = Quantity.parse(str(text)), Quantity.parse("1" if str(divisor) == "0" else str(divisor))
    return str(-(-amount.nano // unit.nano))


def service_links(around: Surroundings) -> dict[str, str]:
    """`WEB_SERVICE_HOST` and its like for the Services of the namespace; always those of `default/kubernetes`."""
    env: dict[str, str] = {}
    links = around.pod["spec"].get("enableServiceLinks", True)
    own = meta.namespace(around.pod)
    for service in sorted(around.services, key=lambda service: str(meta.key_of(service))):
        is_api = meta.key_of(service) == ("default", "kubernetes")
        if is_api or (links and meta.namespace(service) == own):
            env |= _link(service)
    return env


def _link(service: Object) -> dict[str, str]:
    spec = service.get("spec") or {}
    address, ports = spec.get("clusterIP"), spec.get("ports") or ()
    if not address or address == "None" or not ports:
        return {}
    prefix = meta.name(service).upper().replace("-", "_")
    env = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            env[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    for index, port in enumerate(ports):
        number, protocol = port["port"], port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{address}:{number}"
        if index == 0:
            env[f"{prefix}_PORT"] = url
        long = f"{prefix}_PORT_{number}_{protocol}"
        env |= {long: url, f"{long}_PROTO": protocol.lower(), f"{long}_PORT": str(number), f"{long}_ADDR": address}
    return env


def files(container: Object, around: Surroundings, base: Mapping[str, str]) -> dict[str, str]:
    """The container's files: `base`, and what its mounts of ConfigMaps, Secrets and downward API project.

    Raises:
        ConfigError: As `variables`.
    """
    made = dict(base)
    volumes = {volume["name"]: volume for volume in around.pod["spec"].get("volumes") or ()}
    for mount in container.get("volumeMounts") or ():
        volume = volumes.get(mount["name"])
        if volume is None:
            continue
        root = mount["mountPath"].rstrip("/")
        for path, text in _projected(volume, around).items():
            sub = mount.get("subPath", "").strip("/")
            if not sub:
                made[f"{root}/{path}"] = text
            elif path == sub:
                made[root] = text
            elif path.startswith(f"{sub}/"):
                made[f"{root}/{path.removeprefix(f'{sub}/')}"] = text
    return made


def _projected(volume: Object, around: Surroundings) -> dict[str, str]:
    if projected := volume.get("projected"):
        made: dict[str, str] = {}
        for source in projected.get("sources") or ():
            made |= _projected(source, around)
        return made
    if (config := volume.get("configMap")) is not None:
        return _items("configmap", config, config.get("name", ""), around)
    if (secret := volume.get("secret")) is not None:
        return _items("secret", secret, secret.get("secretName") or secret.get("name", ""), around)
    if (api := volume.get("downwardAPI")) is not None:
        return {
            item["path"]: field_value(item["fieldRef"]["fieldPath"], around)
            for item in api.get("items") or ()
            if item.get("fieldRef")
        }
    return {}


def _items(kind: str, source: Object, name: str, around: Surroundings) -> dict[str, str]:
    obj = _found(kind, {"name": name, "optional": source.get("optional")}, around)
    texts = values_of(kind, obj) if obj else {}
    chosen: Iterable[Object] | None = source.get("items")
    if chosen is None:
        return texts
    made: dict[str, str] = {}
    for item in chosen:
        if item["key"] in texts:
            made[item["path"]] = texts[item["key"]]
        elif not source.get("optional"):
            raise ConfigError(f"references non-existent config key: {item['key']}")
    return made
