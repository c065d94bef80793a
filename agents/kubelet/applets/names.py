"""nslookup and dig, asking the pod's nameservers over the pod's network."""

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import dns.reversename

from ..resolver import NoNameserver, ServerFailure
from .base import Applets, Process, UsageError

_NO_ANSWER = ";; connection timed out; no servers could be reached"


async def nslookup(process: Process) -> int:
    """`nslookup [-type=T] NAME [SERVER]`; a name is looked up along the search list, an address the other way round."""
    words = [arg for arg in process.args[1:] if not arg.startswith("-")]
    kind = next((arg.partition("=")[2] for arg in process.args[1:] if arg.startswith(("-type=", "-query="))), "A")
    if not words:
        raise UsageError("usage: nslookup [-type=TYPE] NAME [SERVER]")
    name, server = words[0], words[1] if len(words) > 1 else ""
    try:
        if server:
            server = (await process.resolver.addresses(server))[0]
        answer, asked = await _ask(process, name, _type(kind), server)
    except (TimeoutError, NoNameserver):
        process.print(_NO_ANSWER)
        return 1
    except ServerFailure:
        process.print(f"** server can't find {name}: SERVFAIL")
        return 1
    except LookupError:
        process.print(f"** server can't find {name}: NXDOMAIN")
        return 1
    shown = server or process.resolver.conf.nameservers[0]
    process.print(f"Server:\t\t{shown}\nAddress:\t{shown}:53\n")
    return _show(process, answer, asked)


def _type(text: str) -> dns.rdatatype.RdataType:
    try:
        return dns.rdatatype.from_text(text)
    except dns.exception.DNSException as error:
        raise UsageError(f"unknown type '{text}'") from error


async def _ask(
    process: Process, name: str, kind: dns.rdatatype.RdataType, server: str
) -> tuple[dns.message.Message, str]:
    """The answer and the name that it is for."""
    try:
        reverse = dns.reversename.from_address(name).to_text()
    except (dns.exception.DNSException, ValueError):
        answer = None
        for candidate in process.resolver.conf.candidates(name):
            answer = await process.resolver.query(candidate, kind, server=server)
            if answer.answer:
                return answer, candidate
        assert answer is not None
        return answer, name
    return await process.resolver.query(reverse, dns.rdatatype.PTR, server=server), reverse


def _show(process: Process, answer: dns.message.Message, asked: str) -> int:
    if answer.rcode() != dns.rcode.NOERROR:
        process.print(f"** server can't find {asked.rstrip('.')}: {dns.rcode.to_text(answer.rcode())}")
        return 1
    if not answer.answer:
        process.print(f"*** Can't find {asked.rstrip('.')}: No answer")
        return 1
    for records in answer.answer:
        owner = records.name.to_text().rstrip(".")
        for record in records:
            if records.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
                process.print(f"Name:\t{owner}\nAddress: {record.address}")
            elif records.rdtype == dns.rdatatype.PTR:
                process.print(f"{owner}\tname = {record.target.to_text()}")
            elif records.rdtype == dns.rdatatype.CNAME:
                process.print(f"{owner}\tcanonical name = {record.target.to_text()}")
            else:
                process.print(f"{owner}\t{dns.rdatatype.to_text(records.rdtype)} = {record.to_text()}")
    return 0


async def dig(process: Process) -> int:
    """`dig [@SERVER] NAME [TYPE] [-x ADDRESS] [+short] [+search]`; names are absolute unless +search is given."""
    name, kind, server, marks = "", dns.rdatatype.A, "", set()
    words = list(process.args[1:])
    while words:
        word = words.pop(0)
        if word.startswith("@"):
            server = word[1:]
        elif word.startswith("+"):
            marks.add(word.partition("=")[0])
        elif word == "-x" and words:
            name, kind = _reverse(words.pop(0)), dns.rdatatype.PTR
        elif word in ("-t", "-4"):
            continue
        elif not name:
            name = word
        elif word.upper() != "IN":
            kind = _type(word)
    if not name:
        raise UsageError("usage: dig [@SERVER] NAME [TYPE] [+short]")
    return await _dig(process, name, kind, server, marks)


def _reverse(address: str) -> str:
    try:
        return dns.reversename.from_address(address).to_text()
    except (dns.exception.DNSException, ValueError) as error:
        raise UsageError(f"-x needs an address, not '{address}'") from error


async def _dig(process: Process, name: str, kind: dns.rdatatype.RdataType, server: str, marks: set[str]) -> int:
    resolver = process.resolver
    try:
        if server:
            server = (await resolver.addresses(server))[0]
        if "+search" in marks and not server:
            answer = await resolver.lookup(name, kind)
        else:
            answer = await resolver.query(f"{name.rstrip('.')}.", kind, server=server)
    except (TimeoutError, NoNameserver):
        process.print(_NO_ANSWER)
        return 9
    except LookupError as error:
        process.complain(str(error))
        return 10
    if "+short" in marks:
        for records in answer.answer:
            for record in records:
                process.print(record.to_text())
        return 0
    if "+noall" in marks:
        for records in answer.answer:
            process.print(records.to_text())
        return 0
    process.print(f"; <<>> miniplane dig <<>> {name}\n{answer.to_text()}")
    process.print(f";; SERVER: {server or resolver.conf.nameservers[0]}#53")
    return 0


async def getent(process: Process) -> int:
    """`getent hosts NAME`."""
    if len(process.args) != 3 or process.args[1] not in ("hosts", "ahosts"):  # noqa: PLR2004 - name, table, key
        raise UsageError("usage: getent hosts NAME")
    try:
        found = await process.resolver.addresses(process.args[2])
    except (LookupError, TimeoutError):
        return 2
    for address in found:
        process.print(f"{address:<15} {process.args[2]}")
    return 0


APPLETS: Applets = {"nslookup": nslookup, "dig": dig, "getent": getent}
