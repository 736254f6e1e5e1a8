"""What the Kubernetes manifests must never allow: rights, ways out, pods without probes, limits or a budget."""

import pytest
from manifests import RENDERED, Manifest, containers_of, of_kind, pod_of, selects, service_of

GET_AUDIO = [(name, workload) for name in RENDERED for workload in ("preprocess-service", "sensevoice-service")]
GET_AUDIO += [("one-node with speakers", "speaker-service")]
"""The pods that decode, transcribe and tell speakers apart."""
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")


def labels_of(name: str, workload: str) -> dict[str, str]:
    [found] = [each for each in of_kind(name, *WORKLOADS) if each["metadata"]["name"] == workload]
    return pod_of(found)["metadata"]["labels"]


def policies_for(name: str, labels: dict[str, str]) -> list[Manifest]:
    policies = [each["spec"] for each in of_kind(name, "NetworkPolicy")]
    return [each for each in policies if selects(each["podSelector"], labels)]


@pytest.mark.parametrize(("name", "workload"), GET_AUDIO)
def test_a_pod_that_gets_audio_to_work_on_has_no_way_out(name, workload):
    policies = policies_for(name, labels_of(name, workload))

    assert any("Egress" in each["policyTypes"] for each in policies)  # without one, everything is allowed
    assert [each["egress"] for each in policies if each.get("egress")] == []


@pytest.mark.parametrize("name", RENDERED)
def test_every_pod_is_closed_unless_a_policy_opens_it(name):
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in [
        each["spec"] for each in of_kind(name, "NetworkPolicy")
    ]


@pytest.mark.parametrize(("name", "workload"), GET_AUDIO)
def test_only_the_gateway_and_prometheus_may_call_a_pod_that_gets_audio(name, workload):
    rules = [rule for each in policies_for(name, labels_of(name, workload)) for rule in each.get("ingress", ())]

    assert [peer for rule in rules for peer in rule["from"]] == [
        {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "gateway"}}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},
    ]


@pytest.mark.parametrize("name", RENDERED)
def test_no_policy_of_the_gateway_opens_the_whole_internet(name):
    rules = [rule for each in policies_for(name, labels_of(name, "gateway")) for rule in each.get("egress", ())]

    assert rules
    assert all(rule.get("to") for rule in rules)
    blocks = [peer["ipBlock"]["cidr"] for rule in rules for peer in rule["to"] if "ipBlock" in peer]
    assert all(each.endswith("/32") for each in blocks)


@pytest.mark.parametrize("name", RENDERED)
def test_no_pod_runs_as_root_or_has_further_rights(name):
    for workload in of_kind(name, *WORKLOADS):
        pod = pod_of(workload)["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        for container in containers_of(workload):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


@pytest.mark.parametrize("name", RENDERED)
def test_the_cluster_itself_refuses_pods_with_further_rights(name):
    [namespace] = of_kind(name, "Namespace")

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", RENDERED)
def test_every_container_has_requests_and_limits(name):
    for workload in of_kind(name, *WORKLOADS):
        for container in containers_of(workload):
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= set(container["resources"][kind])


@pytest.mark.parametrize("name", RENDERED)
def test_every_deployment_has_probes_a_wait_before_its_end_and_a_spread(name):
    deployments = of_kind(name, "Deployment")

    assert len(deployments) == (4 if "speakers" in name else 3)
    for deployment in deployments:
        container = service_of(deployment)
        assert {"readinessProbe", "livenessProbe", "startupProbe", "lifecycle"} <= set(container)
        [spread] = pod_of(deployment)["spec"]["topologySpreadConstraints"]
        assert selects(spread["labelSelector"], pod_of(deployment)["metadata"]["labels"])


@pytest.mark.parametrize("name", RENDERED)
def test_every_deployment_has_one_budget_that_lets_a_node_be_emptied(name):
    budgets = [each["spec"] for each in of_kind(name, "PodDisruptionBudget")]

    for deployment in of_kind(name, "Deployment"):
        labels = pod_of(deployment)["metadata"]["labels"]
        own = [each for each in budgets if selects(each["selector"], labels)]
        assert [each["maxUnavailable"] for each in own] == [1]


@pytest.mark.parametrize("name", RENDERED)
def test_every_selector_selects_the_pods_that_it_means(name):
    pods = {each["metadata"]["name"]: pod_of(each)["metadata"]["labels"] for each in of_kind(name, "Deployment")}

    for service in of_kind(name, "Service"):
        selected = [
            workload
            for workload, labels in pods.items()
            if selects({"matchLabels": service["spec"]["selector"]}, labels)
        ]
        assert selected == [service["metadata"]["name"]]
    for deployment in of_kind(name, "Deployment"):
        assert selects(deployment["spec"]["selector"], pods[deployment["metadata"]["name"]])
