"""`rediss://` to a real server that speaks TLS itself, with certificates of an authority that only the tests know."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.typing import EventDict

from jobqueue.errors import StoreUnavailable
from jobqueue.local.run import free_port
from jobqueue.queue import health
from jobqueue.queue.connection import Connection, connect
from jobqueue.queue.health import Health
from jobqueue.settings import InvalidSetting
from jobqueue.web import config
from tests.support.bench import Bench
from tests.support.logins import with_login, write_acl
from tests.support.waiting import wait_until

REDIS = shutil.which("redis-server")
NAMES = {"right": "localhost", "other": "redis.example", "expired": "localhost", "later": "localhost"}
DAYS = {"expired": (-10, -1), "later": (1, 10)}

pytestmark = pytest.mark.skipif(REDIS is None, reason="needs a redis-server with TLS")


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """Signs certificates, whose files are in `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name, self.key = folder, named(name), ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.pem"
        ca = x509.BasicConstraints(ca=True, path_length=None)
        self.write(self.file, self.sign(self.name, self.key, ca, (-20, 20)))

    def sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType, days: tuple[int, int]
    ) -> x509.Certificate:
        begin, end = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=number) for number in days)
        builder = x509.CertificateBuilder(self.name, name, key.public_key(), x509.random_serial_number(), begin, end)
        return builder.add_extension(extension, critical=False).sign(self.key, hashes.SHA256())

    def write(self, path: Path, certificate: x509.Certificate) -> None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, kind: str) -> None:
        """Write the certificate of that kind and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        host = NAMES[kind]
        extension = x509.SubjectAlternativeName([x509.DNSName(host)])
        self.write(self.folder / f"{kind}.crt", self.sign(named(host), key, extension, DAYS.get(kind, (-1, 10))))
        encodings = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (self.folder / f"{kind}.key").write_bytes(key.private_bytes(*encodings))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority, and a certificate of each kind."""
    authority = Authority(tmp_path_factory.mktemp("tls"), "authority")
    for kind in NAMES:
        authority.issue(kind)
    return authority


@contextmanager
def running(authority: Authority, kind: str, *options: str) -> Iterator[str]:
    """A server with that certificate; yields its URL with the server's login."""
    folder, port = authority.folder, free_port()
    socket = folder / f"{port}.sock"
    files = ("--tls-cert-file", f"{folder}/{kind}.crt", "--tls-key-file", f"{folder}/{kind}.key")
    ends = ("--port", "0", "--tls-port", str(port), "--unixsocket", str(socket), "--bind", "127.0.0.1")
    trusted = ("--tls-ca-cert-file", str(authority.file), "--tls-auth-clients", "no")
    more = ("--save", "", "--dir", str(folder), "--aclfile", str(write_acl(folder)))
    command = [str(REDIS), *ends, *files, *trusted, *more, *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until("it listens", socket.exists)
            yield with_login(f"rediss://localhost:{port}/0")
        finally:
            process.kill()


@contextmanager
def connected(url: str, **variables: str) -> Iterator[Connection]:
    """A connection of a server with these settings."""
    settings = config.load({"REDIS_URL": url, **variables})
    with connect(settings.redis_url, settings.verifies_redis, settings.redis_login) as client:
        yield Connection(client)


def reason_of_outage(connection: Connection, logged: list[EventDict]) -> str:
    """Return why a connection cannot be used, as it is logged."""
    for _ in range(20):
        with pytest.raises(StoreUnavailable):
            connection.ping()
    assert health.check(connection) is Health.DISCONNECTED
    [event] = [event for event in logged if event["event"] == "redis_away"]
    return str(event["reason"])


def test_a_server_whose_authority_is_named_is_trusted(authority: Authority) -> None:
    with running(authority, "right") as url, connected(url, REDIS_CA_FILE=str(authority.file)) as connection:
        bench = Bench(connection.client)
        [job_id] = bench.submit()
        assert bench.queries.get(job_id).id == job_id


@pytest.mark.parametrize(
    ("kind", "trusts", "advice"),
    [
        ("right", False, "REDIS_CA_FILE"),
        ("other", True, "one of its names"),
        ("expired", True, "Renew the certificate"),
        ("later", True, "clocks"),
    ],
)
def test_a_certificate_that_is_not_right_is_an_outage_with_advice(
    authority: Authority, logged: list[EventDict], kind: str, trusts: bool, advice: str
) -> None:
    variables = {"REDIS_CA_FILE": str(authority.file)} if trusts else {}
    with running(authority, kind) as url:
        with connected(url, **variables) as connection:
            assert advice in reason_of_outage(connection, logged)
        with connected(url, REDIS_TLS_VERIFY="0", **variables) as connection:
            connection.ping()


def test_a_certificate_of_another_authority_with_the_same_name_is_not_trusted(
    authority: Authority, tmp_path: Path, logged: list[EventDict]
) -> None:
    another = Authority(tmp_path, "authority")
    with running(authority, "right") as url, connected(url, REDIS_CA_FILE=str(another.file)) as connection:
        assert "REDIS_CA_FILE" in reason_of_outage(connection, logged)


def test_an_address_that_is_not_in_the_certificate_is_refused(authority: Authority, logged: list[EventDict]) -> None:
    variables = {"REDIS_CA_FILE": str(authority.file)}
    with (
        running(authority, "right") as url,
        connected(url.replace("localhost", "127.0.0.1"), **variables) as connection,
    ):
        assert "not for this address" in reason_of_outage(connection, logged)


def test_a_server_that_asks_for_a_certificate_says_so(authority: Authority, logged: list[EventDict]) -> None:
    with running(authority, "right", "--tls-auth-clients", "yes") as url:
        with connected(url, REDIS_CA_FILE=str(authority.file)) as connection:
            assert "ssl_certfile" in reason_of_outage(connection, logged)
        files = f"?ssl_certfile={authority.folder}/right.crt&ssl_keyfile={authority.folder}/right.key"
        with connected(url + files, REDIS_CA_FILE=str(authority.file)) as connection:
            connection.ping()


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nx\n"])
def test_a_file_without_certificates_is_refused_at_the_start(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidSetting, match=r"^REDIS_CA_FILE is '/.*"):
        config.load({"REDIS_URL": "rediss://host", "REDIS_CA_FILE": str(path)})


def test_an_authority_for_a_connection_in_the_clear_is_refused(authority: Authority) -> None:
    with pytest.raises(InvalidSetting, match="REDIS_CA_FILE is set, but"):
        config.load({"REDIS_URL": "redis://host", "REDIS_CA_FILE": str(authority.file)})
