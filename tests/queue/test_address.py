"""What REDIS_URL may say, and the sentences for what it may not: they name the part and quote no secret."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from jobqueue.net import trust
from jobqueue.queue.transport.address import IGNORED, read


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("", ssl.CERT_REQUIRED),
        *((text, ssl.CERT_NONE) for text in ("none", "None", "NONE", "CERT_NONE", "cert_none", "ssl.CERT_NONE")),
        *((text, ssl.CERT_OPTIONAL) for text in ("optional", "Optional", "CERT_OPTIONAL")),
        *((text, ssl.CERT_REQUIRED) for text in ("required", "REQUIRED", "CERT_REQUIRED", "cert_required")),
    ],
)
def test_every_spelling_of_ssl_cert_reqs_is_understood(text: str, mode: ssl.VerifyMode) -> None:
    tls = read(f"rediss://host?ssl_cert_reqs={text}").tls
    assert tls is not None
    assert tls.verify_mode == mode
    assert tls.check_hostname == (mode != ssl.CERT_NONE)


def test_without_verification_any_certificate_is_taken_whatever_the_url_says() -> None:
    tls = read("rediss://host?ssl_cert_reqs=required&ssl_check_hostname=yes", verify=False).tls
    assert tls is not None
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_NONE, False)


def test_certificates_are_verified_as_those_of_other_servers() -> None:
    tls = read("rediss://host").tls
    assert tls is not None
    assert tls.verify_flags == trust.load(None, {}).verify_flags


def test_the_name_in_a_certificate_may_be_another_one() -> None:
    tls = read("rediss://host?ssl_check_hostname=False").tls
    assert tls is not None
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_REQUIRED, False)


def test_a_url_says_where_redis_is_and_who_asks() -> None:
    address = read("redis://us%3Aer:pa%2Fss@[::1]:1/2?client_name=api&max_connections=3")
    assert (address.host, address.port, address.database) == ("::1", 1, 2)
    assert (address.username, address.password) == ("us:er", "pa/ss")
    assert (address.client_name, address.max_connections, address.tls) == ("api", 3, None)
    address = read("unix://:word@/run/redis%20a.sock?db=4")
    assert (address.path, address.password, address.database) == ("/run/redis a.sock", "word", 4)
    assert read("redis://host?password=word&db=5").password == "word"


@pytest.mark.parametrize("name", IGNORED)
def test_parameters_for_which_the_server_has_its_own_values_are_no_error(name: str) -> None:
    assert read(f"redis://host?{name}=1").host == "host"


def test_the_password_is_not_shown() -> None:
    assert "word" not in repr(read("redis://:word@host"))


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://host", "redis://"),
        ("redis://host:port", "port"),
        ("redis://host:0", "port"),
        ("redis://host/zero", "path"),
        ("redis://host?db=one", "db"),
        ("redis://host?max_connections=0", "max_connections"),
        ("redis://host?socket_timeout=soon", "socket_timeout"),
        ("redis://host?no_such_option=s3cret", "no_such_option"),
        ("redis://host?ssl_cert_reqs=none", "rediss"),
        ("rediss://host?ssl_cert_reqs=s3cret", "ssl_cert_reqs"),
        ("rediss://host?ssl_ca_certs=/s3cret", "ssl_ca_certs"),
        ("rediss://host?ssl_ca_data=s3cret", "ssl_ca_data"),
        ("rediss://host?ssl_certfile=/s3cret", "ssl_certfile"),
        ("rediss://host?ssl_keyfile=/s3cret", "ssl_certfile"),
        ("rediss://host?ssl_min_version=9", "ssl_min_version"),
        ("rediss://host?ssl_ciphers=s3cret", "ssl_ciphers"),
        ("rediss://host?ssl_validate_ocsp=1", "ssl_validate_ocsp"),
        ("redis://user:12?s3cret@host", "%3F"),
        ("redis://user:12?s3cret=x@host", ""),
        ("redis://user:12#s3cret@host", "%23"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_by_the_name_of_what_is_wrong(url: str, named: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        read(url)
    assert named in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_a_client_certificate_with_a_passphrase_asks_nobody(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n")
    with pytest.raises(ValueError, match="ssl_certfile"):
        read(f"rediss://host?ssl_certfile={key}&ssl_keyfile={key}")
