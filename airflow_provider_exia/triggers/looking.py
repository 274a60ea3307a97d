"""What all triggers that look again and again share."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_exia.consul.exceptions import ConsulUnavailable
from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.storage.documents import StoreUnavailable


class LookingTrigger(BaseTrigger):
    """Look again and again until something is found.

    A Consul or a store that cannot be reached for a while does not end the waiting; any other error does, as an event.

    :param poll_seconds: between two looks, also while a store cannot be reached
    :param arguments: of the trigger, as JSON values
    """

    def __init__(self, *, poll_seconds: float, **arguments: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base has no types
        self.poll_seconds = poll_seconds
        self.arguments = arguments

    @abstractmethod
    async def prepare(self) -> None:
        """Read the connections without blocking the event loop."""

    @abstractmethod
    def look(self) -> Any:
        """Look once; the sensor does it too, before it defers.

        :returns: what was found, as JSON values, or None
        """

    def release(self) -> None:
        """Let go of what a look holds open; the next look opens it again."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments that make this trigger again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"poll_seconds": self.poll_seconds, **self.arguments},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: something was found, or waiting is pointless."""
        try:
            await self.prepare()
            found = await self.wait()
        except ExiaError as error:
            yield TriggerEvent({"status": "error", "message": str(error)})
            return
        yield TriggerEvent({"status": "found", "found": found})

    async def wait(self) -> Any:
        """Return what was found, as soon as there is something."""
        while (found := await asyncio.to_thread(self._look_patiently)) is None:  # noqa: ASYNC110 - it lies in a store
            await asyncio.sleep(self.poll_seconds)
        return found

    def _look_patiently(self) -> Any:
        try:
            return self.look()
        except (ConsulUnavailable, StoreUnavailable) as error:
            self.log.warning("looking again in %s s: %s", self.poll_seconds, error)
            return None
        finally:
            # A triggerer may hold a thousand triggers, and a server has fewer connections to give.
            self.release()
