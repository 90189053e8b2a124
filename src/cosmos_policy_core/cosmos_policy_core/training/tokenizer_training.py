"""Train the small image tokenizer on camera images of the recorded episodes."""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from cosmos_policy_core.model.tokenizer import ImageTokenizer

COLOURFUL = 90  # grey levels between the largest and smallest colour channel of a pixel
COLOURFUL_WEIGHT = 5.0  # a small bright object is a few pixels wide; unweighted, the loss would not notice its loss
HELD_OUT = 1024  # images at most kept for the reported PSNR
WARM_UP = 100  # steps; without normalisation layers, a cold start at full speed collapses to one grey image


def train_tokenizer(
    images: np.ndarray,
    *,
    seconds: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    batch: int = 16,
    learning_rate: float = 1.5e-3,
    progress: bool = True,
    start: ImageTokenizer | None = None,
) -> ImageTokenizer:
    """Fit an image autoencoder and standardise its latents.

    Args:
        images: (N, S, S, 3) uint8, S divisible by 8. A fiftieth of them, at most 1024, is held out for the PSNR.
        seconds: wall-clock budget. Results are reproducible only with `steps`.
        steps: number of optimiser steps; exactly one of `seconds` and `steps` is given.
        seed: of the initial weights and of the batch order.
        threads: CPU threads during the training; left alone by default.
        batch: images per step.
        learning_rate: peak of the cosine schedule.
        progress: show a progress bar.
        start: tokenizer to train on; a fresh one by default.

    Returns:
        The tokenizer in evaluation mode; its `held_out_psnr` attribute is the held-out PSNR in dB.
    """
    if (seconds is None) == (steps is None):
        raise ValueError("train_tokenizer: give exactly one budget, seconds=... or steps=...")
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or len(images) < 2:
        raise ValueError(
            f"train_tokenizer: images are {images.dtype} {images.shape}. Give at least two, uint8 (N, S, S, 3)."
        )
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads or threads_before)
    try:
        return _train(images, seconds, steps, seed, batch, learning_rate, progress, start)
    finally:
        torch.set_num_threads(threads_before)


def _train(
    images: np.ndarray,
    seconds: float | None,
    steps: int | None,
    seed: int,
    batch: int,
    learning_rate: float,
    show: bool,
    start: ImageTokenizer | None,
) -> ImageTokenizer:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    held_out = order[: min(HELD_OUT, max(1, len(images) // 50))]
    training = order[len(held_out) :]
    with torch.random.fork_rng(devices=[]):  # layer initialisation draws from the global generator only
        torch.manual_seed(seed)
        tokenizer = ImageTokenizer(image_size=images.shape[1]) if start is None else start.train().requires_grad_(True)
    optimiser = torch.optim.AdamW(tokenizer.parameters(), lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.01)
    columns = [TextColumn("tokenizer"), BarColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn()]
    began, step, smooth = time.monotonic(), 0, None
    with Progress(*columns, disable=not show) as bar:
        task = bar.add_task("tokenizer", total=1.0, note="")
        while True:
            done = step / steps if steps is not None else (time.monotonic() - began) / (seconds or 1.0)
            if done >= 1.0:
                break
            for group in optimiser.param_groups:
                group["lr"] = learning_rate * min(1.0, (step + 1) / WARM_UP) * (0.01 + 0.99 * _cosine(done))
            chosen = np.sort(rng.choice(training, size=batch, replace=len(training) < batch))
            pixels = torch.from_numpy(images[chosen]).permute(0, 3, 1, 2)
            loss = reconstruction_loss(tokenizer(pixels), pixels)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(tokenizer.parameters(), 1.0)
            optimiser.step()
            step += 1
            smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
            bar.update(task, completed=done, note=f"step {step}  loss {smooth:.4f}")
        bar.update(task, completed=1.0)
        tokenizer.eval()
        sample = np.sort(training[: 16 * HELD_OUT])
        tokenizer.standardise(torch.from_numpy(images[sample]).permute(0, 3, 1, 2))
        tokenizer.held_out_psnr = psnr(tokenizer, images[np.sort(held_out)])
        bar.console.print(f"tokenizer: {step} steps, held-out PSNR {tokenizer.held_out_psnr:.1f} dB", highlight=False)
    return tokenizer


def reconstruction_loss(output: Tensor, pixels: Tensor) -> Tensor:
    """Return L1 + mean squared error of images in [-1, 1], colourful pixels counted five times.

    Args:
        output: (N, 3, H, W) reconstruction in [-1, 1].
        pixels: (N, 3, H, W) uint8.
    """
    weight = 1.0 + (COLOURFUL_WEIGHT - 1.0) * colourful(pixels).to(output.dtype)
    error = output - (pixels.to(output.dtype) / 127.5 - 1.0)
    return ((error.abs() + error.square()) * weight).mean()


def colourful(pixels: Tensor) -> Tensor:
    """Return (N, 1, H, W), true where a uint8 pixel is saturated like the cube and unlike table and arms."""
    return (pixels.amax(dim=1, keepdim=True) - pixels.amin(dim=1, keepdim=True)) > COLOURFUL


@torch.no_grad()
def psnr(tokenizer: ImageTokenizer, images: np.ndarray, batch: int = 256) -> float:
    """Return the peak signal-to-noise ratio in dB of reconstructed uint8 images (N, S, S, 3)."""
    total = 0.0
    for first in range(0, len(images), batch):
        pixels = torch.from_numpy(images[first : first + batch]).permute(0, 3, 1, 2)
        output = ((tokenizer(pixels) + 1.0) * 127.5).clamp(0, 255)
        total += (output - pixels).square().sum().item()
    return 10.0 * math.log10(255.0**2 / max(total / images.size, 1e-9))


def _cosine(done: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
