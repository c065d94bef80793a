"""The rules of a whole pod spec and of a pod template.

Counterpart upstream: ValidatePodSpec and ValidatePodTemplateSpec in pkg/apis/core/validation.
"""

from collections.abc import Iterator

from miniplane.api.kind import Object
from miniplane.api.names import is_dns_label, is_dns_subdomain, validate_annotations, validate_labels
from miniplane.api.validation import FieldError, Path, forbidden, in_range, invalid, not_supported, required, too_many
from miniplane.kinds.addresses import valid_address
from miniplane.kinds.fields import (
    elements,
    entries,
    flag,
    is_set,
    named,
    number,
    one_of,
    optional,
    section,
    shown,
    string_map,
    strings,
    text,
)
from miniplane.kinds.podspec.containers import container_errors
from miniplane.kinds.podspec.scheduling import affinity_errors, spreading_errors, toleration_errors
from miniplane.kinds.podspec.volumes import volume_errors
from miniplane.kinds.shared import parse_selector

_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_NAMED = {
    "serviceAccountName": is_dns_subdomain,
    "nodeName": is_dns_subdomain,
    "hostname": is_dns_label,
    "subdomain": is_dns_label,
    "priorityClassName": is_dns_subdomain,
    "runtimeClassName": is_dns_subdomain,
}
"""Fields that name something, and the rule for it."""

MAX_INT32 = 2**31 - 1
_MAX_NAMESERVERS, _MAX_SEARCHES = 3, 32


def pod_spec_errors(path: Path, spec: Object) -> Iterator[FieldError]:
    """Every error of a pod spec, in upstream's order."""
    yield from volume_errors(path, spec)
    yield from container_errors(path, spec)
    yield from one_of(path / "restartPolicy", text(spec, "restartPolicy"), _RESTART_POLICIES)
    yield from one_of(path / "dnsPolicy", text(spec, "dnsPolicy"), _DNS_POLICIES)
    yield from validate_labels(string_map(spec, "nodeSelector"), path / "nodeSelector")
    yield from _host_network(path, spec)
    yield from affinity_errors(path, spec)
    yield from _dns_config(path / "dnsConfig", spec)
    yield from spreading_errors(path, spec)
    for key, rule in _NAMED.items():
        if value := text(spec, key):
            yield from named(path / key, value, rule)
    if (deadline := optional(spec, "activeDeadlineSeconds")) is not None:
        yield from in_range(path / "activeDeadlineSeconds", deadline, 1, MAX_INT32)
    yield from toleration_errors(path, spec)
    yield from _host_aliases(path / "hostAliases", spec)


def _host_network(path: Path, spec: Object) -> Iterator[FieldError]:
    if not flag(spec, "hostNetwork"):
        return
    for key in ("containers", "initContainers"):
        for index, container in enumerate(entries(spec, key)):
            for place, port in enumerate(entries(container, "ports")):
                host, own = number(port, "hostPort"), number(port, "containerPort")
                if host not in (0, own):
                    here = path / key @ index / "ports" @ place / "containerPort"
                    yield invalid(here, own, "must match `hostPort` when `hostNetwork` is true")


def _dns_config(path: Path, spec: Object) -> Iterator[FieldError]:
    config = section(spec, "dnsConfig")
    servers = strings(config, "nameservers")
    if text(spec, "dnsPolicy") == "None":
        if not is_set(spec, "dnsConfig"):
            yield required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
        elif not servers:
            words = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            yield required(path / "nameservers", words)
    if len(servers) > _MAX_NAMESERVERS:
        words = f"must not have more than {_MAX_NAMESERVERS} nameservers"
        yield invalid(path / "nameservers", shown(servers), words)
    for index, server in enumerate(servers):
        yield from valid_address(path / "nameservers" @ index, server)
    yield from _dns_searches(path, config)


def _dns_searches(path: Path, config: Object) -> Iterator[FieldError]:
    searches = strings(config, "searches")
    if len(searches) > _MAX_SEARCHES:
        yield too_many(path / "searches", len(searches), _MAX_SEARCHES)
    for index, search in enumerate(searches):
        if search != ".":
            yield from named(path / "searches" @ index, search.removesuffix("."), is_dns_subdomain)
    for index, option in enumerate(entries(config, "options")):
        if not text(option, "name"):
            yield required(path / "options" @ index, "must not be empty")


def _host_aliases(path: Path, spec: Object) -> Iterator[FieldError]:
    for index, alias in enumerate(entries(spec, "hostAliases")):
        here = path @ index
        yield from valid_address(here / "ip", text(alias, "ip"))
        for name in strings(alias, "hostnames"):
            yield from named(here / "hostnames", name, is_dns_subdomain)


def template_errors(path: Path, spec: Object, owner: str = "ReplicaSet") -> Iterator[FieldError]:
    """The errors of a workload's template, that must match its selector and restart its pods always.

    `path` is the template's, `owner` whose controller makes the pods.
    """
    yield from template_unmatched(path, spec)
    yield from pod_template_errors(path, section(spec, "template"))
    yield from long_running(path, spec, owner)


def template_unmatched(path: Path, spec: Object) -> Iterator[FieldError]:
    """An error if a workload's selector does not match the labels of its template; `path` is the template's."""
    labels = string_map(section(section(spec, "template"), "metadata"), "labels")
    selector = parse_selector(spec, "selector")
    if selector and not selector.nothing and not selector.matches(labels):
        words = "`selector` does not match template `labels`"
        yield invalid(path / "metadata" / "labels", shown(labels) if labels else None, words)


def pod_template_errors(path: Path, template: Object) -> Iterator[FieldError]:
    """The errors of a template whatever makes pods of it."""
    meta, pod = section(template, "metadata"), section(template, "spec")
    yield from validate_labels(string_map(meta, "labels"), path / "labels")
    yield from validate_annotations(string_map(meta, "annotations"), path / "annotations")
    yield from pod_spec_errors(path / "spec", pod)
    if elements(pod, "ephemeralContainers"):
        yield forbidden(path / "spec" / "ephemeralContainers", "ephemeral containers not allowed in pod template")


def long_running(path: Path, spec: Object, owner: str) -> Iterator[FieldError]:
    """The pods of a template are restarted always and have no deadline; `path` is the template's."""
    pod = section(section(spec, "template"), "spec")
    if (policy := text(pod, "restartPolicy")) in ("Never", "OnFailure"):
        yield not_supported(path / "spec" / "restartPolicy", policy, ("Always",))
    if is_set(pod, "activeDeadlineSeconds"):
        words = f"activeDeadlineSeconds in {owner} is not Supported"
        yield forbidden(path / "spec" / "activeDeadlineSeconds", words)


def pod_spec_warnings(path: Path, spec: Object) -> Iterator[str]:
    """What is legal and hardly meant."""
    grace = optional(spec, "terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        here = path / "terminationGracePeriodSeconds"
        yield f"{here}: must be >= 0; negative values are invalid and will be treated as 1"
    for index, secret in enumerate(entries(spec, "imagePullSecrets")):
        if not text(secret, "name"):
            yield f'{path / "imagePullSecrets" @ index}: invalid empty name ""'
    for key in ("initContainers", "containers"):
        for index, container in enumerate(entries(spec, key)):
            yield from _container_warnings(path / key @ index, container)


def _container_warnings(path: Path, container: Object) -> Iterator[str]:
    seen: set[str] = set()
    for index, variable in enumerate(entries(container, "env")):
        if (name := text(variable, "name")) in seen:
            here = path / "env" @ index
            yield f'{here}: hides previous definition of "{name}", which may be dropped when using apply'
        seen.add(name)
    ports: dict[tuple[int, str], int] = {}
    for index, port in enumerate(entries(container, "ports")):
        key = (number(port, "containerPort"), text(port, "protocol"))
        if key in ports:
            here = path / "ports"
            yield f"{here @ index}: duplicate port definition with {here @ ports[key]}"
        ports.setdefault(key, index)


def untidy_images(path: Path, spec: Object) -> Iterator[FieldError]:
    """Images with blanks around them: refused in pods only, templates that have them live on."""
    for key in ("containers", "initContainers"):
        for index, container in enumerate(entries(spec, key)):
            image = text(container, "image")
            if image != image.strip():
                words = "must not have leading or trailing whitespace"
                yield invalid(path / key @ index / "image", image, words)


def without_images(spec: Object) -> Object:
    """A pod spec with the images of its containers taken out, sharing the rest."""
    copy = dict(spec)
    for key in ("containers", "initContainers"):
        if key in copy:
            copy[key] = [{**container, "image": ""} for container in entries(spec, key)]
    return copy
