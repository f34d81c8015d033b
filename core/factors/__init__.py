"""Paper 08: factor augmentation with an editing diffusion model (DiffsFormer), on markets made here, real prices or a visitor's table."""
