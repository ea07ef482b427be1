"""The provider's node: its sources, its terms, its end of a join."""

from __future__ import annotations

from collections.abc import Callable

from protocols import join
from protocols.party import Mapper, Progress
from sandbox.errors import NotFound
from sandbox.model.asset import Asset
from sandbox.model.plan import Plan
from sandbox.model.signature import PrivateIdentity
from sandbox.sources import Source
from sandbox.tasks.fragments import LocalResult, run_fragment


class ProviderNode:
    """One agency's node. Raw rows never leave it; what it sends are sealed points and ciphertexts."""

    def __init__(self, name: str, identity: PrivateIdentity) -> None:
        self.name = name
        self.identity = identity
        self._open: dict[str, Callable[[], Source]] = {}

    def attach(self, table: str, opener: Callable[[], Source]) -> None:
        """Make a table of this provider available; it is opened when a job needs it."""
        self._open[table] = opener

    def compute(self, plan: Plan, index: int, asset: Asset, *, is_cancelled: Callable[[], bool] | None = None) -> LocalResult:
        """Run this provider's fragment of a plan on its own data. Raises SourceError, NotFound."""
        if asset.table not in self._open:
            raise NotFound(f"{self.name} has no source for {asset.name} here; attach the frame or file again")
        return run_fragment(plan, index, asset, self._open[asset.table](), is_cancelled=is_cancelled)

    def role(
        self,
        params: join.JoinParams,
        rows: join.ProviderRows,
        *,
        mapper: Mapper,
        progress: Progress,
        allow_insecure_key: bool,
    ) -> join.JoinProvider:
        """Return this provider's end of the join."""
        return join.JoinProvider(
            self.name, params, rows, mapper=mapper, progress=progress, allow_insecure_key=allow_insecure_key
        )

    def __repr__(self) -> str:
        return f"<ProviderNode {self.name}: {len(self._open)} tables>"
