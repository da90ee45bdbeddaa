"""`rediss://`: a real server behind a proxy that ends TLS, with a certificate that nobody has signed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.typing import EventDict

from jobqueue.errors import StoreUnavailable
from jobqueue.queue.connection import Connection, connect
from jobqueue.queue.scripts import ROOT
from jobqueue.web import config
from jobqueue.web.factory import create_services
from tests.support.bench import Bench
from tests.support.redis_proxy import TlsProxy
from tests.support.tls import make_certificate, needs_openssl

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key and a certificate for `localhost`."""
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder)
    return folder


@pytest.fixture
def proxy(redis_url: str, folder: Path) -> Iterator[TlsProxy]:
    proxy = TlsProxy(redis_url, folder)
    with proxy.running():
        yield proxy


@pytest.mark.parametrize(
    "parameters", ["ssl_cert_reqs=none", "ssl_cert_reqs=CERT_NONE", "ssl_ca_certs={folder}/cert.pem"]
)
def test_a_certificate_is_taken_that_the_url_trusts(proxy: TlsProxy, folder: Path, parameters: str) -> None:
    with connect(f"{proxy.url}?{parameters.format(folder=folder)}") as client:
        bench = Bench(client)
        [job_id] = bench.submit()
        assert bench.queries.get(job_id).id == job_id


def test_a_large_report_passes_through_tls(proxy: TlsProxy) -> None:
    with connect(proxy.url, verify=False) as client:
        client.set(f"{ROOT}:large", "x" * 3_000_000)
        assert len(str(client.get(f"{ROOT}:large"))) == 3_000_000


@pytest.mark.parametrize("parameters", ["", "?ssl_cert_reqs=optional"])
def test_a_certificate_that_nobody_signed_is_an_outage_with_its_reason(
    proxy: TlsProxy, logged: list[EventDict], parameters: str
) -> None:
    with connect(proxy.url + parameters) as client, pytest.raises(StoreUnavailable):
        Connection(client).ping()
    assert "certificate verify failed" in logged[0]["reason"]


def test_a_certificate_for_another_name_is_refused_unless_names_may_differ(proxy: TlsProxy, folder: Path) -> None:
    url = proxy.url.replace("localhost", "127.0.0.1") + f"?ssl_ca_certs={folder}/cert.pem"
    with connect(url) as client, pytest.raises(StoreUnavailable):
        Connection(client).ping()
    with connect(f"{url}&ssl_check_hostname=no") as client:
        Connection(client).ping()


def test_the_setting_lets_a_server_take_any_certificate(proxy: TlsProxy) -> None:
    refusing = create_services(config.load({"REDIS_URL": proxy.url}))
    with pytest.raises(StoreUnavailable):
        refusing.connection.ping()
    create_services(config.load({"REDIS_URL": proxy.url, "REDIS_TLS_VERIFY": "0"})).connection.ping()
