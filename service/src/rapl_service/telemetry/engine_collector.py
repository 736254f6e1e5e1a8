"""The metrics of an engine's models, read from the list that the engine reports to the gateway."""

from collections.abc import Iterator

from prometheus_client.registry import Collector
from rapl_protocol.models import ModelState
from rapl_protocol.transcriber import ModelHost

from rapl_service.telemetry import catalog
from rapl_service.telemetry.catalog import OTHER
from rapl_service.telemetry.metrics import Family, ModelLabels, family


class EngineCollector(Collector):
    def __init__(self, host: ModelHost, labels: ModelLabels) -> None:
        self._host = host
        self._labels = labels

    def collect(self) -> Iterator[Family]:
        states = family(catalog.MODEL_STATE)
        figures = {
            spec: family(spec)
            for spec in (
                catalog.MODEL_LOAD_SECONDS, catalog.MODEL_DOWNLOADED, catalog.MODEL_SIZE,
                catalog.MODEL_MEMORY, catalog.MODEL_PROCESS_ENDS,
            )
        }  # fmt: skip
        for info in self._host.models():
            model = self._labels.label(info.id)
            if model == OTHER:
                continue
            for state in ModelState:
                states.add_metric([model, state.value], float(state is info.state))
            progress = info.progress
            values = (
                info.load_s, progress and progress.done_bytes, progress and progress.total_bytes,
                info.memory_bytes, info.process_ends,
            )  # fmt: skip
            for of_figure, value in zip(figures.values(), values, strict=True):
                if value is not None:
                    of_figure.add_metric([model], value)
        yield from (states, *figures.values())
