"""The hierarchies by which a search may generalise a column, from what a plan says of them."""

from __future__ import annotations

from typing import Any

from sandbox.model.release import HierarchySpec, ReleaseSpec


def hierarchy_of(given: HierarchySpec, spec: ReleaseSpec) -> Any:
    """Return the hierarchy that a search uses for a column."""
    from protocols import desensitise

    if given.widths:
        return desensitise.Interval(widths=given.widths, origin=given.origin, bottom=given.bottom, top=given.top)
    if given.levels:
        return desensitise.Date(levels=given.levels)
    if given.keep:
        return desensitise.Prefix(keep=given.keep)
    return desensitise.Tree.from_text({item.name: item.text for item in spec.trees}[given.tree])
