"""One model as policy, world model and value function (paper section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ContractError, ModelError
from cosmos_policy_core.model import latents as frames
from cosmos_policy_core.model.acceleration import accelerated, attention
from cosmos_policy_core.model.answers import Futures, Proposals, Scene
from cosmos_policy_core.model.batching import ENOUGH_TOKENS, BatchLimit, samples_in_memory
from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.denoise import Condition, Network, ShouldStop, generate, start_noise
from cosmos_policy_core.model.encoding import check_proprio, decode_futures, encode_stills, prepare_stills
from cosmos_policy_core.model.ensembles import FUTURE_STAGE, VALUE_STAGE, SeedMode, member_seed, member_steps
from cosmos_policy_core.model.layout import Query
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.reading import read_proposals, read_proprio, read_values
from cosmos_policy_core.model.text import TextEmbeddings
from cosmos_policy_core.model.tokenizer import Tokenizer
from cosmos_policy_core.model.transformer import DiffusionTransformer, TextContext


class CosmosPolicy:
    """A checkpoint ready to be asked.

    Not safe for concurrent calls: one query at a time. Calls block; none touches a global random generator.
    """

    def __init__(
        self,
        config: PolicyConfig,
        network: DiffusionTransformer,
        tokenizer: Tokenizer,
        statistics: Statistics,
        text: TextEmbeddings,
        contract: Embodiment,
        identity: str = "unsaved",
        max_batch: int = 64,
    ) -> None:
        self.config, self.network, self.tokenizer = config, network, tokenizer
        self.statistics, self.text, self.contract = statistics, text, contract
        self.identity, self.max_batch = identity, max_batch
        self.denoiser: Network = network
        self._contexts: dict[tuple[str, torch.device, torch.dtype], TextContext] = {}

    @classmethod
    def from_pretrained(
        cls, path: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
    ) -> CosmosPolicy:
        """Load a checkpoint.

        Args:
            path: a checkpoint folder, the name of a checkpoint that ships with the package, a folder laid out like
                NVIDIA's repositories (or its .pt file), or an id on the Hugging Face hub (`organisation/name`).
            dtype: of the network; float32 on a CPU and bfloat16 elsewhere by default.

        Raises:
            CheckpointError: what is missing, corrupt or foreign, in which file, and the remedy.
        """
        from cosmos_policy_core.model.checkpoint import load_policy

        return load_policy(path, torch.device(device), dtype)

    @property
    def device(self) -> torch.device:
        return self.network.device

    def accelerate(self, *, fused: bool = True, graphs: bool = True) -> None:
        """Sample faster with the same weights: compile blocks, and repeat recorded launches on a CUDA device.

        The first queries take longer. Numbers change by rounding only.
        """
        self.denoiser = accelerated(self.network, fused=fused, graphs=graphs)

    def check(self, contract: Embodiment) -> None:
        """Refuse a robot whose contract gives numbers another meaning than the training data's.

        Raises:
            ContractError: listing every difference.
        """
        differences = self.contract.differences(contract)
        if differences:
            raise ContractError(
                f"{contract.source} does not match checkpoint {self.identity}: {'; '.join(differences)}. "
                "Use the contract that the checkpoint was trained with, or train a checkpoint for this one."
            )

    @torch.inference_mode()
    def encode(self, observation: Observation) -> Scene:
        """Encode an observation once for every later query.

        Raises:
            ObservationError: cameras, sizes or numbers that don't fit.
            InstructionError: no embedding for the instruction.
        """
        text = self._text(observation.instruction)
        check_proprio(observation, self.config.proprio_dim)
        stills = prepare_stills(observation, self.config, self.contract)
        clean = self.encode_images(stills)
        proprio = self.statistics.normalize_proprio(observation.proprio)
        vector = torch.as_tensor(proprio, dtype=self.network.dtype, device=self.device).float()[None]
        return Scene(frames.inject(clean, self.config.layout.proprio, vector), text, stills)

    @torch.inference_mode()
    def encode_images(self, images: Tensor) -> Tensor:
        """Encode prepared camera images (B, cameras, S, S, 3) uint8 into otherwise empty sequences.

        Returns:
            (B, C, T, h, w) float32; frames after the last current camera are zero and never read.
            A causal video tokenizer sees the black frames before the cameras; a still tokenizer has none.
        """
        return encode_stills(images, self.config, self.tokenizer, self.device, self.network.dtype)

    def propose(
        self,
        observation: Observation | Scene,
        n: int = 1,
        seeds: Sequence[int] | None = None,
        steps: int | None = None,
        should_stop: ShouldStop | None = None,
    ) -> Proposals:
        """Sample action chunks, with the future and the value the same samples predict.

        Args:
            n: number of chunks.
            seeds: one per chunk; 0 .. n-1 by default.
            steps: denoising steps; the checkpoint's by default.

        Raises:
            ModelError: the network returned numbers that are not finite.
            SamplingStopped: `should_stop`, asked before every network call, said so.
        """
        scene = self._scene(observation)
        seeds = tuple(range(n)) if seeds is None else tuple(int(seed) for seed in seeds)
        if len(seeds) != n or n < 1:
            raise ValueError(f"{n} chunks with {len(seeds)} seeds; give one seed per chunk and at least one chunk.")
        clean = scene.clean.expand(n, -1, -1, -1, -1)
        counts = [steps or self.config.steps.action] * n
        sampled = self.sample(Query.POLICY, clean, scene.text, seeds, counts, should_stop)
        return self._proposals(sampled, seeds)

    def imagine(
        self,
        observation: Observation | Scene,
        proposals: Proposals,
        samples: int = 3,
        steps: int | None = None,
        *,
        retile: bool = False,
        seeds: SeedMode | None = None,
        should_stop: ShouldStop | None = None,
    ) -> Futures:
        """Sample futures s' of every candidate with the world model, all members together.

        Args:
            samples: members per candidate; their step counts rise to `steps`, see `member_steps`.
            retile: condition on the chunk that will be executed instead of the raw sampled action frame.
            seeds: how members get their noise; the checkpoint's habit by default.

        Raises:
            ModelError: the network returned numbers that are not finite.
            SamplingStopped: `should_stop`, asked before every network call, said so.
        """
        scene, mode = self._scene(observation), seeds or self.config.seeds
        counts = member_steps(samples, steps or self.config.steps.future)
        clean = self.world_input(scene, proposals, retile=retile)
        members = [member_seed(seed, FUTURE_STAGE, m, 0, mode) for seed in proposals.seeds for m in range(samples)]
        sampled = self.sample(
            Query.WORLD,
            clean.repeat_interleave(samples, dim=0),
            scene.text,
            members,
            counts * len(clean),
            should_stop,
        )
        return Futures(sampled.unflatten(0, (-1, samples)), proposals.seeds)

    def evaluate(
        self,
        observation: Observation | Scene,
        futures: Futures,
        samples: int = 5,
        steps: int | None = None,
        *,
        seeds: SeedMode | None = None,
        should_stop: ShouldStop | None = None,
    ) -> NDArray[np.float64]:
        """Predict the value of every future with an ensemble: (n, futures, samples) in [0, 1].

        Arguments and errors as in `imagine`.
        """
        scene, mode = self._scene(observation), seeds or self.config.seeds
        n, per_candidate = futures.latents.shape[:2]
        counts = member_steps(samples, steps or self.config.steps.value)
        members = [
            member_seed(seed, VALUE_STAGE, future, member, mode)
            for seed in futures.seeds
            for future in range(per_candidate)
            for member in range(samples)
        ]
        sampled = self.sample(
            self.config.value_query,
            futures.latents.flatten(0, 1).repeat_interleave(samples, dim=0),
            scene.text,
            members,
            counts * (n * per_candidate),
            should_stop,
        )
        return self.values_of(sampled).reshape(n, per_candidate, samples)

    @torch.inference_mode()
    def decode(self, latents: Tensor, scene: Scene | None = None) -> NDArray[np.uint8]:
        """Decode the future camera images of samples (B, C, T, h, w): (B, cameras, S, S, 3) uint8.

        Frames that hold numbers are blanked first, because a causal decoder would smear them over later frames. The
        latent of a black image depends on the images before it, too: with the scene that the samples answer, the
        result is the published one; without it, images of a causal tokenizer are slightly off.
        """
        seen = None if scene is None else scene.images
        return decode_futures(latents.to(self.device), seen, self.config, self.tokenizer, self.network.dtype)

    # What a planner builds on -------------------------------------------------------------------------------------

    @torch.inference_mode()
    def sample(
        self,
        query: Query,
        clean: Tensor,
        text: TextContext,
        seeds: Sequence[int],
        steps: Sequence[int],
        should_stop: ShouldStop | None = None,
    ) -> Tensor:
        """Answer any query for a batch whose samples have their own seeds and step counts.

        Args:
            clean: (B, C, T, h, w); only the frames that the query conditions on are read.
            text: of batch 1.

        Returns:
            (B, C, T, h, w) float32. How the batch is split for the device changes nothing but rounding.

        Raises:
            ModelError: the network returned numbers that are not finite.
            SamplingStopped: `should_stop`, asked before every network call, said so.
        """
        mask = self.config.layout.condition_mask(query, self.device).expand(len(clean), -1)
        hidden = None
        if self.config.hidden_frames == "noise":
            hidden = self.config.layout.hidden_mask(query, self.device).expand(len(clean), -1)
        noise = start_noise(list(seeds), self.config.latent_shape, self.config.schedule.sigma_max, self.device)
        limit = BatchLimit(self._fitting_batch())
        with attention(self.device):
            sampled = generate(
                self.denoiser,
                Condition(clean, mask, text, hidden=hidden),
                noise,
                steps,
                self.config.prediction,
                self.config.schedule,
                limit,
                should_stop,
            )
        if self.device.type != "cpu":
            self.max_batch = limit.samples
        if not torch.isfinite(sampled).all():
            raise ModelError(
                f"checkpoint {self.identity}: the network returned numbers that are not finite ({query.value} query). "
                "The weights are damaged or the dtype overflows; import the checkpoint again."
            )
        return sampled

    @torch.inference_mode()
    def world_input(self, scene: Scene, proposals: Proposals, retile: bool = False) -> Tensor:
        """Clean frames (n, C, T, h, w) of world-model queries: the present from the scene, the chunk from proposals.

        Published is the raw sampled action frame, whose copies of the chunk disagree a little. With `retile` the
        frame holds copies of the chunk in robot units, as this checkpoint normalises it, as in training.
        """
        layout = self.config.layout
        clean = proposals.latents.to(self.device).clone()
        clean[:, :, : layout.action] = scene.clean[:, :, : layout.action]
        if not retile:
            return clean
        chunks = torch.as_tensor(self.statistics.normalize_actions(proposals.actions), device=self.device).float()
        return frames.inject(clean, layout.action, chunks.to(self.network.dtype).float())

    @torch.inference_mode()
    def advance(self, latents: Tensor, scene: Scene) -> Scene:
        """Make imagined futures (B, C, T, h, w) the present of a scene of batch B, without decoding an image.

        The proprioception is each future's own predicted one, averaged over its copies.
        """
        layout = self.config.layout
        clean = latents.clone()
        clean[:, :, list(layout.current_state)] = latents[:, :, list(layout.future_state)]
        proprio = frames.untile(latents[:, :, layout.future_proprio], self.config.proprio_dim)
        return Scene(frames.inject(clean, layout.proprio, proprio), scene.text)

    def values_of(self, sampled: Tensor) -> NDArray[np.float64]:
        """Read the values (B,) in [0, 1] of samples (B, C, T, h, w)."""
        return read_values(sampled, self.config)

    def proprio_of(self, sampled: Tensor) -> NDArray[np.float64]:
        """Read the predicted future proprioception (B, P) in robot units of samples (B, C, T, h, w)."""
        return read_proprio(sampled, self.config, self.statistics)

    # Parts -------------------------------------------------------------------------------------------------------

    def _proposals(self, sampled: Tensor, seeds: tuple[int, ...]) -> Proposals:
        return read_proposals(sampled, seeds, self.config, self.statistics)

    def _fitting_batch(self) -> int:
        _, frame_count, height, width = self.config.latent_shape
        tokens = frame_count * height * width // self.config.transformer.patch_spatial**2
        useful = min(self.max_batch, max(1, ENOUGH_TOKENS // tokens))
        if self.device.type != "cpu":
            return useful
        size = torch.finfo(self.network.dtype).bits // 8
        fitting = samples_in_memory(tokens, self.config.transformer.model_channels, size)
        return useful if fitting is None else min(useful, fitting)

    def _scene(self, observation: Observation | Scene) -> Scene:
        return observation if isinstance(observation, Scene) else self.encode(observation)

    def _text(self, instruction: str) -> TextContext:
        key = (instruction, self.device, self.network.dtype)
        if key not in self._contexts:
            self._contexts[key] = self.network.encode_instruction(self.text[instruction][None].to(self.device))
        return self._contexts[key]
