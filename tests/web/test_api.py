"""Push, look, operate: over a real socket, down to the verdict."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable
from time import monotonic
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from monitor.adapters.inbox import BatchesWithInbox
from monitor.web.rate_limit import RateLimit
from monitor.web.serve import serve
from tests.web.conftest import Api, serving

BASE = "/api/v1/deployments/tiny"
FIRST_REASON = "first model, trained from training.parquet"
PARQUET = "application/vnd.apache.parquet"


def as_parquet(rows: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(rows, out)
    return out.getvalue()


def as_arrow(rows: pa.Table, writer: Callable[..., Any]) -> bytes:
    out = io.BytesIO()
    with writer(out, rows.schema) as writing:
        writing.write_table(rows)
    return out.getvalue()


def as_csv(rows: pa.Table) -> bytes:
    out = io.BytesIO()
    arrow_csv.write_csv(rows, out)
    return out.getvalue()


def as_lines(rows: pa.Table) -> bytes:
    return "".join(json.dumps(row, default=str) + "\n" for row in rows.to_pylist()).encode()


ENCODED = {
    PARQUET: as_parquet,
    "application/vnd.apache.arrow.file": lambda rows: as_arrow(rows, pa.ipc.new_file),
    "application/vnd.apache.arrow.stream": lambda rows: as_arrow(rows, pa.ipc.new_stream),
    "text/csv; charset=utf-8": as_csv,
    "application/x-ndjson": as_lines,
}


def put(client: httpx.Client, path: str, content: Any, media: str = PARQUET) -> httpx.Response:
    return client.put(f"{BASE}/{path}", content=content, headers={"Content-Type": media})


@pytest.mark.parametrize("media", ENCODED)
def test_a_pushed_batch_is_judged_like_a_file(api: Api, media: str):
    rows = api.project.next_rows()
    content = ENCODED[media](rows.drop_columns(["y"]))
    id_ = f"push-{api.project.batches}"
    with api.client("ingest") as sender, api.client("read") as reader:
        answer = put(sender, f"batches/{id_}", content, media)
        assert answer.status_code == 202, answer.text
        assert answer.json() == {
            "deployment": "tiny", "id": id_, "state": "waiting", "rows": 120, "rejected": 0, "reasons": [],
            "notes": answer.json()["notes"],
        }  # fmt: skip
        assert [record.batch for record in api.app.once()] == [id_]
        assert put(sender, f"batches/{id_}", content, media).json()["state"] == "done"
        assert api.app.once() == [], "the same again changes nothing"
        record = reader.get(f"{BASE}/batches/{id_}").json()
        assert record == api.app.store.record("tiny", id_)
        assert (record["rows"], record["verdicts"]["inputs"]["verdict"]) == (120, "ok")
        assert reader.get(f"{BASE}/batches?last=1").json() == [record]
        measured = reader.get(f"{BASE}/measures/{id_}").json()
        assert {m["column"] for m in measured if m["channel"] == "inputs"} == {"a", "b", "colour"}
        (newest,) = reader.get(f"{BASE}/deliveries?last=1").json()
        assert newest["state"] == "done"
        everything = reader.get(f"{BASE}/deliveries?last=1000").json()
        assert reader.get(f"{BASE}/deliveries?before={newest['number']}").json() == everything[:-1]
        assert len(everything) > 1
        journal = reader.get(f"{BASE}/journal?last=1000").json()
        assert reader.get(f"{BASE}/journal?last=2&before={journal[2]['number']}").json() == journal[:2]


def test_an_id_means_one_content(api: Api):
    first, second = (as_parquet(api.project.next_rows().drop_columns(["y"])) for _ in range(2))
    with api.client("ingest") as sender:
        assert put(sender, "batches/one", first).status_code == 202
        before = put(sender, "batches/one", second)
        api.app.once()
        after = put(sender, "batches/one", second)
        taken = put(sender, "batches/batch_000", second)
    for refused in (before, after, taken):
        assert refused.status_code == 409
        assert refused.headers["content-type"] == "application/problem+json"
        assert "with other content" in refused.json()["detail"]
    assert api.app.store.record("tiny", "one")["rows"] == 120


def test_pushed_labels_are_joined(api: Api):
    rows = api.project.next_rows()
    with api.client("ingest") as sender:
        put(sender, "batches/labelled", as_parquet(rows.drop_columns(["y"])))
        answer = put(sender, "labels/labelled", as_csv(rows.select(["row_id", "y"])), "text/csv")
        assert (answer.status_code, answer.json()["rows"]) == (202, 120)
    api.app.once()
    assert api.app.store.record("tiny", "labelled")["performance"]["labels_coverage"] == 1.0


def test_a_third_class_of_a_binary_label_is_told_to_the_sender(api: Api):
    with api.client("ingest") as sender:
        answer = put(sender, "labels/third", b"row_id,y\nr1,maybe\nr2,UP\n", "text/csv").json()
    assert (answer["state"], answer["rows"], answer["rejected"]) == ("waiting", 1, 1)
    assert answer["reasons"] == [
        {"row": 1, "column": "y", "reason": "impossible_label", "detail": "'maybe' is neither 'DOWN' nor 'UP'"}
    ]


def test_what_is_wrong_with_the_data_is_told_to_the_sender(api: Api):
    with api.client("ingest") as sender:
        missing = put(sender, "batches/bad", b"row_id,at,a,b\nx,2026-01-05T00:00:00Z,1,2\n", "text/csv")
        assert missing.status_code == 422
        assert missing.json()["file"] == "bad.csv"
        assert "missing column" in missing.json()["detail"]
        assert "colour" in missing.json()["detail"]
        assert put(sender, "batches/bad", b"row_id,at,a,b\nx,2026-01-05T00:00:00Z,1,2\n", "text/csv").status_code == 422
        (told,) = api.app.store.events("tiny", event="push_refused")
        assert (told["kind"], told["id"], told["error"]) == ("batch", "bad", missing.json()["detail"])
        with serve(api.app) as url:
            assert 'monitor_last_refused_push_timestamp_seconds{deployment="tiny"}' in httpx.get(f"{url}/metrics").text
        binary = put(sender, "batches/bad", b"row_id,at\n\xff\xfe,1\n", "text/csv")
        assert (binary.status_code, binary.json()["file"], binary.json()["row"]) == (422, "bad.csv", 1)
        row = b"row_id,at,a,b,colour\nbad-1,2026-01-05T00:00:00Z,abc,2,red\nbad-2,2026-01-05T00:00:00Z,1,2,red\n"
        partly = put(sender, "batches/partly", row, "text/csv").json()
    assert (partly["rows"], partly["rejected"]) == (1, 1)
    assert {**partly["reasons"][0], "detail": ""} == {"row": 1, "column": "a", "reason": "wrong_type", "detail": ""}
    assert [record.batch for record in api.app.once()] == ["partly"], "the refused ones were not kept"


@pytest.mark.parametrize("id_", ["..%2F..%2Fetc", ".hidden", "_x", "a%2Fb", "a%00b", "a%0A", "x" * 101, "a;b", "a b"])
def test_an_id_is_no_path(api: Api, id_: str):
    with api.client("ingest") as sender:
        assert put(sender, f"batches/{id_}", b"row_id\n", "text/csv").status_code in (404, 405, 422)
    source = api.app.runtime("tiny").batches
    assert isinstance(source, BatchesWithInbox)
    known = {path.name for path in (api.project.folder / "var").rglob("*")}
    assert not known & {"etc", "etc.csv", ".hidden.csv", "_x.csv", "b.csv"}


@pytest.mark.parametrize("media", ["application/x-www-form-urlencoded", "text/plain", None])
def test_a_command_that_is_not_json_is_told_the_header_to_send(api: Api, media: str | None):
    headers = {"Content-Type": media} if media else {}
    with api.client() as client:
        for call in ("acknowledge", "retrain", "promote", "rollback", "held-labels/release", "held-labels/reject"):
            answer = client.post(f"{BASE}/{call}", content=b"{}", headers=headers)
            assert answer.status_code == 415
            assert "`Content-Type: application/json`" in answer.json()["detail"]
        typed = client.post(
            f"{BASE}/promote", content=b"{}", headers={"Content-Type": "Application/JSON; charset=utf-8"}
        )
        assert typed.status_code == 404, "there is no candidate, which it asked for"
    with api.client("read") as reader:
        assert reader.post(f"{BASE}/retrain", content=b"{}", headers=headers).status_code == 403


def test_unknown_content_and_names(api: Api):
    with api.client() as client:
        assert put(client, "batches/x", b"{}", "application/json").status_code == 415
        for path in ("/api/v1/deployments/other", f"{BASE}/batches/none", f"{BASE}/versions/99", "/nowhere"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        typo = client.post(f"{BASE}/rollback", json={"reson": "x"}).json()
        assert typo["errors"] == [{"where": "body.reson", "message": "Extra inputs are not permitted"}]


def test_operating(api: Api):
    with api.client("operate") as client:
        assert client.get("/api/v1/deployments").json()[0]["deployment"] == "tiny"
        assert client.get(f"{BASE}/versions").json()[0]["aliases"] == ["champion"]
        assert client.get(f"{BASE}/versions/1").json()["moves"][0]["version"] == 1
        closed = client.post(f"{BASE}/acknowledge", json={})
        assert (closed.status_code, closed.json()["kind"]) == (409, "ConfigError")  # alarms close by themselves here
        assert client.post(f"{BASE}/promote", json={}).status_code == 404, "there is no candidate"
        back = client.post(f"{BASE}/rollback", json={})
        assert (back.status_code, "no earlier champion" in back.json()["detail"]) == (409, True)
        moved = client.post(f"{BASE}/promote", json={"version": 1, "reason": "again"}).json()
        assert (moved["alias"], moved["version"], moved["reason"]) == ("champion", 1, FIRST_REASON), "it is"
        assert len(client.get(f"{BASE}/journal?event=promoted").json()) == 1, "nothing was written"


def test_going_through_the_history_backwards(api: Api):
    found: list[str] = []
    with api.client("read") as reader:
        everything = reader.get(f"{BASE}/batches", params={"last": 1000}).json()
        page = reader.get(f"{BASE}/batches", params={"last": 1}).json()
        while page:
            found[:0] = [record["batch"] for record in page]
            page = reader.get(f"{BASE}/batches", params={"last": 1, "before": found[0]}).json()
        assert reader.get(f"{BASE}/batches", params={"before": "never"}).status_code == 404
    assert found == [record["batch"] for record in everything]
    assert len(found) > 1


def test_labels_are_rejected_and_released(api: Api):
    """Nothing is held here; what an operator may say of labels that nothing was found wrong with is enough to see."""
    name = api.project.add_batch()
    api.app.once()
    api.project.add_batch()
    api.app.once()
    with api.client("operate") as operator:
        assert operator.get(f"{BASE}/held-labels").json() == []
        (rejected,) = operator.post(
            f"{BASE}/held-labels/reject", json={"batches": [name], "reason": "of another shop"}
        ).json()
        assert (rejected["batch"], rejected["standing"], rejected["reason"]) == (name, "rejected", "of another shop")
        assert operator.get(f"{BASE}/held-labels").json() == [rejected]
        (released,) = operator.post(f"{BASE}/held-labels/release", json={"batches": [name]}).json()
        assert (released["batch"], released["standing"]) == (name, "released")
        again = operator.post(f"{BASE}/held-labels/release", json={"batches": [name]})
        assert (again.status_code, again.json()["kind"]) == (409, "ConfigError")
        assert "are not held" in again.json()["detail"]
        assert operator.post(f"{BASE}/held-labels/release", json={}).json() == []


@pytest.mark.parametrize("body", [b'{"reason": ', b"reason=x", b'{"reason": "\xff"}'])
def test_a_body_that_is_not_json_is_another_error_than_json_that_cannot_be_used(api: Api, body: bytes):
    with api.client() as client:
        answer = client.post(f"{BASE}/rollback", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
        assert client.post(f"{BASE}/rollback", json={"reason": 5}).status_code == 422


def test_one_at_a_time(api: Api):
    with api.app.runtime("tiny").working(), api.client() as client:
        for command in ("retrain", "promote", "rollback"):
            body = {"version": 1} if command == "promote" else {}
            busy = client.post(f"{BASE}/{command}", json=body)
            assert (busy.status_code, busy.json()["kind"]) == (409, "BusyError")


def test_a_retraining_is_begun_and_ends_in_the_journal(api: Api):
    rows = api.project.next_rows()
    with api.client() as client:
        put(client, "batches/to-learn", as_parquet(rows.drop_columns(["y"])))
        put(client, "labels/to-learn", as_parquet(rows.select(["row_id", "y"])))
        api.app.once()
        answer = client.post(f"{BASE}/retrain", json={"dry_run": True})
        assert answer.status_code == 202, answer.text
        assert answer.json()["outcome"] in ("running", "keep", "reject")
        deadline = monotonic() + 60
        while not (found := client.get(f"{BASE}/journal?event=attempt").json()):
            assert monotonic() < deadline
    assert found[0]["dry_run"] is True


def test_limits(api: Api):
    with serving(api.project, api.app, max_body="1MiB", timeout="500ms") as small, small.client() as client:
        assert put(client, "batches/large", bytes(1024**2 + 1)).status_code == 413

        def chunks() -> Any:
            yield from (bytes(64 * 1024) for _ in range(20))

        assert (
            client.put(f"{BASE}/batches/large", content=chunks(), headers={"Content-Type": PARQUET}).status_code == 413
        )
        assert client.post(f"{BASE}/rollback", content=b" " * 70_000).status_code == 413
        host, port = small.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as slow:
            head = (
                f"PUT {BASE}/batches/slow HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\nContent-Type: text/csv\r\n"
            )
            slow.sendall(f"{head}Authorization: Bearer the-ingest-token\r\n\r\nrow".encode())
            assert slow.recv(100).startswith(b"HTTP/1.1 408")


def test_how_often_one_may_call(api: Api):
    with serving(api.project, api.app, requests_per_minute=5) as strict:
        with strict.client("read") as client:
            codes = [client.get("/api/v1/deployments").status_code for _ in range(6)]
            assert codes == [200] * 5 + [429]
            assert int(client.get("/api/v1/deployments").headers["retry-after"]) <= 12
            assert client.get("/-/healthy").status_code == 200
        with strict.client("operate") as other:
            assert other.get("/api/v1/deployments").status_code == 200
        with strict.client(None) as stranger:
            assert [stranger.get("/metrics").status_code for _ in range(6)] == [401] * 5 + [429]


def test_a_bucket_fills_at_its_rate():
    now = [0.0]
    limit = RateLimit(lambda: now[0])
    assert [limit.wait_seconds("a", 60) for _ in range(60)] == [0.0] * 60
    assert limit.wait_seconds("a", 60) == pytest.approx(1.0)
    now[0] = 1.5
    assert limit.wait_seconds("a", 60) == 0.0
    assert limit.wait_seconds("a", 60) == pytest.approx(0.5)
    assert limit.wait_seconds("a", 600) == pytest.approx(0.05), "the rate may change"
    assert limit.wait_seconds("b", 60) == 0.0


def test_without_tokens_only_this_machine_may_call(api: Api):
    with serving(api.project, api.app, tokens=[]) as unprotected, unprotected.client(None) as client:
        assert client.get("/api/v1/deployments").status_code == 200
        assert client.get("/api/v1/deployments", headers={"Host": "evil.example"}).status_code == 403
        asked = {"Origin": "https://evil.example"}  # a page that a browser of this machine has open
        assert client.post(f"{BASE}/rollback", json={}, headers=asked).status_code == 403
        assert put(client, "batches/of-a-page", b"").status_code == 422


def test_every_answer_has_safe_headers_and_hides_its_server(api: Api):
    with api.client() as client:
        for path in ("/api/v1/deployments", "/nowhere", "/-/healthy", "/metrics"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "server" not in headers
