"""Routes are chosen as a naive reading of the rules says, by the tables and by the ordered list that proxies get."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from miniplane.api.meta import Key
from miniplane.dataplane.http_routes import (
    Host,
    Listener,
    Match,
    PathType,
    Route,
    Routes,
    Value,
    ordered,
    patterns,
    specificity,
)

HOSTS = ("", "a.b.c", "b.c", "*.b.c", "*.c", "x.a.b.c")
PATHS = ("/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/b")


@dataclass(frozen=True)
class Asked:
    """A request."""

    host: str
    path: str
    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]


values = st.lists(st.builds(Value, st.sampled_from(["k", "l"]), st.sampled_from(["1", "2"])), max_size=2).map(
    lambda items: tuple({item.name: item for item in items}.values())
)
matches = st.builds(
    Match,
    path=st.sampled_from(PATHS),
    kind=st.sampled_from([PathType.EXACT, PathType.PREFIX]),
    method=st.sampled_from(["", "GET", "POST"]),
    headers=values,
    query=values,
)
pairs = st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from(["1", "2"]))
requests = st.builds(
    Asked,
    host=st.sampled_from([host for host in HOSTS if "*" not in host] + ["q.b.c", "q.r.b.c", "z"]),
    path=st.sampled_from([*PATHS, "/a/b/", "/a//b", "/c"]),
    method=st.sampled_from(["GET", "POST"]),
    headers=pairs,
    query=pairs,
)
routes = st.lists(st.tuples(st.sampled_from(HOSTS), matches, st.sampled_from(["1", "2"])), max_size=12)


def listener(made: Sequence[tuple[str, Match, str]], *, deep: bool) -> Listener:
    """A listener with these routes."""
    hosts: dict[str, Host] = {}
    for number, (host, match, age) in enumerate(made):
        owner = Key("default", f"r{number:02}")
        hosts.setdefault(host, Host()).add(Route("HTTPRoute", owner, "spec", host, match, age=age))
    return Listener(deep=deep, hosts=hosts)


def takes_host(pattern: str, host: str, *, deep: bool) -> bool:
    """Whether a pattern takes a name, read naively."""
    if not pattern.startswith("*."):
        return pattern in ("", host)
    left = host.removesuffix(pattern[1:])
    return host.endswith(pattern[1:]) and left != "" and (deep or "." not in left)


def oracle(made: Sequence[tuple[str, Match, str]], asked: Asked, *, deep: bool) -> int | None:
    """The number of the route, straight from the rules."""
    hosts = [host for host, _, _ in made if takes_host(host, asked.host, deep=deep)]
    if not hosts:
        return None
    best = min(hosts, key=specificity)
    found = []
    for number, (host, match, age) in enumerate(made):
        prefix = match.path.rstrip("/")
        fits = asked.path == match.path if match.kind is PathType.EXACT else (asked.path + "/").startswith(prefix + "/")
        fits &= match.method in ("", asked.method)
        fits &= all(asked.headers.get(item.name) == item.value for item in match.headers)
        fits &= all(asked.query.get(item.name) == item.value for item in match.query)
        if host == best and fits:
            found.append(
                (
                    match.kind is not PathType.EXACT,
                    -len(prefix),
                    not match.method,
                    -len(match.headers),
                    -len(match.query),
                    age,
                    number,
                )
            )
    return min(found)[-1] if found else None


@given(routes, requests, st.booleans())
def test_the_tables_agree_with_the_oracle(
    made: list[tuple[str, Match, str]],
    asked: Asked,
    deep: bool,  # noqa: FBT001  hypothesis
) -> None:
    """Looking a route up finds the one that a naive reading of the rules finds."""
    whole = Routes((listener(made, deep=deep),))
    found = whole.find(
        f"{asked.host.upper()}:80", asked.path, method=asked.method, headers=asked.headers, query=asked.query
    )
    assert (None if found is None else int(found.owner.name[1:])) == oracle(made, asked, deep=deep)


@given(routes, requests, st.booleans())
def test_the_first_match_of_the_list_is_the_same(
    made: list[tuple[str, Match, str]],
    asked: Asked,
    deep: bool,  # noqa: FBT001  hypothesis
) -> None:
    """In the ordered list the first host that takes the name decides, and in it the first route that matches."""
    chosen = None
    for _, host, items in ordered([listener(made, deep=deep)]):
        if takes_host(host, asked.host, deep=deep):
            fits = (
                item
                for item in items
                if item.match.takes_path(asked.path) and item.match.takes_rest(asked.method, asked.headers, asked.query)
            )
            first = next(fits, None)
            chosen = None if first is None else int(first.owner.name[1:])
            break
    assert chosen == oracle(made, asked, deep=deep)


@given(st.sampled_from(["a.b.c", "q.r.b.c", "c", ""]), st.booleans())
def test_patterns(host: str, deep: bool) -> None:  # noqa: FBT001  hypothesis
    """The patterns of a name are those that take it, the most specific first."""
    found = list(dict.fromkeys(patterns(host, deep=deep)))
    assert [item for item in found if item in HOSTS] == sorted(
        (item for item in HOSTS if takes_host(item, host, deep=deep)), key=specificity
    )
