"""What a service's /metrics has."""

from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families


async def scraped(url: str, **headers: str) -> list[Any]:
    """Every sample of /metrics."""
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{url}/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]


def value(samples: list[Any], name: str, **labels: str) -> float:
    """The sum of the samples with this name and these labels."""
    found = [each.value for each in samples if each.name == name and labels.items() <= each.labels.items()]
    assert found, f"{name} {labels} is missing"
    return sum(found)


def names(samples: list[Any]) -> set[tuple[Any, ...]]:
    """The name and the labels of each series."""
    return {(each.name, *sorted(each.labels.items())) for each in samples}
