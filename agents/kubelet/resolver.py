"""Names as a pod sees them: /etc/hosts, then the nameservers of its resolv.conf, asked over its own link.

Counterpart upstream: the C library's resolver.
"""

import asyncio
import ipaddress

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from miniplane import config
from miniplane.api.kind import Object
from miniplane.dataplane.dns_resolv import ResolvConf

from ..network.base import Link
from .streams import connect

DNS_PORT = 53
TIMEOUT_S = 5.0
ATTEMPTS = 2


class NoNameserver(LookupError):
    """The pod's resolv.conf has no nameserver."""


class ServerFailure(LookupError):
    """A nameserver says that it could not find out."""


def hosts_file(pod: Object, ip: str, network: config.Network) -> str:
    """The pod's /etc/hosts."""
    spec = pod.get("spec") or {}
    name = hostname(pod)
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    if ip:
        subdomain = spec.get("subdomain")
        namespace = pod["metadata"].get("namespace", "")
        full = f"{name}.{subdomain}.{namespace}.svc.{network.cluster_domain}\t" if subdomain else ""
        lines.append(f"{ip}\t{full}{name}")
    lines += [f"{alias['ip']}\t" + "\t".join(alias.get("hostnames") or ()) for alias in spec.get("hostAliases") or ()]
    return "".join(line + "\n" for line in lines)


def hostname(pod: Object) -> str:
    """What the pod calls itself: spec.hostname or its name, cut to 63 characters."""
    spec = pod.get("spec") or {}
    name: str = spec.get("hostname") or pod["metadata"]["name"]
    return name[:63].rstrip("-.")


def parse_hosts(text: str) -> dict[str, list[str]]:
    """`{name: addresses}` of an /etc/hosts file, names in lower case."""
    table: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            table.setdefault(name.lower(), []).append(address)
    return table


class Resolver:
    """The resolver of one pod."""

    def __init__(self, link: Link, conf: ResolvConf, hosts: str = "") -> None:
        self._link = link
        self.conf = conf
        self._hosts = parse_hosts(hosts)

    async def addresses(self, name: str) -> list[str]:
        """The addresses of a name, IPv4 first; an address is its own answer.

        Raises `LookupError` if there is no such name, `ServerFailure` if that could not be found out, `TimeoutError` if
        no nameserver answered.
        """
        if _is_address(name):
            return [name]
        if found := self._hosts.get(name.lower().rstrip(".")):
            return [address for address in found if ":" not in address] or found
        failed: Exception = LookupError(name)
        for candidate in self.conf.candidates(name):
            for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
                try:
                    answer = await self.query(candidate, kind)
                except TimeoutError as error:
                    failed = error
                    break
                if found := addresses_in(answer):
                    return found
                if answer.rcode() == dns.rcode.SERVFAIL:
                    failed = ServerFailure(name)
                if answer.rcode() != dns.rcode.NOERROR:
                    break
        raise failed

    async def lookup(self, name: str, kind: dns.rdatatype.RdataType) -> dns.message.Message:
        """The first answer with records along the search list, else the last one."""
        answer = None
        for candidate in self.conf.candidates(name):
            answer = await self.query(candidate, kind)
            if answer.answer:
                return answer
        assert answer is not None
        return answer

    async def query(
        self, name: str, kind: dns.rdatatype.RdataType, *, server: str = "", port: int = DNS_PORT
    ) -> dns.message.Message:
        """Ask for exactly this name, over UDP, and over TCP where the answer was cut.

        Raises NoNameserver, TimeoutError where no nameserver answered, LookupError for what is no name.
        """
        servers = (server,) if server else self.conf.nameservers
        if not servers:
            raise NoNameserver("no nameserver is configured")
        try:
            question = dns.message.make_query(dns.name.from_text(name), kind)
        except dns.exception.DNSException as error:
            raise LookupError(f"{name!r} is no domain name") from error
        for _ in range(ATTEMPTS):
            for address in servers:
                answer = await self._ask(question, address, port)
                if answer is not None:
                    return answer
        raise TimeoutError("no nameserver answered")

    async def _ask(self, question: dns.message.Message, server: str, port: int) -> dns.message.Message | None:
        """One nameserver's answer; None if it did not answer in time."""
        answered: asyncio.Future[dns.message.Message] = asyncio.get_running_loop().create_future()

        def receive(data: bytes, host: str, sender_port: int) -> None:
            try:
                message = dns.message.from_wire(data)
            except dns.exception.DNSException:
                return
            if question.is_response(message) and not answered.done():
                answered.set_result(message)

        socket = await self._link.bind(receive)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                socket.send(question.to_wire(), server, port)
                message = await answered
                if message.flags & dns.flags.TC:
                    return await self._ask_stream(question, server, port)
                return message
        except (TimeoutError, OSError):
            return None
        finally:
            socket.close()

    async def _ask_stream(self, question: dns.message.Message, server: str, port: int) -> dns.message.Message | None:
        wire = question.to_wire()
        async with connect(self._link, server, port) as stream:
            stream.writer.write(len(wire).to_bytes(2, "big") + wire)
            try:
                size = int.from_bytes(await stream.reader.readexactly(2), "big")
                return dns.message.from_wire(await stream.reader.readexactly(size))
            except (asyncio.IncompleteReadError, dns.exception.DNSException):
                return None


def addresses_in(message: dns.message.Message) -> list[str]:
    """The A and AAAA records of an answer, in its order."""
    return [
        record.address
        for records in message.answer
        if records.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
        for record in records
    ]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
