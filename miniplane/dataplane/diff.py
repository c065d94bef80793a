"""From one ruleset to another: the smallest transaction that nft can apply at once.

An element that changed is deleted and added; rules are replaced chain by chain, since only the choosing chains come
and go. Order inside the transaction makes it valid at every step: new sets and chains first, then what refers to
them, and what nobody refers to any more last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from miniplane.dataplane.index import difference
from miniplane.dataplane.render_nft import element_words, render_table, rule_words
from miniplane.dataplane.ruleset import Chain, Element, NamedSet, Ruleset, Table


@dataclass(frozen=True, slots=True)
class SetChange:
    """What happens to the elements of one set; `before` and `after` are its declarations."""

    before: NamedSet
    after: NamedSet
    removed: tuple[Element, ...]
    added: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class TableChange:
    """One table's change."""

    before: Table
    after: Table
    sets: tuple[SetChange, ...]
    added_chains: tuple[Chain, ...]
    changed_chains: tuple[Chain, ...]
    removed_chains: tuple[Chain, ...]

    @property
    def size(self) -> int:
        """How many elements and chains it touches."""
        chains = len(self.added_chains) + len(self.changed_chains) + len(self.removed_chains)
        return chains + sum(len(item.removed) + len(item.added) for item in self.sets)


@dataclass(frozen=True, slots=True)
class Transaction:
    """All tables' changes. Empty if nothing changes."""

    created: tuple[Table, ...]
    changed: tuple[TableChange, ...]
    removed: tuple[Table, ...]

    def __bool__(self) -> bool:
        return bool(self.created or self.changed or self.removed)

    @property
    def size(self) -> int:
        """How many elements and chains it touches, whole tables not counted."""
        return sum(change.size for change in self.changed)

    def render(self) -> str:
        """As input of `nft -f -`, which applies all of it or nothing."""
        lines = [f"delete table {table.family} {table.name}\n" for table in self.removed]
        lines += [render_table(table) for table in self.created]
        for change in self.changed:
            lines += [f"{line}\n" for line in _table_lines(change)]
        return "".join(lines)


def diff(old: Ruleset, new: Ruleset) -> Transaction:
    """What turns `old` into `new`."""
    before = {table.family: table for table in old.tables}
    after = {table.family: table for table in new.tables}
    changes = (_table_change(before[name], table) for name, table in after.items() if name in before)
    return Transaction(
        tuple(table for name, table in after.items() if name not in before),
        tuple(change for change in changes if change.size),
        tuple(table for name, table in before.items() if name not in after),
    )


def apply(ruleset: Ruleset, transaction: Transaction) -> Ruleset:
    """What the kernel would hold after it: the same elements and rules, in an order of its own."""
    gone = {table.family for table in transaction.removed}
    changes = {change.after.family: change for change in transaction.changed}
    kept = [_applied(table, changes.get(table.family)) for table in ruleset.tables if table.family not in gone]
    return Ruleset((*kept, *transaction.created))


def normal(ruleset: Ruleset) -> Ruleset:
    """The ruleset with sets, elements and chains sorted: equal for all orders that mean the same."""
    return Ruleset(tuple(sorted(map(_normal_table, ruleset.tables), key=lambda table: table.family)))


def _normal_table(table: Table) -> Table:
    sets = tuple(
        replace(item, elements=tuple(sorted(item.elements, key=lambda element: element_words(element, item, "ip6"))))
        for item in sorted(table.sets, key=lambda item: item.name)
    )
    return replace(table, sets=sets, chains=tuple(sorted(table.chains, key=lambda chain: chain.name)))


def _table_change(before: Table, after: Table) -> TableChange:
    old_sets = {item.name: item for item in before.sets}
    changes = (_set_change(old_sets[item.name], item) for item in after.sets)
    old_chains = {chain.name: chain for chain in before.chains}
    names = {chain.name for chain in after.chains}
    return TableChange(
        before,
        after,
        tuple(change for change in changes if change.removed or change.added),
        tuple(chain for chain in after.chains if chain.name not in old_chains),
        tuple(chain for chain in after.chains if chain.name in old_chains and chain != old_chains[chain.name]),
        tuple(chain for chain in before.chains if chain.name not in names),
    )


def _set_change(before: NamedSet, after: NamedSet) -> SetChange:
    if before is after:
        return SetChange(before, after, (), ())
    first, old_end, new_end = difference(before.elements, after.elements)
    old, new = before.elements[first:old_end], after.elements[first:new_end]
    stays = set(old).intersection(new)
    return SetChange(before, after, _but(old, stays), _but(new, stays))


def _but(elements: Sequence[Element], stays: set[Element]) -> tuple[Element, ...]:
    return tuple(element for element in elements if element not in stays)


def _applied(table: Table, change: TableChange | None) -> Table:
    if change is None:
        return table
    sets = {item.name: item for item in table.sets}
    for item in change.sets:
        gone = {element.key for element in item.removed}
        kept = tuple(element for element in sets[item.after.name].elements if element.key not in gone)
        sets[item.after.name] = replace(sets[item.after.name], elements=kept + item.added)
    chains = {chain.name: chain for chain in table.chains}
    chains |= {chain.name: chain for chain in (*change.added_chains, *change.changed_chains)}
    for chain in change.removed_chains:
        del chains[chain.name]
    return replace(table, sets=tuple(sets.values()), chains=tuple(chains.values()))


def _table_lines(change: TableChange) -> list[str]:
    family, table = change.after.family, f"{change.after.family} {change.after.name}"
    lines = [f"add chain {table} {chain.name}" for chain in change.added_chains]
    lines += [f"flush chain {table} {chain.name}" for chain in change.changed_chains]
    for chain in (*change.added_chains, *change.changed_chains):
        lines += [f"add rule {table} {chain.name} {rule_words(rule, family)}" for rule in chain.rules]
    for item in change.sets:
        if item.removed:
            gone = ", ".join(element_words(element, item.before, family, bare=True) for element in item.removed)
            lines.append(f"delete element {table} {item.before.name} {{ {gone} }}")
    for item in change.sets:
        if item.added:
            new = ", ".join(element_words(element, item.after, family) for element in item.added)
            lines.append(f"add element {table} {item.after.name} {{ {new} }}")
    lines += [f"flush chain {table} {chain.name}" for chain in change.removed_chains]
    return [*lines, *(f"delete chain {table} {chain.name}" for chain in change.removed_chains)]
