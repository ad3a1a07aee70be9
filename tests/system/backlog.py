"""A store full of events that nobody has sent yet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.system.checker import History
from tests.system.load import post_all
from tests.system.outbox import waiting
from tests.system.receiver import webhook
from tests.system.service import Service


def backlog_of(
    service: Service,
    events: int,
    port: int,
    folder: Path,
    *,
    settings: Mapping[str, Any] | None = None,
) -> History:
    """Accepts events while nobody listens at the webhook's port, then stops the service.

    `settings` are more of the webhook's.
    """
    service.configure({"crm": {**webhook(port), **(settings or {})}})
    service.start()
    history = post_all(service.port, folder / "backlog", [f"hit-{n}" for n in range(events)])
    assert service.stop() == 0
    assert len(history.acknowledged) == waiting(service.store) == events
    return history
