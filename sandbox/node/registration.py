"""Registration: what providers do with their tables at their own nodes, each in its own name, and tell the manager."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.catalogue import (
    Catalogue,
    Profile,
    Proposal,
    TableDefinition,
    classify,
    evidence_statement,
    open_catalogue,
    profile_statement,
    read_profile,
)
from sandbox.errors import Denied, NotFound, UsageError
from sandbox.model.asset import Asset
from sandbox.model.policy import Policy
from sandbox.node.manager import ManagerNode
from sandbox.node.workspace import Workspace
from sandbox.policy import Action, AssetResource, authorise
from sandbox.sources import Source, open_source


class Registration:
    """The providers' catalogues of one workspace. Every change is a provider's own act, and roles decide whether it may."""

    def __init__(self, workspace: Workspace, manager: ManagerNode) -> None:
        self._workspace = workspace
        self._manager = manager

    def register(self, provider: str, table: str, definition: TableDefinition) -> Asset:
        """Register a table at its provider's node: a draft, which nobody else sees before it is published.

        Codes that come as text are read in their column's type. Raises NotFound, Denied, UsageError, SourceError.
        """
        self._allow("register_asset", f"{provider}.{table}")
        source = open_source(definition.spec)
        typed = dataclasses.replace(definition, codes=_typed_codes(definition, dict(source.schema())))
        with self._catalogue(provider) as catalogue:
            return catalogue.add(provider, table, typed, source.schema(), spec=source.spec)

    def publish(self, name: str) -> Asset:
        """Publish an asset and announce it to the manager. Raises NotFound, Denied, StateError."""
        self._allow("publish_asset", name)
        with self._catalogue(_provider_of(name)) as catalogue:
            asset = catalogue.publish(name)
        self._manager.catalogue.receive(asset)
        return asset

    def cancel(self, name: str) -> Asset:
        """Cancel an asset for ever; questions over it end. Raises NotFound, Denied, StateError."""
        self._allow("cancel_asset", name)
        with self._catalogue(_provider_of(name)) as catalogue:
            asset = catalogue.cancel(name)
        if name in {known.name for known in self._manager.catalogue.list()}:
            self._manager.catalogue.receive(asset)
        return asset

    def assets(self) -> tuple[Asset, ...]:
        """Return the latest version of every provider's assets, drafts included."""
        found: list[Asset] = []
        for provider in self._workspace.providers:
            with self._catalogue(provider) as catalogue:
                found += catalogue.list(provider=provider)
        return tuple(found)

    def asset(self, name: str) -> Asset:
        """Return an asset as its provider has it. Raises NotFound."""
        with self._catalogue(_provider_of(name)) as catalogue:
            return catalogue.get(name)

    def profile(self, name: str) -> Profile:
        """Return an asset's profile, counted in its provider's source. Raises NotFound, SourceError."""
        asset = self.asset(name)
        return read_profile(asset, _counts(self._source(name), *profile_statement(asset)))

    def own(self, name: str) -> Asset:
        """Return an asset for its provider's own use of the rows; roles decide. Raises NotFound, Denied."""
        asset = self.asset(name)
        self._allow("publish_asset", name)
        return asset

    def proposals(self, name: str) -> tuple[Proposal, ...]:
        """Return what an asset's columns seem to be, for its provider to confirm. Raises NotFound, SourceError."""
        return proposals(self._source(name))

    def check_terms(self, policy: Policy) -> None:
        """Return only if terms fit their asset as it is registered, and its provider may set them.

        Raises NotFound, Denied, or UsageError for a column that the asset does not have.
        """
        self._allow("set_policy", policy.asset)
        asset = self.asset(policy.asset)
        for item in policy.columns:
            if asset.column(item.column) is None:
                known = ", ".join(column.name for column in asset.columns)
                raise UsageError(f"columns: {asset.name} has no column {item.column!r}; it has {known}")

    def _source(self, name: str) -> Source:
        with self._catalogue(_provider_of(name)) as catalogue:
            return open_source(catalogue.spec(name))

    def _allow(self, action: Action, name: str) -> None:
        provider = _provider_of(name)
        self._require_provider(provider)
        decision = authorise(provider, action, AssetResource(name=name, provider=provider), self._workspace.parties)
        if not decision.allowed:
            raise Denied(decision)

    @contextmanager
    def _catalogue(self, provider: str) -> Iterator[Catalogue]:
        self._require_provider(provider)
        catalogue = open_catalogue(self._workspace.node(provider) / "catalogue.sqlite")
        try:
            yield catalogue
        finally:
            catalogue.close()

    def _require_provider(self, name: str) -> None:
        known = self._workspace.providers
        if name not in known:
            raise NotFound(f"{name[:64]!r} is no provider of this network; providers are: {', '.join(known) or 'none'}")


def proposals(source: Source) -> tuple[Proposal, ...]:
    """Return what a source's columns seem to be. Only counts leave its worker. Raises SourceError."""
    return classify(source.schema(), _counts(source, evidence_statement(source.schema())))


def proposals_for(path: Path) -> tuple[Proposal, ...]:
    """Return what the columns of a file seem to be, before it is registered. Raises SourceError."""
    return proposals(open_source(path))


def _counts(source: Source, statement: str, parameters: tuple[str, ...] = ()) -> list[int]:
    (table,) = source.query([(statement, parameters)])
    return [int(column[0].as_py()) for column in table.columns]


def _provider_of(name: str) -> str:
    provider, dot, table = name.partition(".")
    if not dot or not provider or not table:
        raise UsageError(f"{name[:80]!r} names no asset; write provider.table")
    return provider


def _typed_codes(definition: TableDefinition, types: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    return {
        name: tuple(_typed(name, types.get(name), code) for code in codes) if types.get(name) != "text" else codes
        for name, codes in definition.codes.items()
    }


def _typed(name: str, kind: str | None, code: Any) -> Any:
    if not isinstance(code, str):
        return code
    try:
        if kind == "integer":
            return int(code)
        if kind == "boolean":
            return {"true": True, "false": False}[code.lower()]
        if kind == "date":
            return datetime.date.fromisoformat(code)
    except (KeyError, ValueError):
        raise UsageError(f"the code list of {name} has an entry that is not {kind}, as the column is") from None
    return code
