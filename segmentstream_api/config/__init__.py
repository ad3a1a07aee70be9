"""The configuration: one TOML file, checked as a whole, made into frozen settings.

`load_settings` is the way in; whoever needs settings is given them.
"""

from segmentstream_api.config.load import load_settings
from segmentstream_api.config.settings import (
    DEFAULT_PATH,
    BrowserSettings,
    DeliverySettings,
    DestinationSettings,
    EventSelection,
    Project,
    Settings,
    StoreSettings,
)
from segmentstream_api.config.store import store_at

__all__ = [
    "DEFAULT_PATH",
    "BrowserSettings",
    "DeliverySettings",
    "DestinationSettings",
    "EventSelection",
    "Project",
    "Settings",
    "StoreSettings",
    "load_settings",
    "store_at",
]
