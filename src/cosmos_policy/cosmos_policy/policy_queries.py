"""Answer the policy's services with a checkpoint: messages in, core calls, messages out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from torch import Tensor

from cosmos_policy.messages import (
    check_observation,
    chunk_actions,
    chunk_message,
    chunk_problem,
    image_array,
    image_message,
    latent_array,
    latent_bytes,
    scored_message,
    stage_message,
)
from cosmos_policy_core.errors import InstructionError, ModelError, ObservationError
from cosmos_policy_core.model import latents as frames
from cosmos_policy_core.model.ensembles import member_steps
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.policy import CosmosPolicy, Proposals, Scene
from cosmos_policy_msgs.msg import ActionChunk, StageTime
from cosmos_policy_msgs.msg import Observation as ObservationMessage
from cosmos_policy_msgs.srv import ProposeChunks, ScoreChunks

T = TypeVar("T")


class BadRequest(Exception):
    """A request that is refused: the response's status and what to say."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class PolicyQueries:
    """One checkpoint behind the two services. Not safe for concurrent calls, like the policy itself."""

    def __init__(self, policy: CosmosPolicy) -> None:
        self._policy = policy

    def propose(self, request: ProposeChunks.Request, stamp: Time) -> ProposeChunks.Response:
        """Sample chunks for one observation; every refusal is a status and a message."""
        response = ProposeChunks.Response()
        status = type(response)
        try:
            if request.n == 0:  # asks whether we are here
                return response
            if len(request.seeds) not in (0, request.n):
                raise BadRequest(
                    status.BAD_OBSERVATION,
                    f"seeds: {len(request.seeds)} for {request.n} chunk(s). Give one seed each, or none.",
                )
            clock = _Stages(response.stages)
            scene = clock.run(StageTime.ENCODE, 0, lambda: self._encode(request.observation))
            steps = int(request.steps) or self._policy.config.steps.action
            proposals = clock.run(
                StageTime.PROPOSE,
                request.n * self._evaluations([steps]),
                lambda: self._policy.propose(scene, request.n, list(request.seeds) or _fresh_seeds(request.n), steps),
            )
            self._check_finite(proposals.actions)
            response.chunks = [
                self._chunk(request.observation, proposals, k, request.with_latents, stamp) for k in range(request.n)
            ]
            if request.with_futures:
                response.futures = clock.run(StageTime.DECODE, 0, lambda: self._images(proposals.latents, scene, stamp))
        except Exception as error:
            response = ProposeChunks.Response(**_refusal(error, status))
        return response

    def score(self, request: ScoreChunks.Request, stamp: Time) -> ScoreChunks.Response:
        """Imagine and value chunks; every refusal is a status and a message."""
        response = ScoreChunks.Response(checkpoint_id=self._policy.identity)
        status = type(response)
        try:
            if not request.chunks:  # asks whether we are here
                return response
            if request.futures < 1 or request.values < 1:
                raise BadRequest(
                    status.BAD_CHUNK,
                    f"{request.futures} future(s) and {request.values} value(s). Ask for at least one of each.",
                )
            clock, n = _Stages(response.stages), len(request.chunks)
            scene = clock.run(StageTime.ENCODE, 0, lambda: self._encode(request.observation))
            proposals = self._read_chunks(scene, request.chunks)
            steps = int(request.future_steps) or self._policy.config.steps.future
            futures = clock.run(
                StageTime.IMAGINE,
                n * self._evaluations(member_steps(request.futures, steps)),
                lambda: self._policy.imagine(scene, proposals, request.futures, steps),
            )
            steps = int(request.value_steps) or self._policy.config.steps.value
            values = clock.run(
                StageTime.EVALUATE,
                n * request.futures * self._evaluations(member_steps(request.values, steps)),
                lambda: self._policy.evaluate(scene, futures, request.values, steps),
            )
            self._check_finite(values)
            response.scores = [scored_message(chunk, values[k]) for k, chunk in enumerate(request.chunks)]
            if request.with_images:
                response.images = clock.run(
                    StageTime.DECODE, 0, lambda: self._images(futures.latents[:, 0], scene, stamp)
                )
        except Exception as error:
            response = ScoreChunks.Response(checkpoint_id=self._policy.identity, **_refusal(error, status))
        return response

    # Parts --------------------------------------------------------------------------------------------------------

    def _encode(self, message: ObservationMessage) -> Scene:
        check_observation(message, self._policy.contract)
        images = {name: image_array(image) for name, image in zip(message.camera_names, message.images, strict=True)}
        proprio = np.asarray(message.proprio, dtype=np.float64)
        return self._policy.encode(Observation(images, proprio, message.instruction))

    def _chunk(
        self, observation: ObservationMessage, proposals: Proposals, k: int, with_latent: bool, stamp: Time
    ) -> ActionChunk:
        return chunk_message(
            proposals.actions[k],
            self._policy.contract,
            observation_stamp=observation.header.stamp,
            stamp=stamp,
            candidate_id=k,
            seed=proposals.seeds[k],
            value=float(proposals.values[k]),
            checkpoint_id=self._policy.identity,
            latent=latent_bytes(proposals.latents[k].float().cpu().numpy()) if with_latent else b"",
        )

    def _read_chunks(self, scene: Scene, chunks: Sequence[ActionChunk]) -> Proposals:
        """Rebuild proposals: from their latents as published, or from the actions where there is none."""
        latents = []
        for chunk in chunks:
            problem = chunk_problem(chunk, self._policy.contract)
            if problem is not None:
                raise BadRequest(ScoreChunks.Response.BAD_CHUNK, f"candidate {chunk.candidate_id}: {problem}")
            latents.append(self._read_latent(scene, chunk))
        n = len(chunks)
        return Proposals(
            actions=np.stack([chunk_actions(chunk) for chunk in chunks]),
            values=np.array([chunk.value for chunk in chunks]),
            future_proprio=np.full((n, self._policy.config.proprio_dim), np.nan),
            spread=np.full(n, np.nan),
            latents=torch.cat(latents),
            seeds=tuple(chunk.seed for chunk in chunks),
        )

    def _read_latent(self, scene: Scene, chunk: ActionChunk) -> Tensor:
        try:
            latent = latent_array(chunk.latent)
        except ValueError as error:
            raise BadRequest(ScoreChunks.Response.BAD_CHUNK, f"candidate {chunk.candidate_id}: {error}") from error
        if latent is None:
            normalised = self._policy.statistics.normalize_actions(chunk_actions(chunk))
            actions = torch.as_tensor(normalised, device=scene.clean.device).float()[None]
            return frames.inject(scene.clean, self._policy.config.layout.action, actions)
        if latent.shape != self._policy.config.latent_shape or not np.isfinite(latent).all():
            raise BadRequest(
                ScoreChunks.Response.BAD_CHUNK,
                f"candidate {chunk.candidate_id}: the latent has shape {latent.shape}, not "
                f"{self._policy.config.latent_shape}, or numbers that are not finite. "
                "Score with a checkpoint of the same configuration.",
            )
        return torch.from_numpy(latent.copy())[None].to(scene.clean.device)

    def _images(self, latents: Tensor, scene: Scene, stamp: Time) -> list[Image]:
        """Decode samples (n, C, T, h, w) to images, chunk-major."""
        decoded = self._policy.decode(latents, scene)
        return [
            image_message(decoded[k, place], camera, stamp)
            for k in range(len(decoded))
            for place, camera in enumerate(self._policy.config.cameras)
        ]

    def _evaluations(self, step_counts: Sequence[int]) -> int:
        return sum(len(self._policy.config.schedule.evaluations(steps)) for steps in step_counts)

    def _check_finite(self, numbers: np.ndarray) -> None:
        if not np.isfinite(numbers).all():
            raise ModelError(
                f"checkpoint {self._policy.identity}: an output is not finite. Import the checkpoint again."
            )


class _Stages:
    """Measure stages into a response; on a GPU the time includes what was queued."""

    def __init__(self, stages: list[StageTime]) -> None:
        self._stages = stages

    def run(self, stage: int, evaluations: int, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        result = work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._stages.append(stage_message(stage, time.perf_counter() - began, evaluations))
        return result


def _fresh_seeds(n: int) -> list[int]:
    return [int(seed) for seed in np.random.SeedSequence().generate_state(n)]


def _refusal(error: Exception, status: Any) -> dict[str, Any]:
    """Turn an error into a response's status and message."""
    if isinstance(error, BadRequest):
        return {"status": error.status, "message": str(error)}
    if isinstance(error, ObservationError):
        return {"status": status.BAD_OBSERVATION, "message": str(error)}
    if isinstance(error, InstructionError):
        return {"status": status.UNKNOWN_INSTRUCTION, "message": str(error)}
    # Anything else comes from inside the network, for example memory that ran out.
    message = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
    return {"status": status.MODEL_ERROR, "message": message}
