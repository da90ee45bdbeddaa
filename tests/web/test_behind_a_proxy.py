"""`Location` and `Link` behind a proxy that adds TLS and maps another path to the API, and says nothing about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from tests.support.fake_server import Reply, Request
from tests.support.serving import Server
from tests.support.tls import needs_openssl, serving_tls
from tests.support.web import JOB


def forwarding(served: Server, prefix: str, target: str) -> Callable[[Request], Reply]:
    """Return what a proxy does that serves the path `target` of a server at the path `prefix`."""

    def answer(request: Request) -> Reply:
        assert request.path.startswith(prefix)
        with requests.Session() as session:
            session.trust_env = False
            url = served.root + target + request.path.removeprefix(prefix)
            headers = {"Content-Type": "application/json"}
            answered = session.request(request.method, url, data=request.body, headers=headers, timeout=15)
        passed = {name: answered.headers[name] for name in ("Link", "Location") if name in answered.headers}
        return Reply(answered.status_code, answered.content, passed)

    return answer


@needs_openssl
@pytest.mark.parametrize(
    ("prefix", "target"),
    [("", ""), ("/queue", ""), ("/a/b/c", "/api"), ("/queue", "/api/v1")],
    ids=["TLS", "prefix", "part of the path", "all of the path"],
)
def test_location_and_link_lead_through_the_proxy(served: Server, tmp_path: Path, prefix: str, target: str) -> None:
    with serving_tls(tmp_path, forwarding(served, prefix, target)) as site, requests.Session() as session:
        session.trust_env, session.verify = False, str(site.certificate)
        jobs = site.url + prefix + "/api/v1/jobs".removeprefix(target)
        submitted = [session.post(jobs, json={**JOB, "type": f"proxied{prefix}"}, timeout=15) for _ in range(3)]
        for answer in submitted:
            location = urljoin(answer.url, answer.headers["Location"])
            assert session.get(location, timeout=15).json()["id"] == answer.json()["id"]
        page, seen = session.get(jobs, params={"type": f"proxied{prefix}", "limit": "1"}, timeout=15), []
        while True:
            seen += [job["id"] for job in page.json()]
            if "next" not in page.links or len(seen) > 9:
                break
            page = session.get(urljoin(page.url, page.links["next"]["url"]), timeout=15)
        job_ids = [answer.json()["id"] for answer in submitted]
        assert {*job_ids} <= {*seen}
        served.call("POST", "/jobs/bulk/cancel", {"job_ids": job_ids})  # other tests of this server want an empty queue
