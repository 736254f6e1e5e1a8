"""Questions to a running Prometheus."""

from typing import Any

import httpx


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """Returns the series that the expression has now."""
    answer = httpx.get(f"{url}/api/v1/query", params={"query": expression})
    answer.raise_for_status()
    return answer.json()["data"]["result"]


def scraped_jobs(url: str) -> set[str]:
    """Returns the jobs with a service that answers; none while Prometheus starts."""
    try:
        return {each["metric"]["job"] for each in query(url, "up == 1")}
    except httpx.HTTPError:
        return set()


def rule_healths(url: str) -> set[str]:
    """Returns the states of all alert rules, such as {"ok"}."""
    groups = httpx.get(f"{url}/api/v1/rules").json()["data"]["groups"]
    return {rule["health"] for group in groups for rule in group["rules"]}
