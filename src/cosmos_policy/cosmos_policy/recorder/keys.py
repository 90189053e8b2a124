"""Start, end and judge episodes from a terminal, beside a running recorder: `ros2 run cosmos_policy record_keys`."""

from __future__ import annotations

import contextlib
import math
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import rclpy
from rclpy.node import Node
from std_srvs.srv import Trigger

from aloha_nodes.spinning import SpinningThread
from cosmos_policy.answers import wait_for
from cosmos_policy.errors import NoAnswer, NodeError
from cosmos_policy_msgs.srv import LabelEpisode

RECORDER = "/episode_recorder"
HELP = """space  start an episode, or end and keep the running one
d      discard the running episode
s, f   the running or last episode is a success, a failure
0-9    the episode earned that many tenths of a success
q      leave (the recorder goes on)"""
ANSWER_TIMEOUT = 120.0  # [s]; ending an episode brings all of it to the disk
Say = Callable[[str], None]


class Remote:
    """The recorder's services as verbs; raises NoAnswer when the recorder is not there."""

    def __init__(self, node: Node) -> None:
        self._verbs = {verb: node.create_client(Trigger, f"{RECORDER}/{verb}") for verb in ("start", "stop", "discard")}
        self._label = node.create_client(LabelEpisode, f"{RECORDER}/label")

    def call(self, verb: str) -> tuple[bool, str]:
        """Start, stop or discard: whether it was done, and what the recorder says."""
        response = self._ask(self._verbs[verb], Trigger.Request(), verb)
        return response.success, response.message

    def label(self, success: bool, score: float = math.nan) -> tuple[bool, str]:
        """Judge the running or last episode."""
        response = self._ask(self._label, LabelEpisode.Request(success=success, success_score=score), "label")
        return response.accepted, response.message

    def _ask(self, client: Any, request: Any, verb: str) -> Any:
        if not client.wait_for_service(timeout_sec=5.0):
            raise NoAnswer(f"{RECORDER}/{verb}: nobody serves it. Start the recorder: aloha_record.launch.py")
        return wait_for(client.call_async(request), ANSWER_TIMEOUT, f"{RECORDER}/{verb}")


class Keys:
    """What each key does; remembers whether an episode runs."""

    def __init__(self, remote: Remote, say: Say) -> None:
        self._remote, self._say = remote, say
        self._recording = False

    def press(self, key: str) -> bool:
        """Do what a key means; False when it means to leave."""
        if key in ("q", "\x03", "\x04", ""):
            return False
        if key == " ":
            self._toggle()
        elif key == "d":
            self._recording = False
            self._say(self._remote.call("discard")[1])
        elif key in ("s", "f"):
            self._say(self._remote.label(key == "s")[1])
        elif key.isdigit():
            self._say(self._remote.label(False, int(key) / 10)[1])
        else:
            self._say(HELP)
        return True

    def _toggle(self) -> None:
        done, answer = self._remote.call("stop" if self._recording else "start")
        # A refusal means that somebody else began or ended an episode in between.
        self._recording = not self._recording if done else "is being recorded" in answer
        self._say(answer)


@contextlib.contextmanager
def single_keys(stream: TextIO) -> Iterator[None]:
    """Hand out keys as they are pressed, where the stream is a terminal."""
    if not stream.isatty():
        yield
        return
    before = termios.tcgetattr(stream)
    try:
        tty.setcbreak(stream)
        yield
    finally:
        termios.tcsetattr(stream, termios.TCSADRAIN, before)


def main() -> int:
    """Read keys until one says to leave."""
    rclpy.init()
    node = Node("record_keys")
    spinning = SpinningThread(node)
    print(HELP)
    try:
        keys = Keys(Remote(node), print)
        with single_keys(sys.stdin):
            while keys.press(sys.stdin.read(1)):
                pass
    except NodeError as error:
        print(f"record_keys: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    finally:
        spinning.stop()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
