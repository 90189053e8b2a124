"""`cosmos-policy view`: what is typed reaches the node as it is, and a mistake is told as one."""

from __future__ import annotations

import pytest
import rclpy
from rclpy.node import Node
from test_live_gate import free_port

from cosmos_policy_core import cli
from cosmos_policy_core.commands.view import Options, node_words


@pytest.mark.parametrize(
    "text", ["put candy in Ada's bowl", 'say "hi" \\ now: #1', "12345678901234567890", "größer 😀 {a: b}", "a:=b"]
)
def test_every_text_reaches_the_node_as_it_was_typed(text: str) -> None:
    names = ("instruction", "token", "embodiment", "description", "tip")
    context = rclpy.Context()
    rclpy.init(args=node_words(Options(**dict.fromkeys(names, text))), context=context)
    node = Node("live_view", context=context)
    try:
        assert {node.declare_parameter(name, "").value for name in names} == {text}
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--port", "99999"], "--port 99999: there is no such port. Give 1 to 65535."),
        (["--port", "0"], "--port 0: there is no such port."),
        (["--host", "203.0.113.7", "--token", "x" * 16], "cannot listen on 203.0.113.7:"),
        (["--token", "short"], "token: 5 characters can be guessed."),
        (["--embodiment", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_told_in_a_sentence_and_exits_with_2(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    port = [] if "--port" in words else ["--port", str(free_port())]
    assert cli.main(["view", *words, *port]) == cli.USER_ERROR
    assert sentence in capsys.readouterr().err
