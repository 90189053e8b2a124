"""The policy: one checkpoint that proposes, imagines and values action chunks."""

from __future__ import annotations

import sys
from typing import Any

import torch
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_msgs.msg import String

from aloha_nodes.running import run
from cosmos_policy.cancellations import Cancellations
from cosmos_policy.errors import ParameterError
from cosmos_policy.managed_node import ManagedNode
from cosmos_policy.policy_queries import PolicyQueries
from cosmos_policy.qos import CANCEL_TOPIC, CANCELLATIONS
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_msgs.srv import ProposeChunks, ScoreChunks


class PolicyNode(ManagedNode):
    """Offer one checkpoint as policy, world model and value function.

    Services ~/propose_chunks (ProposeChunks) and ~/score_chunks (ScoreChunks). One request at a time; later ones wait
    their turn; in any state but active the answer is NOT_READY. A request ends within one denoising step when its plan
    is named on /cancel_plan (std_msgs/String) or the node is deactivated.
    """

    def __init__(self, name: str = "policy", proposes: bool = True, **options: Any) -> None:
        super().__init__(name, **options)
        self._embodiment: str = self.declare("embodiment", "aloha", "Contract: a name that ships, or a YAML file.")
        self._checkpoint: str = self.declare("checkpoint", "", "Checkpoint: a folder, or the name of a shipped one.")
        self._device: str = self.declare("device", "auto", "Device of the network: auto, cpu, cuda or cuda:<index>.")
        self._threads: int = self.declare("threads", 0, "CPU threads of the network; 0: torch's choice.", minimum=0)
        self._accelerate: bool = self.declare(
            "accelerate",
            False,
            "Compile the network and, on CUDA, repeat recorded launches; first queries take longer.",
        )
        self._proposer: str = self.declare(
            "proposing_checkpoint", "", "Proposes from imagined states, for searches beyond one chunk; empty: this one."
        )
        self._queries: PolicyQueries | None = None
        self._cancellations = Cancellations()
        group = MutuallyExclusiveCallbackGroup()  # the policy answers one query at a time
        self._serving = [self.create_service(ScoreChunks, "~/score_chunks", self._score, callback_group=group)]
        if proposes:
            service = self.create_service(ProposeChunks, "~/propose_chunks", self._propose, callback_group=group)
            self._serving.append(service)
        # Heard while a query runs: another group, another thread.
        self.create_subscription(
            String, CANCEL_TOPIC, self._on_cancel, CANCELLATIONS, callback_group=MutuallyExclusiveCallbackGroup()
        )

    def configure(self) -> None:
        """Load the checkpoint and refuse a contract that it was not made for."""
        if not self._checkpoint:
            raise ParameterError(f"{self.get_name()}: parameter checkpoint is empty. Give a folder or a shipped name.")
        if self._threads:
            torch.set_num_threads(self._threads)
        contract, policy = Embodiment.load(self._embodiment), self._load(self._checkpoint)
        policy.check(contract)
        proposer = None
        if self._proposer and self._proposer != self._checkpoint:
            proposer = self._load(self._proposer)
            proposer.check(contract)
        self._queries = PolicyQueries(policy, proposer, self._cancellations)

    def activate(self) -> None:
        """Serve."""
        self._cancellations.closing = False
        self.get_logger().info("ready")

    def deactivate(self) -> None:
        """End a running query within one denoising step."""
        self._cancellations.closing = True

    def cleanup(self) -> None:
        """Let go of the checkpoint."""
        self._queries = None

    def _load(self, checkpoint: str) -> CosmosPolicy:
        policy = CosmosPolicy.from_pretrained(checkpoint, device=self._find_device())
        if self._accelerate:
            policy.accelerate()
        self.get_logger().info(f"checkpoint {policy.identity} is loaded on {policy.device}")
        return policy

    def _on_cancel(self, message: String) -> None:
        self._cancellations.cancel(message.data)

    def _find_device(self) -> str:
        if self._device != "auto":
            return self._device
        return "cuda" if torch.cuda.is_available() else "cpu"

    def _propose(self, request: ProposeChunks.Request, response: ProposeChunks.Response) -> ProposeChunks.Response:
        queries = self._queries
        if queries is None or not self.is_active:
            return ProposeChunks.Response(status=ProposeChunks.Response.NOT_READY, message=self._not_ready())
        return self._logged(queries.propose(request, self.get_clock().now().to_msg()))

    def _score(self, request: ScoreChunks.Request, response: ScoreChunks.Response) -> ScoreChunks.Response:
        queries = self._queries
        if queries is None or not self.is_active:
            return ScoreChunks.Response(status=ScoreChunks.Response.NOT_READY, message=self._not_ready())
        return self._logged(queries.score(request, self.get_clock().now().to_msg()))

    def _not_ready(self) -> str:
        return f"{self.get_name()} is {self.state}. Configure and activate it."

    def _logged(self, response: Any) -> Any:
        if response.status == type(response).CANCELLED:
            self.get_logger().info(response.message)
        elif response.message:
            self.get_logger().warning(f"a request was refused: {response.message}")
        return response


def main(args: list[str] | None = None) -> int:
    """Run the policy."""
    return run(PolicyNode, args)


if __name__ == "__main__":
    sys.exit(main())
