"""What is watched from outside: which series there are, who shows them, who pushes them."""

from components.core.telemetry import series
from components.core.telemetry.live import POD_PORT, PORT_VARIABLE, Watch, counted, watch, watching
from components.core.telemetry.outcome import GATEWAY_VARIABLE, RUN, publish_outcome, push
from components.core.telemetry.stage import watched

__all__ = [
    "GATEWAY_VARIABLE",
    "POD_PORT",
    "PORT_VARIABLE",
    "RUN",
    "Watch",
    "counted",
    "publish_outcome",
    "push",
    "series",
    "watch",
    "watched",
    "watching",
]
