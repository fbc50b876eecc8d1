"""Claims about the bodies of notifications: what people build receivers on."""

import json
from dataclasses import replace

from guard.adapters.notify.bodies import slack_body, tidegate_body
from guard.core.check import Check
from guard.core.notification import ChangeFacts, Notification, Signal
from guard.core.verdict import Verdict

CHECK = Check(
    "ttft-p95", Verdict.FAIL, "too slow", "ttft", 1.25, 0.75, 0.4, "seconds", samples=210, window_seconds=60.0
)
CHANGE = ChangeFacts(
    "ops-1", "OPS-1", "R1", "ann", "sha256:1", ("vllm:0.31",), ("vllm:0.32",), "RollingBack", 25
)
ROLLED_BACK = Notification(
    "RolledBack",
    "2030-01-02T10:00:00.000000Z",
    "inference",
    "chat",
    "p95 of TTFT is over its limit",
    "kubectl describe -n inference change/ops-1",
    "uid-1",
    verdict=Verdict.FAIL,
    environment="prod-eu",
    change=CHANGE,
    signal=Signal.of(CHECK),
    evidence="/artifacts/inference/ops-1",
)


def test_the_body_says_version_environment_and_the_signal_that_failed() -> None:
    body = json.loads(json.dumps(tidegate_body(ROLLED_BACK)))
    assert body["format"] == "tidegate.dev/notification/v1"
    assert (body["event"], body["environment"], body["verdict"]) == ("RolledBack", "prod-eu", "FAIL")
    assert body["change"]["canary_images"] == ["vllm:0.32"]
    signal = body["signal"]
    assert (signal["name"], signal["value"], signal["limit"], signal["unit"]) == (
        "ttft",
        1.25,
        0.75,
        "seconds",
    )
    assert body["links"]["evidence"] == "/artifacts/inference/ops-1"
    assert body["probe"] is None


def test_a_repetition_has_the_same_id_and_another_event_another() -> None:
    later = replace(ROLLED_BACK, at="2030-01-02T10:05:00.000000Z")
    assert tidegate_body(later)["id"] == tidegate_body(ROLLED_BACK)["id"]
    assert replace(ROLLED_BACK, event="Held").id != ROLLED_BACK.id
    assert replace(ROLLED_BACK, key="uid-2").id != ROLLED_BACK.id


def test_slack_gets_the_same_facts_in_words() -> None:
    body = slack_body(ROLLED_BACK)
    text = body["blocks"][1]["text"]["text"]
    assert "ttft 1.25 seconds, limit 0.75 (210 samples)" in text
    assert "vllm:0.31 -> vllm:0.32; canary at 25 %" in text
    assert "prod-eu/inference/chat" in body["blocks"][0]["text"]["text"]


def test_text_of_others_mentions_nobody_and_links_nowhere_in_slack() -> None:
    hostile = replace(ROLLED_BACK, summary="<!channel> <http://evil|ok>\x1b[31m & *bold*" + "x" * 5000)
    body = slack_body(hostile)
    assert "<" not in body["text"]
    assert {block["text"]["type"] for block in body["blocks"]} == {"plain_text"}
    assert len(body["blocks"][1]["text"]["text"]) <= 3000
    assert "\x1b" not in json.dumps(body, ensure_ascii=False)
