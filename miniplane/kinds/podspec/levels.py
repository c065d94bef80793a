"""The Pod Security Standards: what a pod's spec must not have at the levels baseline and restricted.

Upstream: k8s.io/pod-security-admission/policy, its checks, order and words.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from miniplane.api.kind import Object
from miniplane.kinds.fields import elements, entries, flag, is_set, number, section, strings, text

LEVELS = ("privileged", "baseline", "restricted")
CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)
SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    )
)
SELINUX_TYPES = frozenset(("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"))
VOLUMES = frozenset(
    (
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    )
)
_SECCOMP = ("RuntimeDefault", "Localhost")


@dataclass(frozen=True, slots=True)
class Violation:
    """What is forbidden, and the details in brackets."""

    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


Containers = Sequence[Object]
Rule = Callable[[Object, Containers], Violation | None]


def _containers(spec: Object) -> Containers:
    return [
        container
        for field in ("initContainers", "containers", "ephemeralContainers")
        for container in entries(spec, field)
    ]


def _context(holder: Object) -> Object:
    return section(holder, "securityContext")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _named(containers: Containers) -> str:
    word = "container" if len(containers) == 1 else "containers"
    return f"{word} {_quoted(text(item, 'name') for item in containers)}"


def _plural(word: str, values: Sequence[Any]) -> str:
    return word if len(values) == 1 else f"{word}s"


def _host_process(spec: Object, containers: Containers) -> Violation | None:
    bad = [item for item in containers if flag(section(_context(item), "windowsOptions"), "hostProcess")]
    pod = flag(section(_context(spec), "windowsOptions"), "hostProcess")
    if not bad and not pod:
        return None
    holders = ["pod"] * pod + ([_named(bad)] if bad else [])
    words = " and ".join(holders)
    return Violation("hostProcess", f"{words} must not set securityContext.windowsOptions.hostProcess=true")


def _host_namespaces(spec: Object, _containers: Containers) -> Violation | None:
    found = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if flag(spec, name)]
    return Violation("host namespaces", ", ".join(found)) if found else None


def _privileged(_spec: Object, containers: Containers) -> Violation | None:
    bad = [item for item in containers if flag(_context(item), "privileged")]
    return Violation("privileged", f"{_named(bad)} must not set securityContext.privileged=true") if bad else None


def _capabilities(_spec: Object, containers: Containers) -> Violation | None:
    added = {
        id(item): [name for name in strings(section(_context(item), "capabilities"), "add") if name not in CAPABILITIES]
        for item in containers
    }
    bad = [item for item in containers if added[id(item)]]
    if not bad:
        return None
    names = _quoted(sorted({name for item in bad for name in added[id(item)]}))
    detail = f"{_named(bad)} must not include {names} in securityContext.capabilities.add"
    return Violation("non-default capabilities", detail)


def _host_path(spec: Object, _containers: Containers) -> Violation | None:
    bad = [text(volume, "name") for volume in entries(spec, "volumes") if is_set(volume, "hostPath")]
    return Violation("hostPath volumes", f"{_plural('volume', bad)} {_quoted(bad)}") if bad else None


def _host_ports(_spec: Object, containers: Containers) -> Violation | None:
    ports = {id(item): [number(port, "hostPort") for port in entries(item, "ports")] for item in containers}
    bad = [item for item in containers if any(ports[id(item)])]
    if not bad:
        return None
    found = sorted({str(port) for item in bad for port in ports[id(item)] if port})
    return Violation(
        "hostPort",
        f"{_named(bad)} {'uses' if len(bad) == 1 else 'use'} {_plural('hostPort', found)} {', '.join(found)}",
    )


def _app_armor(spec: Object, containers: Containers) -> Violation | None:
    def bad(holder: Object) -> bool:
        profile = section(_context(holder), "appArmorProfile")
        return bool(profile) and text(profile, "type") not in ("RuntimeDefault", "Localhost", "")

    found = [item for item in containers if bad(item)]
    holders = ["pod"] * bad(spec) + ([_named(found)] if found else [])
    if not holders:
        return None
    detail = f'{" and ".join(holders)} must not set AppArmor profile type to "Unconfined"'
    return Violation("forbidden AppArmor profile" if len(holders) == 1 else "forbidden AppArmor profiles", detail)


def _selinux(spec: Object, containers: Containers) -> Violation | None:
    holders = [spec, *containers]
    options = [section(_context(holder), "seLinuxOptions") for holder in holders]
    kinds = [text(item, "type") for item in options if text(item, "type") not in SELINUX_TYPES]
    users = [text(item, "user") for item in options if text(item, "user")]
    roles = [text(item, "role") for item in options if text(item, "role")]
    if not kinds and not users and not roles:
        return None
    told = [f"{_plural('type', kinds)} {_quoted(kinds)}"] * bool(kinds)
    told += ["user may not be set"] * bool(users) + ["role may not be set"] * bool(roles)
    bad = [item for item in containers if _sets_selinux(item)]
    where = ["pod"] * _sets_selinux(spec) + ([_named(bad)] if bad else [])
    return Violation(
        "seLinuxOptions", f"{' and '.join(where)} set forbidden securityContext.seLinuxOptions: {'; '.join(told)}"
    )


def _sets_selinux(holder: Object) -> bool:
    options = section(_context(holder), "seLinuxOptions")
    return text(options, "type") not in SELINUX_TYPES or bool(text(options, "user") or text(options, "role"))


def _proc_mount(_spec: Object, containers: Containers) -> Violation | None:
    bad = [item for item in containers if text(_context(item), "procMount") not in ("", "Default")]
    if not bad:
        return None
    kinds = sorted({text(_context(item), "procMount") for item in bad})
    return Violation("procMount", f"{_named(bad)} must not set securityContext.procMount to {_quoted(kinds)}")


def _seccomp_unconfined(spec: Object, containers: Containers) -> Violation | None:
    def bad(holder: Object) -> bool:
        return text(section(_context(holder), "seccompProfile"), "type") == "Unconfined"

    found = [item for item in containers if bad(item)]
    holders = ["pod"] * bad(spec) + ([_named(found)] if found else [])
    if not holders:
        return None
    words = " and ".join(holders)
    return Violation("seccompProfile", f'{words} must not set securityContext.seccompProfile.type to "Unconfined"')


def _sysctls(spec: Object, _containers: Containers) -> Violation | None:
    bad = [name for item in entries(_context(spec), "sysctls") if (name := text(item, "name")) not in SYSCTLS]
    return Violation("forbidden sysctls", ", ".join(bad)) if bad else None


def _volume_types(spec: Object, _containers: Containers) -> Violation | None:
    bad = [volume for volume in entries(spec, "volumes") if not VOLUMES & volume.keys() and volume.keys() - {"name"}]
    if not bad:
        return None
    kinds = sorted({next(iter(sorted(volume.keys() - {"name"}))) for volume in bad})
    names = _quoted(text(volume, "name") for volume in bad)
    verb = "uses" if len(bad) == 1 else "use"
    detail = f"{_plural('volume', bad)} {names} {verb} restricted volume {_plural('type', kinds)} {_quoted(kinds)}"
    return Violation("restricted volume types", detail)


def _escalation(_spec: Object, containers: Containers) -> Violation | None:
    bad = [item for item in containers if _context(item).get("allowPrivilegeEscalation") is not False]
    detail = f"{_named(bad)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", detail) if bad else None


def _non_root(spec: Object, containers: Containers) -> Violation | None:
    pod = _context(spec).get("runAsNonRoot")
    explicit = [item for item in containers if _context(item).get("runAsNonRoot") is False]
    told = ["pod must not set securityContext.runAsNonRoot=false"] * (pod is False)
    if explicit:
        told.append(f"{_named(explicit)} must not set securityContext.runAsNonRoot=false")
    unset = [item for item in containers if _context(item).get("runAsNonRoot") is None]
    if not told and pod is not True and unset:
        told.append(f"pod or {_named(unset)} must set securityContext.runAsNonRoot=true")
    return Violation("runAsNonRoot != true", "; ".join(told)) if told else None


def _root_user(spec: Object, containers: Containers) -> Violation | None:
    bad = [item for item in containers if _context(item).get("runAsUser") == 0]
    holders = ["pod"] * (_context(spec).get("runAsUser") == 0) + ([_named(bad)] if bad else [])
    return Violation("runAsUser=0", f"{' and '.join(holders)} must not set runAsUser=0") if holders else None


def _seccomp(spec: Object, containers: Containers) -> Violation | None:
    def profile(holder: Object) -> str:
        return text(section(_context(holder), "seccompProfile"), "type")

    wrong = [item for item in containers if profile(item) not in ("", *_SECCOMP)]
    told = [f'pod must not set securityContext.seccompProfile.type to "{profile(spec)}"'] * (
        profile(spec) not in ("", *_SECCOMP)
    )
    if wrong:
        kinds = _quoted(sorted({profile(item) for item in wrong}))
        told.append(f"{_named(wrong)} must not set securityContext.seccompProfile.type to {kinds}")
    unset = [item for item in containers if not profile(item)]
    if not told and not profile(spec) and unset:
        wanted = 'to "RuntimeDefault" or "Localhost"'
        told.append(f"pod or {_named(unset)} must set securityContext.seccompProfile.type {wanted}")
    return Violation("seccompProfile", "; ".join(told)) if told else None


def _restricted_capabilities(_spec: Object, containers: Containers) -> Violation | None:
    def capabilities(item: Object) -> Object:
        return section(_context(item), "capabilities")

    undropped = [item for item in containers if "ALL" not in elements(capabilities(item), "drop")]
    adding = [item for item in containers if set(strings(capabilities(item), "add")) - {"NET_BIND_SERVICE"}]
    told = [f'{_named(undropped)} must set securityContext.capabilities.drop=["ALL"]'] if undropped else []
    if adding:
        names = sorted({name for item in adding for name in strings(capabilities(item), "add")} - {"NET_BIND_SERVICE"})
        told.append(f"{_named(adding)} must not include {_quoted(names)} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(told)) if told else None


BASELINE: tuple[Rule, ...] = (
    _app_armor,
    _capabilities,
    _host_namespaces,
    _host_path,
    _host_ports,
    _privileged,
    _proc_mount,
    _selinux,
    _seccomp_unconfined,
    _sysctls,
    _host_process,
)
RESTRICTED: tuple[Rule, ...] = (
    _escalation,
    _restricted_capabilities,
    _volume_types,
    _non_root,
    _root_user,
    _seccomp,
)
_REPLACED = (_capabilities, _seccomp_unconfined, _host_path)
"""Baseline rules that a restricted one says more of."""


def violations(level: str, spec: Object) -> Iterator[Violation]:
    """What a pod's spec has that a level forbids. A Windows pod is spared what has no meaning there."""
    if level == "privileged":
        return
    containers = _containers(spec)
    windows = text(section(spec, "os"), "name") == "windows"
    rules: list[Rule] = [rule for rule in BASELINE if level == "baseline" or rule not in _REPLACED]
    if level == "restricted":
        rules += [
            rule for rule in RESTRICTED if not (windows and rule in (_escalation, _restricted_capabilities, _seccomp))
        ]
    for rule in rules:
        if found := rule(spec, containers):
            yield found
