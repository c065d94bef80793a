"""Whose turn it is: backends by their weights, endpoints one after the other."""

from miniplane.dataplane.http_routes import Backend, Route, Target

_MAX_ROUTES = 10_000


class Balancer:
    """Remembers turns. Backends are taken by smooth weighted round robin, as nginx does: exact, and not bunched."""

    def __init__(self) -> None:
        self._turns: dict[str, int] = {}
        self._credit: dict[tuple[object, ...], list[int]] = {}

    def backend(self, route: Route) -> Backend | None:
        """The backend that the route's next request goes to; None where all weigh nothing."""
        total = sum(backend.weight for backend in route.backends)
        if not total:
            return None
        if len(route.backends) == 1:
            return route.backends[0]
        if len(self._credit) > _MAX_ROUTES:
            self._credit.clear()
        identity = (route.kind, route.owner, route.field, route.host, len(route.backends))
        credit = self._credit.setdefault(identity, [0] * len(route.backends))
        for index, backend in enumerate(route.backends):
            credit[index] += backend.weight
        best = max(range(len(credit)), key=credit.__getitem__)
        credit[best] -= total
        return route.backends[best]

    def endpoints(self, target: Target) -> list[tuple[str, int]]:
        """The endpoints, beginning with the one whose turn it is."""
        endpoints = list(target.endpoints)
        if not endpoints:
            return []
        name = str(target)
        first = self._turns.get(name, -1) + 1
        self._turns[name] = first
        first %= len(endpoints)
        return endpoints[first:] + endpoints[:first]
