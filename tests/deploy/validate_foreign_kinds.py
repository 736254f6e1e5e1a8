"""Checks the objects whose kinds other projects define, against the definitions that those projects publish.

    uv run python tests/deploy/validate_foreign_kinds.py keda.sh_scaledobjects.yaml gateways.yaml ...

The arguments are CustomResourceDefinitions: KEDA's `config/crd/bases`, the Gateway API's `config/crd/experimental`,
the Prometheus operator's `example/prometheus-operator-crd`. It fails if a kind has no definition among them, or an
object is wrong, also if it has a field that the definition does not have.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

sys.path.append(str(Path(__file__).parents[1]))

from manifests import RENDERED, Manifest, rendered

Schema = dict[str, Any]


def definitions(files: list[Path]) -> dict[tuple[str, str], Schema]:
    """Returns the schemas by apiVersion and kind."""
    return {
        (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]): strict(
            version["schema"]["openAPIV3Schema"]
        )
        for file in files
        for crd in yaml.safe_load_all(file.read_text())
        for version in crd["spec"]["versions"]
    }


def strict(schema: Any) -> Any:
    """Returns the schema with no other properties than those it names, as `kubectl apply` checks them."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: strict(each) for name, each in schema.items()}
    is_open = inner.get("x-kubernetes-preserve-unknown-fields") or not isinstance(inner.get("properties"), dict)
    return inner if is_open or inner.get("type") != "object" else {"additionalProperties": False, **inner}


def foreign_objects() -> Iterator[Manifest]:
    """Every object of a group with a domain that is not Kubernetes' own."""
    for name in RENDERED:
        for each in rendered(name):
            group = each["apiVersion"].rpartition("/")[0]
            if "." in group and group not in ("networking.k8s.io", "rbac.authorization.k8s.io"):
                yield each


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks objects of other projects' kinds.")
    parser.add_argument("definitions", nargs="+", type=Path)
    known = definitions(parser.parse_args().definitions)
    problems = 0
    for each in foreign_objects():
        kind = (each["apiVersion"], each["kind"])
        if kind not in known:
            found = [f"there is no definition of {kind[0]} {kind[1]}"]
        else:
            body = {name: value for name, value in each.items() if name != "metadata"}
            errors = jsonschema.Draft7Validator({**known[kind], "required": []}).iter_errors(body)
            found = [f"{error.json_path}: {error.message}" for error in errors]
        problems += len(found)
        print(f"{each['kind']} {each['metadata']['name']}: {'; '.join(found) or 'valid'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
