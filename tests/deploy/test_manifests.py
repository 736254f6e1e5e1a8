"""The Kubernetes manifests are valid, and fit the services: their settings, ports, metrics and times."""

import re

import kubernetes_validate
import pytest
import yaml
from manifests import FOLDER, OVERLAYS, RENDERED, containers_of, of_kind, pod_of, rendered, service_of
from rapl_service.run import DRAIN_S
from rapl_service.settings.names import NAMES
from rapl_service.telemetry.catalog import QUEUE_AUDIO

VERSIONS = ("1.34", "1.37")
"""Kubernetes versions against whose published schemas the manifests are checked."""
FOREIGN = {"ScaledObject", "PodMonitor", "Gateway", "HTTPRoute"}
"""Kinds that other projects define; `validate_foreign_kinds.py` checks them."""
LIVE_DNS_S = 30
"""How long an address that is gone may still be in a cache of DNS: CoreDNS's default, as kubeadm sets it.
Source: https://kubernetes.io/docs/tasks/administer-cluster/dns-custom-nameservers/"""
FILES = sorted(FOLDER.rglob("*.yaml"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", RENDERED)
def test_every_object_is_valid_by_the_published_schema(name, version):
    objects = [each for each in rendered(name) if each["kind"] not in FOREIGN]

    assert len(objects) >= 14
    for each in objects:
        kubernetes_validate.validate(each, version, strict=True)


def test_the_check_notices_a_field_that_kubernetes_does_not_know():
    [deployment, *_] = of_kind("one-node", "Deployment")
    wrong = {**deployment, "spec": {**deployment["spec"], "replica": 2}}

    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("name", RENDERED)
def test_everything_is_in_the_namespace(name):
    outside = [each["metadata"]["name"] for each in rendered(name) if each["metadata"].get("namespace") != "rapl"]

    assert outside == ["rapl"]  # the namespace itself


@pytest.mark.parametrize("name", RENDERED)
def test_every_setting_in_a_pod_exists(name):
    containers = [each for workload in of_kind(name, "Deployment", "Job") for each in containers_of(workload)]

    used = {variable["name"] for each in containers for variable in each.get("env", ())}
    assert {each for each in used if each.startswith("RAPL_")} <= NAMES
    assert "RAPL_SENSEVOICE_URL" in used


@pytest.mark.parametrize("name", RENDERED)
def test_a_url_in_a_setting_of_the_gateway_names_a_service_and_its_port(name):
    [gateway] = [each for each in of_kind(name, "Deployment") if each["metadata"]["name"] == "gateway"]
    ports = {each["metadata"]["name"]: each["spec"]["ports"][0]["port"] for each in of_kind(name, "Service")}

    urls = [each["value"] for each in service_of(gateway)["env"] if each.get("value", "").startswith("http://")]
    found = {host: int(port) for host, port in (re.fullmatch(r"http://(.*):(\d+)", url).groups() for url in urls)}  # type: ignore[union-attr]
    assert found == {service: ports[service] for service in ports if service != "gateway"}
    assert {"preprocess-service", "sensevoice-service"} <= set(found)


@pytest.mark.parametrize("name", RENDERED)
def test_a_pod_ends_later_than_its_service_needs_to_finish_its_requests(name):
    for deployment in of_kind(name, "Deployment"):
        container = service_of(deployment)
        wait_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        drain_s = int({each["name"]: each.get("value") for each in container["env"]}.get("RAPL_DRAIN_S", DRAIN_S))

        assert pod_of(deployment)["spec"]["terminationGracePeriodSeconds"] >= wait_s + drain_s + 10


@pytest.mark.parametrize("name", RENDERED)
def test_an_engine_works_on_until_no_cache_of_dns_has_its_address(name):
    engines = [each for each in of_kind(name, "Deployment") if "rapl/role" in pod_of(each)["metadata"]["labels"]]

    waits_s = [service_of(each)["lifecycle"]["preStop"]["sleep"]["seconds"] for each in engines]
    assert waits_s
    assert all(wait_s > LIVE_DNS_S for wait_s in waits_s)


@pytest.mark.parametrize("name", RENDERED)
def test_an_engine_is_ready_when_its_model_is(name):
    [engine] = [each for each in of_kind(name, "Deployment") if "rapl/role" in pod_of(each)["metadata"]["labels"]]

    path = service_of(engine)["readinessProbe"]["httpGet"]["path"]
    assert path == "/health/ready?model=iic/SenseVoiceSmall"


@pytest.mark.parametrize("name", RENDERED)
def test_the_engines_have_a_service_without_an_address_of_its_own(name):
    [service] = [each for each in of_kind(name, "Service") if each["metadata"]["name"] == "sensevoice-service"]

    assert service["spec"]["clusterIP"] == "None"
    assert not service["spec"].get("publishNotReadyAddresses")


@pytest.mark.parametrize("name", ["cluster", "nvidia"])
def test_the_autoscaler_reads_the_audio_in_the_queues_and_decides_alone_about_the_number(name):
    [scaled] = of_kind(name, "ScaledObject")
    target = scaled["spec"]["scaleTargetRef"]["name"]
    [deployment] = [each for each in of_kind(name, "Deployment") if each["metadata"]["name"] == target]

    queries = [trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"]]
    assert {metric for query in queries for metric in re.findall(r"rapl_\w+", query)} == {QUEUE_AUDIO.name}
    assert all('{backend="sensevoice"}' in query for query in queries)
    assert "replicas" not in deployment["spec"]


@pytest.mark.parametrize("name", ["cluster", "nvidia"])
def test_engines_are_removed_far_more_slowly_than_they_are_added(name):
    [scaled] = of_kind(name, "ScaledObject")
    behavior = scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]

    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 600
    assert all(policy["periodSeconds"] == 300 for policy in behavior["scaleDown"]["policies"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_no_key_is_in_a_file(file):
    kinds = {each["kind"] for each in yaml.safe_load_all(file.read_text()) if "kind" in each}

    assert "Secret" not in kinds
    assert "secretGenerator" not in file.read_text()


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_images_are_those_that_the_checkout_builds(name):
    built = set(re.findall(r"^    image: (rapl/\S+)$", _compose_files(), re.MULTILINE))

    workloads = of_kind(name, "Deployment", "Job")
    assert {each["image"] for workload in workloads for each in containers_of(workload)} <= built


def _compose_files() -> str:
    root = FOLDER.parents[1]
    return "".join((root / name).read_text() for name in ("docker-compose.yml", "docker-compose.cuda.yml"))
