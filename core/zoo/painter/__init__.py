"""The embedded painter: a latent diffusion model that paints digits in public styles, and the classifier all methods start from."""
