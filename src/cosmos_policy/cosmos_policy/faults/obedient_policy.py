"""A policy without a model, which answers as its terminal says: well, slow, nan, error.

Well, it turns waists and wrists a little, to and fro.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import numpy as np
from rclpy.node import Node

from aloha_nodes.running import run
from cosmos_policy.managed_node import ManagedNode
from cosmos_policy.messages import chunk_message
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_msgs.srv import ProposeChunks

AMPLITUDE = 0.2  # [rad]
SLOW = 30.0  # [s]


class ObedientPolicy(ManagedNode):
    """Serve ~/propose_chunks."""

    def __init__(self, **options: Any) -> None:
        super().__init__("policy", **options)
        self._contract = Embodiment.load(self.declare("embodiment", "aloha_sim", "Name or file of the contract."))
        self._mood = "well"
        threading.Thread(target=self._obey, name="terminal", daemon=True).start()
        self.create_service(ProposeChunks, "~/propose_chunks", self._propose)

    def _obey(self) -> None:
        for line in sys.stdin:
            self._mood = line.strip()

    def _propose(self, request: ProposeChunks.Request, response: ProposeChunks.Response) -> ProposeChunks.Response:
        if self._mood == "slow":
            time.sleep(SLOW)
        if self._mood == "error":
            response.status, response.message = (
                ProposeChunks.Response.MODEL_ERROR,
                "the network failed. Restart the policy.",
            )
            return response
        response.chunks = [self._chunk(self, request, k) for k in range(request.n)]
        response.contract = self._contract.to_yaml()
        return response

    def _chunk(self, node: Node, request: ProposeChunks.Request, index: int) -> Any:
        contract = self._contract
        actions = np.tile(np.asarray(request.observation.proprio), (contract.chunk_horizon, 1))
        actions[:, list(contract.gripper_indices)] = 0.0
        turn = AMPLITUDE * np.sin(2 * np.pi * np.arange(contract.chunk_horizon) / contract.chunk_horizon)
        for column, name in enumerate(contract.joint_names):
            if name.endswith(("/waist", "/wrist_rotate")):
                actions[:, column] += turn
        if self._mood == "nan":
            actions[20] = np.nan
        stamp = node.get_clock().now().to_msg()
        seed = request.seeds[index] if request.seeds else index
        return chunk_message(
            actions,
            contract,
            observation_stamp=request.observation.header.stamp,
            stamp=stamp,
            candidate_id=index,
            seed=seed,
            value=0.5,
            checkpoint_id="obedient@0",
        )


if __name__ == "__main__":
    sys.exit(run(ObedientPolicy, sys.argv))
