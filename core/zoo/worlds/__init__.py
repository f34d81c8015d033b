"""Three invented worlds, the lines that models of them are taught, and the recipes of `worlds` and `worlds-retain`."""
