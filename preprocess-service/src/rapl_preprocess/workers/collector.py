"""The metrics of the decoding processes."""

from collections.abc import Iterator

from prometheus_client.registry import Collector
from rapl_service.telemetry import catalog
from rapl_service.telemetry.metrics import Family, family

from rapl_preprocess.workers.pool import Decoders


class DecoderCollector(Collector):
    def __init__(self, decoders: Decoders) -> None:
        self._decoders = decoders

    def collect(self) -> Iterator[Family]:
        decoders = family(catalog.DECODERS)
        decoders.add_metric(["idle"], self._decoders.idle)
        decoders.add_metric(["busy"], self._decoders.busy)
        waiting, deaths = family(catalog.DECODER_WAITING), family(catalog.DECODER_DEATHS)
        waiting.add_metric([], self._decoders.waiting)
        deaths.add_metric([], self._decoders.deaths)
        yield from (decoders, waiting, deaths)
