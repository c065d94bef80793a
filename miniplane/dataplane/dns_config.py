"""Whom the cluster's DNS asks for names that are not the cluster's: the ConfigMap `kube-dns` in `kube-system`. Pure.

    stubDomains: '{"corp.example": ["10.0.0.2", "10.0.0.3:5353"]}'     a domain, and its own nameservers
    upstreamNameservers: '["9.9.9.9"]'                                  all other names; at most three

The data is that of upstream's kube-dns. What is wrong in it counts as absent and is a problem, told to the user.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from miniplane.api import names

CONFIG_MAP = "kube-dns"
STUB_DOMAINS, UPSTREAMS = "stubDomains", "upstreamNameservers"
DNS_PORT = 53
MAX_UPSTREAMS = 3
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Server:
    """A nameserver."""

    ip: str
    port: int = DNS_PORT

    def __str__(self) -> str:
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Which nameservers know which names."""

    upstreams: tuple[Server, ...] = ()
    stubs: Mapping[str, tuple[Server, ...]] = field(default_factory=dict)
    """By domain in lower case without the last dot."""
    problems: tuple[str, ...] = ()

    def servers(self, name: str) -> tuple[Server, ...]:
        """The servers to ask for a name: those of the longest stub domain that it is in, else the upstreams."""
        domain = name.lower().rstrip(".")
        while domain:
            if domain in self.stubs:
                return self.stubs[domain]
            domain = domain.partition(".")[2]
        return self.upstreams


def server(text: str) -> Server:
    """`1.2.3.4`, `1.2.3.4:5353`, `fd00::1` or `[fd00::1]:5353`. Raises ValueError."""
    host, port = text.strip(), DNS_PORT
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        port = _port(text, rest.removeprefix(":")) if rest else DNS_PORT
    elif host.count(":") == 1:
        host, _, rest = host.partition(":")
        port = _port(text, rest)
    try:
        return Server(str(ip_address(host)), port)
    except ValueError:
        raise ValueError(f"{text!r} is no address of a nameserver") from None


def _port(text: str, digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits) <= _MAX_PORT):
        raise ValueError(f"{text!r} has no port between 1 and {_MAX_PORT}")
    return int(digits)


def parse(data: Mapping[str, str], *, own: Sequence[str], domain: str, upstreams: Sequence[Server] = ()) -> Forwarding:
    """What a ConfigMap's data says.

    `upstreams` hold where it names none. Servers at addresses in `own`, which are this DNS itself, are left out: a
    question sent there would come back. `domain` is the cluster's, whose names are never forwarded.
    """
    problems: list[str] = []
    stubs: dict[str, tuple[Server, ...]] = {}
    for name, texts in _object(data, problems).items():
        key = name.lower().rstrip(".")
        if names.is_dns_subdomain(key):
            problems.append(f"{STUB_DOMAINS}: {name!r} is no domain name")
        elif key == domain or key.endswith(f".{domain}"):
            problems.append(f"{STUB_DOMAINS}: {name!r} is the cluster's own domain, which is never forwarded")
        elif found := _servers(f"{STUB_DOMAINS}[{name}]", texts, own, problems):
            stubs[key] = found
    named = _servers(UPSTREAMS, _array(data, problems), own, problems)
    if len(named) > MAX_UPSTREAMS:
        problems.append(f"{UPSTREAMS}: only the first {MAX_UPSTREAMS} are asked")
    problems += [
        f"{key}: not known here; there are {STUB_DOMAINS} and {UPSTREAMS}"
        for key in sorted(data)
        if key not in (STUB_DOMAINS, UPSTREAMS)
    ]
    others = tuple(item for item in upstreams if item.ip not in own)
    return Forwarding(named[:MAX_UPSTREAMS] or others, stubs, tuple(problems))


def _json(data: Mapping[str, str], key: str, problems: list[str]) -> Any:
    text = data.get(key, "").strip()
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        problems.append(f"{key}: {error}")
        return None


def _object(data: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    value = _json(data, STUB_DOMAINS, problems)
    if value is None or isinstance(value, dict):
        return value or {}
    problems.append(f"{STUB_DOMAINS}: must be a JSON object of domains, each with an array of nameservers")
    return {}


def _array(data: Mapping[str, str], problems: list[str]) -> Any:
    value = _json(data, UPSTREAMS, problems)
    return [] if value is None else value


def _servers(where: str, texts: Any, own: Sequence[str], problems: list[str]) -> tuple[Server, ...]:
    if not isinstance(texts, list):
        problems.append(f"{where}: must be a JSON array of nameservers")
        return ()
    found: dict[Server, None] = {}
    for text in texts:
        try:
            item = server(str(text))
        except ValueError as error:
            problems.append(f"{where}: {error}")
            continue
        if item.ip in own:
            problems.append(f"{where}: {text} is this DNS itself")
        else:
            found[item] = None
    return tuple(found)
