"""The tables' fixed part: the names of sets and chains, and the rules that stand in every node's program.

Maps, not chains: what grows with the cluster are elements. The only chains that come and go are the ones that choose
among N backends, one per count (`pick_chain`, `sticky_chain`). A frontend is `address . protocol . port`.
See docs/explanation/dataplane.md for the packet's way through them.
"""

from miniplane.dataplane.ruleset import (
    Chain,
    CtState,
    Delete,
    Dnat,
    Field,
    Fields,
    Goto,
    Hook,
    HookName,
    In,
    Is,
    IsTranslated,
    Jump,
    Lookup,
    Masquerade,
    Match,
    NamedSet,
    Plain,
    Random,
    Rule,
    SetMark,
    StateIs,
    Statement,
    Type,
    Update,
    VerdictOf,
    remark,
)

TABLE = "miniplane"

FRONTEND: Fields = (Field.DADDR, Field.PROTOCOL, Field.DPORT)
_CLIENT: Fields = (Field.SADDR, *FRONTEND)
_CHOICE: Fields = (*FRONTEND, Field.MARK)
_PAIR: Fields = (Field.SADDR, Field.DADDR)
_FRONTEND = (Type.ADDRESS, Type.PROTOCOL, Type.PORT)

LOCAL_OFFSET = 0x10000
"""Marks of a frontend's local backends start here, those of all its backends at 0."""
MASQUERADE_MARK = 1
"""The connection mark that asks for masquerading."""

SETS: tuple[NamedSet, ...] = (
    NamedSet("pod-ranges", (Type.ADDRESS,), interval=True),
    NamedSet("inside", (Type.ADDRESS,), interval=True),
    NamedSet("service-ranges", (Type.ADDRESS,), interval=True),
    NamedSet("cluster-ips", (Type.ADDRESS,)),
    NamedSet("services", _FRONTEND, verdicts=True),
    NamedSet("services-local", _FRONTEND, verdicts=True),
    NamedSet("masqueraded", _FRONTEND),
    NamedSet("no-endpoints", _FRONTEND),
    NamedSet("restricted", _FRONTEND),
    NamedSet("source-ranges", (*_FRONTEND, Type.ADDRESS), interval=True),
    NamedSet("endpoints", (*_FRONTEND, Type.MARK), data=(Type.ADDRESS, Type.PORT)),
    NamedSet("choices", (*_FRONTEND, Type.MARK), data=(Type.MARK,)),
    NamedSet("affinity", (Type.ADDRESS, *_FRONTEND), data=(Type.MARK,), dynamic=True),
    NamedSet("here", (Type.ADDRESS,), interval=True),
    NamedSet("self", (Type.ADDRESS, Type.ADDRESS)),
    NamedSet("pod-groups", (Type.ADDRESS,), data=(Type.MARK,)),
    NamedSet("isolated-ingress", (Type.ADDRESS,)),
    NamedSet("isolated-egress", (Type.ADDRESS,)),
    NamedSet("ingress-groups", (Type.MARK, *_FRONTEND), interval=True),
    NamedSet("ingress-blocks", (Type.ADDRESS, *_FRONTEND), interval=True),
    NamedSet("egress-groups", (Type.ADDRESS, Type.MARK, Type.PROTOCOL, Type.PORT), interval=True),
    NamedSet("egress-blocks", (Type.ADDRESS, *_FRONTEND), interval=True),
    NamedSet("tiered-ingress", (Type.ADDRESS,)),
    NamedSet("tiered-egress", (Type.ADDRESS,)),
    *(
        NamedSet(f"{tier}-{direction}-{what}", types, verdicts=True, interval=True)
        for tier in ("admin", "baseline")
        for direction in ("ingress", "egress")
        for what, types in (
            ("groups", (Type.MARK, Type.ADDRESS, *_FRONTEND)),
            ("blocks", (Type.ADDRESS, *_FRONTEND)),
        )
    ),
)
"""Every set of a table, empty, in the order in which they stand."""

SERVICE_SETS = (
    "cluster-ips",
    "services",
    "services-local",
    "masqueraded",
    "no-endpoints",
    "restricted",
    "source-ranges",
    "endpoints",
    "choices",
)
"""The sets that Services fill."""
POLICY_SETS = (
    "isolated-ingress",
    "isolated-egress",
    "ingress-groups",
    "ingress-blocks",
    "egress-groups",
    "egress-blocks",
)
"""The sets that policies fill."""
TIER_SETS = tuple(item.name for item in SETS if item.name.startswith(("tiered-", "admin-", "baseline-")))
"""The sets that cluster-wide policies fill."""


def _rule(*parts: Match | Statement, why: str) -> Rule:
    matches = tuple(part for part in parts if isinstance(part, Match))
    statements = tuple(part for part in parts if not isinstance(part, Match))
    return Rule(matches, statements, remark(why))


_ESTABLISHED = _rule(
    StateIs((CtState.ESTABLISHED, CtState.RELATED)), Plain.ACCEPT, why="a connection that was let in goes on"
)
_UNSERVED = _rule(Jump("unserved"), why="nothing to reach at a Service's address")
_MASQUERADE = SetMark(Field.CT_MARK, MASQUERADE_MARK)
_TRANSLATE = Dnat(Lookup(_CHOICE, "endpoints"))
_FROM_OUTSIDE = In((Field.SADDR,), "pod-ranges", negated=True)
_SELF = _rule(In(_PAIR, "self"), Plain.RETURN, why="a pod always reaches itself")


def _refuse(fields: Fields, name: str, why: str) -> tuple[Rule, Rule]:
    """Answer at once for what is in a set, TCP by a reset: a blocking client learns of ICMP only a second later."""
    return (
        _rule(In(fields, name), Plain.RESET, why=why),
        _rule(In(fields, name), Plain.REJECT, why=why),
    )


def _judge(direction: str, own: Field, what: str) -> tuple[Rule, Rule]:
    """Where policies come in: all tiers if a cluster-wide one has rules for the pod, else NetworkPolicies alone."""
    tiered = f"tiered-{direction}"
    return (
        _rule(In((own,), tiered), Jump(f"{direction}-tiers"), why=f"a cluster-wide policy selects the {what}"),
        _rule(
            In((own,), f"isolated-{direction}"),
            In((own,), tiered, negated=True),
            Jump(direction),
            why=f"a policy isolates the {what}",
        ),
    )


def policies_name(direction: str) -> str:
    """The chain where the NetworkPolicies have their say, after the Admin tier."""
    return f"{direction}-policies"


def _tier_chains(direction: str, other: Field) -> tuple[Chain, ...]:
    """The tiers of one direction, for pods that a cluster-wide policy has rules for; `other` is the far end."""

    def stage(tier: str) -> tuple[Rule, ...]:
        groups, blocks = (f"{tier}-{direction}-{what}" for what in ("groups", "blocks"))
        return (
            _rule(VerdictOf(Lookup((Field.MARK, *_CLIENT), groups)), why=f"what the {tier} tier says by labels"),
            _rule(VerdictOf(Lookup(_CLIENT, blocks)), why=f"what the {tier} tier says by address"),
        )

    own = Field.SADDR if direction == "egress" else Field.DADDR
    return (
        Chain(
            f"{direction}-tiers",
            (
                _SELF,
                _rule(SetMark(Field.MARK, 0), why="no group yet"),
                _rule(SetMark(Field.MARK, Lookup((other,), "pod-groups")), why="the other side's group"),
                *stage("admin"),
                _rule(Goto(policies_name(direction)), why="no rule of the Admin tier decides"),
            ),
        ),
        Chain(
            policies_name(direction),
            (
                _rule(In((own,), f"isolated-{direction}"), Goto(direction), why="a policy isolates the pod"),
                *stage("baseline"),
            ),
        ),
    )


FIXED_CHAINS: tuple[Chain, ...] = (
    Chain(
        "firewall",
        (
            _rule(
                StateIs((CtState.NEW,)),
                In(FRONTEND, "restricted"),
                In((*FRONTEND, Field.SADDR), "source-ranges", negated=True),
                Plain.DROP,
                why="the client is in none of the Service's source ranges",
            ),
        ),
    ),
    Chain(
        "services",
        (
            _rule(
                _FROM_OUTSIDE,
                In((Field.DADDR,), "cluster-ips"),
                _MASQUERADE,
                why="a ClusterIP is asked from outside of the pod network, and the answer must come back this way",
            ),
            _rule(
                In(FRONTEND, "masqueraded"),
                _MASQUERADE,
                why="under externalTrafficPolicy Cluster the backend may be anywhere, so its answer must come this way",
            ),
            _rule(VerdictOf(Lookup(FRONTEND, "services")), why="choose among the backends"),
        ),
    ),
    Chain("translate", (_rule(_TRANSLATE, why="the chosen backend"),)),
    Chain(
        "unserved",
        (
            _rule(IsTranslated(), Plain.RETURN, why="it was led to a backend, whatever else that address is"),
            *_refuse(FRONTEND, "no-endpoints", "the Service has no endpoints"),
            *_refuse((Field.DADDR,), "cluster-ips", "the Service has no such port"),
            _rule(In((Field.DADDR,), "service-ranges"), Plain.DROP, why="no Service has this address"),
        ),
    ),
    Chain(
        "egress",
        (
            _SELF,
            _rule(SetMark(Field.MARK, 0), why="no group yet"),
            _rule(SetMark(Field.MARK, Lookup((Field.DADDR,), "pod-groups")), why="the target's group"),
            _rule(
                In((Field.SADDR, Field.MARK, Field.PROTOCOL, Field.DPORT), "egress-groups"),
                Plain.RETURN,
                why="allowed by the target's labels",
            ),
            _rule(In(_CLIENT, "egress-blocks"), Plain.RETURN, why="allowed by the target's address"),
            _rule(Plain.DROP, why="no egress rule allows it"),
        ),
    ),
    Chain(
        "ingress",
        (
            _SELF,
            _rule(SetMark(Field.MARK, 0), why="no group yet"),
            _rule(SetMark(Field.MARK, Lookup((Field.SADDR,), "pod-groups")), why="the source's group"),
            _rule(In((Field.MARK, *FRONTEND), "ingress-groups"), Plain.RETURN, why="allowed by the source's labels"),
            _rule(In(_CLIENT, "ingress-blocks"), Plain.RETURN, why="allowed by the source's address"),
            _rule(Plain.DROP, why="no ingress rule allows it"),
        ),
    ),
    *_tier_chains("egress", Field.DADDR),
    *_tier_chains("ingress", Field.SADDR),
    Chain(
        "filter-prerouting",
        (_rule(Jump("firewall"), why="source ranges"),),
        Hook("filter", HookName.PREROUTING, -110),
    ),
    Chain(
        "filter-output-first", (_rule(Jump("firewall"), why="source ranges"),), Hook("filter", HookName.OUTPUT, -110)
    ),
    Chain(
        "nat-prerouting",
        (
            _rule(
                _FROM_OUTSIDE,
                VerdictOf(Lookup(FRONTEND, "services-local")),
                why="clients outside get this node's own backends (externalTrafficPolicy Local)",
            ),
            _rule(Jump("services"), why="is it for a Service"),
        ),
        Hook("nat", HookName.PREROUTING, -100),
    ),
    Chain(
        "nat-output",
        (
            _rule(_MASQUERADE, why="the node itself asks a Service, and the answer must come back to it"),
            _rule(Jump("services"), why="is it for a Service"),
        ),
        Hook("nat", HookName.OUTPUT, -100),
    ),
    Chain("filter-input", (_ESTABLISHED, _UNSERVED), Hook("filter", HookName.INPUT, 0)),
    Chain(
        "filter-forward",
        (
            _ESTABLISHED,
            _UNSERVED,
            *_judge("egress", Field.SADDR, "source"),
            *_judge("ingress", Field.DADDR, "target"),
        ),
        Hook("filter", HookName.FORWARD, 0),
    ),
    Chain("filter-output", (_ESTABLISHED, _UNSERVED), Hook("filter", HookName.OUTPUT, 0)),
    Chain(
        "nat-postrouting",
        (
            _rule(
                IsTranslated(),
                Is(Field.CT_MARK, MASQUERADE_MARK),
                Masquerade(),
                why="asked for where the Service was chosen",
            ),
            _rule(
                IsTranslated(),
                In(_PAIR, "self"),
                Masquerade(),
                why="the pod reaches itself through a Service, and must not answer itself directly",
            ),
            _rule(
                IsTranslated(),
                In((Field.SADDR,), "here", negated=True),
                In((Field.DADDR,), "here", negated=True),
                Masquerade(),
                why="client and backend are on other nodes, and the reply must come back through this one",
            ),
            _rule(
                In((Field.SADDR,), "pod-ranges"),
                In((Field.DADDR,), "inside", negated=True),
                Masquerade(),
                why="pods leave the cluster by the node's address",
            ),
        ),
        Hook("nat", HookName.POSTROUTING, 100),
    ),
)
"""The chains of every table, in order."""


def pick_name(count: int, timeout_s: int = 0, *, local: bool = False) -> str:
    """The chain that chooses among `count` backends; with a time-out it remembers the client."""
    sticky = f"-{timeout_s}" if timeout_s else ""
    return f"{'sticky' if timeout_s else 'pick'}-{'local-' if local else ''}{count}{sticky}"


def pick_chain(count: int, timeout_s: int = 0, *, local: bool = False) -> Chain:
    """The chain of that name: a random mark, then the map from frontend and mark to the backend."""
    offset = LOCAL_OFFSET if local else 0
    draw = _rule(
        SetMark(Field.MARK, Random(count, offset) if count > 1 else offset), why=f"one of {count}, all equally likely"
    )
    name = pick_name(count, timeout_s, local=local)
    if not timeout_s:
        return Chain(name, (draw, _rule(Goto("translate"), why="translate")))
    remember = Update("affinity", _CLIENT, Field.MARK, timeout_s)
    return Chain(
        name,
        (
            _rule(SetMark(Field.MARK, 0), why="nobody remembered yet"),
            _rule(SetMark(Field.MARK, Lookup(_CLIENT, "affinity")), why="the client's last backend"),
            _rule(Is(Field.MARK, 0, negated=True), remember, why="remember it longer"),
            _rule(_TRANSLATE, why="the remembered backend, if it is still there"),
            draw,
            _rule(SetMark(Field.MARK, Lookup(_CHOICE, "choices")), why="the name of the choice"),
            _rule(Delete("affinity", _CLIENT, Field.MARK), why="forget a backend that is gone"),
            _rule(remember, why="remember the client's backend"),
            _rule(Goto("translate"), why="translate"),
        ),
    )
