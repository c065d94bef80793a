"""`/healthz`, `/livez`, `/readyz` and `/metrics`."""

from collections.abc import Callable, Mapping

from aiohttp import web

from miniplane.observe import metrics

from .call import Call, Handler, Response

Check = Callable[[], bool]


def health(name: str, checks: Mapping[str, Check]) -> Handler:
    """A handler that answers `ok` where all checks hold and 500 otherwise; `?verbose` lists them."""

    async def handler(call: Call) -> Response:
        results = {check: holds() for check, holds in checks.items()}
        good = all(results.values())
        if good and "verbose" not in call.query:
            return web.Response(text="ok")
        lines = [f"[{'+' if held else '-'}]{check} {'ok' if held else 'failed'}" for check, held in results.items()]
        lines.append(f"{name} check {'passed' if good else 'failed'}")
        return web.Response(text="\n".join(lines) + "\n", status=200 if good else 500)

    return handler


def metrics_page(registry: metrics.CollectorRegistry) -> Handler:
    """The handler of `/metrics`."""

    async def handler(_call: Call) -> Response:
        return web.Response(body=metrics.render(registry), headers={"Content-Type": metrics.CONTENT_TYPE})

    return handler
