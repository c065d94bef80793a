"""The filters and time limits of an HTTPRoute, read. Pure."""

import re
from collections.abc import Iterable

from miniplane.api.kind import Object
from miniplane.dataplane.http_routes import Filters, HeaderChange, PathChange, Redirect

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class Unsupported(ValueError):
    """What a route asks for is not served."""


def split_filters(items: Iterable[Object], *, of_backend: bool = False) -> tuple[Filters, list[Object]]:
    """What is changed, and the references of mirrors. Raises Unsupported."""
    fields: dict[str, object] = {}
    mirrors: list[Object] = []
    for item in items:
        kind = item.get("type")
        if of_backend and kind not in ("RequestHeaderModifier", "ResponseHeaderModifier"):
            raise Unsupported(f"the filter {kind} is not served for single backends")
        match kind:
            case "RequestHeaderModifier":
                fields["request"] = _headers(item["requestHeaderModifier"])
            case "ResponseHeaderModifier":
                fields["response"] = _headers(item["responseHeaderModifier"])
            case "RequestRedirect":
                fields["redirect"] = _redirect(item["requestRedirect"])
            case "URLRewrite":
                fields["host"] = item["urlRewrite"].get("hostname") or ""
                fields["path"] = _path(item["urlRewrite"].get("path"))
            case "RequestMirror":
                mirrors.append(_mirror(item["requestMirror"]))
            case _:
                raise Unsupported(f"the filter {kind} is not served")
    return Filters(**fields), mirrors  # type: ignore[arg-type]  # each field by its own function


def _headers(item: Object) -> HeaderChange:
    def pairs(name: str) -> tuple[tuple[str, str], ...]:
        return tuple((header["name"], header["value"]) for header in item.get(name) or ())

    return HeaderChange(pairs("set"), pairs("add"), tuple(item.get("remove") or ()))


def _redirect(item: Object) -> Redirect:
    return Redirect(
        item.get("scheme") or "",
        item.get("hostname") or "",
        _path(item.get("path")),
        item.get("port") or 0,
        item.get("statusCode") or 302,
    )


def _path(item: Object | None) -> PathChange | None:
    if not item:
        return None
    if item.get("type") == "ReplaceFullPath":
        return PathChange(item.get("replaceFullPath") or "/")
    return PathChange(item.get("replacePrefixMatch") or "", prefix=True)


def _mirror(item: Object) -> Object:
    if item.get("percent") is not None or item.get("fraction") is not None:
        raise Unsupported("a mirror of only a part of the requests is not served")
    reference: Object = item["backendRef"]
    return reference


def seconds(text: str | None) -> float:
    """A duration such as `1m30s`; 0 without one."""
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)(ms|h|m|s)", text or ""))
