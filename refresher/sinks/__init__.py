"""Those who are told of what happened. They tell; they never steer."""

from refresher.core.events import Event
from refresher.ports import Sink


class Fanout:
    """ports.Sink that tells every one of `sinks`, in order; what one of them raises is dropped and counted."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks
        self.dropped = 0

    def add(self, sink: Sink) -> None:
        """Tell `sink` too, from now on."""
        self._sinks = (*self._sinks, sink)

    def tell(self, event: Event) -> None:
        """Tell all; raise nothing."""
        for sink in self._sinks:
            try:
                sink.tell(event)
            except Exception:  # noqa: BLE001  # a full disk under a log must not stop a rotation
                self.dropped += 1
