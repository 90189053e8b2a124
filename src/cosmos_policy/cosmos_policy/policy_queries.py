"""Answer the policy's services with a checkpoint: messages in, core calls, messages out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from torch import Tensor

from cosmos_policy.cancellations import Cancellations
from cosmos_policy.messages import (
    check_observation,
    chunk_actions,
    chunk_message,
    chunk_problem,
    image_array,
    image_message,
    latent_array,
    latent_bytes,
    stage_message,
)
from cosmos_policy.plan_messages import jpeg_message, scored_message, settings_of, state_messages
from cosmos_policy_core.errors import (
    ConfigurationError,
    ContractError,
    CosmosPolicyError,
    InstructionError,
    ModelError,
    ObservationError,
    PlanCancelled,
)
from cosmos_policy_core.model import latents as frames
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.policy import CosmosPolicy, Proposals, Scene
from cosmos_policy_core.model.transformer import TextContext
from cosmos_policy_core.planning.budget import Budget
from cosmos_policy_core.planning.candidates import propose_candidates
from cosmos_policy_core.planning.compatibility import check_world, scale_of
from cosmos_policy_core.planning.scoring import Valuation
from cosmos_policy_core.planning.valuation import value_candidates
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
    """One checkpoint behind the two services. Not safe for concurrent calls, like the policy itself.

    Args:
        proposer: proposes from imagined states when a scorer looks further ahead; the checkpoint itself when None.
        cancellations: plans whose queries end between two denoising steps.
    """

    def __init__(
        self, policy: CosmosPolicy, proposer: CosmosPolicy | None = None, cancellations: Cancellations | None = None
    ) -> None:
        self._policy = policy
        self._proposer = proposer or policy
        self._cancellations = cancellations or Cancellations()
        self._scale = scale_of(policy)
        self._seen: tuple[str, Scene | None] = ("", None)

    def propose(self, request: ProposeChunks.Request, stamp: Time) -> ProposeChunks.Response:
        """Sample chunks for one observation; every refusal is a status and a message."""
        response = ProposeChunks.Response(checkpoint_id=self._policy.identity)
        status = type(response)
        try:
            if request.n == 0:  # asks whether we are here
                response.contract, response.scale = self._policy.contract.to_yaml(), self._scale
                return response
            if len(request.seeds) not in (0, request.n):
                raise BadRequest(
                    status.BAD_OBSERVATION,
                    f"seeds: {len(request.seeds)} for {request.n} chunk(s). Give one seed each, or none.",
                )
            budget, clock = self._budget(request), Stages(response.stages)
            budget.check()
            scene = clock.run(StageTime.ENCODE, lambda: self._scene(request.observation, request.plan_id))
            seeds, steps = list(request.seeds) or _fresh_seeds(request.n), int(request.steps) or None
            proposals = clock.run(
                StageTime.PROPOSE, lambda: propose_candidates(self._policy, scene, seeds, steps, budget)
            )
            clock.count(len(proposals.seeds) * self._evaluations(steps or self._policy.config.steps.action))
            self._check_finite(proposals.actions)
            response.chunks = [
                self._chunk(request.observation, proposals, k, request.with_latents, stamp)
                for k in range(len(proposals.seeds))
            ]
            if request.with_futures:
                response.futures = clock.run(StageTime.DECODE, lambda: self._images(proposals.latents, scene, stamp))
        except Exception as error:
            response = ProposeChunks.Response(checkpoint_id=self._policy.identity, **_refusal(error, status))
        return response

    def score(self, request: ScoreChunks.Request, stamp: Time) -> ScoreChunks.Response:
        """Imagine and value chunks as far as the choice needs it; every refusal is a status and a message."""
        response = ScoreChunks.Response(checkpoint_id=self._policy.identity)
        try:
            if not request.chunks:  # asks whether we are here
                response.contract, response.scale = self._policy.contract.to_yaml(), self._scale
                return response
            settings = settings_of(request.settings, len(request.chunks))
            check_world(self._proposer, self._policy, settings)
            budget, clock = self._budget(request), Stages(response.stages)
            budget.check()
            scene = clock.run(StageTime.ENCODE, lambda: self._scene(request.observation, request.plan_id))
            proposals = self._read_chunks(scene, request.chunks)
            valuation = value_candidates(
                self._policy,
                scene,
                proposals,
                settings,
                budget,
                policy=self._proposer,
                policy_text=self._proposing_text(request, scene),
                finish_best=request.finish_best,
            )
            clock.take(valuation)
            self._answer(response, request, valuation)
            if request.with_images and not budget.is_over():
                clock.run(StageTime.DECODE, lambda: self._show_best(response, request, valuation, scene, stamp))
        except Exception as error:
            response = ScoreChunks.Response(
                checkpoint_id=self._policy.identity, **_refusal(error, ScoreChunks.Response)
            )
        return response

    # Parts --------------------------------------------------------------------------------------------------------

    def _budget(self, request: ProposeChunks.Request | ScoreChunks.Request) -> Budget:
        """Turn a request's time limit and plan into a budget; an answer is worth the least when it comes too late."""
        plan_id, limit = request.plan_id, float(request.time_limit)
        if not (math.isfinite(limit) and limit >= 0):
            raise ConfigurationError(f"time_limit: {limit} is not a time. Give seconds, or 0 for none.")

        def cancelled() -> bool:
            return self._cancellations.has(plan_id)

        return Budget.until(time.monotonic() + limit, cancelled) if limit else Budget(cancelled=cancelled)

    def _proposing_text(self, request: ScoreChunks.Request, scene: Scene) -> TextContext:
        """The instruction as the checkpoint reads it that proposes from imagined states."""
        if self._proposer is self._policy or request.settings.depth < 2:
            return scene.text
        return self._proposer.encode(_observation(request.observation)).text

    def _answer(self, response: ScoreChunks.Response, request: ScoreChunks.Request, valuation: Valuation) -> None:
        self._check_finite(valuation.values[valuation.known])
        response.scores = [
            scored_message(chunk, valuation.values[k], valuation.known[k]) for k, chunk in enumerate(request.chunks)
        ]
        response.certain, response.threshold = valuation.certain, valuation.threshold
        response.evaluations_spent, response.evaluations_saved = valuation.spent, valuation.saved
        if valuation.tree is not None:
            response.states = state_messages(valuation.tree.nodes, [chunk.candidate_id for chunk in request.chunks])

    def _show_best(
        self,
        response: ScoreChunks.Response,
        request: ScoreChunks.Request,
        valuation: Valuation,
        scene: Scene,
        stamp: Time,
    ) -> None:
        best = valuation.decision(request.settings.aggregation).index
        if (best, 0) not in valuation.futures:
            return
        response.images_of = request.chunks[best].candidate_id
        decoded = self._policy.decode(valuation.futures[best, 0][None], scene)[0]
        cameras = self._policy.config.cameras
        response.images = [jpeg_message(decoded[place], camera, stamp) for place, camera in enumerate(cameras)]

    def _scene(self, message: ObservationMessage, plan_id: str) -> Scene:
        """Encode an observation, once per plan: a node that proposes and scores is asked twice about the same one."""
        key = f"{plan_id} {message.header.stamp.sec}.{message.header.stamp.nanosec}"
        seen, scene = self._seen
        if scene is None or not plan_id or seen != key:
            scene = self._encode(message)
            self._seen = (key, scene)
        return scene

    def _encode(self, message: ObservationMessage) -> Scene:
        check_observation(message, self._policy.contract)
        return self._policy.encode(_observation(message))

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

    def _evaluations(self, steps: int) -> int:
        return len(self._policy.config.schedule.evaluations(steps))

    def _check_finite(self, numbers: np.ndarray) -> None:
        if not np.isfinite(numbers).all():
            raise ModelError(
                f"checkpoint {self._policy.identity}: an output is not finite. Import the checkpoint again."
            )


class Stages:
    """Measure stages into a response; on a GPU the time includes what was queued."""

    def __init__(self, stages: list[StageTime]) -> None:
        self._stages = stages

    def run(self, stage: int, work: Callable[[], T]) -> T:
        """Time a piece of work."""
        began = time.perf_counter()
        result = work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._stages.append(stage_message(stage, time.perf_counter() - began))
        return result

    def count(self, evaluations: int) -> None:
        """Note how often the last stage asked the network."""
        self._stages[-1].evaluations = evaluations

    def take(self, valuation: Valuation) -> None:
        """Note the stages of a valuation."""
        for name, seconds in valuation.seconds.items():
            stage = {"propose": StageTime.PROPOSE, "imagine": StageTime.IMAGINE, "evaluate": StageTime.EVALUATE}[name]
            self._stages.append(stage_message(stage, seconds, valuation.calls.get(name, 0)))


def _observation(message: ObservationMessage) -> Observation:
    """Unpack a checked observation."""
    images = {name: image_array(image) for name, image in zip(message.camera_names, message.images, strict=True)}
    return Observation(images, np.asarray(message.proprio, dtype=np.float64), message.instruction)


def _fresh_seeds(n: int) -> list[int]:
    return [int(seed) for seed in np.random.SeedSequence().generate_state(n)]


def _refusal(error: Exception, status: Any) -> dict[str, Any]:
    """Turn an error into a response's status and message."""
    if isinstance(error, BadRequest):
        return {"status": error.status, "message": str(error)}
    if isinstance(error, ObservationError):
        return {"status": status.BAD_OBSERVATION, "message": str(error)}
    if isinstance(error, PlanCancelled):
        return {"status": status.CANCELLED, "message": str(error)}
    if isinstance(error, (ConfigurationError, ContractError)) and hasattr(status, "BAD_SETTINGS"):
        return {"status": status.BAD_SETTINGS, "message": str(error)}
    if isinstance(error, InstructionError):
        return {"status": status.UNKNOWN_INSTRUCTION, "message": str(error)}
    # Anything else comes from inside the network, for example memory that ran out.
    message = str(error) if isinstance(error, CosmosPolicyError) else f"{type(error).__name__}: {error}"
    return {"status": status.MODEL_ERROR, "message": message}
