"""Which proxy a URL is requested through."""

from __future__ import annotations

import pytest

from jobqueue.net.proxies import Proxy, load
from jobqueue.net.urls import Url
from jobqueue.settings import InvalidSetting

PROXY = Proxy("proxy", 3128)


@pytest.mark.parametrize(
    ("variables", "http", "https"),
    [
        ({}, None, None),
        ({"HTTP_PROXY": "http://proxy:3128"}, PROXY, None),
        ({"http_proxy": "proxy:3128"}, PROXY, None),
        ({"HTTPS_PROXY": "http://proxy:3128/"}, None, PROXY),
        ({"https_proxy": "http://PROXY:3128"}, None, PROXY),
        ({"ALL_PROXY": "http://proxy:3128"}, PROXY, PROXY),
        ({"all_proxy": "http://other:1", "HTTPS_PROXY": "http://proxy:3128"}, Proxy("other", 1), PROXY),
        ({"http_proxy": "http://proxy:3128", "HTTP_PROXY": "http://other:1"}, PROXY, None),
        ({"HTTP_PROXY": "http://u%40:p@proxy"}, Proxy("proxy", 80, "u%40:p"), None),
        ({"HTTP_PROXY": "http://[::1]:3128"}, Proxy("[::1]", 3128), None),
        ({"HTTP_PROXY": "", "HTTPS_PROXY": " "}, None, None),
        ({"ALL_PROXY": "socks5://other", "HTTP_PROXY": "proxy:3128", "HTTPS_PROXY": "proxy:3128"}, PROXY, PROXY),
    ],
)
def test_proxies_are_read_from_the_environment(
    variables: dict[str, str], http: Proxy | None, https: Proxy | None
) -> None:
    proxies = load(variables)
    assert proxies.for_url(Url.parse("http://host/")) == http
    assert proxies.for_url(Url.parse("https://host/")) == https


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("kind", ["socks5", "socks5h", "socks4", "https", "ftp"])
def test_a_proxy_of_another_kind_is_refused_in_a_sentence(name: str, kind: str) -> None:
    with pytest.raises(
        InvalidSetting, match=f"^{name} names a proxy of the kind '{kind}', .*not supported.*[.]$"
    ) as caught:
        load({name: f"{kind}://user:canary@proxy:1080"})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("text", ["http://", "http://proxy:99999", "http://user:canary@", "://", "http://a b/"])
def test_a_proxy_that_cannot_be_read_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^HTTP_PROXY must be the URL of a proxy") as caught:
        load({"HTTP_PROXY": text})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("direct", "url"),
    [
        ("host.example", "http://host.example/"),
        ("example", "http://host.example/"),
        (".example", "http://host.example/"),
        ("*.example", "http://host.example/"),
        ("other, EXAMPLE", "http://HOST.example./"),
        ("other example", "http://host.example/"),
        ("host.example:8080", "http://host.example:8080/"),
        ("*", "http://host.example/"),
        ("192.0.2.1", "http://192.0.2.1/"),
        ("192.0.2.0/24", "http://192.0.2.77:8080/"),
        ("192.0.2.1:8080", "http://192.0.2.1:8080/"),
        ("2001:db8::/32", "http://[2001:db8::1]/"),
        ("[2001:db8::1]", "http://[2001:db8::1]:81/"),
        ("2001:db8:0::1", "http://[2001:db8::1]/"),
        ("", "http://localhost:8080/"),
        ("", "http://queue.localhost/"),
        ("", "http://127.0.0.1:8080/"),
        ("", "http://127.9.9.9/"),
        ("", "http://[::1]/"),
    ],
)
def test_a_host_that_no_proxy_names_and_this_machine_are_requested_directly(direct: str, url: str) -> None:
    assert load({"HTTP_PROXY": "proxy:3128", "NO_PROXY": direct}).for_url(Url.parse(url)) is None


@pytest.mark.parametrize(
    ("direct", "url"),
    [
        ("example", "http://anexample/"),
        ("host.example:81", "http://host.example/"),
        ("192.0.2.0/24", "http://192.0.3.1/"),
        ("192.0.2.1", "http://192.0.2.10/"),
        (".", "http://host/"),
        (",", "http://host/"),
        ("", "http://localhost.example/"),
    ],
)
def test_other_hosts_are_requested_through_the_proxy(direct: str, url: str) -> None:
    assert load({"HTTP_PROXY": "proxy:3128", "no_proxy": direct}).for_url(Url.parse(url)) == PROXY
