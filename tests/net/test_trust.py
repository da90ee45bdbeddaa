"""Certificates are trusted that a setting names; a file without any is refused in a sentence."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from jobqueue.client.transport import ApiUnavailable, Transport
from jobqueue.net import network, trust
from jobqueue.settings import InvalidSetting
from tests.support.deployment import own_directories, run_worker
from tests.support.fake_server import in_json
from tests.support.tls import Site, needs_openssl, serving_tls

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An API whose certificate no authority of this machine has signed."""
    with serving_tls(tmp_path_factory.mktemp("site"), lambda _: in_json({"status": "healthy"})) as site:
        yield site


def ask(site: Site, ca_file: Path | None = None, variables: Mapping[str, str] | None = None) -> object:
    with closing(Transport(site.url, network.load(ca_file, variables or {}))) as transport:
        return transport.call("GET", "/health")


def test_an_unknown_authority_is_an_unavailable_api_that_says_what_to_set(site: Site) -> None:
    with pytest.raises(ApiUnavailable, match=r"certificate cannot be trusted .*CA_FILE"):
        ask(site)


def test_the_authority_in_the_setting_is_trusted(site: Site) -> None:
    assert ask(site, site.certificate) == {"status": "healthy"}


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_the_authorities_of_usual_variables_are_trusted(site: Site, name: str) -> None:
    assert ask(site, variables={name: str(site.certificate)}) == {"status": "healthy"}


@pytest.mark.parametrize("name", ["SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_the_authorities_in_a_directory_are_trusted(site: Site, tmp_path: Path, name: str) -> None:
    hashed = ["openssl", "x509", "-hash", "-noout", "-in", str(site.certificate)]
    subject = subprocess.run(hashed, check=True, capture_output=True, text=True).stdout.strip()
    (tmp_path / f"{subject}.0").write_bytes(site.certificate.read_bytes())
    assert ask(site, variables={name: str(tmp_path)}) == {"status": "healthy"}


def test_several_variables_add_up(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(ssl.DER_cert_to_PEM_cert(trust.load(None, {}).get_ca_certs(binary_form=True)[0]))
    assert ask(site, site.certificate, {"SSL_CERT_FILE": str(other)}) == {"status": "healthy"}


def test_a_certificate_may_be_in_der_or_between_other_text(site: Site, tmp_path: Path) -> None:
    text = site.certificate.read_text()
    (tmp_path / "ca.der").write_bytes(ssl.PEM_cert_to_DER_cert(text))
    (tmp_path / "ca.crt").write_text(f"\ufeffOur authority\r\n{text}".replace("\n", "\r\n"))
    for name in ("ca.der", "ca.crt"):
        assert ask(site, tmp_path / name) == {"status": "healthy"}


def test_the_usual_authorities_are_trusted_besides(site: Site) -> None:
    usual, more = (len(trust.load(file, {}).get_ca_certs()) for file in (None, site.certificate))
    assert usual > 50
    assert more == usual + 1


@pytest.mark.parametrize("content", [b"", b"not a certificate", b"-----BEGIN CERTIFICATE-----\nzz\n", bytes(1000)])
@pytest.mark.parametrize("name", ["CA_FILE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_file_without_a_certificate_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    with pytest.raises(InvalidSetting, match=f"^{name} is '{path}', which holds no certificate"):
        trust.load(path if name == "CA_FILE" else None, {name: str(path)})


@pytest.mark.parametrize("name", ["CA_FILE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_pipe_or_a_device_is_refused_without_reading_it(tmp_path: Path, name: str) -> None:
    """In a process of its own, because OpenSSL reads SSL_CERT_FILE by itself, and because it would never end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    settings = {"API_URL": "http://127.0.0.1:1/api/v1", **own_directories(tmp_path), name: str(path)}
    ended = run_worker("--burst", **settings)
    assert (ended.returncode, ended.stderr) == (1, f"{name} is '{path}', which is not a regular file.\n")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"^CA_FILE is .*cannot be read: No such file or directory\.$"):
        trust.load(tmp_path / "missing.pem", {})
    with pytest.raises(InvalidSetting, match=r"^CA_FILE is .*cannot be read: Is a directory\.$"):
        trust.load(tmp_path, {})
    with pytest.raises(InvalidSetting, match=r"^SSL_CERT_FILE is"):
        trust.load(None, {"SSL_CERT_FILE": "/nowhere/ca.pem"})
