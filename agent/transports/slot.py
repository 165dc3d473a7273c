"""What one session or request uses of the engines that all share. Knows no wire, and not who may come."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.errors import ContextExceeded, RequestError
from agent.llm.context import ContextWindow
from agent.protocols import Engines
from agent.runner import Engine, Runner, SharedLock
from agent.settings import Config


@dataclass(eq=False)
class SessionSlot:
    """What one session or request uses: its own view of the language model, and shared other engines."""

    engines: Engines
    locks: dict[Engine, SharedLock] = field(default_factory=dict[Engine, SharedLock])

    def runner(self, *, background: bool = False) -> Runner:
        """The engines on a clock that begins now. background: nobody is in the midst of a conversation."""
        return Runner(self.locks, background=background)

    async def check(self, config: Config, system: str) -> None:
        """Raise RequestError where instructions leave no room for a conversation in the model's context."""
        window = ContextWindow(self.engines.llm, config.llm.context, config.llm.max_tokens)
        try:
            await self.runner().call("llm", lambda: window.check(system), config.limits.first_token)
        except ContextExceeded as error:
            raise RequestError(error.public, code=error.code) from error

    @property
    def hangs(self) -> bool:
        """Whether its language model has not come back from work that was given up."""
        return self.locks["llm"].hangs
