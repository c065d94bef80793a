"""Listings of nft as JSON, read without nft."""

import copy
from typing import Any

import pytest

from miniplane.dataplane.import_nft import read
from miniplane.dataplane.nft_words import digest
from miniplane.dataplane.parse_nft import ParseError
from miniplane.dataplane.ruleset import (
    Chain,
    Element,
    Field,
    Goto,
    Hook,
    HookName,
    In,
    NamedSet,
    Origin,
    Plain,
    Range,
    Rule,
    Ruleset,
    Table,
    Type,
    Update,
    remark,
)

_OWN = {"family": "ip", "table": "t"}
_SADDR = {"payload": {"protocol": "ip", "field": "saddr"}}
LISTING: dict[str, Any] = {
    "nftables": [
        {"metainfo": {"version": "1.0.6"}},
        {"table": {"family": "ip", "name": "t", "handle": 1}},
        {
            "set": {
                **_OWN,
                "name": "blocks",
                "type": ["ipv4_addr", "inet_proto", "inet_service"],
                "handle": 2,
                "flags": ["interval"],
                "elem": [
                    {
                        "elem": {
                            "val": {
                                "concat": [{"prefix": {"addr": "10.0.0.0", "len": 24}}, "tcp", {"range": [80, 90]}]
                            },
                            "comment": "Pod a/b status.podIPs",
                        }
                    },
                    {"concat": ["10.0.1.1", {"range": [0, 255]}, 443]},
                ],
            }
        },
        {"map": {**_OWN, "name": "seen", "type": "ipv4_addr", "handle": 3, "map": "mark", "flags": ["timeout"]}},
        {
            "map": {
                **_OWN,
                "name": "ways",
                "type": "ipv4_addr",
                "handle": 4,
                "map": "verdict",
                "elem": [["10.0.0.9", {"goto": {"target": "c"}}], ["10.0.0.8", {"drop": None}]],
            }
        },
        {"chain": {**_OWN, "name": "c", "handle": 5}},
        {
            "chain": {
                **_OWN,
                "name": "b",
                "handle": 6,
                "type": "filter",
                "hook": "forward",
                "prio": 0,
                "policy": "accept",
            }
        },
        {
            "rule": {
                **_OWN,
                "chain": "b",
                "handle": 7,
                "comment": "why",
                "expr": [{"match": {"op": "!=", "left": _SADDR, "right": "@blocks"}}, {"drop": None}],
            }
        },
        {
            "rule": {
                **_OWN,
                "chain": "c",
                "handle": 8,
                "comment": "keep",
                "expr": ["update @seen { ip saddr timeout 3h1m : meta mark }"],
            }
        },
    ]
}


def test_a_listing_becomes_rules_in_normal_form() -> None:
    """Sets, maps, chains and rules with their comments, whatever order they are listed in."""
    low, one = 10 << 24, (10 << 24) + 0x101
    assert read(LISTING) == Ruleset(
        (
            Table(
                "ip",
                "t",
                (
                    NamedSet(
                        "blocks",
                        (Type.ADDRESS, Type.PROTOCOL, Type.PORT),
                        (
                            Element(
                                (Range(low, low + 255), 6, Range(80, 90)),
                                None,
                                (Origin("Pod", "a", "b", "status.podIPs"),),
                            ),
                            Element((one, Range(0, 255), 443), None, ()),
                        ),
                        interval=True,
                    ),
                    NamedSet("seen", (Type.ADDRESS,), data=(Type.MARK,), dynamic=True),
                    NamedSet(
                        "ways",
                        (Type.ADDRESS,),
                        (Element((low + 8,), Plain.DROP, ()), Element((low + 9,), Goto("c"), ())),
                        verdicts=True,
                    ),
                ),
                (
                    Chain(
                        "b",
                        (Rule((In((Field.SADDR,), "blocks", negated=True),), (Plain.DROP,), remark("why")),),
                        Hook("filter", HookName.FORWARD, 0),
                    ),
                    Chain("c", (Rule((), (Update("seen", (Field.SADDR,), Field.MARK, 10860),), remark("keep")),)),
                ),
            ),
        )
    )


def test_a_digest_is_looked_up() -> None:
    """A comment that had no room for all origins leads to them through the catalogue."""
    origins = tuple(Origin("NetworkPolicy", "a", f"p{number}", "spec") for number in range(9))
    listing = copy.deepcopy(LISTING)
    listing["nftables"][2]["set"]["elem"][0]["elem"]["comment"] = digest(origins)
    found = read(listing, {digest(origins): origins}).tables[0].set("blocks").elements[0]
    assert found.origins == origins


@pytest.mark.parametrize(
    "item",
    [
        {"flowtable": {**_OWN, "name": "f"}},
        {"table": {"family": "inet", "name": "x", "handle": 9}},
        {"set": {**_OWN, "name": "s", "type": "ipv4_addr", "handle": 9, "timeout": 5}},
        {"set": {**_OWN, "name": "s", "type": "ipv4_addr", "handle": 9, "flags": ["constant"]}},
        {"set": {**_OWN, "name": "s", "type": "ifname", "handle": 9}},
        {
            "chain": {
                **_OWN,
                "name": "d",
                "handle": 9,
                "type": "filter",
                "hook": "input",
                "prio": 0,
                "policy": "drop",
            }
        },
        {"rule": {**_OWN, "chain": "b", "handle": 9, "expr": [{"counter": {"packets": 0, "bytes": 0}}]}},
        {"rule": {**_OWN, "chain": "b", "handle": 9, "expr": [{"reject": {"type": "tcp reset", "expr": "x"}}]}},
        {"rule": {**_OWN, "chain": "b", "handle": 9, "expr": [{"masquerade": None}]}},
        {"rule": {**_OWN, "chain": "b", "handle": 9, "expr": ["log"]}},
        {"rule": {**_OWN, "chain": "missing", "handle": 9, "expr": [{"drop": None}]}},
    ],
)
def test_what_is_not_of_the_subset_is_refused(item: dict[str, Any]) -> None:
    """What we never write is an error, never half a ruleset."""
    with pytest.raises(ParseError):
        read({"nftables": [*LISTING["nftables"], item]})
