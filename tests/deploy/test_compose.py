"""The compose file: its services, each with what it mounts, publishes and is told."""

import re
from pathlib import Path

import pytest

from consumer import settings
from tests.deploy import compose
from tests.deploy.chart import parsed
from tests.deploy.tools import CHART, COMPOSE, DEPLOY, ROOT, run, tool
from tests.support.kafka_jars import VERSION

pytestmark = pytest.mark.long("the deployment")
NEEDS = COMPOSE

GUIDE = (DEPLOY / "README.md").read_text()
OURS = {"api", "segment-consumer", "events"}
NAMES = (*sorted(OURS), "kafka", "prometheus", "grafana")


def test_these_are_the_services() -> None:
    assert compose.services().keys() == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_images_are_built_each_under_its_own_name_or_of_one_version(name: str) -> None:
    service = compose.services()[name]
    if name in OURS:
        assert Path(service["build"]["context"]) == ROOT
        assert "image" not in service, "several builds of one name, at a time, fail"
    else:
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"])


def test_kafka_is_the_version_that_everything_is_tried_with() -> None:
    assert compose.services()["kafka"]["image"] == f"apache/kafka:{VERSION}"
    assert f"imagetools inspect apache/kafka:{VERSION}`" in GUIDE


def test_the_guide_s_daemon_finds_what_is_around_it() -> None:
    """Of one that runs beside the containers."""
    (block,) = re.findall(r"^export KAFKA_BOOTSTRAP_SERVERS=.*\n.*$", GUIDE, re.MULTILINE)
    given = dict(each.split("=", 1) for each in re.findall(r"[A-Z_]+=\S+", block))
    outside = {f"localhost:{port}" for name in NAMES for _, port, _ in compose.published(name)}
    loaded = settings.load(given)
    assert {loaded.kafka_bootstrap_servers, loaded.api_url.removeprefix("http://")} <= outside
    assert (
        loaded.kafka_bootstrap_servers in compose.environment("kafka")["KAFKA_ADVERTISED_LISTENERS"]
    )
    same = ("CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY", "KAFKA_TOPICS")
    assert {given[name] for name in same} == {
        compose.environment("segment-consumer")[name] for name in same
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_is_mounted_is_there_and_can_not_be_written(name: str) -> None:
    for each in compose.services()[name].get("volumes", []):
        assert Path(each["source"]).is_file(), each
        assert each["read_only"], each


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_reached_from_another_machine(name: str) -> None:
    assert all(address == "127.0.0.1" for address, _, _ in compose.published(name))


def test_each_of_several_members_takes_a_free_port(tmp_path: Path) -> None:
    text = compose.FILE.read_text()
    assert "`PAGE_PORT= docker compose … up --scale segment-consumer=3`" in text
    (tmp_path / "compose.yaml").write_text(text.replace("${PAGE_PORT-8080}", ""))
    (port,) = compose.loaded(tmp_path / "compose.yaml")["segment-consumer"]["ports"]
    assert (port["host_ip"], port["target"]) == ("127.0.0.1", 8080)
    assert "published" not in port
    ((_, usually, _),) = compose.published("segment-consumer")
    assert usually == "8080"


@pytest.mark.parametrize("name", sorted(OURS))
def test_ours_are_as_restricted_as_in_a_cluster(name: str) -> None:
    service = compose.services()[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_daemon_takes_its_settings_and_reaches_the_others_by_their_names() -> None:
    loaded = settings.load(compose.environment("segment-consumer"))
    assert not loaded.warnings
    assert (
        loaded.kafka_bootstrap_servers in compose.environment("kafka")["KAFKA_ADVERTISED_LISTENERS"]
    )
    arguments = compose.command("api")[1]
    told = dict(zip(arguments[:-1:2], arguments[1::2], strict=True))
    assert loaded.api_url == f"http://api:{told['--port']}"
    assert [each.get_secret_value() for each in loaded.credentials] == [
        told["--site-id"],
        told["--api-key"],
    ]
    assert [target for _, _, target in compose.published("segment-consumer")] == [loaded.http_port]
    assert f":{loaded.http_port}/readyz" in str(compose.services()["segment-consumer"])
    produced = compose.command("events")[1]
    assert produced[produced.index("--bootstrap-servers") + 1] == loaded.kafka_bootstrap_servers
    assert (produced[produced.index("--topic") + 1],) == loaded.kafka_topics


def test_a_stop_has_the_time_that_a_drain_takes() -> None:
    """Docker's own 10 s would cut it off."""
    grace = compose.services()["segment-consumer"]["stop_grace_period"]
    loaded = settings.load(compose.environment("segment-consumer"))
    assert float(grace.removesuffix("s")) > loaded.drain_timeout_seconds + 5


@pytest.mark.parametrize("name", ["api", "events"])
def test_what_hears_no_signals_has_an_init_that_does(name: str) -> None:
    assert compose.services()[name]["init"]


def test_prometheus_takes_its_configuration_and_the_alerts_have_no_blanks(tmp_path: Path) -> None:
    config = parsed((compose.FOLDER / "prometheus.yaml").read_text())
    rest = compose.alerts_written(tmp_path)
    (alerts,) = tmp_path.iterdir()
    assert config["rule_files"] == [f"/rules/{alerts.name}"]
    assert compose.services()["prometheus"]["tmpfs"] == ["/rules"]
    assert "__" not in alerts.read_text()
    checked = run(tool("promtool"), "check", "rules", alerts)
    assert checked.returncode == 0, checked.stderr
    (path,) = re.findall(r"--config\.file=(\S+)", rest)
    assert compose.mounted("prometheus")[path] == str(compose.FOLDER / "prometheus.yaml")
    syntax = ("check", "config", "--syntax-only", compose.FOLDER / "prometheus.yaml")
    checked = run(tool("promtool"), *syntax)
    assert checked.returncode == 0, checked.stderr


def test_prometheus_looks_for_members_under_their_name_and_port() -> None:
    (job,) = parsed((compose.FOLDER / "prometheus.yaml").read_text())["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    assert found["names"] == ["segment-consumer"]
    assert found["port"] == settings.load(compose.environment("segment-consumer")).http_port


def test_grafana_has_the_data_and_the_dashboard() -> None:
    files = compose.mounted("grafana")
    provisioned = "/etc/grafana/provisioning"
    sources = parsed(Path(files[f"{provisioned}/datasources/prometheus.yaml"]).read_text())
    (source,) = sources["datasources"]
    ((_, _, port),) = compose.published("prometheus")
    assert (source["type"], source["url"]) == ("prometheus", f"http://prometheus:{port}")
    assert source["isDefault"]
    boards = parsed(Path(files[f"{provisioned}/dashboards/segment-consumer.yaml"]).read_text())
    (provider,) = boards["providers"]
    home = compose.environment("grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert files[home] == str(CHART / "files/dashboard.json")
    assert Path(home).parent == Path(provider["options"]["path"])
