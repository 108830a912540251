"""What a tree of settings knows of itself besides the values. A reload and a fork bring it along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, PrivateAttr

Source = Literal["file", "environment", "command line"]


class Sourced(BaseModel):
    """Knows where its values come from, and in a worker, which has a share of some, those of the whole server."""

    _sources: Mapping[str, Source] = PrivateAttr(default_factory=dict)
    _whole: Any = PrivateAttr(default=None)

    @property
    def sources(self) -> Mapping[str, Source]:
        """Where the values that were given come from, by their names. What is not there has its default."""
        return self._sources

    @property
    def whole(self) -> Self:
        """The settings of the whole server, of which these are the share of a worker, or these."""
        whole: Self | None = self._whole
        return self if whole is None else whole

    def from_sources(self, sources: Mapping[str, Source]) -> Self:
        """The same, knowing where they come from."""
        copy = self.model_copy()
        copy._sources = sources  # noqa: SLF001 - of this class
        return copy

    def share(self, **sections: BaseModel) -> Self:
        """Those of a worker, where these sections are others."""
        copy = self.model_copy(update=sections)
        copy._whole = self  # noqa: SLF001 - of this class
        return copy
