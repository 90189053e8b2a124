"""The Wan2.1 video autoencoder under its published tensor names."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

# Of the published model, per latent channel.
WAN_LATENT_MEAN = (
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
    0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
)  # fmt: skip
WAN_LATENT_STD = (
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
    3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
)  # fmt: skip


@dataclass(frozen=True)
class EncodedPast:
    """Where the causal encoder stands after some frames of a video; what follows needs nothing else of them.

    output: (B, 2C, frames, h, w) of the encoder proper. caches: last inputs of its convolutions over time.
    """

    output: Tensor
    caches: tuple[Tensor | None, ...]

    def expand(self, batch: int) -> EncodedPast:
        """Give the same past to a batch of futures, without copying."""
        caches = tuple(None if cache is None else cache.expand(batch, *cache.shape[1:]) for cache in self.caches)
        return EncodedPast(self.output.expand(batch, *self.output.shape[1:]), caches)


class WanTokenizer(nn.Module):
    """The Wan2.1 video autoencoder of the published checkpoints, a thin adapter over diffusers.

    Causal in time: pixel frame 0 is latent frame 0, every later latent frame covers four pixel frames and knows the
    past. Its state dict carries the published names (`encoder.downsamples.0...`), so that files stay interchangeable
    with the original; diffusers' own conversion translates them.
    """

    latent_channels = 16
    spatial_factor = 8
    temporal_factor = 4

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, base_dim: int = 96) -> None:
        super().__init__()
        # Imported here: it takes seconds, and the image tokenizer does not need it.
        from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan, WanCausalConv3d

        self.base_dim = base_dim
        self.vae = AutoencoderKLWan(base_dim=base_dim, z_dim=self.latent_channels)
        self._caches = sum(isinstance(module, WanCausalConv3d) for module in self.vae.encoder.modules())
        # Buffers, because the published model rounds them to bfloat16 together with the weights. They are constants:
        # real ones even where the weights are built without memory (on the meta device), to be loaded afterwards.
        self.register_buffer("latent_mean", torch.tensor(WAN_LATENT_MEAN, device="cpu"), persistent=False)
        self.register_buffer("latent_std", torch.tensor(WAN_LATENT_STD, device="cpu"), persistent=False)
        self._black: dict[tuple[object, ...], EncodedPast] = {}
        self.register_state_dict_post_hook(_to_published_names)
        self.register_load_state_dict_pre_hook(_from_published_names)
        self.register_load_state_dict_post_hook(_report_published_names)

    @property
    def dtype(self) -> torch.dtype:
        """Type of weights and activations; `.to(torch.bfloat16)` is the published one."""
        return self.latent_mean.dtype

    def mean(self, video: Tensor, frames: int | None = None) -> Tensor:
        """Encode a video to the posterior mean before standardisation; arguments as for `encode`."""
        if video.shape[2] % self.temporal_factor != 1:
            raise ValueError(f"WanTokenizer: a video of {video.shape[2]} frames. Give 1 + 4k frames.")
        if frames is not None:
            video = video[:, :, : self.temporal_factor * (frames - 1) + 1]
        return self._mean_of(self._advance(video))

    def encode(self, video: Tensor, frames: int | None = None) -> Tensor:
        """Encode a video.

        Args:
            video: (B, 3, F, H, W) in [-1, 1], F = 1 + 4k, H and W divisible by 8.
            frames: encode only this many leading latent frames; the encoder is causal, so they do not change.

        Returns:
            (B, 16, 1 + k, H/8, W/8) standardised latents of the dtype of the weights.
        """
        return self._standardised(self.mean(video, frames))

    def decode(self, latents: Tensor) -> Tensor:
        """Decode standardised latents (B, 16, T, h, w) to a video (B, 3, 4T-3, 8h, 8w), clamped to [-1, 1]."""
        raw = latents.to(self.dtype) / _per_channel(1 / self.latent_std) + _per_channel(self.latent_mean)
        return self.vae.decode(raw).sample

    def encode_stills(self, stills: Tensor, frames: int | None = None, black: int = 0) -> Tensor:
        """See `Tokenizer.encode_stills`; every still but the first becomes four identical pixel frames.

        Black frames before the stills are encoded once per image size and remembered with the encoder's caches.
        """
        if black == 0:
            stills = stills[:, :frames]
            video = torch.cat([stills[:, :1], stills[:, 1:].repeat_interleave(self.temporal_factor, dim=1)], dim=1)
            return self.encode(video.transpose(1, 2))
        stills = stills[:, : None if frames is None else max(0, frames - black)]
        video = stills.repeat_interleave(self.temporal_factor, dim=1).transpose(1, 2)
        past = self._after_black(black, (stills.shape[-2], stills.shape[-1]), video.device).expand(len(stills))
        return self._standardised(self._mean_of(self._advance(video, past)))[:, :, :frames]

    def decode_stills(self, latents: Tensor) -> Tensor:
        """See `Tokenizer.decode_stills`; the first of the four pixel frames stands for the latent frame."""
        video = self.decode(latents).transpose(1, 2)
        return torch.cat([video[:, :1], video[:, 1 :: self.temporal_factor]], dim=1)

    def _apply(self, *arguments: Any, **options: Any) -> WanTokenizer:
        self.forget()
        return super()._apply(*arguments, **options)

    def forget(self) -> None:
        """Drop what was remembered of black frames: other weights make something else of them."""
        self._black.clear()

    def _after_black(self, count: int, size: tuple[int, int], device: torch.device) -> EncodedPast:
        key = (count, size, device)
        if key not in self._black:
            video = torch.full((1, 3, self.temporal_factor * (count - 1) + 1, *size), -1.0, device=device)
            with torch.inference_mode():
                self._black[key] = self._advance(video)
        return self._black[key]

    def _advance(self, video: Tensor, past: EncodedPast | None = None) -> EncodedPast:
        """Run the encoder on the frames (B, 3, F, H, W) after a past: 1 + 4k at the start, 4k later."""
        caches: list[Tensor | None] = [None] * self._caches if past is None else list(past.caches)
        outputs, start = ([], 1) if past is None else ([past.output], 0)
        lengths = [1] * start + [self.temporal_factor] * ((video.shape[2] - start) // self.temporal_factor)
        for window in video.to(self.dtype).split(lengths, dim=2):
            outputs.append(self.vae.encoder(window, feat_cache=caches, feat_idx=[0]))
        return EncodedPast(torch.cat(outputs, dim=2), tuple(caches))

    def _mean_of(self, encoded: EncodedPast) -> Tensor:
        return self.vae.quant_conv(encoded.output)[:, : self.latent_channels]

    def _standardised(self, mean: Tensor) -> Tensor:
        return (mean - _per_channel(self.latent_mean)) * _per_channel(1 / self.latent_std)


def _per_channel(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1, 1)


def _published_names() -> list[str]:
    """Return the names of the 194 tensors of the published file."""

    def convolution(*stems: str) -> list[str]:
        return [f"{stem}.{leaf}" for stem in stems for leaf in ("weight", "bias")]

    def residual(stem: str, widens: bool = False) -> list[str]:
        names = [f"{stem}.residual.{index}.gamma" for index in (0, 3)]
        names += convolution(f"{stem}.residual.2", f"{stem}.residual.6")
        return names + (convolution(f"{stem}.shortcut") if widens else [])

    def level(
        stem: str, resamplers: tuple[int, ...], temporal: tuple[int, ...], widening: tuple[int, ...]
    ) -> list[str]:
        names: list[str] = []
        for index in range(max(resamplers) + (resamplers[1] - resamplers[0])):
            name = f"{stem}.{index}"
            if index not in resamplers:
                names += residual(name, index in widening)
                continue
            names += convolution(f"{name}.resample.1", *([f"{name}.time_conv"] if index in temporal else []))
        return names

    def trunk(stem: str) -> list[str]:
        names = convolution(f"{stem}.conv1", f"{stem}.head.2", f"{stem}.middle.1.to_qkv", f"{stem}.middle.1.proj")
        names += [f"{stem}.head.0.gamma", f"{stem}.middle.1.norm.gamma"]
        return names + residual(f"{stem}.middle.0") + residual(f"{stem}.middle.2")

    return [
        *convolution("conv1", "conv2"),
        *trunk("encoder"),
        *level("encoder.downsamples", (2, 5, 8), temporal=(5, 8), widening=(3, 6)),
        *trunk("decoder"),
        *level("decoder.upsamples", (3, 7, 11), temporal=(3, 7), widening=(4,)),
    ]


def _diffusers_names() -> dict[str, str]:
    """Map published names to diffusers' names below the adapter."""
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    converted = convert_wan_vae_to_diffusers({name: name for name in _published_names()})
    return {published: f"vae.{name}" for name, published in converted.items()}


def _to_published_names(module: nn.Module, state: MutableMapping[str, Any], prefix: str, metadata: Any) -> None:
    for published, name in _diffusers_names().items():
        state[prefix + published] = state.pop(prefix + name)


def _from_published_names(
    module: nn.Module, state: MutableMapping[str, Any], prefix: str, metadata: Any, *reports: Any
) -> None:
    for published, name in _diffusers_names().items():
        if prefix + published in state:
            state[prefix + name] = state.pop(prefix + published)


def _report_published_names(module: nn.Module, incompatible: Any) -> None:
    """Let a failed load name the tensors as the file would."""
    assert isinstance(module, WanTokenizer)
    module.forget()
    published = {name: key for key, name in _diffusers_names().items()}
    for position, key in enumerate(incompatible.missing_keys):
        stem, dot, name = key.rpartition("vae.")
        incompatible.missing_keys[position] = stem + published.get(dot + name, dot + name)
