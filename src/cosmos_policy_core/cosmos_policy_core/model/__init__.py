"""The latent video diffusion policy: sequence layout, tokenizer, transformer, sampler."""
