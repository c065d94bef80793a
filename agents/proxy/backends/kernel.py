"""The kernel's data path: rules by nft transactions, routes and forgotten connections by netlink.

Connections that stand are not touched by new rules, but for UDP ones whose endpoint is gone (see
`miniplane.dataplane.evaluate`, which does the same).
"""

import asyncio
import json
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from miniplane.dataplane.diff import diff, normal
from miniplane.dataplane.import_nft import read
from miniplane.dataplane.program import Program
from miniplane.dataplane.render_nft import render
from miniplane.dataplane.routes import HopKind, Routes
from miniplane.dataplane.ruleset import Ruleset
from miniplane.observe import logs

from ...network.kernel.netlink import Netlink
from ...network.kernel.network import VOID, KernelNetwork
from .nft import NftSession, nft

log = logs.get("agents.proxy.kernel")

_NOWHERE = "nowhere"
"""The table of our own that answers for addresses which nobody has."""


def nowhere(routes: Routes) -> str:
    """Rules that answer "host unreachable" for what is routed nowhere.

    By address: in `output` a translated packet's device is still that of its first route (docs/adr/0009).
    """
    ranges = [(prefix, hop) for prefix, hop in routes.prefixes if isinstance(prefix, IPv4Network)]
    reachable = sorted(str(address) for address in routes.exact if isinstance(address, IPv4Address))
    reachable += sorted(str(prefix) for prefix, hop in ranges if hop.kind is HopKind.PEER)
    nobodys = sorted(str(prefix) for prefix, hop in ranges if hop.kind is HopKind.NONE)
    lines = [f"table ip {_NOWHERE} {{"]
    for hook in ("forward", "output"):
        lines += [f"chain {hook} {{", f"type filter hook {hook} priority 10; policy accept;"]
        if reachable:
            lines.append(f"ip daddr {{ {', '.join(reachable)} }} return")
        if nobodys:
            lines.append(f"ip daddr {{ {', '.join(nobodys)} }} reject with icmp type host-unreachable")
        lines.append("}")
    return "\n".join([*lines, "}", ""])


class KernelBackend:
    """See `Backend`."""

    def __init__(self, network: KernelNetwork) -> None:
        self._network = network
        self._connections = Netlink.connections(network.namespace)
        self._session = NftSession(network.namespace)
        self._wanted: Program | None = None
        self._program: Program | None = None
        """What the kernel surely holds; None where that is not known."""
        self._nowhere = ""
        self._cleaned: object = None
        """For which endpoints UDP connections were last looked through."""
        self._routes: dict[IPv4Network, IPv4Address | None] = {}
        self._lock = asyncio.Lock()

    def close(self) -> None:
        """Let go of the kernel; rules go with the namespace."""
        self._connections.close()
        self._session.close()

    async def apply(self, program: Program) -> None:
        """See `Backend`."""
        async with self._lock:
            self._wanted = program
            self._set_routes(program.routes)
            await self._load(program)
            if self._cleaned is None or self._cleaned != program.datagrams:
                self._clean_datagrams(program)
                self._cleaned = program.datagrams

    async def _load(self, program: Program) -> None:
        """Give nft what differs, in one transaction; all of it where that is refused, as other rules are there."""
        answers = nowhere(program.routes)
        if self._program is not None:
            change = diff(self._program.ruleset, program.ruleset)
            text = change.render()
            try:
                if answers != self._nowhere:
                    text += f"delete table ip {_NOWHERE}\n{answers}"
                if change.created:
                    await asyncio.to_thread(nft, self._network.namespace, "-f", "-", text=text)
                elif text:
                    await asyncio.to_thread(self._session.run, text.splitlines())
            except OSError as error:
                log.warning("change refused, all rules are loaded", error=str(error))
                self._program = None
        if self._program is None:
            text = "flush ruleset\n" + render(program.ruleset) + answers
            await asyncio.to_thread(nft, self._network.namespace, "-f", "-", text=text)
        self._program, self._nowhere = program, answers

    def _set_routes(self, routes: Routes) -> None:
        """Other nodes' ranges through them; ranges of ours that lead nowhere to a link that does, too."""
        peers = {hop.name: address for address, hop in routes.exact.items() if hop.kind is HopKind.PEER}
        wanted: dict[IPv4Network, IPv4Address | None] = {}
        for prefix, hop in routes.prefixes:
            if not isinstance(prefix, IPv4Network):
                continue
            via = peers.get(hop.name)
            if hop.kind is HopKind.PEER and isinstance(via, IPv4Address):
                wanted[prefix] = via
            elif hop.kind is HopKind.NONE and prefix.prefixlen < prefix.max_prefixlen:
                wanted[prefix] = None
        for gone in self._routes.keys() - wanted.keys():
            self._network.netlink.delete_route(gone)
        for prefix, via in wanted.items():
            if prefix not in self._routes or self._routes[prefix] != via:
                if via is None:
                    self._network.netlink.set_route(prefix, link=VOID)
                else:
                    self._network.netlink.set_route(prefix, link="eth0", via=via)
        self._routes = wanted

    def _clean_datagrams(self, program: Program) -> None:
        """Forget UDP connections that lead nowhere."""
        endpoints_of = program.datagrams.get(4, {})
        for flow in self._connections.flows():
            endpoints = endpoints_of.get(flow.target)
            stale = flow.is_translated if endpoints is None else flow.answerer not in endpoints
            if stale:
                self._connections.forget(flow)

    async def repair(self) -> Sequence[str]:
        """Compare the kernel's rules with those compiled; put them back if they differ, and tell of which tables."""
        async with self._lock:
            program = self._wanted
            if program is None:
                return ()
            listing = json.loads(await asyncio.to_thread(nft, self._network.namespace, "-j", "list", "ruleset"))
            foreign = [item for item in listing["nftables"] if not _is_nowhere(item)]
            wrong = _differing(read({"nftables": foreign}), normal(program.ruleset))
            if wrong or len(foreign) == len(listing["nftables"]):
                self._program = None
                await self._load(program)
                log.warning("rules differed and were put back", tables=", ".join(wrong) or _NOWHERE)
            return wrong or ([_NOWHERE] if len(foreign) == len(listing["nftables"]) else [])


def _is_nowhere(item: dict[str, dict[str, str]]) -> bool:
    body = next(iter(item.values()))
    return _NOWHERE in (body.get("table"), body.get("name"))


def _differing(found: Ruleset, wanted: Ruleset) -> list[str]:
    before, after = ({table.family: table for table in rules.tables} for rules in (found, wanted))
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
