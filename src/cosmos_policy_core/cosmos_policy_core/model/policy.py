"""One model as policy, world model and value function (paper section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ContractError, ModelError, ObservationError
from cosmos_policy_core.model import latents as frames
from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.denoise import Condition, generate, start_noise
from cosmos_policy_core.model.ensembles import FUTURE_STAGE, VALUE_STAGE, member_seed, member_steps
from cosmos_policy_core.model.images import prepare_images, to_display, to_model_range
from cosmos_policy_core.model.layout import Query
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.text import TextEmbeddings
from cosmos_policy_core.model.tokenizer import Tokenizer
from cosmos_policy_core.model.transformer import DiffusionTransformer, TextContext


@dataclass(frozen=True)
class Scene:
    """An encoded observation: shared by all candidates, members and denoising steps.

    clean: (1, C, T, h, w) latents, frames up to the last camera filled, proprio injected.
    images: (1, cameras, S, S, 3) uint8, prepared; decoding needs them where the tokenizer is causal.
    """

    clean: Tensor
    text: TextContext
    images: Tensor | None = None


@dataclass(frozen=True)
class Proposals:
    """Sampled action chunks.

    actions: (n, K, A) robot units. values: (n,) in [0, 1], predicted together with the chunk.
    future_proprio: (n, P) robot units. spread: (n,) mean disagreement between the copies of the chunk, normalised.
    latents: (n, C, T, h, w) raw samples; the world model conditions on them, as published.
    """

    actions: NDArray[np.float64]
    values: NDArray[np.float64]
    future_proprio: NDArray[np.float64]
    spread: NDArray[np.float64]
    latents: Tensor
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Futures:
    """Imagined futures: latents (n, m, C, T, h, w) of n candidates with m members each."""

    latents: Tensor
    seeds: tuple[int, ...]


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
        self._contexts: dict[str, TextContext] = {}

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
        self._check_proprio(observation)
        images = prepare_images(
            [self._image(observation, name) for name in self.config.cameras],
            self.config.image_size,
            resize_before=self.contract.images.resize_before,
            flip_vertical=self.contract.images.flip_vertical,
            jpeg_quality=self.contract.images.jpeg_quality,
            center_crop=self.config.center_crop,
        )
        stills = torch.from_numpy(images)[None]
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
        layout = self.config.layout
        stills = to_model_range(images.to(self.device).movedim(-1, -3), self.network.dtype)
        clean = torch.zeros(len(stills), *self.config.latent_shape, device=self.device)
        if self.tokenizer.temporal_factor == 1:
            # Stills that know nothing of each other: the frames before the cameras stay zero, as in training.
            clean[:, :, list(layout.images)] = self.tokenizer.encode_stills(stills).float()
            return clean
        black = stills.new_full((len(stills), 2, *stills.shape[2:]), -1.0)
        clean[:, :, : layout.action] = self.tokenizer.encode_stills(torch.cat([black, stills], dim=1)).float()
        return clean

    def propose(
        self,
        observation: Observation | Scene,
        n: int = 1,
        seeds: Sequence[int] | None = None,
        steps: int | None = None,
    ) -> Proposals:
        """Sample action chunks, with the future and the value the same samples predict.

        Args:
            n: number of chunks.
            seeds: one per chunk; 0 .. n-1 by default.
            steps: denoising steps; the checkpoint's by default.

        Raises:
            ModelError: the network returned numbers that are not finite.
        """
        scene = self._scene(observation)
        seeds = tuple(range(n)) if seeds is None else tuple(int(seed) for seed in seeds)
        if len(seeds) != n or n < 1:
            raise ValueError(f"{n} chunks with {len(seeds)} seeds; give one seed per chunk and at least one chunk.")
        clean = scene.clean.expand(n, -1, -1, -1, -1)
        sampled = self._sample(clean, Query.POLICY, scene.text, list(seeds), steps or self.config.steps.action)
        return self._proposals(sampled, seeds)

    def imagine(
        self,
        observation: Observation | Scene,
        proposals: Proposals,
        samples: int = 3,
        steps: int | None = None,
    ) -> Futures:
        """Sample futures s' of every candidate with the world model, conditioned on the raw sampled action frames."""
        scene = self._scene(observation)
        counts = member_steps(samples, steps or self.config.steps.future)
        clean = proposals.latents.to(self.device).clone()
        # The proposal's own current frames are the clean ones, except that the proprio is injected afresh.
        clean[:, :, : self.config.layout.action] = scene.clean[:, :, : self.config.layout.action]
        members = []
        for member, count in enumerate(counts):
            seeds = [member_seed(seed, FUTURE_STAGE, member, 0, self.config.seeds) for seed in proposals.seeds]
            members.append(self._sample(clean, Query.WORLD, scene.text, seeds, count))
        return Futures(torch.stack(members, dim=1), proposals.seeds)

    def evaluate(
        self, observation: Observation | Scene, futures: Futures, samples: int = 5, steps: int | None = None
    ) -> NDArray[np.float64]:
        """Predict the value of every future with an ensemble: (n, futures, samples) in [0, 1]."""
        scene = self._scene(observation)
        n, per_candidate = futures.latents.shape[:2]
        clean = futures.latents.flatten(0, 1)
        members = []
        for member, count in enumerate(member_steps(samples, steps or self.config.steps.value)):
            seeds = [
                member_seed(seed, VALUE_STAGE, future, member, self.config.seeds)
                for seed in futures.seeds
                for future in range(per_candidate)
            ]
            sampled = self._sample(clean, self.config.value_query, scene.text, seeds, count)
            members.append(self._values(sampled))
        return np.stack(members, axis=-1).reshape(n, per_candidate, samples)

    @torch.inference_mode()
    def decode(self, latents: Tensor, scene: Scene | None = None) -> NDArray[np.uint8]:
        """Decode the future camera images of samples (B, C, T, h, w): (B, cameras, S, S, 3) uint8.

        Frames that hold numbers are blanked first, because a causal decoder would smear them over later frames. The
        latent of a black image depends on the images before it, too: with the scene that the samples answer, the
        result is the published one; without it, images of a causal tokenizer are slightly off.
        """
        layout = self.config.layout
        clean = latents.to(self.device).clone()
        side = self.config.image_size
        black = torch.full((1, layout.frames, 3, side, side), -1.0, device=self.device, dtype=self.network.dtype)
        if scene is not None and scene.images is not None:
            seen = scene.images.to(self.device).movedim(-1, -3)
            black[:, list(layout.images)] = to_model_range(seen, self.network.dtype)
        blank = self.tokenizer.encode_stills(black, layout.future_proprio + 1).float()
        for index in (layout.blank, layout.proprio, layout.action, layout.future_proprio):
            clean[:, :, index] = blank[:, :, index]
        last = layout.future_images[-1] + 1
        stills = self.tokenizer.decode_stills(clean[:, :, :last].to(self.network.dtype))
        pictures = to_display(stills[:, list(layout.future_images)].float())
        return np.asarray(pictures.movedim(-3, -1).cpu())

    # Parts -------------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def _sample(self, clean: Tensor, query: Query, text: TextContext, seeds: list[int], steps: int) -> Tensor:
        mask = self.config.layout.condition_mask(query, self.device)
        parts = []
        for start in range(0, len(seeds), self.max_batch):
            part = seeds[start : start + self.max_batch]
            noise = start_noise(part, self.config.latent_shape, self.config.schedule.sigma_max, self.device)
            condition = Condition(clean[start : start + len(part)], mask.expand(len(part), -1), text.expand(len(part)))
            parts.append(generate(self.network, condition, noise, steps, self.config.prediction, self.config.schedule))
        sampled = torch.cat(parts)
        if not torch.isfinite(sampled).all():
            raise ModelError(
                f"checkpoint {self.identity}: the network returned numbers that are not finite ({query.value} query). "
                "The weights are damaged or the dtype overflows; import the checkpoint again."
            )
        return sampled

    def _proposals(self, sampled: Tensor, seeds: tuple[int, ...]) -> Proposals:
        config, layout = self.config, self.config.layout
        action_frame = sampled[:, :, layout.action]
        normalised = frames.extract_actions(action_frame, config.horizon, config.action_dim)
        future_proprio = frames.untile(sampled[:, :, layout.future_proprio], config.proprio_dim)
        spread = frames.spread(action_frame, config.horizon * config.action_dim).mean(-1)
        return Proposals(
            actions=self.statistics.unnormalize_actions(normalised.cpu().numpy()),
            values=self._values(sampled),
            future_proprio=self.statistics.unnormalize_proprio(future_proprio.cpu().numpy()),
            spread=spread.double().cpu().numpy(),
            latents=sampled,
            seeds=seeds,
        )

    def _values(self, sampled: Tensor) -> NDArray[np.float64]:
        raw = frames.extract_value(sampled[:, :, self.config.layout.value])
        return frames.value_to_unit(raw).double().cpu().numpy()

    def _scene(self, observation: Observation | Scene) -> Scene:
        return observation if isinstance(observation, Scene) else self.encode(observation)

    def _text(self, instruction: str) -> TextContext:
        if instruction not in self._contexts:
            embedding = self.text[instruction][None].to(self.device)
            self._contexts[instruction] = self.network.encode_text(embedding)
        return self._contexts[instruction]

    def _image(self, observation: Observation, camera: str) -> NDArray[np.uint8]:
        image = observation.images.get(camera)
        if image is None:
            given = ", ".join(observation.images) or "none"
            raise ObservationError(
                f"observation: camera {camera} is missing (given: {given}). Send every camera of the contract."
            )
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ObservationError(
                f"observation: image of {camera} is {image.dtype} {image.shape}; "
                "it must be uint8 (height, width, 3) RGB."
            )
        return image

    def _check_proprio(self, observation: Observation) -> None:
        proprio = np.asarray(observation.proprio)
        if proprio.shape != (self.config.proprio_dim,):
            raise ObservationError(
                f"observation: proprio has shape {proprio.shape}; the contract has {self.config.proprio_dim} joints."
            )
        if not np.isfinite(proprio).all():
            raise ObservationError("observation: proprio holds NaN or infinity. Check the joint states of both arms.")
