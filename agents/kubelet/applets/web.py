"""curl and wget, through the pod's network and with the pod's names. Exit codes and messages are the originals'."""

import asyncio
import ssl
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, urljoin, urlsplit

from ..http import BadResponse, Request, Response, fetch
from ..streams import insecure_tls
from .base import SYN_TIMEOUT_S, Applets, Options, Process, UsageError, parse_options
from .basic import unescape

_CURL_FLAGS = {
    "-s": "silent", "--silent": "silent", "-S": "show", "--show-error": "show", "-f": "fail", "--fail": "fail",
    "-i": "include", "--include": "include", "-I": "head", "--head": "head", "-k": "insecure",
    "--insecure": "insecure", "-L": "follow", "--location": "follow", "-v": "verbose", "--verbose": "verbose",
    "-4": "four", "-N": "unbuffered", "--no-buffer": "unbuffered", "-g": "globoff", "-G": "get", "--get": "get",
}  # fmt: skip
_CURL_VALUED = {
    "-o": "output", "--output": "output", "-w": "write", "--write-out": "write", "-H": "header",
    "--header": "header", "-m": "time", "--max-time": "time", "--connect-timeout": "connect", "-X": "method",
    "--request": "method", "-d": "data", "--data": "data", "--data-raw": "data", "--data-binary": "data",
    "-A": "agent", "--user-agent": "agent", "--resolve": "resolve", "--retry": "retry", "--interface": "interface",
}  # fmt: skip
_MAX_REDIRECTS = 50
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ERROR = 400


class _Failed(Exception):
    """A transfer that failed, with curl's exit code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(slots=True)
class _Facts:
    """What -w can tell."""

    values: dict[str, str] = field(default_factory=lambda: {"http_code": "000", "response_code": "000"})


async def curl(process: Process) -> int:
    """`curl [options] URL...`; see the tables above for the options."""
    try:
        options = parse_options(process.args[1:], _CURL_FLAGS, _CURL_VALUED)
    except UsageError as error:
        process.complain(str(error))
        return 2
    if not options.rest:
        process.stderr(b"curl: (2) no URL specified\n")
        return 2
    code = 0
    for url in options.rest:
        code = await _curl_one(process, options, url)
    return code


async def _curl_one(process: Process, options: Options, url: str) -> int:
    started = process.context.clock.monotonic()
    facts = _Facts()
    code = 0
    try:
        async with asyncio.timeout(options.seconds("time", None)):
            await _transfer(process, options, url, facts)
    except TimeoutError:
        spent = 1000 * (options.seconds("time", 0.0) or 0.0)
        code = _complain(process, options, _Failed(28, f"Connection timed out after {spent:.0f} milliseconds"))
    except _Failed as failed:
        code = _complain(process, options, failed)
    facts.values |= {"time_total": f"{process.context.clock.monotonic() - started:.6f}", "exitcode": str(code)}
    if form := options.get("write"):
        process.stdout(_written(form, facts.values).encode())
    return code


def _complain(process: Process, options: Options, failed: _Failed) -> int:
    if "silent" not in options or "show" in options:
        process.stderr(f"curl: ({failed.code}) {failed.text}\n".encode())
    return failed.code


def _written(form: str, values: dict[str, str]) -> str:
    text = unescape(form)
    for name, value in values.items():
        text = text.replace(f"%{{{name}}}", value)
    return text


async def _transfer(process: Process, options: Options, url: str, facts: _Facts) -> None:
    method, body = options.get("method"), "&".join(options.every("data")).encode()
    for _ in range(_MAX_REDIRECTS):
        request = _request(options, url, method, body)
        response, address = await _send(process, options, request)
        facts.values |= {
            "http_code": str(response.status),
            "response_code": str(response.status),
            "remote_ip": address,
            "remote_port": str(request.port),
            "local_ip": process.context.link.ip,
            "size_download": str(len(response.body)),
            "content_type": response.header("Content-Type"),
            "url_effective": url,
        }
        location = response.header("Location")
        if "follow" not in options or response.status not in _REDIRECTS or not location:
            break
        url = urljoin(url, location)
    else:
        raise _Failed(47, f"Maximum ({_MAX_REDIRECTS}) redirects followed")
    if "fail" in options and response.status >= _ERROR:
        raise _Failed(22, f"The requested URL returned error: {response.status}")
    _output(process, options, response)


def _split(url: str) -> SplitResult:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https"):
        raise _Failed(1, f'Protocol "{parts.scheme}" not supported')
    try:
        port = parts.port
    except ValueError as error:
        raise _Failed(3, "URL rejected: Port number was not a decimal number between 0 and 65535") from error
    if not parts.hostname or port == 0:
        raise _Failed(3, "URL rejected: No host part in the URL")
    return parts


def _request(options: Options, url: str, method: str, body: bytes) -> Request:
    parts = _split(url)
    headers = [("User-Agent", options.get("agent", "curl/8.11.0")), ("Accept", "*/*")]
    for text in options.every("header"):
        name, _, value = text.partition(":")
        headers = [pair for pair in headers if pair[0].lower() != name.strip().lower()]
        if value.strip():
            headers.append((name.strip(), value.strip()))
    if body and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    secure = parts.scheme == "https"
    return Request(
        host=parts.hostname or "",
        port=parts.port or (443 if secure else 80),
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        method=method or ("HEAD" if "head" in options else "POST" if body else "GET"),
        authority=parts.netloc.rpartition("@")[2],
        headers=headers,
        body=body,
        tls=insecure_tls() if secure else None,
        server_name=parts.hostname or "",
    )


async def _send(process: Process, options: Options, request: Request) -> tuple[Response, str]:
    """The response and the address that gave it."""
    name = request.host
    address = _fixed(options, name, request.port) or await _resolve(process, name)
    limit = options.seconds("connect", SYN_TIMEOUT_S)
    verbose = "verbose" in options
    if verbose:
        process.stderr(f"*   Trying {address}:{request.port}...\n".encode())
        process.stderr("".join(f"> {line}\n" for line in request.to_bytes().decode("latin-1").split("\r\n")).encode())
    try:
        async with asyncio.timeout(limit):
            response = await fetch(process.context.link, replace(request, host=address))
    except TimeoutError as error:
        raise _Failed(28, f"Connection timed out after {1000 * (limit or 0):.0f} milliseconds") from error
    except BadResponse as error:
        raise _Failed(52 if "empty reply" in str(error) else 1, str(error).capitalize()) from error
    except ssl.SSLError as error:
        raise _Failed(35, f"TLS connect error: {error.reason}") from error
    except ConnectionResetError as error:
        raise _Failed(56, "Recv failure: Connection reset by peer") from error
    except OSError as error:
        raise _Failed(7, f"Failed to connect to {name} port {request.port}: {_why(error)}") from error
    if verbose:
        process.stderr(f"* Connected to {name} ({address}) port {request.port}\n".encode())
        process.stderr("".join(f"< {line}\n" for line in _head(response).split("\r\n")).encode())
    return response, address


def _why(error: OSError) -> str:
    return "Couldn't connect to server" if isinstance(error, ConnectionRefusedError) else str(error.strerror or error)


def _fixed(options: Options, name: str, port: int) -> str:
    """The address that --resolve gives."""
    for text in options.every("resolve"):
        host, _, rest = text.partition(":")
        at, _, address = rest.partition(":")
        if host == name and at == str(port):
            return address.strip("[]")
    return ""


async def _resolve(process: Process, name: str) -> str:
    try:
        return (await process.resolver.addresses(name))[0]
    except TimeoutError as error:
        raise _Failed(28, "Resolving timed out") from error
    except LookupError as error:
        raise _Failed(6, f"Could not resolve host: {name}") from error


def _head(response: Response) -> str:
    lines = [f"{response.version} {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""])


def _output(process: Process, options: Options, response: Response) -> None:
    head = _head(response).encode() if {"include", "head"} & set(options.values) else b""
    target = options.get("output", "-")
    if target == "-":
        process.stdout(head + response.body)
    elif target != "/dev/null":
        process.files[target] = (head + response.body).decode("utf-8", "replace")


_WGET_FLAGS = {"-q": "quiet", "-S": "headers", "--spider": "spider", "--no-check-certificate": "insecure"}
_WGET_VALUED = {
    "-O": "output", "-T": "time", "--timeout": "time", "--header": "header", "--post-data": "data", "-t": "tries",
    "--tries": "tries", "-U": "agent", "--output-document": "output",
}  # fmt: skip


async def wget(process: Process) -> int:
    """`wget [-q] [-O -] [-T seconds] [-S] [--spider] [--header H] [--post-data D] URL`, as busybox has it."""
    try:
        options = parse_options(process.args[1:], _WGET_FLAGS, _WGET_VALUED)
    except UsageError as error:
        process.complain(str(error))
        return 1
    if not options.rest:
        process.complain("missing URL")
        return 1
    return await _wget_one(process, options, options.rest[0])


async def _wget_one(process: Process, options: Options, url: str) -> int:
    limit = options.seconds("time", 900.0)
    try:
        request = _request(options, url, "HEAD" if "spider" in options else "", options.get("data").encode())
        async with asyncio.timeout(limit):
            response = await _wget_send(process, options, request)
    except TimeoutError:
        process.complain("download timed out")
        return 1
    except _Failed as failed:
        process.complain(failed.text)
        return 1
    if "headers" in options:
        process.stderr("".join(f"  {line}\n" for line in _head(response).split("\r\n") if line).encode())
    if response.status >= _ERROR:
        process.complain(f"server returned error: {response.version} {response.status} {response.reason}")
        return 1
    _save(process, options, urlsplit(url), response)
    return 0


async def _wget_send(process: Process, options: Options, request: Request) -> Response:
    try:
        address = (await process.resolver.addresses(request.host))[0]
    except LookupError as error:
        raise _Failed(1, f"bad address '{request.host}'") from error
    if "quiet" not in options:
        process.stderr(f"Connecting to {request.authority} ({address}:{request.port})\n".encode())
    try:
        return await fetch(process.context.link, replace(request, host=address))
    except BadResponse as error:
        raise _Failed(1, "error getting response") from error
    except OSError as error:
        text = "Connection refused" if isinstance(error, ConnectionRefusedError) else str(error.strerror or error)
        raise _Failed(1, f"can't connect to remote host ({address}): {text}") from error


def _save(process: Process, options: Options, parts: SplitResult, response: Response) -> None:
    target = options.get("output") or parts.path.rpartition("/")[2] or "index.html"
    if "spider" in options:
        return
    if target == "-":
        process.stdout(response.body)
    elif target != "/dev/null":
        process.files[target] = response.body.decode("utf-8", "replace")


APPLETS: Applets = {"curl": curl, "wget": wget}
