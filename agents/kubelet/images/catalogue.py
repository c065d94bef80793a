"""What runs for an image's name: data, first match counts.

No image is pulled. A name is compared without registry prefix `docker.io/library/`, tag and digest. A server listens on
its default ports *and* on every `containerPort` that the container declares: `nginx` with `containerPort: 8000` serves
80 and 8000. A name that nobody knows is stood in for by a web server on the declared ports, with an event that says so.

`command:` and `args:` follow the images' own rules: `command` replaces the entrypoint. Where its program is an applet
(`sh`, `sleep`, `curl`, …) it is run by the applets; where it is not (`python app.py`), the server is started.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from miniplane.api.kind import Object

from .base import ContainerContext, Image, RunningContainer
from .database import Database
from .echo import Echo
from .pause import Ends, Pause
from .sidecar import Sidecar
from .web import HttpEcho, NetExec, WebServer, WhoAmI

_REFERENCE = re.compile(
    r"(?P<name>(?:[A-Za-z0-9.\-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._\-/]+[a-z0-9]+)*)(?::[\w][\w.\-]{0,127})?(?:@\w+:[0-9a-f]+)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What an image is."""

    names: Sequence[str]
    """Patterns with `*`, compared with the whole name."""
    server: Image
    """What it runs when no applet is asked for; given the arguments after the program."""
    entrypoint: Sequence[str] = ()
    """An applet that the arguments are for, as in images of command-line tools."""
    is_base: bool = False
    """A base image: its arguments are a command."""


@dataclass(frozen=True, slots=True)
class _AgnHost:
    """The test image of Kubernetes: its first argument is what to do."""

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Do it. See `Image`."""
        actions: dict[str, Image] = {
            "netexec": NetExec(),
            "pause": Pause(),
            "serve-hostname": WebServer(name="serve-hostname", ports=[9376]),
            "porter": WebServer(name="porter"),
        }
        name = context.args[0] if context.args else "pause"
        if name not in actions:
            context.log(f"agnhost {name} is not run here: waiting instead")
        inner = context.with_args(context.args[1:])
        return await actions.get(name, Pause()).start(inner)


UNKNOWN = Entry(
    names=("*",),
    server=WebServer(
        name="unknown", notice="{image} is not run: a built-in server answers on its declared ports instead"
    ),
)

ENTRIES: tuple[Entry, ...] = (
    Entry(names=("pause", "*/pause", "pause-*"), server=Pause()),
    Entry(names=("*nginx-unprivileged", "bitnami/nginx"), server=WebServer(name="nginx", ports=(8080,))),
    Entry(names=("nginx", "*/nginx"), server=WebServer(name="nginx", ports=(80,))),
    Entry(names=("httpd", "*/httpd", "caddy", "*/caddy"), server=WebServer(name="httpd", ports=(80,))),
    Entry(names=("*hello-app", "*/hello-node", "*echoserver"), server=WebServer(name="hello", ports=(8080,))),
    Entry(names=("hashicorp/http-echo", "*/http-echo"), server=HttpEcho()),
    Entry(names=("traefik/whoami", "*/whoami", "containous/whoami"), server=WhoAmI()),
    Entry(names=("*/agnhost", "agnhost"), server=_AgnHost()),
    Entry(names=("postgres", "*/postgres", "*/postgresql"), server=Database(5432)),
    Entry(names=("mysql", "*/mysql", "mariadb", "*/mariadb"), server=Database(3306)),
    Entry(names=("redis", "*/redis", "valkey/valkey", "redis/*"), server=Database(6379)),
    Entry(names=("mongo", "*/mongo", "*/mongodb"), server=Database(27017)),
    Entry(names=("memcached", "*/memcached"), server=Database(11211)),
    Entry(names=("rabbitmq", "*/rabbitmq"), server=Database(5672)),
    Entry(names=("miniplane/echo", "*/tcp-echo", "*/echo-server"), server=Echo()),
    Entry(names=("fluentd", "*/fluentd*", "*fluent-bit", "*/filebeat", "*/vector", "*/promtail"), server=Sidecar()),
    Entry(names=("curlimages/curl", "*/curl"), server=Ends(2, "curl: (2) no URL specified"), entrypoint=("curl",)),
    Entry(
        names=("busybox", "*/busybox", "alpine", "*/alpine", "debian", "ubuntu", "centos", "fedora", "*/ubi*"),
        server=Ends(),
        is_base=True,
    ),
    Entry(names=("*/netshoot", "*/dnsutils", "*/network-multitool", "bash"), server=Ends(), is_base=True),
    Entry(names=("hello-world", "*/hello-world"), server=Ends(0, "Hello from miniplane!")),
)


class Catalogue:
    """Entries in order; `more` go before the built-in ones."""

    def __init__(self, more: Sequence[Entry] = ()) -> None:
        self._entries = (*more, *ENTRIES, UNKNOWN)

    def find(self, reference: str) -> Entry | None:
        """The entry of an image reference; None if it is no valid reference."""
        name = short_name(reference)
        if name is None:
            return None
        return next(entry for entry in self._entries if any(fnmatchcase(name, form) for form in entry.names))


def short_name(reference: str) -> str | None:
    """The reference without tag, digest and the default registry; None if it is malformed."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return None
    name: str = match["name"]
    for prefix in ("index.docker.io/", "docker.io/", "library/"):
        name = name.removeprefix(prefix)
    return name


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a container asks its image to do."""

    argv: Sequence[str]
    is_command: bool
    """Whether `argv` begins with a program; otherwise it is the arguments of the image's own."""


def invocation(entry: Entry, container: Object) -> Invocation:
    """How `command` and `args` of the container and the image's own entrypoint come together."""
    command = list(container.get("command") or ())
    args = list(container.get("args") or ())
    if command or (entry.is_base and args):
        return Invocation(command + args, is_command=True)
    if entry.is_base and container.get("stdin"):
        return Invocation(["pause"], is_command=True)  # a shell that waits for its input
    if entry.entrypoint and args:
        return Invocation([*entry.entrypoint, *args], is_command=True)
    return Invocation(args, is_command=False)
