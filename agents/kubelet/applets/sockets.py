"""nc, ip, ping, and the clients of databases that probes call."""

import asyncio
import contextlib
import ipaddress

from ...network.base import Link
from ..streams import Stream, connect
from .base import SYN_TIMEOUT_S, Applets, Options, Process, UsageError, parse_options

_FLAGS = {"-z": "scan", "-v": "verbose", "-u": "udp", "-n": "numeric", "-N": "close"}
_VALUED = {"-w": "time", "-W": "time", "-p": "port"}
_UDP_WAIT_S = 1.0
_DATABASE_PORTS = {"pg_isready": 5432, "redis-cli": 6379, "mysqladmin": 3306}


async def nc(process: Process) -> int:
    """`nc [-zvu] [-w seconds] HOST PORT`: connect; send standard input and print what comes, or only look with -z."""
    options = parse_options(process.args[1:], _FLAGS, _VALUED)
    if len(options.rest) != 2 or not options.rest[1].isdigit():  # noqa: PLR2004 - host and port
        raise UsageError("usage: nc [-zvu] [-w SECONDS] HOST PORT")
    name, port = options.rest[0], int(options.rest[1])
    try:
        address = (await process.resolver.addresses(name))[0]
    except (LookupError, TimeoutError):
        process.stderr(f"nc: bad address '{name}'\n".encode())
        return 1
    if "udp" in options:
        return await _datagrams(process, options, address, port)
    try:
        return await _stream(process, options, name, address, port)
    except TimeoutError:
        text = "Connection timed out"
    except ConnectionRefusedError:
        text = "Connection refused"
    except OSError as error:
        text = str(error.strerror or error)
    if "scan" not in options or "verbose" in options:
        process.stderr(f"nc: {name} ({address}:{port}): {text}\n".encode())
    return 1


async def _stream(process: Process, options: Options, name: str, address: str, port: int) -> int:
    limit = options.seconds("time", SYN_TIMEOUT_S)
    async with contextlib.AsyncExitStack() as stack:
        async with asyncio.timeout(limit):
            stream = await stack.enter_async_context(connect(process.context.link, address, port))
        if "verbose" in options:
            process.stderr(f"{name} ({address}:{port}) open\n".encode())
        if "scan" in options:
            return 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(options.seconds("time", None)):
                await _pump(process, stream)
    return 0


async def _pump(process: Process, stream: Stream) -> None:
    """Both directions until the peer closes; the end of input is told to the peer."""

    async def send() -> None:
        while data := await process.stdin.read():
            stream.writer.write(data)
            await stream.writer.drain()
        if stream.writer.can_write_eof():
            stream.writer.write_eof()

    async with asyncio.TaskGroup() as group:
        sending = group.create_task(send())
        while data := await stream.reader.read(65536):
            process.stdout(data)
        sending.cancel()


async def _datagrams(process: Process, options: Options, address: str, port: int) -> int:
    """Send standard input as one datagram and print what comes back within a second (-w says how long)."""
    data = bytearray()
    while part := await process.stdin.read():
        data += part
    answered = asyncio.Event()

    def receive(datagram: bytes, host: str, sender: int) -> None:
        if (host, sender) == (address, port):
            process.stdout(datagram)
            answered.set()

    socket = await process.context.link.bind(receive)
    try:
        socket.send(bytes(data), address, port)
        if "scan" not in options:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(options.seconds("time", _UDP_WAIT_S)):
                    await answered.wait()
    finally:
        socket.close()
    return 0


async def ping(process: Process) -> int:
    """Refused: the network carries no ICMP."""
    process.complain("the network of miniplane carries TCP and UDP, no ICMP; try `nc -zv HOST PORT` or `curl`")
    return 1


async def ip(process: Process) -> int:
    """`ip addr` and `ip route`: the pod's one interface."""
    own = process.context.link.ip
    what = next((arg for arg in process.args[1:] if not arg.startswith("-")), "addr")
    family = "inet6" if ipaddress.ip_address(own).version == 6 else "inet"  # noqa: PLR2004 - the IP version
    prefix = ipaddress.ip_address(own).max_prefixlen
    if what.startswith("r"):
        process.print(f"default via 169.254.1.1 dev eth0\n169.254.1.1 dev eth0 scope link src {own}")
    elif what.startswith("a"):
        process.print(
            "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 state UNKNOWN\n"
            "    inet 127.0.0.1/8 scope host lo\n"
            "2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP\n"
            f"    {family} {own}/{prefix} scope global eth0"
        )
    else:
        raise UsageError("only `ip addr` and `ip route` are here")
    return 0


async def is_ready(process: Process) -> int:
    """`pg_isready`, `redis-cli ping`, `mysqladmin ping`: whether the server on localhost takes connections."""
    port = _DATABASE_PORTS[process.name]
    words = list(process.args[1:])
    for at, word in enumerate(words[:-1]):
        if word in ("-p", "-P") and words[at + 1].isdigit():
            port = int(words[at + 1])
    open_ = await _is_open(process.context.link, port)
    if process.name == "pg_isready":
        process.print(f"localhost:{port} - {'accepting connections' if open_ else 'no response'}")
        return 0 if open_ else 2
    process.print(("PONG" if process.name == "redis-cli" else "mysqld is alive") if open_ else "connection refused")
    return 0 if open_ else 1


async def _is_open(link: Link, port: int) -> bool:
    try:
        async with connect(link, "127.0.0.1", port):
            return True
    except OSError:
        return False


APPLETS: Applets = {
    "nc": nc,
    "netcat": nc,
    "ping": ping,
    "ping6": ping,
    "ip": ip,
    **dict.fromkeys(_DATABASE_PORTS, is_ready),
}
